"""Ranks, correlations, and the overlap of two tops; equals share what they tie for.

    spearman(first, second)                  # NaN if one of them is constant
    overlap_of_tops(first, second, k).share  # of the k highest of each

Infinite values are the extremes of a ranking.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.npz import Array


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How far the k highest of two scores are the same examples.

    Where more examples have the value at the boundary than there is room for, each of them is in
    the top with the same probability, and the share is the expectation.

    Attributes:
        share: The expected share of one top that is in the other.
        by_chance: The share that two unrelated rankings give, k / n.
        at_best: The share that two rankings with these ties give if they agree: below 1 if many
            examples tie at the boundary.
        n_tied: How many examples of the first, and of the second, compete for the last places; 0
            if there is a place for each of them.
    """

    share: float
    by_chance: float
    at_best: float
    n_tied: tuple[int, int]


def overlap_of_tops(first: Array, second: Array, k: int) -> Overlap:
    """Return the overlap of the k highest of two scores.

    Args:
        first: float [n], without NaN.
        second: float [n], of the same examples.
        k: How many, from 1 to n.
    """
    (a, tied_a), (b, tied_b) = _membership(first, k), _membership(second, k)
    at_best = float(np.sort(a) @ np.sort(b)) / k
    return Overlap(float(a @ b) / k, k / len(first), at_best, (tied_a, tied_b))


def _membership(values: Array, k: int) -> tuple[NDArray[np.float64], int]:
    """Return the probability of each example to be among the k highest, and how many compete."""
    boundary = np.partition(values, len(values) - k)[len(values) - k]
    above, tied = values > boundary, values == boundary
    n_tied, left = int(tied.sum()), k - int(above.sum())
    return above + tied * (left / n_tied), n_tied if left < n_tied else 0


def most_common(values: Array) -> tuple[float, int]:
    """Return the value that the most examples have, and how many have it."""
    found, counts = np.unique(values, return_counts=True)
    return float(found[np.argmax(counts)]), int(counts.max())


def spearman(first: Array, second: Array) -> float:
    """Return the rank correlation; NaN if one of them is constant."""
    return correlation(ranks(first), ranks(second))


def correlation(first: Array, second: Array) -> float:
    """Return Pearson's correlation; NaN if one of them is constant or has an infinite value."""
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("nan")
    a, b = _centred(first), _centred(second)
    spread = float(np.sqrt(a @ a) * np.sqrt(b @ b))
    return float(a @ b) / spread if spread else float("nan")


def _centred(values: Array) -> NDArray[np.float64]:
    """Return values less their mean, scaled to at most 1: squares of huge ones are infinite."""
    scaled = np.asarray(values, np.float64)
    for _ in range(2):  # the second time the differences, which may be small
        largest = float(np.abs(scaled).max(initial=0))
        if largest:
            scaled = scaled / largest
        scaled = scaled - np.mean(scaled)
    return scaled


def ranks(values: Array) -> NDArray[np.float64]:
    """Return ranks from 0 on, float64 [n]; equals share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place]
