"""Statistics behind the checks of plausibility, in closed form from counts.

    gap               difference of accuracy inside and outside subsets, and its standard error
    test_spread,      variance of accuracy over examples beyond what a permutation of the
    training_spread   outcomes of each run would leave
    ClassSpread       accuracy by class, against the same permutation

Under a permutation in each run, of n examples with a share p_r right in run r, the number of
runs c_j that are right on example j has E[sum_j (c_j - mean)^2] = n sum_r v_r, v_r = p_r (1 - p_r),
and what exceeds it is a sum over pairs of runs, uncorrelated, with the variance
2 n^2 / (n - 1) [(sum v_r)^2 - sum v_r^2]: the moments of a permutation test, exact for any n.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.npz import Array

Counts = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Spread:
    """The variance over examples beyond chance.

    excess: sum of squares above the expected one, which is the sum over ordered pairs of runs of
    the covariance of their outcomes. error: its standard error by chance. scale: what it would be
    if all runs agreed entirely, so that excess / scale is the mean correlation of two runs.
    """

    excess: float
    error: float
    scale: float


def gap(n_in: Counts, correct: Counts, runs: Counts) -> tuple[float, float]:
    """Estimate how much more accurate models are on examples of their subset.

    Least squares with an effect for each example and each run: harder examples, better runs and
    other sizes of subsets do not count.

    Args:
        n_in: Runs with each example, int64 [n].
        correct: Runs that are right on each example, int64 [n].
        runs: Examples inside, right, and right inside, of each run, int64 [n_runs, 3 or more].

    Returns:
        The difference of accuracy, and its standard error where membership has no effect;
        NaN and 0 where no example is on both sides.
    """
    n, n_runs = len(n_in), len(runs)
    if n < 2 or n_runs < 2:
        return float("nan"), 0.0
    size, right, both = runs[:, :3].astype(np.float64).T
    share, rate = n_in / n_runs, correct / n_runs
    means = size.mean() / n, right.mean() / n
    masks = size.sum() - n_runs * share @ share - size @ size / n + n * n_runs * means[0] ** 2
    joint = both.sum() - n_runs * share @ rate - size @ right / n + n * n_runs * means[0] * means[1]
    rest = right.sum() - n_runs * rate @ rate - right @ right / n + n * n_runs * means[1] ** 2
    if masks <= 1e-9 * n * n_runs:
        return float("nan"), 0.0
    variance = max(rest, 0.0) / ((n - 1) * (n_runs - 1))
    return float(joint / masks), float(np.sqrt(variance / masks))


def test_spread(correct: Counts, runs: Counts) -> Spread:
    """Return the spread of test examples.

    Args:
        correct: Runs that are right on each example, int64 [n].
        runs: int64 [n_runs, 4], the last column with the examples that each run got right.
    """
    n = len(correct)
    if n < 2 or not len(runs):
        return Spread(0.0, 0.0, 0.0)
    rate = runs[:, 3] / n
    return _spread(correct - correct.mean(), rate * (1 - rate))


def training_spread(n_in: Counts, correct: Counts, runs: Counts) -> Spread:
    """Return the spread of training examples that their places in the subsets do not explain.

    Args:
        n_in: Runs with each example, int64 [n].
        correct: Runs that are right on each example, int64 [n].
        runs: Examples inside, right, and right inside, of each run, int64 [n_runs, 3 or more].
    """
    n = len(n_in)
    if n < 2 or not len(runs):
        return Spread(0.0, 0.0, 0.0)
    size, right, both = runs[:, :3].astype(np.float64).T
    inside, outside = both / np.maximum(size, 1), (right - both) / np.maximum(n - size, 1)
    share = size / n
    weight = share * (1 - share)
    difference = inside - outside
    mean = difference @ weight / weight.sum() if weight.any() else 0.0
    variance = share * inside * (1 - inside) + (1 - share) * outside * (1 - outside)
    variance += weight * (difference - mean) ** 2
    rest = correct - correct.mean() - mean * (n_in - n_in.mean())
    return _spread(rest, variance)


def _spread(rest: Array, variance: Array) -> Spread:
    """Return what exceeds chance. rest: float [n], centred counts; variance: float [n_runs]."""
    n, total = len(rest), variance.sum()
    pairs = max(total**2 - variance @ variance, 0.0)
    return Spread(
        excess=float(rest @ rest - n * total),
        error=float(np.sqrt(2 * n**2 / (n - 1) * pairs)),
        scale=float(n * (np.sqrt(variance).sum() ** 2 - total)),
    )


class Tally:
    """Runs with a one, by example: rows of bool are added as bytes, 255 at a time."""

    def __init__(self, n: int) -> None:
        self._total, self._bytes, self._n_rows = np.zeros(n, np.int64), np.zeros(n, np.uint8), 0

    def add(self, row: Array) -> None:
        """Count one run, bool [n]."""
        self._bytes += row.view(np.uint8)
        self._n_rows += 1
        if self._n_rows % 255 == 0:
            self._flush()

    @property
    def total(self) -> Counts:
        """The counts so far, int64 [n]."""
        self._flush()
        return self._total

    def _flush(self) -> None:
        self._total += self._bytes
        self._bytes[:] = 0


class ClassSpread:
    """Accuracy by class, of runs that are observed one after the other.

    A permutation of the outcomes of a run leaves every class its share of them. The sum of
    squares of the classes over its expectation is then near n_classes - 1 in each run.
    """

    def __init__(self, labels: Array) -> None:
        _, place, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        self._place, self._sizes = place, sizes
        self._total, self._n_runs = 0.0, 0

    def observe(self, correct: Array) -> None:
        """Count one run, bool [n]; one without any error, or only errors, has nothing to say."""
        rate = float(correct.mean()) if len(correct) else 0.0
        if not 0 < rate < 1:
            return
        right = np.bincount(self._place[correct], minlength=len(self._sizes))
        n, variance = len(correct), rate * (1 - rate)
        squares = ((right - self._sizes * rate) ** 2 / self._sizes).sum() / variance
        self._total += squares * (n - 1) / n
        self._n_runs += 1

    @property
    def z(self) -> float:
        """Standard errors above what a permutation in each run gives; 0 without classes."""
        freedom = self._n_runs * (len(self._sizes) - 1)
        return float((self._total - freedom) / np.sqrt(2 * freedom)) if freedom else 0.0
