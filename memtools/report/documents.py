"""What the data files of a report hold: one function for each kind.

    level_of(subject, examples)              # data/level/7.js: some examples of a level
    rows_of(subject, ties, rows)             # data/pairs/0.js, data/harmful/0.js: a page of pairs
    shelf_of(subject, 3, train, test)        # data/shelf/3.js: all that is known of a class
    places_of(subject), names_of(subject)    # on which shelf an example is; which has this name

Columns are those of memtools.report.packing. Examples are numbered by their positions; classes by
their place among the shelves.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from memtools.datasets.identity import identify
from memtools.estimates.npz import Array
from memtools.report.choice import Index, Row
from memtools.report.packing import integers, numbers, positions
from memtools.report.subject import Side, Subject
from memtools.report.thumbnails import Example
from memtools.report.ties import LEAST, Ties

Document = dict[str, Any]

BUCKETS, _FEW = 256, 20_000  # of names; so many are in one


def level_of(subject: Subject, examples: Index) -> Document:
    """Some training examples: index, score, error, shelf."""
    return _examples(subject, examples)


def rows_of(subject: Subject, ties: Ties, rows: Sequence[Row]) -> tuple[Document, list[Example]]:
    """A page of pairs, and the examples in the order of their thumbnails.

    train: as in `level_of`. n: test examples of each row that are here, all: that there are; test,
    value, error: of all rows, one after the other. A training example stands before its row.
    """
    entries = np.concatenate([row.entries for row in rows])
    cells: list[Example] = []
    for row in rows:
        cells.append(("train", row.train))
        cells += [("test", k) for k in ties.test[row.entries].tolist()]
    document = {
        "train": _examples(subject, np.array([row.train for row in rows])),
        "n": integers(np.array([len(row.entries) for row in rows])),
        "all": integers(np.array([row.n_all for row in rows])),
        "test": integers(ties.test[entries]),
        "value": numbers(ties.values[entries]),
    }
    if ties.errors is not None:
        document["error"] = numbers(ties.errors[entries])
    return document, cells


def shelf_of(subject: Subject, shelf: int, train: Index, test: Index) -> Document:
    """All examples of a shelf, those that keep an image (train, test), and their ties.

    train: in order of rank, with rank, error, interval and counts where known. Ties are by the
    places of their examples on the shelf. cell: the place of its thumbnail, -1 for none.
    """
    ours, theirs = subject.train.members(shelf), subject.test.members(shelf)
    document: Document = {
        "train": {
            **_examples(subject, ours, shelf=False),
            "rank": integers(subject.rank[ours]),
            **_names(subject.train, ours),
            "cell": _cells(ours, train, 0),
        },
        "test": {
            "index": integers(theirs),
            **_names(subject.test, theirs),
            "cell": _cells(theirs, test, len(train)),
        },
    }
    for name in ("low", "high", "n_in", "n_out"):
        if (column := getattr(subject, name)) is not None:
            pack = numbers if name in ("low", "high") else integers
            document["train"][name] = pack(np.asarray(column)[ours])
    if subject.ties is not None and subject.labels is not None:
        document["ties"] = _ties(subject.ties, int(subject.labels[shelf]), ours, theirs)
    return document


def places_of(subject: Subject) -> Document:
    """On which shelf each example stands."""
    return {"train": integers(subject.train.shelf), "test": integers(subject.test.shelf)}


def names_of(subject: Subject) -> Iterator[tuple[int, Document]]:
    """(bucket, hashes and positions) of all file names; whoever looks compares the name itself.

    Hashed is the crc32 of what all spellings of a name have in common (estimates.identity).
    """
    sides = [(subject.train, False), (subject.test, True)]
    named = [(side.names.tolist(), test) for side, test in sides if side.names is not None]
    column = np.array([_hash(name) for names, _ in named for name in names], np.uint32)
    place = np.array([k for names, _ in named for k in range(len(names))], np.int64)
    split = np.repeat([test for _, test in named], [len(names) for names, _ in named])
    n_buckets = n_buckets_of(subject)
    for bucket in range(n_buckets):
        here = np.flatnonzero(column % n_buckets == bucket)
        yield (
            bucket,
            {
                "hash": integers(column[here]),
                "index": integers(place[here]),
                "test": integers(split[here]),
            },
        )


def _hash(name: str) -> int:
    return zlib.crc32(identify(name)[0].encode("utf-8", "replace"))


def n_buckets_of(subject: Subject) -> int:
    """Into how many files names are spread; none if there are none."""
    n = sum(side.n for side in (subject.train, subject.test) if side.names is not None)
    return 0 if not n else 1 if n <= _FEW else BUCKETS


def _examples(subject: Subject, index: Index, *, shelf: bool = True) -> Document:
    document = {"index": integers(index), "score": numbers(subject.values[index])}
    if subject.errors is not None:
        document["error"] = numbers(subject.errors[index])
    if shelf:
        document["shelf"] = integers(subject.train.shelf[index])
    return document


def _names(side: Side, index: Index) -> Document:
    return {} if side.names is None else {"name": side.names[index].tolist()}


def _cells(members: Index, kept: Index, first: int) -> dict[str, str]:
    cells = np.full(len(members), -1)
    cells[np.isin(members, kept)] = first + np.arange(len(kept))
    return positions(cells)


def _ties(ties: Ties, label: int, ours: Index, theirs: Index) -> Document:
    here = ties.of_class.get(label, slice(0, 0))
    document: Document = {
        "least": ties.least.get(label, LEAST),
        "train": integers(_place(ours, ties.train[here])),
        "test": integers(_place(theirs, ties.test[here])),
        "value": numbers(ties.values[here]),
    }
    if ties.errors is not None:
        document["error"] = numbers(ties.errors[here])
    return document


def _place(members: Index, chosen: Index) -> Array:
    """Where in `members` each of `chosen` stands."""
    order = np.argsort(members)
    return order[np.searchsorted(members, chosen, sorter=order)]
