"""Examples chosen by their score: the most and least memorized, those in between, controls.

    chosen = select(estimates, top(3000), per_class=True)
    chosen.index                             # int64, positions in the order of the scores
    chosen = select(estimates, top(3000), to=subset)
    chosen.index, chosen.counted_in          # positions in the data set that was given
    chosen.save("forget.json")               # or .npy, .txt, .csv; with a manifest that replays it

Several criteria make a mix; what an earlier one took, a later one leaves. Ties go to the lower
position in the order of the scores, so that a selection is the same whatever order the data are in.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from memtools.alignment import orders
from memtools.alignment.alignment import Alignment, align
from memtools.alignment.criteria import Criterion, choose
from memtools.alignment.criteria import at_least as at_least
from memtools.alignment.criteria import at_most as at_most
from memtools.alignment.criteria import bottom as bottom
from memtools.alignment.criteria import closest as closest
from memtools.alignment.criteria import quantile_bin as quantile_bin
from memtools.alignment.criteria import random as random
from memtools.alignment.criteria import top as top
from memtools.arguments import StrPath, as_list, checked
from memtools.documents import fill
from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.model import Estimates
from memtools.estimates.npz import Array
from memtools.estimates.scores import Scores
from memtools.estimates.tables import csv_writer
from memtools.files import appearing_with_note, disk_errors

FORMATS = (".npy", ".txt", ".csv", ".json")


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """Chosen examples.

    Attributes:
        index: int64 [n], ascending positions.
        scores: float [n].
        labels: int [n], or None.
        filenames: str [n], or None.
        manifest: Everything that decided the selection, JSON values.
    """

    index: NDArray[np.int64]
    scores: Array
    labels: Array | None
    filenames: Array | None
    manifest: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def counted_in(self) -> str:
        """The order in which `index` counts, such as `torchvision CIFAR100, Subset`."""
        return str(self.manifest["counted_in"])

    @checked('chosen.save("forget.json")')
    def save(self, path: StrPath) -> None:
        """Write the indices as .npy, .txt, .csv or .json, and the manifest beside it.

        The manifest is `<name>.manifest.json`. Raises ConfigError for another ending.
        """
        path = Path(path)
        contents: dict[str, Callable[[], bytes]] = {
            ".npy": self._npy,
            ".txt": lambda: "".join(f"{k}\n" for k in self.index.tolist()).encode(),
            ".csv": self._csv,
            ".json": lambda: (json.dumps(self.document, indent=1) + "\n").encode(),
        }
        if path.suffix not in contents:
            raise ConfigError(f"{path}: unknown ending", hint=f"use {', '.join(FORMATS)}")
        content = contents[path.suffix]()
        manifest = (json.dumps(dict(self.manifest), indent=1) + "\n").encode()
        note = path.with_name(f"{path.name}.manifest.json")
        with disk_errors(path), appearing_with_note(path, note, manifest) as file:
            file.write(content)

    @property
    def document(self) -> dict[str, Any]:
        """Indices, scores, names and manifest, as JSON has them."""
        columns = {"labels": self.labels, "filenames": self.filenames}
        return {
            "indices": self.index.tolist(),
            "scores": self.scores.tolist(),
            **{name: column.tolist() for name, column in columns.items() if column is not None},
            "manifest": dict(self.manifest),
        }

    def _npy(self) -> bytes:
        stream = io.BytesIO()
        np.save(stream, self.index)
        return stream.getvalue()

    def _csv(self) -> bytes:
        stream = io.StringIO(newline="")
        writer = csv_writer(stream)
        columns = {
            "index": self.index,
            "label": self.labels,
            "filename": self.filenames,
            "score": self.scores,
        }
        known = {name: column.tolist() for name, column in columns.items() if column is not None}
        writer.writerow(known)
        writer.writerows(zip(*known.values(), strict=True))
        return stream.getvalue().encode("utf-8", "backslashreplace")  # names that are not UTF-8


@checked("memtools.select(estimates, memtools.top(3000))")
def select(
    scores: Estimates | Scores,
    criteria: Criterion | Sequence[Criterion],
    *,
    per_class: bool = False,
    within: Array | None = None,
    alignment: Alignment | None = None,
    to: Any = None,
    control: bool = False,
    seed: int = 0,
) -> Selection:
    """Return examples chosen by their score.

    Args:
        scores: One score for each example.
        criteria: One rule, such as memtools.top(3000); or several, applied one after the other: a
            later one leaves what an earlier took.
        per_class: Choose n of each class, instead of n in all; needs labels.
        within: Choose among these only: positions, int, or a mask, bool, in the order of the
            result.
        alignment: Return positions in the user's data set, among its examples, instead of
            positions in the order of the scores.
        to: The data set itself, instead of its alignment: see memtools.align.
        control: Return as many other examples at random (of each class, with per_class) instead of
            the selection: a control of the same size.
        seed: The random seed.

    Returns:
        The selection. Examples without a score (NaN) are never chosen.

    Raises:
        ConfigError: Fewer examples are there than asked for, or nothing is chosen; or the seed is
            negative.
        AlignmentError: The data set does not fit the scores.
    """
    if to is not None:
        alignment = alignment or align(scores, to=to)
    of = scores.scores if isinstance(scores, Estimates) else scores
    if alignment is None:
        _require_whole(of)
    eligible = ~np.isnan(np.asarray(of.values, np.float64))
    eligible &= _allowed(within, alignment, len(of))
    groups = _groups(of, eligible, per_class)
    rules = as_list(criteria, Criterion)
    if seed < 0:
        raise ConfigError(f"the seed is {seed}", hint="give a whole number from 0 on")
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(of), np.bool_)
    values = np.asarray(of.values, np.float64)
    for criterion in rules:
        for name, group in groups.items():
            left = group[~chosen[group]]
            chosen[choose(criterion, left, values, group, rng, name)] = True
    if control:
        chosen = _control(chosen, groups, rng)
    index = np.flatnonzero(chosen)
    if not len(index):
        raise ConfigError("nothing is selected", hint="look at the range: memtools info")
    place = index if alignment is None else alignment.inverse[index]
    order = np.argsort(place)
    index, place = index[order], place[order].astype(np.int64)
    manifest = {
        "source": Path(of.about.source).name,
        "digest": of.about.digest,
        "dataset": of.about.dataset,
        "order": "the data set's" if alignment else of.about.order,
        "counted_in": alignment.what if alignment else _own_order(of),
        "proof": alignment.proof if alignment else "",
        "quantity": of.quantity,
        "definition": of.about.definition,
        "direction": of.about.direction,
        "criteria": [dataclasses.asdict(each) for each in rules],
        "per_class": per_class,
        "control": control,
        "seed": seed,
        "n_within": int(eligible.sum()),
        "n": len(place),
    }
    return Selection(
        place,
        np.asarray(of.values)[index],
        None if of.labels is None else np.asarray(of.labels)[index],
        None if of.filenames is None else of.filenames[index],
        manifest,
    )


def _require_whole(of: Scores) -> None:
    """Raise AlignmentError for scores of a part that claim the order of the whole data set."""
    n = orders.n_examples(of.about.dataset, "train")
    if of.about.order in ("official", "tfds") and not of.partial and n not in (None, len(of)):
        raise AlignmentError(
            f"there are {len(of):,} scores in the {of.about.order} order of {of.about.dataset},"
            f" which has {n:,} training examples",
            hint="say which examples they are of: index= (--index FILE); or declare another order",
        )


def _own_order(of: Scores) -> str:
    """Return the order of the scores in words."""
    known = f"the {of.about.order} order" if of.about.order else "the order of the scores"
    return f"{known} of {of.about.dataset}" if of.about.dataset else known


def _allowed(within: Array | None, alignment: Alignment | None, n: int) -> NDArray[np.bool_]:
    """Which of the scores may be chosen, bool [n]."""
    if alignment is not None and (len(alignment.inverse) != n or alignment.split != "train"):
        raise ConfigError(
            f"an alignment of {len(alignment.inverse):,} {alignment.split} examples, and"
            f" {n:,} scores of training examples",
            hint="align these scores",
        )
    there = np.ones(n, np.bool_) if alignment is None else alignment.inverse >= 0
    if within is None:
        return there
    n_places = n if alignment is None else len(alignment.position)
    mask: Array = np.asarray(within)
    if mask.dtype != np.bool_:
        if mask.dtype.kind not in "iu" or mask.ndim != 1:
            raise ConfigError("a subset is positions or a mask", hint="give integers or booleans")
        outside = mask[(mask < 0) | (mask >= n_places)]
        if len(outside):
            raise ConfigError(
                f"the subset names position {int(outside[0])}, and there are {n_places:,}",
                hint="count from 0, in the order of the data set",
            )
        chosen = np.zeros(n_places, np.bool_)
        chosen[mask] = True
        mask = chosen
    if len(mask) != n_places:
        raise ConfigError(
            f"a mask of {len(mask):,}, and {n_places:,} examples", hint="give one for each"
        )
    there[there] &= mask[there] if alignment is None else mask[alignment.inverse[there]]
    return there


def _groups(of: Scores, eligible: Array, per_class: bool) -> dict[str, Array]:
    """Positions that are chosen from, by the name of their class."""
    if not per_class:
        return {"": np.flatnonzero(eligible)}
    if of.labels is None:
        raise ConfigError("these scores have no labels", hint="leave out per_class (--per-class)")
    labels = np.asarray(of.labels)
    return {
        f" of class {label}": np.flatnonzero(eligible & (labels == label))
        for label in np.unique(labels[labels >= 0]).tolist()  # -1: not known
    }


def _control(
    chosen: NDArray[np.bool_], groups: Mapping[str, Array], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """As many others, of each group."""
    control = np.zeros_like(chosen)
    for name, group in groups.items():
        others, n = group[~chosen[group]], int(chosen[group].sum())
        if n > len(others):
            raise ConfigError(
                f"a control of {n:,} others{name} is asked for, and there are {len(others):,}",
                hint="select fewer",
            )
        control[rng.permutation(others)[:n]] = True
    return control


@dataclasses.dataclass(frozen=True)
class Request:
    """What a manifest asks for, to be asked again."""

    criteria: tuple[Criterion, ...]
    per_class: bool
    control: bool
    seed: int

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Self:
        """From a manifest; ConfigError if it is none."""
        fields = {field.name for field in dataclasses.fields(cls)}
        return fill(
            cls,
            {name: value for name, value in manifest.items() if name in fields},
            "the manifest of a selection",
            error=ConfigError,
            hint="give the .manifest.json that memtools select wrote",
        )
