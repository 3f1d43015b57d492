"""Memorization, influence and C-scores out of stores of runs.

    estimates = estimate([RunStore.open(Path("runs"))])
    estimates.save(Path("estimates.npz"))         # the published schema, with errors and counts

    mem_i     = P[right on i | i in the subset] - P[right on i | i held out]
    infl_ij   = P[right on j | i in the subset] - P[right on j | i held out]

estimated by the shares of runs (Feldman & Zhang 2020, sec. 2): with n runs, n_in of them with
i, c of them right on j and a both, `(a n - c n_in) / (n_in n_out)`, an exact fraction rounded
once to float64 and once to float32. Without a run on one side: NaN.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from memtools.errors import ConfigError, SweepError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates, ExampleIndex
from memtools.estimates.npz import Array
from memtools.estimates.scores import Scores
from memtools.estimation.bits import Outcomes
from memtools.estimation.intervals import newcombe, standard_error
from memtools.estimation.statistics import Statistics
from memtools.runs.record import RunRecord
from memtools.runs.store import RunStore, Sweep

CONVERGED = 0.95  # of the median run's training accuracy inside its subset
DEFINITION = "by class; standard errors by Agresti & Caffo, 95 % intervals by Newcombe;"
PAPER = "Feldman & Zhang 2020, arXiv:2008.03703"
_log = logging.getLogger("memtools.estimation")


def estimate(
    stores: Sequence[RunStore], *, converged: float = CONVERGED, strict: bool = False
) -> Estimates:
    """Memorization and influence by class, with errors and counts, from runs of one sweep.

    stores: of the same configuration; a run that two of them have counts once. converged: runs
    whose training accuracy is below this share of the median run's are named in a warning, and in
    the doubt that goes with the estimates.

    Raises ConfigError for stores of different sweeps or without runs; SweepError, with
    `strict`, if a run has not converged.
    """
    sweep = one_sweep(stores)
    gate = Gate(converged)
    outcomes = Outcomes.of(gate.watch(unique_runs(stores)), sweep.n_train, sweep.n_test)
    doubt = gate.close(strict=strict)
    examples = stores[0].examples
    statistics = Statistics.empty(examples, sweep.n_train, sweep.n_test).add(outcomes)
    about = describe(stores, statistics.n_runs, DEFINITION)
    return finish(statistics, examples, dataclasses.replace(about, doubt=doubt))


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


def c_scores(stores: Sequence[RunStore]) -> Scores:
    """Consistency scores: held-out correctness, averaged over subset ratios, float32 [n_train].

    stores: one or more for each ratio, of the same recipe. NaN for an example that was never
    held out at one of them. Source: Jiang et al. 2021, arXiv:2002.03206, sec. 2.
    """
    by_ratio: dict[float, list[RunStore]] = {}
    for store in stores:
        by_ratio.setdefault(store.sweep.ratio, []).append(store)
    recipes = {dataclasses.replace(store.sweep, ratio=0.0).digest for store in stores}
    if len(recipes) != 1:
        raise ConfigError(
            "these stores are of different data sets or recipes", hint="C-scores need one recipe"
        )
    rates = []
    for group in by_ratio.values():
        sweep = one_sweep(group)
        outcomes = Outcomes.of(unique_runs(group), sweep.n_train, sweep.n_test)
        held_out = outcomes.n_runs - outcomes.mask.totals()
        right = outcomes.train_correct.totals() - outcomes.mask.both(outcomes.train_correct)
        with np.errstate(invalid="ignore"):
            rates.append(right / held_out)
    ratios = ", ".join(f"{ratio:g}" for ratio in sorted(by_ratio))
    about = dataclasses.replace(
        describe(stores, sum(map(len, stores)), ""),
        definition=f"held-out correctness averaged over the subset ratios {ratios}",
        direction="high C-score = typical",
        paper="Jiang et al. 2021, arXiv:2002.03206",
    )
    values = np.mean(rates, axis=0).astype(np.float32)
    examples = stores[0].examples
    return Scores(about, "c_score", values, examples.labels, examples.filenames)


def unique_runs(stores: Sequence[RunStore]) -> Iterator[RunRecord]:
    """All records of several stores; a run that is in two must be the same in both."""
    seen: dict[int, str] = {}
    for store in stores:
        for record in store:
            run_id = record.spec.run_id
            if run_id not in seen:
                seen[run_id] = record.digest
                yield record
            elif seen[run_id] != record.digest:
                raise ConfigError(
                    f"run {run_id} of {store.root} is not that of another store",
                    hint="stores of one sweep have one record for each run: which is right?",
                )


class Gate:
    """Looks at the training accuracy of each run, and names those that did not converge."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._accuracies: dict[int, float] = {}

    def watch(self, records: Iterable[RunRecord]) -> Iterator[RunRecord]:
        """The same records."""
        for record in records:
            self._accuracies[record.spec.run_id] = record.accuracy_in
            yield record

    def close(self, *, strict: bool) -> str:
        """Words about the runs below the bar, after a warning; SweepError instead, if `strict`."""
        if not self._accuracies:
            return ""
        bar = self._share * float(np.median(list(self._accuracies.values())))
        low = sorted(run for run, accuracy in self._accuracies.items() if accuracy < bar)
        if not low:
            return ""
        shown = ", ".join(f"{run} ({self._accuracies[run]:.3f})" for run in low[:20])
        rest = f" and {len(low) - 20} more" if len(low) > 20 else ""
        what = (
            f"{len(low)} of {len(self._accuracies)} runs have a training accuracy below"
            f" {bar:.3f}: {shown}{rest}"
        )
        if strict:
            raise SweepError(
                what, failed_run_ids=low, hint="train them longer, or take them out of the store"
            )
        _log.warning("%s; scores of half-trained models are no estimates", what)
        return what


def one_sweep(stores: Sequence[RunStore]) -> Sweep:
    """The sweep that all stores are of."""
    if not stores:
        raise ConfigError("there is no store to estimate from", hint="name one or more")
    for store in stores[1:]:
        stores[0].require_same(store)
    return stores[0].sweep


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
