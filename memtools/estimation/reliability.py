"""How much of an estimate is chance: split halves, more runs, and pairs that mean nothing.

    halves = split_half(outcomes, examples)       # pearson, spearman, jaccard
    curve = convergence(outcomes, examples)       # the same over the number of runs
    n_more = runs_for(estimates, n_runs, 0.02)    # runs for a standard error of memorization

Feldman & Zhang (2020, sec. 3) split the runs in two halves and compare the two sets of
high-influence pairs by their Jaccard index. If an example had no influence at all, the number
of runs that have it and are right on the other would be hypergeometric, given both totals: that
says how many pairs chance alone puts over a threshold, and how unlikely each one is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from memtools.alignment.comparison import correlation, spearman
from memtools.errors import ConfigError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates, ExampleIndex
from memtools.estimates.npz import Array
from memtools.estimates.pairs import MIN_INFL, MIN_MEM
from memtools.estimation.bits import Outcomes
from memtools.estimation.estimator import finish
from memtools.estimation.statistics import Statistics

_Z = 3.0  # pairs below this many standard errors are no candidates of Benjamini and Hochberg


@dataclasses.dataclass(frozen=True)
class Halves:
    """Two disjoint sets of n_runs runs each, compared.

    pearson, spearman: of memorization over all training examples; NaN if it is constant.
    jaccard: of the sets of high-influence pairs, n_pairs their sizes; NaN if both are empty.
    memorization: both estimates, float [n] each, of the examples of which there are two.
    """

    n_runs: int
    pearson: float
    spearman: float
    jaccard: float
    n_pairs: tuple[int, int]
    memorization: tuple[Array, Array] = dataclasses.field(repr=False, compare=False)


def split_half(
    outcomes: Outcomes,
    examples: ExampleIndex,
    *,
    n_runs: int | None = None,
    seed: int = 0,
    min_mem: float = MIN_MEM,
    min_infl: float = MIN_INFL,
) -> Halves:
    """Estimate twice, from two random halves (of n_runs runs each), and compare."""
    size = n_runs or outcomes.n_runs // 2
    if 2 * size > outcomes.n_runs or size < 1:
        raise ConfigError(
            f"{outcomes.n_runs} runs have no two halves of {size}", hint="train more runs"
        )
    order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(outcomes.n_runs)
    a, b = (_of(outcomes.runs(np.sort(half)), examples) for half in (order[:size], order[-size:]))
    known = ~np.isnan(a.memorization) & ~np.isnan(b.memorization)
    left, right = a.memorization[known], b.memorization[known]
    pairs = [_pairs(each, min_mem, min_infl) for each in (a, b)]
    union = len(pairs[0] | pairs[1])
    return Halves(
        size,
        correlation(left, right),
        spearman(left, right),
        len(pairs[0] & pairs[1]) / union if union else float("nan"),
        (len(pairs[0]), len(pairs[1])),
        (left, right),
    )


def convergence(outcomes: Outcomes, examples: ExampleIndex, *, seed: int = 0) -> Sequence[Halves]:
    """Split halves of more and more runs, up to all of them."""
    sizes = [outcomes.n_runs // 2**k for k in range(6, 0, -1)]
    return [split_half(outcomes, examples, n_runs=size, seed=seed) for size in sizes if size >= 10]


def runs_for(estimates: Estimates, n_runs: int, standard_error: float) -> int:
    """How many runs would bring the mean standard error of memorization down to this."""
    if estimates.standard_error is None:
        raise ConfigError("these estimates carry no errors", hint="estimate them from runs")
    mean = float(np.nanmean(estimates.standard_error))
    return int(np.ceil(n_runs * (mean / standard_error) ** 2))


def expected_false_pairs(
    statistics: Statistics,
    memorization: Array,
    min_mem: float = MIN_MEM,
    min_infl: float = MIN_INFL,
) -> float:
    """Pairs of a class that chance alone would put over both thresholds.

    The number expected if no training example of memorization >= min_mem had any influence.
    """
    n_runs, keys = statistics.n_runs, [np.zeros((2, 0), np.int64)]
    for train, test in statistics.classes.values():
        n_in = statistics.n_in[train[memorization[train] >= min_mem]]
        values, times = np.unique(
            np.add.outer(n_in * (n_runs + 1), statistics.test_correct[test]), return_counts=True
        )
        keys.append(np.stack([values, times]))
    values, place = np.unique(np.hstack(keys)[0], return_inverse=True)
    times = np.bincount(place, np.hstack(keys)[1], len(values))
    n_in, correct = np.divmod(values, n_runs + 1)
    share = Fraction(str(min_infl))
    least = [
        -(-(share * n * (n_runs - n) + c * n) // n_runs)
        for n, c in zip(n_in.tolist(), correct.tolist(), strict=True)
    ]
    return float((upper_tail(n_runs, n_in, correct, np.array(least, np.int64)) * times).sum())


def significant_pairs(statistics: Statistics, rate: float = 0.05) -> int:
    """Pairs of a class with positive influence that stay at this false discovery rate.

    Benjamini & Hochberg (1995) over all pairs of all classes, with hypergeometric p-values.
    """
    p_values, n_tests = [np.zeros(0)], 0
    for label, (train, test) in statistics.classes.items():
        n_in, correct = statistics.n_in[train], statistics.test_correct[test]
        joint, share = statistics.joint[label], (n_in / statistics.n_runs)[:, None]
        n_tests += joint.size
        variance = correct * (1 - correct / statistics.n_runs) * share * (1 - share)
        rows, columns = np.nonzero(joint - correct * share > _Z * np.sqrt(variance))
        p_values.append(
            upper_tail(statistics.n_runs, n_in[rows], correct[columns], joint[rows, columns])
        )
    return int(benjamini_hochberg(np.concatenate(p_values), n_tests, rate).sum())


def upper_tail(n_runs: int, n_in: Array, correct: Array, least: Array) -> NDArray[np.float64]:
    """P[joint >= least] by chance: hypergeometric, given both totals. int64 [m] each."""
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n_runs + 1)))])

    def log_choose(n: Array, k: Array) -> Array:
        inside = (k >= 0) & (k <= n)
        k = np.where(inside, k, 0)
        chosen: Array = log_factorial[n] - log_factorial[k] - log_factorial[n - k]
        return np.where(inside, chosen, -np.inf)

    tail = np.zeros(len(least))
    whole = log_choose(np.full(len(least), n_runs), n_in)
    start = np.maximum(least, np.maximum(0, n_in + correct - n_runs))
    for step in range(n_runs + 1):
        joint = start + step
        term = log_choose(correct, joint) + log_choose(n_runs - correct, n_in - joint) - whole
        added = np.exp(term)
        tail += added
        past_mode = joint * n_runs > correct * n_in
        if ((added <= 1e-12 * tail) & past_mode | (joint > np.minimum(correct, n_in))).all():
            break
    return np.minimum(tail, 1.0)


def benjamini_hochberg(p_values: Array, n_tests: int, rate: float) -> NDArray[np.bool_]:
    """Which of the smallest p-values of n_tests tests stay at a false discovery rate, bool [n]."""
    order = np.argsort(p_values, kind="stable")
    below = p_values[order] <= rate * np.arange(1, len(order) + 1) / n_tests
    n_passed = int(np.flatnonzero(below)[-1]) + 1 if below.any() else 0
    passed = np.zeros(len(p_values), np.bool_)
    passed[order[:n_passed]] = True
    return passed


def _of(outcomes: Outcomes, examples: ExampleIndex) -> Estimates:
    n_train, n_test = outcomes.mask.n, outcomes.test_correct.n
    statistics = Statistics.empty(examples, n_train, n_test).add(outcomes)
    return finish(statistics, examples, About())


def _pairs(estimates: Estimates, min_mem: float, min_infl: float) -> set[tuple[int, int]]:
    if not estimates.classes:
        return set()
    found = estimates.pairs(min_mem, min_infl)
    return set(zip(found.train_index.tolist(), found.test_index.tolist(), strict=True))
