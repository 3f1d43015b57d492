"""Influence as a report shows it: the ties that stand out, class by class.

    ties = ties_of(estimates)
    ties.train, ties.test, ties.values     # one entry for each influence of .05 and more

Most influences are noise around zero, and a matrix of all of them is a quarter of a gigabyte for
ImageNet. Kept are those of at least LEAST in size. Where a class has more than MOST for each of its
training examples, the weakest are left out, but none as strong as a high-influence pair.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.model import ClassInfluence, Estimates
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
    their standard errors, float32 [n], or None. counts: int64 [len(EDGES) - 1], the histogram of
    all influences. of_class: where the entries of each label stand; least: the size from which on
    all of them are here.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    values: NDArray[np.float32]
    errors: NDArray[np.float32] | None
    counts: NDArray[np.int64]
    of_class: Mapping[int, slice]
    least: Mapping[int, float]

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


def ties_of(estimates: Estimates) -> Ties | None:
    """The ties of all classes; None where there is no influence. One class at a time is read."""
    n_kept, counts = 0, np.zeros(len(EDGES) - 1, np.int64)
    of_class: dict[int, slice] = {}
    least: dict[int, float] = {}
    kept: list[tuple[Array, Array, Array, Array]] = []
    for matrix, errors in _matrices(estimates):
        values = np.asarray(matrix.values, np.float32)
        counts += np.histogram(np.clip(values[np.isfinite(values)], -1, 1), EDGES)[0]
        sizes = np.abs(values)
        least[matrix.label] = _least(sizes)
        rows, columns = np.nonzero(sizes >= least[matrix.label])
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
    return Ties(train, test, values, known, counts, of_class, least)


def _matrices(estimates: Estimates) -> Iterator[tuple[ClassInfluence, Array | None]]:
    """The matrix of each class and its standard errors."""
    with bars("classes") as show:
        for n_done, label in enumerate(estimates.classes):
            show("influence", n_done, len(estimates.classes))
            yield estimates.influence(label), estimates.arrays.get(f"infl_se_class{label}")


def _least(sizes: Array) -> float:
    """The size from which on the ties of a class are kept."""
    strong, most = sizes[sizes >= LEAST], MOST * len(sizes)
    if len(strong) <= most:
        return LEAST
    weakest = float(np.partition(strong, -most)[-most])
    return min(MIN_INFL, math.ceil(1000 * weakest) / 1000)  # which the page can say
