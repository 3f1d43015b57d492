"""A sample of the outcomes of each run, packed, and how each run agrees with the others on it.

    sample = RunSample(n_train, n_test, labels, test_labels)
    for run in runs: sample.observe(run)
    agreement = sample.compare()             # "mask", "training" and "test"
    agreement["test"].z                      # float64 [n_runs]

Counts over all runs cannot tell a few runs that are wrong from the rest. At most 20,000 training
and as many test examples are kept of each run, which takes 15 MB for 2,000 runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.npz import Array

SIZE = 20_000  # examples of a split
BLOCK = 64  # runs that are unpacked at a time

Aspect = Literal["mask", "training", "test"]
Matrix = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class SampledRuns:
    """A block of runs, or one of them: bool [n_runs, n] or [n], on the sampled examples."""

    mask: Matrix
    train_correct: Matrix
    test_correct: Matrix

    def __iter__(self) -> Iterator[SampledRuns]:
        """Yield the runs of a block."""
        for rows in zip(self.mask, self.train_correct, self.test_correct, strict=True):
            yield SampledRuns(*rows)


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How each run agrees with the mean of the others, float64 [n_runs]; NaN: cannot be computed.

    effect: the slope of a regression on what the other runs predict, 1 for a run like the others.
    error: its standard error if the run were drawn at random. rate: the accuracy of the run.
    class_z: standard errors by which its accuracy by class differs more than chance lets it.
    effective: the number of examples, of the rarer kind, that the effect rests on; of few of them
    the tails are not normal.
    """

    effect: Array
    error: Array
    rate: Array
    class_z: Array
    effective: Array

    @property
    def z(self) -> Array:
        """The effect in standard errors."""
        return self.effect / self.error


class RunSample:
    """Bits of runs that are observed one after the other, on a fixed sample of the examples."""

    def __init__(
        self,
        n_train: int,
        n_test: int,
        labels: Array | None = None,
        test_labels: Array | None = None,
    ) -> None:
        self._index = _chosen(n_train), _chosen(n_test)
        self.sizes = len(self._index[0]), len(self._index[1])
        self.labels, self.test_labels = (
            None if column is None else column[index]
            for column, index in zip((labels, test_labels), self._index, strict=True)
        )
        self._rows: list[tuple[Array, Array, Array]] = []

    def observe(self, mask: Array, train_correct: Array, test_correct: Array) -> None:
        """Keep one run: bool [n_train], [n_train], [n_test]."""
        train, test = self._index
        rows = mask[train], train_correct[train], test_correct[test]
        self._rows.append((np.packbits(rows[0]), np.packbits(rows[1]), np.packbits(rows[2])))

    @property
    def n_runs(self) -> int:
        """The number of runs."""
        return len(self._rows)

    def blocks(self, runs: Sequence[int] | None = None) -> Iterator[SampledRuns]:
        """Yield the runs, or those at some positions, in blocks."""
        rows = self._rows if runs is None else [self._rows[run] for run in runs]
        sizes = self.sizes[0], *self.sizes
        for start in range(0, len(rows), BLOCK):
            columns = zip(*rows[start : start + BLOCK], strict=True)
            yield SampledRuns(
                *(
                    np.unpackbits(np.stack(column), axis=1, count=n).view(np.bool_)
                    for column, n in zip(columns, sizes, strict=True)
                )
            )

    def compare(self) -> dict[Aspect, Agreement]:
        """Compare each run with the mean of all others, in its mask and in what it got right."""
        totals = _Totals.of(self)
        found: dict[Aspect, list[Array]] = {"mask": [], "training": [], "test": []}
        for block in self.blocks():
            inside, outside = totals.rates_without(block)
            effect = totals.shrunk(inside - outside)
            found["mask"].append(_mask_agreement(block, inside, outside, effect))
            predicted = np.where(block.mask, inside, outside)
            found["training"].append(_agreement(block.train_correct, predicted, self.labels))
            test = totals.test_rates_without(block)
            found["test"].append(_agreement(block.test_correct, test, self.test_labels))
        return {name: Agreement(*np.concatenate(parts, 1)) for name, parts in found.items()}


@dataclasses.dataclass(frozen=True)
class _Totals:
    """Over all runs, float32: runs with an example [n_train], right on it, both; right [n_test]."""

    n_runs: int
    n_in: Array
    right: Array
    both: Array
    test: Array

    @classmethod
    def of(cls, sample: RunSample) -> _Totals:
        n_train, n_test = sample.sizes
        n_in, right, both = np.zeros((3, n_train), np.float32)
        test, n_runs = np.zeros(n_test, np.float32), 0
        for block in sample.blocks():
            n_runs += len(block.mask)
            n_in += block.mask.sum(0)
            right += block.train_correct.sum(0)
            both += (block.mask & block.train_correct).sum(0)
            test += block.test_correct.sum(0)
        return cls(n_runs, n_in, right, both, test)

    def rates_without(self, block: SampledRuns) -> tuple[Array, Array]:
        """Return the accuracy of the other runs, with and without the example, [n_runs, n_train].

        One run at the accuracy of all others is added to each side, for sides without a run.
        """
        others = max(self.n_runs - 1, 1)
        n_in, right = self.n_in - block.mask, self.right - block.train_correct
        both = self.both - (block.mask & block.train_correct)
        rate = right / others
        return (both + rate) / (n_in + 1), (right - both + rate) / (others - n_in + 1)

    def shrunk(self, effect: Array) -> Array:
        """Return effects of the mask, [n_runs, n_train], drawn to their mean as they are noisy.

        Where nothing but noise tells examples apart, all get the mean effect.
        """
        mean = effect.mean(1, keepdims=True)
        rate = self.right / self.n_runs
        noise = rate * (1 - rate) * (1 / (self.n_in + 1) + 1 / (self.n_runs - self.n_in + 1))
        spread = np.maximum(((effect - mean) ** 2).mean(1, keepdims=True), 1e-12)
        drawn: Array = mean + np.maximum(0.0, 1 - noise.mean() / spread) * (effect - mean)
        return drawn

    def test_rates_without(self, block: SampledRuns) -> Array:
        """Return the accuracy of the other runs on the test examples, [n_runs, n_test]."""
        rates: Array = (self.test - block.test_correct) / max(self.n_runs - 1, 1)
        return rates


def _mask_agreement(block: SampledRuns, inside: Array, outside: Array, effect: Array) -> Array:
    """Compare what the mask does to a run with what it does to the others, [5, n_runs].

    The statistic is linear in the mask, so that its variance under a mask that was drawn at random
    follows from the outcomes, whatever they are.
    """
    share = block.mask.mean(1, keepdims=True, dtype=np.float32)
    weights = effect * (block.train_correct - share * inside - (1 - share) * outside)
    weights -= weights.mean(1, keepdims=True)
    share = share[:, 0].astype(np.float64)
    spread, squares = share * (1 - share), _dot(weights, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        fourth = _dot(weights**2, weights**2)
        effective = squares**2 / fourth * np.minimum(share, 1 - share)
        scale = spread * _dot(effect, effect)
        slope = _dot(weights, block.mask.astype(np.float32)) / scale
        error = np.sqrt(spread * squares) / scale
    rate = block.train_correct.mean(1)
    return _rows(effective, slope, error, rate, np.zeros_like(rate))


def _agreement(correct: Matrix, predicted: Array, labels: Array | None) -> Array:
    """Compare what runs got right with what the others predict, [5, n_runs].

    The error is that of a permutation of the outcomes of the run.
    """
    n = correct.shape[1]
    rate = correct.mean(1) if n else np.zeros(len(correct))
    variance = rate * (1 - rate) * n / max(n - 1, 1)
    centred = predicted - predicted.mean(1, keepdims=True) if n else predicted
    squares = _dot(centred, centred)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = _dot(centred, correct.astype(np.float32)) / squares
        error = np.sqrt(variance / squares)
    effective = n * np.minimum(rate, 1 - rate)
    return _rows(effective, slope, error, rate, _class_z(correct, rate, labels))


def _dot(a: Array, b: Array) -> Array:
    """Return the sums of products of rows."""
    sums: Array = np.einsum("ij,ij->i", a, b).astype(np.float64)
    return sums


def _rows(effective: Array, slope: Array, error: Array, rate: Array, class_z: Array) -> Array:
    known = np.isfinite(slope) & np.isfinite(error) & (error > 0)
    slope, error = (np.where(known, each, np.nan) for each in (slope, error))
    return np.stack([slope, error, rate, class_z, np.where(known, effective, 0.0)])


def _class_z(correct: Matrix, rate: Array, labels: Array | None) -> Array:
    """Return standard errors of the spread of accuracy over classes above a permutation's."""
    if labels is None or correct.shape[1] < 2:
        return np.zeros(len(correct))
    _, place, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    freedom = len(sizes) - 1
    right = np.stack([np.bincount(place[row], minlength=len(sizes)) for row in correct])
    n, variance = correct.shape[1], rate * (1 - rate)
    if not freedom:
        return np.zeros(len(correct))
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = ((right - sizes * rate[:, None]) ** 2 / sizes).sum(1) / variance * (n - 1) / n
        z: Array = (squares - freedom) / np.sqrt(2 * freedom)
    return np.where(variance > 0, z, 0.0)


def _chosen(n: int) -> NDArray[np.int64]:
    """Return the sampled examples of n, ascending; the same ones every time."""
    if n <= SIZE:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, SIZE, replace=False))
