"""All pairs of a training and a test example, across classes, without ever holding the matrix.

    found = scan(outcomes, per_test=10, least=0.15)
    found.pairs                              # every pair with |influence| >= 0.15
    found.per_test                           # its 10 strongest training examples, for each

The whole of ImageNet is 64 billion pairs, 256 GB; blocks of it pass through the cache. Whether a
pair reaches a threshold is decided in integers: infl >= t means joint n - correct n_in >=
t n_in n_out, rounded up once. Of equally strong pairs the one with the smaller index is kept.
Each block of training examples is looked at by itself: in threads of this process, or wherever an
engine (memtools.engines, memtools.cluster) does it.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from memtools.engines import Answers, attempt, results
from memtools.estimates.npz import Array
from memtools.estimates.pairs import MIN_INFL, MIN_MEM, HighInfluencePairs
from memtools.estimation import counts
from memtools.estimation.bits import Outcomes, RunBits
from memtools.estimation.estimator import describe, finish
from memtools.estimation.run_checks import Gate, unique_runs
from memtools.estimation.statistics import Statistics
from memtools.progress import bars
from memtools.runs.stores import Stores, open_stores

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
    engine: Engine | None = None,
) -> Found:
    """Look at every pair of a training and a test example.

    per_test, per_train: how many of the strongest to keep of each. least: keep all pairs whose
    influence is at least this, or at most minus this; taken as the decimal number that it is
    written as. negative: keep the most negative instead of the largest. rows: int64, only these
    training examples. Influence as in memtools.estimation.estimator; a training example that was in
    no run or in all has none. engine: where blocks are looked at; without one, in threads. What is
    found is the same wherever that is.

    Memory: the bits (250 B for each example and 2,000 runs), and 16 B for each partner kept.
    """
    mask = outcomes.mask if rows is None else outcomes.mask.columns(rows)
    sign = -1 if negative else 1
    look = _Look.at(mask, outcomes.test_correct, per_test, per_train, least, sign)
    blocks = [(start, min(start + ROWS, mask.n)) for start in range(0, mask.n, ROWS)]
    pairs = [np.zeros((0, 3), np.int64)]
    test, train = _nothing(outcomes.test_correct.n, per_test), _nothing(mask.n, per_train)
    with bars("training examples") as show:
        done = 0
        show("scanning pairs", done, mask.n)
        for (start, stop), part in results((engine or _in_threads)(look, blocks)):
            pairs.append(part.pairs)
            test = _better(test, part.test) if per_test else test
            train[0][start:stop], train[1][start:stop] = part.train
            done += stop - start
            show("scanning pairs", done, mask.n)
    return look.found(np.concatenate(pairs), test, train, rows)


def high_influence(
    stores: Stores,
    min_mem: float = MIN_MEM,
    min_infl: float = MIN_INFL,
    engine: Engine | None = None,
) -> HighInfluencePairs:
    """All high-influence pairs, across classes: mem >= min_mem and infl >= min_infl.

    Feldman & Zhang (2020, sec. 3) look at pairs of one class; here every pair is looked at.
    engine: as for `scan`. Raises what `memtools.estimate` raises for runs that cannot be right.
    """
    stores = open_stores(stores)
    gate = Gate(stores)
    sweep, examples = stores[0].sweep, gate.examples
    outcomes = Outcomes.of(gate.watch(unique_runs(stores)), sweep.n_train, sweep.n_test)
    doubt = gate.close()
    gate.require_contrast()
    bare = Statistics.empty(examples.without_labels(), sweep.n_train, sweep.n_test)
    about = describe(stores, outcomes.n_runs, "across classes;")
    about = dataclasses.replace(about, doubt=doubt)
    memorization = finish(bare.add(outcomes), examples, about).memorization
    rows = np.flatnonzero(memorization >= min_mem)
    pairs = scan(outcomes, least=min_infl, rows=rows, engine=engine).pairs
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


@dataclasses.dataclass(frozen=True, eq=False)
class _Part:
    """What one block has. pairs: int64 [m, 3], (i, j, d); test, train: values and index."""

    pairs: Array
    test: tuple[Array, Array]
    train: tuple[Array, Array]


@dataclasses.dataclass(frozen=True, eq=False)
class _Look:
    """A look at one block of training examples, with all test examples.

    least: float64 [n_train], bounds of d; n_in, n_correct: float64, runs of each example.
    """

    mask: RunBits
    correct: RunBits
    n_in: Array
    n_correct: Array
    least: Array
    per_test: int
    per_train: int
    sign: int

    @classmethod
    def at(
        cls,
        mask: RunBits,
        correct: RunBits,
        per_test: int,
        per_train: int,
        least: float | None,
        sign: int,
    ) -> _Look:
        n_in, n_correct = (bits.totals().astype(np.float64) for bits in (mask, correct))
        bounds = _bounds(n_in, mask.n_runs, least)
        return cls(mask, correct, n_in, n_correct, bounds, per_test, per_train, sign)

    def __call__(self, block: tuple[int, int]) -> _Part:
        start, stop = block
        test, train = (
            _nothing(self.correct.n, self.per_test),
            _nothing(stop - start, self.per_train),
        )
        look = _scan_numpy if counts.kernels is None else _scan_numba
        return _Part(look(self, start, stop, test, train), test, train)

    def found(
        self,
        pairs: Array,
        test: tuple[Array, Array],
        train: tuple[Array, Array],
        rows: Array | None,
    ) -> Found:
        """The result, in terms of all training examples."""
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        n_in = self.n_in[pairs[:, 0]]
        influence = self.sign * pairs[:, 2] / (n_in * (self.mask.n_runs - n_in))
        helping = pairs[:, 0] if rows is None else np.asarray(rows, np.int64)[pairs[:, 0]]
        values, index = test
        if rows is not None and index.size:
            index = np.where(index >= 0, np.asarray(rows, np.int64)[index], -1)
        return Found(
            Pairs(helping, pairs[:, 1], influence),
            Strongest(index, self._signed(values)),
            Strongest(train[1], self._signed(train[0])),
        )

    def _signed(self, values: Array) -> Array:
        return np.where(np.isfinite(values), self.sign * values, np.nan)


Block = tuple[int, int]
Engine = Callable[[_Look, Iterable[Block]], Answers[Block, _Part]]
"""`outcomes` of memtools.engines or memtools.cluster, with its options given."""


def _in_threads(look: _Look, blocks: Iterable[Block]) -> Answers[Block, _Part]:
    """The compiled loops let go of Python's lock; a few blocks ahead, no more."""
    source = iter(blocks)
    with concurrent.futures.ThreadPoolExecutor(counts.n_threads()) as pool:
        given = {
            pool.submit(attempt, look, block): block
            for block in itertools.islice(source, 2 * counts.n_threads())
        }
        while given:
            done, _ = concurrent.futures.wait(given, return_when="FIRST_COMPLETED")
            for future in done:
                yield given.pop(future), future.result()
                for block in itertools.islice(source, 1):
                    given[pool.submit(attempt, look, block)] = block


def _scan_numba(
    look: _Look, start: int, stop: int, test: tuple[Array, Array], train: tuple[Array, Array]
) -> Array:
    room = _ROOM
    while True:
        pairs = np.empty((room if np.isfinite(look.least).any() else 0, 3), np.int64)
        n_found = counts.kernels.scan(
            look.mask.words,
            look.correct.words,
            start,
            stop,
            look.mask.n_runs,
            look.n_in,
            look.n_correct,
            look.sign,
            look.least,
            *test,
            *train,
            pairs,
        )
        if n_found <= len(pairs):
            return pairs[:n_found]
        room = n_found  # once more: now it is known how many there are
        for values, index in (test, train):
            values[:], index[:] = -np.inf, -1


def _scan_numpy(
    look: _Look, start: int, stop: int, test: tuple[Array, Array], train: tuple[Array, Array]
) -> Array:
    """The same without numba, a block of products at a time."""
    n_runs, pairs = look.mask.n_runs, []
    some = look.mask.columns(np.arange(start, stop))
    for rows, columns, block in counts.joint_blocks(some, look.correct):
        at = np.arange(start + rows.start, start + rows.stop)
        n_in = look.n_in[at][:, None]
        d = look.sign * (block * np.float64(n_runs) - n_in * look.n_correct[columns])
        divisor = n_in * (n_runs - n_in)
        i, j = np.nonzero((np.abs(d) >= look.least[at][:, None]) & (divisor > 0))
        pairs.append(np.stack([at[i], j + columns.start, d[i, j].astype(np.int64)], axis=1))
        with np.errstate(invalid="ignore", divide="ignore"):
            influence = np.where(divisor > 0, d / divisor, -np.inf)
        here = np.arange(columns.start, columns.stop)
        _keep(test[0][columns], test[1][columns], influence.T, at)
        _keep(train[0][rows], train[1][rows], influence, here)
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
