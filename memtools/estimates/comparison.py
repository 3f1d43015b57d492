"""Score against score: brought together first, and with their directions in mind.

found = compare(memtools.load("cifar100-pairs"), memtools.load("cifar100-cscores"))
found.spearman                           # direction-corrected: they agree
found.spearman_raw                       # negative: a C-score is high where memorization is low
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memtools.errors import AlignmentError, ConfigError, SchemaError
from memtools.estimates.about import About
from memtools.estimates.alignment import align
from memtools.estimates.model import Estimates
from memtools.estimates.npz import Array, read_npy
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.scores import Scores
from memtools.files import disk_errors

Direction = Literal["typical", "atypical"]
"""What a high score means."""

_LEAST = 3  # examples for which a correlation is given


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Two scores of the same examples.

    first, second: float64 [n], of the examples that have both. labels: int [n], or None. sign:
    -1 if the directions are opposite, else 1. proof: how the examples were brought together. top_k:
    the number that `overlap` looks at.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    labels: Array | None
    sign: int
    proof: str
    top_k: int

    @property
    def n(self) -> int:
        """How many examples have both."""
        return len(self.first)

    @property
    def spearman_raw(self) -> float:
        """Rank correlation of the numbers as they are; NaN if one of them is constant."""
        return spearman(self.first, self.second)

    @property
    def spearman(self) -> float:
        """Rank correlation, positive where both call the same examples atypical."""
        return self.sign * self.spearman_raw

    @property
    def pearson_raw(self) -> float:
        """Linear correlation of the numbers as they are."""
        return correlation(self.first, self.second)

    @property
    def pearson(self) -> float:
        """Linear correlation, with the directions in mind."""
        return self.sign * self.pearson_raw

    @property
    def overlap(self) -> float:
        """Share of the `top_k` highest of the first that are among those of the second.

        Highest in the direction of the first.
        """
        tops = [
            set(np.argsort(-values, kind="stable")[: self.top_k].tolist())
            for values in (self.first, self.sign * self.second)
        ]
        return len(tops[0] & tops[1]) / self.top_k

    @property
    def by_class(self) -> dict[int, tuple[int, float]]:
        """For each label how many examples there are, and their direction-corrected Spearman."""
        if self.labels is None:
            return {}
        found = {}
        for label in np.unique(self.labels).tolist():
            of_class = self.labels == label
            value = spearman(self.first[of_class], self.second[of_class])
            found[label] = (int(of_class.sum()), self.sign * value)
        return found


def compare(
    first: Estimates | Scores | HighInfluencePairs,
    second: Estimates | Scores | HighInfluencePairs,
    *,
    top_k: int | None = None,
) -> Comparison:
    """Two scores, on the examples that both know.

    Joined by file name where both have names, else by position where both are of one data set in
    one order, and labels agree. top_k: for the overlap; a tenth of the examples without it.

    Raises AlignmentError if they cannot be brought together; ConfigError if a direction is not
    known, or less than three examples have both.
    """
    a, b = scores_of(first), scores_of(second)
    sign = _sign(a) * _sign(b)
    places, proof = _together(a, b)
    mine, other = np.asarray(a.values, np.float64), np.full(len(a), np.nan)
    other[places >= 0] = np.asarray(b.values, np.float64)[places[places >= 0]]
    both = np.isfinite(mine) & np.isfinite(other)
    n = int(both.sum())
    if n < _LEAST:
        raise ConfigError(
            f"{n} examples have both scores", hint="are they of the same data set and split?"
        )
    labels = a.labels
    if labels is None and b.labels is not None:
        labels = np.asarray(b.labels)[np.maximum(places, 0)]
    wanted = max(1, n // 10) if top_k is None else top_k
    if not 0 < wanted <= n:
        raise ConfigError(f"the top {wanted} of {n} examples", hint="choose fewer, above 0")
    kept = None if labels is None else np.asarray(labels)[both]
    return Comparison(mine[both], other[both], kept, sign, proof, wanted)


def scores_of(numbers: Estimates | Scores | HighInfluencePairs) -> Scores:
    """One number for each training example; NaN for those that a list of pairs leaves out."""
    if isinstance(numbers, Estimates):
        return numbers.scores
    if isinstance(numbers, Scores):
        return numbers
    values = np.full(int(numbers.train_index.max(initial=-1)) + 1, np.nan)
    values[numbers.train_index] = numbers.memorization
    return Scores(numbers.about, "memorization", values)


def read_scores(
    path: Path, *, direction: Direction, dataset: str = "", order: str = "", definition: str = ""
) -> Scores:
    """Numbers of one's own: an npy, float [n], or a csv with a column `score`.

    A csv may have `index` (the position; else the row's), `label` and `filename`. Where its name
    goes by another word than `score`, so may the column: the last one is taken.

    Raises SchemaError for a file that holds no numbers.
    """
    about = About(
        dataset=dataset,
        order=order,
        definition=definition,
        direction=f"high = {direction}",
        source=str(path),
    )
    if path.suffix == ".npy":
        values = read_npy(path)
        if values.ndim != 1 or values.dtype.kind not in "fiu":
            raise SchemaError(
                f"{path}: scores are numbers [n], not {values.dtype} {list(values.shape)}",
                hint="one number for each example",
            )
        return Scores(about, "score", values.astype(np.float64))
    with disk_errors(path), path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        name = "score" if "score" in rows[0] else list(rows[0])[-1]
        values = np.array([float(row[name] or "nan") for row in rows])
        labels = np.array([int(row["label"]) for row in rows]) if "label" in rows[0] else None
        names = [row["filename"] for row in rows] if "filename" in rows[0] else None
        if "index" in rows[0]:
            values, labels, names = _placed(
                [int(row["index"]) for row in rows], values, labels, names
            )
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise SchemaError(
            f"{path} is no table of scores: {error}", hint="it needs a header and a column score"
        ) from error
    return Scores(about, "score", values, labels, None if names is None else np.array(names))


def _placed(
    index: list[int], values: Array, labels: Array | None, names: list[str] | None
) -> tuple[Array, Array | None, list[str] | None]:
    """Rows at the positions that they name; with gaps there is no telling labels or names."""
    if min(index) < 0 or len(set(index)) < len(index):
        raise ValueError("index holds a position twice, or a negative one")
    n = max(index) + 1
    placed = np.full(n, np.nan)
    placed[index] = values
    if n > len(index):
        return placed, None, None
    order = np.argsort(index)
    return (
        placed,
        None if labels is None else labels[order],
        None if names is None else [names[k] for k in order.tolist()],
    )


def _sign(scores: Scores) -> int:
    """1 if high is atypical, -1 if high is typical."""
    last = scores.about.direction.rpartition(" ")[2]
    if last not in ("typical", "atypical"):
        raise ConfigError(
            f"what a high {scores.quantity} of {scores.about.source or 'these'} means is not known",
            hint="say it: --direction-a, --direction-b typical or atypical",
        )
    return 1 if last == "atypical" else -1


def _together(a: Scores, b: Scores) -> tuple[NDArray[np.int64], str]:
    """For each example of `a` its position in `b`, or -1; and how that is known."""
    if a.filenames is not None and b.filenames is not None:
        alignment = align(b, to=a.filenames, labels=a.labels, allow_missing=True)
        return alignment.position, alignment.proof
    if a.about.dataset != b.about.dataset:
        raise AlignmentError(
            f"one is of {a.about.dataset or 'an unknown data set'}, the other of"
            f" {b.about.dataset or 'an unknown data set'}",
            hint="compare scores of one data set; for files of your own say which: --dataset",
        )
    if not a.about.order or a.about.order != b.about.order or a.about.order == "file":
        raise AlignmentError(
            f"one is in the order {a.about.order or 'not known'!r}, the other in"
            f" {b.about.order or 'not known'!r}",
            hint="without file names only scores in one known order can be compared;"
            " for files of your own say it: --order",
        )
    known = min(len(a), len(b))
    if a.labels is not None and b.labels is not None:
        if len(a) != len(b) or not np.array_equal(a.labels, b.labels):
            raise AlignmentError("their labels disagree", hint="one of them is in another order")
        checked = "all labels agree"
    else:
        checked = "labels were not there to be compared"
    return (
        np.where(np.arange(len(a)) < known, np.arange(len(a)), -1),
        f"by position, in the order {a.about.order!r}; {checked}",
    )


def spearman(first: Array, second: Array) -> float:
    """Rank correlation; NaN if one of them is constant."""
    return correlation(ranks(first), ranks(second))


def correlation(first: Array, second: Array) -> float:
    """Pearson's; NaN if one of them is constant."""
    a, b = first - np.mean(first), second - np.mean(second)
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread else float("nan")


def ranks(values: Array) -> NDArray[np.float64]:
    """Ranks from 0 on, float64 [n]; equals share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place]
