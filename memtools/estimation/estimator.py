"""Memorization, influence and C-scores out of stores of runs.

    estimates = estimate("runs")                  # or RunStore.open("runs"), or several of them
    estimates.save("estimates.npz")               # the published schema, with errors and counts

    mem_i     = P[right on i | i in the subset] - P[right on i | i held out]
    infl_ij   = P[right on j | i in the subset] - P[right on j | i held out]

estimated by the shares of runs (Feldman & Zhang 2020, sec. 2): with n runs, n_in of them with
i, c of them right on j and a both, `(a n - c n_in) / (n_in n_out)`, an exact fraction rounded
once to float64 and once to float32. Without a run on one side: NaN.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from memtools.arguments import checked
from memtools.errors import ConfigError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates, ExampleIndex
from memtools.estimates.npz import Array
from memtools.estimates.scores import Scores
from memtools.estimation.bits import Outcomes
from memtools.estimation.intervals import newcombe, standard_error
from memtools.estimation.run_checks import CONVERGED as CONVERGED
from memtools.estimation.run_checks import Gate as Gate
from memtools.estimation.run_checks import examples_of as examples_of
from memtools.estimation.run_checks import one_sweep as one_sweep
from memtools.estimation.run_checks import unique_runs as unique_runs
from memtools.estimation.statistics import Statistics
from memtools.runs.store import RunStore, Sweep
from memtools.runs.stores import Stores, open_stores

DEFINITION = "by class; standard errors by Agresti & Caffo, 95 % intervals by Newcombe;"
PAPER = "Feldman & Zhang 2020, arXiv:2008.03703"


@checked('memtools.estimate("runs")')
def estimate(stores: Stores, *, converged: float = CONVERGED, strict: bool = False) -> Estimates:
    """Memorization and influence by class, with errors and counts, from runs of one sweep.

    Args:
        stores: One or several, or their paths, of the same configuration and examples; a run that
            two of them have counts once.
        converged: Runs whose training accuracy is below this share of the median run's are named
            in a warning, and in the doubt that goes with the estimates.
        strict: Refuse such runs, and runs that memorize nothing.

    Returns:
        Estimates under their published names, with standard errors, intervals and counts.

    Raises:
        ConfigError: Stores are of different sweeps or examples, or without runs, or all runs
            have one subset.
        RecordError: The runs cannot be right (memtools.runs.plausibility).
        SweepError: With `strict`, a run has not converged.
    """
    stores = open_stores(stores)
    gate = Gate(stores, converged)
    sweep = stores[0].sweep
    outcomes = Outcomes.of(gate.watch(unique_runs(stores)), *_sizes(sweep))
    doubt = gate.close(strict=strict)
    gate.require_contrast()
    statistics = Statistics.empty(gate.examples, *_sizes(sweep)).add(outcomes)
    about = describe(stores, statistics.n_runs, DEFINITION)
    return finish(statistics, gate.examples, dataclasses.replace(about, doubt=doubt))


def finish(statistics: Statistics, examples: ExampleIndex, about: About) -> Estimates:
    """Estimates from counts, float32, under their published names (memtools.estimates.schema)."""
    n_in, n_out = statistics.n_in, statistics.n_out
    if statistics.n_runs == 0:
        raise ConfigError("there is no run to estimate from", hint="train some, or import them")
    inside, outside = statistics.train_both, statistics.train_correct - statistics.train_both
    low, high = newcombe(inside, n_in, outside, n_out)
    arrays: dict[str, Array] = {
        "tr_mem": _difference(statistics.n_runs, n_in, inside, statistics.train_correct),
        "tr_mem_se": standard_error(inside, n_in, outside, n_out).astype(np.float32),
        "tr_mem_low": low.astype(np.float32),
        "tr_mem_high": high.astype(np.float32),
        "tr_n_in": n_in,
        "tr_n_out": n_out,
        **examples.arrays,
    }
    for label, (train, test) in statistics.classes.items():
        of_class, correct = statistics.joint[label], statistics.test_correct[test]
        with_, without = n_in[train][:, None], n_out[train][:, None]
        arrays[f"tr_classidx_{label}"], arrays[f"tt_classidx_{label}"] = train, test
        arrays[f"infl_matrix_class{label}"] = _difference(
            statistics.n_runs, with_, of_class, correct
        )
        errors = standard_error(of_class, with_, correct - of_class, without)
        arrays[f"infl_se_class{label}"] = errors.astype(np.float32)
    return Estimates(arrays, about)


def c_scores(stores: Stores, *, converged: float = CONVERGED, strict: bool = False) -> Scores:
    """Consistency scores: held-out correctness, averaged over subset ratios, float32 [n_train].

    NaN for an example that was never held out at one of them. Source: Jiang et al. 2021,
    arXiv:2002.03206, sec. 2.

    Args:
        stores: One or more for each ratio, or their paths, of the same recipe.
        converged: Runs whose training accuracy is below this share of the median run's, of the
            same ratio, are named in a warning and in the doubt that goes with the scores.
        strict: Refuse such runs.

    Returns:
        The scores of all training examples.

    Raises:
        ConfigError: Stores differ in more than their ratio, or one is without runs.
        RecordError: The runs of a ratio cannot be right.
        SweepError: With `strict`, a run has not converged.
    """
    stores = open_stores(stores)
    by_ratio = _by_ratio(stores)
    rates, doubts, n_runs = [], [], 0
    for ratio, group in by_ratio.items():
        gate = Gate(group, converged)
        outcomes = Outcomes.of(gate.watch(unique_runs(group)), *_sizes(group[0].sweep))
        if doubt := gate.close(strict=strict):
            doubts.append(f"ratio {ratio:g}: {doubt}")
        held_out = outcomes.n_runs - outcomes.mask.totals()
        right = outcomes.train_correct.totals() - outcomes.mask.both(outcomes.train_correct)
        with np.errstate(invalid="ignore"):
            rates.append(right / held_out)
        n_runs += outcomes.n_runs
    ratios = ", ".join(f"{ratio:g}" for ratio in by_ratio)
    about = dataclasses.replace(
        describe(stores, n_runs, ""),
        definition=f"held-out correctness averaged over the subset ratios {ratios}, {n_runs} runs",
        direction="high C-score = typical",
        paper="Jiang et al. 2021, arXiv:2002.03206",
        doubt="; ".join(doubts),
    )
    examples = examples_of(stores)
    values = np.mean(rates, axis=0).astype(np.float32)
    return Scores(about, "c_score", values, examples.labels, examples.filenames)


def _by_ratio(stores: Sequence[RunStore]) -> dict[float, list[RunStore]]:
    """Return the stores of each ratio, ascending; ConfigError if more than the ratio differs.

    The configuration of a sweep holds the ratio, too.
    """
    if not stores:
        raise ConfigError("there is no store to estimate from", hint="name one or more")
    for store in stores[1:]:
        try:
            stores[0].require_same(store, ratio=False)
        except ConfigError as error:
            raise ConfigError(
                f"these stores are of different data sets or recipes: {error}",
                hint="C-scores need one recipe, in which only the ratio differs",
            ) from error
    ratios = sorted({store.sweep.ratio for store in stores})
    return {ratio: [each for each in stores if each.sweep.ratio == ratio] for ratio in ratios}


def _sizes(sweep: Sweep) -> tuple[int, int]:
    return sweep.n_train, sweep.n_test


def _difference(n_runs: int, n_in: Array, both: Array, correct: Array) -> Array:
    """(both n_runs - correct n_in) / (n_in n_out), float32."""
    divisor = (n_in * (n_runs - n_in)).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient = (both.astype(np.int64) * n_runs - correct * n_in) / divisor
    return np.where(divisor > 0, quotient, np.nan).astype(np.float32)


def describe(stores: Sequence[RunStore], n_runs: int, definition: str) -> About:
    """Where estimates from these stores come from, and what they mean."""
    sweep = stores[0].sweep
    recipe = f", {sweep.definition}" if sweep.definition else ""
    return About(
        dataset=sweep.dataset,
        order=sweep.order,
        definition=f"memorization and influence {definition} {n_runs} runs,"
        f" ratio {sweep.ratio:g}{recipe}",
        direction="high memorization = atypical",
        paper=PAPER,
        source=", ".join(str(store.root) for store in stores),
    )
