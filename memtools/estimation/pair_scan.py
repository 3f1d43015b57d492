"""All pairs of a training and a test example, across classes, without ever holding the matrix.

    found = scan(outcomes, per_test=10, least=0.15)
    found.pairs                              # every pair with |influence| >= 0.15
    found.per_test                           # its 10 strongest training examples, for each

The whole of ImageNet is 64 billion pairs, 256 GB; blocks of it pass through the cache. Whether a
pair reaches a threshold is decided in integers: infl >= t means joint n - correct n_in >=
t n_in n_out, rounded up once. Of equally strong pairs the one with the smaller index is kept.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.npz import Array
from memtools.estimates.pairs import MIN_INFL, MIN_MEM, HighInfluencePairs
from memtools.estimation import counts
from memtools.estimation.bits import Outcomes, RunBits
from memtools.estimation.estimator import describe, finish, one_sweep, unique_runs
from memtools.estimation.statistics import Statistics
from memtools.progress import bars
from memtools.runs.store import RunStore

ROWS = 8192  # training examples of one piece of work
_ROOM = 1 << 16  # pairs of one piece of work, at first


@dataclasses.dataclass(frozen=True, eq=False)
class Strongest:
    """The k strongest partners of each example.

    index: int64 [n, k], -1 where there are fewer. influence: float64 [n, k], descending
    (ascending if negative), NaN there.
    """

    index: NDArray[np.int64]
    influence: NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """train_index, test_index: int64 [n_pairs], ascending; influence: float64 [n_pairs]."""

    train_index: NDArray[np.int64]
    test_index: NDArray[np.int64]
    influence: NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """What a scan kept. per_test: of each test example; per_train: of each training example."""

    pairs: Pairs
    per_test: Strongest
    per_train: Strongest


def scan(
    outcomes: Outcomes,
    *,
    per_test: int = 0,
    per_train: int = 0,
    least: float | None = None,
    negative: bool = False,
    rows: Array | None = None,
) -> Found:
    """Look at every pair of a training and a test example.

    per_test, per_train: how many of the strongest to keep of each. least: keep all pairs whose
    influence is at least this, or at most minus this; taken as the decimal number that it is
    written as. negative: keep the most negative instead of the largest. rows: int64, only these
    training examples. Influence as in memtools.estimation.estimator; a training example that was in
    no run or in all has none.

    Memory: the bits (250 B for each example and 2,000 runs), and 16 B for each partner kept.
    """
    mask = outcomes.mask if rows is None else outcomes.mask.columns(rows)
    work = _Work(mask, outcomes.test_correct, per_test, per_train, least, -1 if negative else 1)
    with bars("training examples") as show:
        show("scanning pairs", 0, mask.n)
        done = 0
        lock = threading.Lock()

        def piece(start: int, stop: int) -> None:
            nonlocal done
            work.do(start, stop)
            with lock:
                done += stop - start
                show("scanning pairs", done, mask.n)

        counts.in_threads(piece, mask.n, ROWS)
    return work.found(rows)


def high_influence(
    stores: Sequence[RunStore], min_mem: float = MIN_MEM, min_infl: float = MIN_INFL
) -> HighInfluencePairs:
    """All high-influence pairs, across classes: mem >= min_mem and infl >= min_infl.

    Feldman & Zhang (2020, sec. 3) look at pairs of one class; here every pair is looked at.
    """
    sweep = one_sweep(stores)
    outcomes = Outcomes.of(unique_runs(stores), sweep.n_train, sweep.n_test)
    bare = Statistics.empty(stores[0].examples.without_labels(), sweep.n_train, sweep.n_test)
    about = describe(stores, outcomes.n_runs, "across classes;")
    memorization = finish(bare.add(outcomes), stores[0].examples, about).memorization
    rows = np.flatnonzero(memorization >= min_mem)
    pairs = scan(outcomes, least=min_infl, rows=rows).pairs
    helps = pairs.influence > 0
    train = pairs.train_index[helps]
    return HighInfluencePairs(
        about,
        train,
        pairs.test_index[helps],
        memorization[train],
        pairs.influence[helps],
        min_mem,
        min_infl,
    )


class _Work:
    """The state of a scan: what was kept so far, piece by piece."""

    def __init__(
        self,
        mask: RunBits,
        correct: RunBits,
        per_test: int,
        per_train: int,
        least: float | None,
        sign: int,
    ) -> None:
        self.mask, self.correct, self.sign = mask, correct, sign
        self.n_in = mask.totals().astype(np.float64)
        self.n_correct = correct.totals().astype(np.float64)
        self.least = _bounds(self.n_in, mask.n_runs, least)
        self.test = _nothing(correct.n, per_test)
        self.train = _nothing(mask.n, per_train)
        self.pairs: list[Array] = []
        self._lock = threading.Lock()

    def do(self, start: int, stop: int) -> None:
        """One block of training examples with all test examples."""
        values, index = _nothing(*self.test[0].shape)
        look = _scan_numpy if counts.kernels is None else _scan_numba
        pairs = look(self, start, stop, values, index)
        with self._lock:
            self.pairs.append(pairs)
            if values.shape[1]:
                self.test = _better(self.test, (values, index))

    def found(self, rows: Array | None) -> Found:
        """The result, in terms of all training examples."""
        pairs = np.concatenate([np.zeros((0, 3), np.int64), *self.pairs])
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        n_in = self.n_in[pairs[:, 0]]
        influence = self.sign * pairs[:, 2] / (n_in * (self.mask.n_runs - n_in))
        train = pairs[:, 0] if rows is None else np.asarray(rows, np.int64)[pairs[:, 0]]
        values, index = self.test
        if rows is not None and index.size:
            index = np.where(index >= 0, np.asarray(rows, np.int64)[index], -1)
        return Found(
            Pairs(train, pairs[:, 1], influence),
            Strongest(index, self._signed(values)),
            Strongest(self.train[1], self._signed(self.train[0])),
        )

    def _signed(self, values: Array) -> Array:
        return np.where(np.isfinite(values), self.sign * values, np.nan)


def _scan_numba(work: _Work, start: int, stop: int, values: Array, index: Array) -> Array:
    room = _ROOM
    while True:
        pairs = np.empty((room if np.isfinite(work.least).any() else 0, 3), np.int64)
        n_found = counts.kernels.scan(
            work.mask.words,
            work.correct.words,
            start,
            stop,
            work.mask.n_runs,
            work.n_in,
            work.n_correct,
            work.sign,
            work.least,
            values,
            index,
            *work.train,
            pairs,
        )
        if n_found <= len(pairs):
            return pairs[:n_found]
        room = n_found  # once more: now it is known how many there are
        for state in ((values, index), (work.train[0][start:stop], work.train[1][start:stop])):
            state[0][:], state[1][:] = -np.inf, -1


def _scan_numpy(work: _Work, start: int, stop: int, values: Array, index: Array) -> Array:
    """The same without numba, a block of products at a time."""
    n_runs, pairs = work.mask.n_runs, []
    some = work.mask.columns(np.arange(start, stop))
    for rows, columns, block in counts.joint_blocks(some, work.correct):
        at = np.arange(start + rows.start, start + rows.stop)
        n_in = work.n_in[at][:, None]
        d = work.sign * (block * np.float64(n_runs) - n_in * work.n_correct[columns])
        divisor = n_in * (n_runs - n_in)
        i, j = np.nonzero((np.abs(d) >= work.least[at][:, None]) & (divisor > 0))
        pairs.append(np.stack([at[i], j + columns.start, d[i, j].astype(np.int64)], axis=1))
        with np.errstate(invalid="ignore", divide="ignore"):
            influence = np.where(divisor > 0, d / divisor, -np.inf)
        here = np.arange(columns.start, columns.stop)
        _keep(values[columns], index[columns], influence.T, at)
        _keep(work.train[0][at[0] : at[-1] + 1], work.train[1][at[0] : at[-1] + 1], influence, here)
    return np.concatenate(pairs)


def _keep(values: Array, index: Array, influence: Array, partners: Array) -> None:
    """Merge influence [n, m] of these partners into the k best, in place."""
    k = values.shape[1]
    if k:
        names = np.broadcast_to(partners, influence.shape)
        names = np.where(np.isfinite(influence), names, -1)
        values[:], index[:] = _better((values, index), (influence, names))


def _better(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
    """The k largest of both, descending; of equals the smaller index first."""
    k = a[0].shape[1]
    values, index = np.hstack([a[0], b[0]]), np.hstack([a[1], b[1]])
    order = np.lexsort((index, -values), axis=1)[:, :k]
    return np.take_along_axis(values, order, 1), np.take_along_axis(index, order, 1)


def _nothing(n: int, k: int) -> tuple[Array, Array]:
    return np.full((n, k), -np.inf), np.full((n, k), -1, np.int64)


def _bounds(n_in: Array, n_runs: int, least: float | None) -> Array:
    """The smallest integer d with d / (n_in n_out) >= least, float64 [n]; infinite without one."""
    if least is None:
        return np.full(len(n_in), np.inf)
    share = Fraction(str(least))
    values, at = np.unique(n_in.astype(np.int64), return_inverse=True)
    wanted = [-(-share * n * (n_runs - n) // 1) for n in values.tolist()]
    return np.array([float(each) for each in wanted])[at]
