"""What a page loads by need: a data file each, most with a sheet of thumbnails.

    drawn = write_packs(root / "data", packs_of(subject, choice), sheets)

A sheet is drawn, and what is large is put together, when it is its turn.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from memtools.progress import bars
from memtools.report.choice import ON_PAGE, Choice, Index
from memtools.report.documents import Document, level_of, names_of, places_of, rows_of, shelf_of
from memtools.report.packing import integers, write_script
from memtools.report.subject import Subject
from memtools.report.summary import Drawn
from memtools.report.thumbnails import Example, Sheets


@dataclasses.dataclass(frozen=True)
class Pack:
    """make: its document, and the examples on its sheet, in order."""

    name: str
    make: Callable[[], tuple[Document, Sequence[Example]]]


def packs_of(subject: Subject, choice: Choice) -> list[Pack]:
    """Everything that a page loads by need."""
    return [
        *_of_levels(subject, choice),
        *_of_pairs(subject, choice),
        *_of_shelves(subject, choice),
    ]


def _of_levels(subject: Subject, choice: Choice) -> Iterator[Pack]:
    for k, examples in enumerate(choice.levels):
        if len(examples):
            yield Pack(f"level/{k}", functools.partial(_level, subject, examples))


def _of_pairs(subject: Subject, choice: Choice) -> Iterator[Pack]:
    if subject.ties is not None:
        of_pairs = functools.partial(rows_of, subject, subject.ties)
        for name, rows in (("pairs", choice.helpful), ("harmful", choice.harmful)):
            for k in range(0, len(rows), ON_PAGE):
                page = rows[k : k + ON_PAGE]
                yield Pack(f"{name}/{k // ON_PAGE}", functools.partial(of_pairs, page))


def _of_shelves(subject: Subject, choice: Choice) -> Iterator[Pack]:
    for shelf in range(subject.n_shelves):
        yield Pack(f"shelf/{shelf}", functools.partial(_shelf, subject, choice, shelf))
    if choice.tops is not None:
        yield Pack("tops", functools.partial(_alone, {}, _training(choice.tops)))
    yield Pack("places", functools.partial(_alone, places_of(subject)))
    for bucket, names in names_of(subject):
        yield Pack(f"names/{bucket}", functools.partial(_alone, names))


def _alone(document: Document, cells: Sequence[Example] = ()) -> tuple[Document, Sequence[Example]]:
    return document, cells


def _level(subject: Subject, examples: Index) -> tuple[Document, list[Example]]:
    return level_of(subject, examples), _training(examples)


def _shelf(subject: Subject, choice: Choice, shelf: int) -> tuple[Document, list[Example]]:
    train, test = choice.train[shelf], choice.test[shelf]
    cells: list[Example] = [("test", k) for k in test.tolist()]
    return shelf_of(subject, shelf, train, test), _training(train) + cells


def _training(examples: Iterable[int]) -> list[Example]:
    return [("train", int(k)) for k in examples]


def write_packs(data: Path, packs: Sequence[Pack], sheets: Sheets | None) -> Drawn:
    """Write all, several at a time: Pillow lets other threads work."""

    def write(pack: Pack) -> tuple[int, set[Example]]:
        document, cells = pack.make()
        n_drawn, unreadable = 0, set[Example]()
        if sheets is not None and cells:
            sizes = sheets.draw(pack.name, cells)
            document["size"] = integers(sizes.ravel())
            there = sizes[:, 0] > 0
            n_drawn = int(there.sum())
            lacking = [cells[k] for k in np.flatnonzero(~there).tolist()]
            unreadable = {example for example in lacking if sheets.knows(example)}
        write_script(data, pack.name, document)
        return n_drawn, unreadable

    drawn = Drawn(sheets, 0, set())
    with ThreadPoolExecutor(os.cpu_count()) as pool, bars("files") as show:
        for n_done, (n, unreadable) in enumerate(pool.map(write, packs), 1):
            drawn = Drawn(sheets, drawn.n + n, drawn.unreadable | unreadable)
            show("report", n_done, len(packs))
    return drawn
