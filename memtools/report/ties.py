"""Influence as a report shows it: the ties that stand out, class by class.

    ties = ties_of(estimates)
    ties.train, ties.test, ties.values     # one entry for each influence of .05 and more

Most influences are noise around zero, and a matrix of all of them is a quarter of a gigabyte for
ImageNet. Kept are those of at least LEAST in size; of a class at most the strongest MOST for each
of its training examples. High-influence pairs are counted before that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from memtools.errors import SchemaError
from memtools.estimates.model import ClassInfluence, Estimates, ExampleIndex
from memtools.estimates.npz import Array
from memtools.estimates.pairs import MIN_INFL, MIN_MEM
from memtools.progress import bars

LEAST, MOST = 0.05, 16
BAR = 0.025  # of the histogram
EDGES = np.round(np.arange(-1, 1 + BAR / 2, BAR), 3)


@dataclasses.dataclass(frozen=True, eq=False)
class Ties:
    """What training examples do to test examples of their class.

    train, test: int64 [n], positions in their splits, class by class. values: float32 [n]; errors:
    their standard errors, float32 [n], or None. n_high: how many pairs have memorization >= .25
    and influence >= .15; n_negative: how many have an influence <= -.15. counts: int64
    [len(EDGES) - 1], the histogram of all influences. of_class: where the entries of each label
    stand.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    values: NDArray[np.float32]
    errors: NDArray[np.float32] | None
    n_high: int
    n_negative: int
    counts: NDArray[np.int64]
    of_class: Mapping[int, slice]

    def high(self, memorization: Array) -> NDArray[np.int64]:
        """The entries of high-influence pairs (Feldman & Zhang 2020, sec. 3)."""
        return np.flatnonzero((self.values >= MIN_INFL) & (memorization[self.train] >= MIN_MEM))

    def negative(self) -> NDArray[np.int64]:
        """The entries of pairs that harm as much as others help."""
        return np.flatnonzero(self.values <= -MIN_INFL)

    def strengths(self, n_train: int, n_test: int) -> tuple[Array, Array]:
        """The strongest tie of each training and of each test example, float32; 0 for none."""
        sizes, train, test = np.abs(self.values), np.zeros(n_train), np.zeros(n_test)
        np.maximum.at(train, self.train, sizes)
        np.maximum.at(test, self.test, sizes)
        return train, test


def ties_of(estimates: Estimates, index: ExampleIndex) -> Ties | None:
    """The ties of all classes; None where there is no influence. One class is in memory at a time.

    Raises SchemaError where a matrix speaks of examples of another class.
    """
    memorization = estimates.memorization if estimates.classes else np.zeros(0)
    n_high = n_negative = n_kept = 0
    counts, of_class = np.zeros(len(EDGES) - 1, np.int64), {}
    kept: list[tuple[Array, Array, Array, Array]] = []
    for matrix, errors in _matrices(estimates):
        _require_class(matrix, index)
        values = np.asarray(matrix.values, np.float32)
        memorized = memorization[matrix.train_index] >= MIN_MEM
        n_high += int((values[memorized] >= MIN_INFL).sum())
        n_negative += int((values <= -MIN_INFL).sum())
        counts += np.histogram(np.clip(values[np.isfinite(values)], -1, 1), EDGES)[0]
        rows, columns = _strongest(values)
        of_class[matrix.label] = slice(n_kept, n_kept + len(rows))
        n_kept += len(rows)
        found = np.zeros(0) if errors is None else errors[rows, columns]
        kept.append(
            (matrix.train_index[rows], matrix.test_index[columns], values[rows, columns], found)
        )
    if not kept:
        return None
    train, test, values, found = (np.concatenate(each) for each in zip(*kept, strict=True))
    known = found.astype(np.float32) if len(found) == len(values) else None
    return Ties(train, test, values, known, n_high, n_negative, counts, of_class)


def _matrices(estimates: Estimates) -> Iterator[tuple[ClassInfluence, Array | None]]:
    """The matrix of each class and its standard errors."""
    with bars("classes") as show:
        for n_done, label in enumerate(estimates.classes):
            show("influence", n_done, len(estimates.classes))
            yield estimates.influence(label), estimates.arrays.get(f"infl_se_class{label}")


def _require_class(matrix: ClassInfluence, index: ExampleIndex) -> None:
    for place, labels in (
        (matrix.train_index, index.labels),
        (matrix.test_index, index.test_labels),
    ):
        n = 0 if labels is None else len(labels)
        if labels is None or place.max(initial=-1) >= n or (labels[place] != matrix.label).any():
            raise SchemaError(
                f"the influence of class {matrix.label} is about examples of another class",
                hint="memtools verify says what is wrong with the file",
            )


def _strongest(values: Array) -> tuple[Array, Array]:
    """(rows, columns) of what is kept of a matrix, in its order."""
    sizes = np.abs(values)
    rows, columns = np.nonzero(sizes >= LEAST)
    most = MOST * len(values)
    if len(rows) > most:
        best = np.sort(np.argsort(-sizes[rows, columns], kind="stable")[:most])
        rows, columns = rows[best], columns[best]
    return rows, columns
