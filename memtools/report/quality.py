"""How far the numbers of a report can be trusted: what their file says, and what their runs say.

    quality = quality_of(subject)                     # counts and errors
    quality = quality_of(subject, open_stores([Path("runs")]))   # accuracies, halves, chance

What neither says is None, and the page says "not recorded".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.estimation import reliability
from memtools.estimation.bits import Outcomes
from memtools.estimation.estimator import one_sweep, unique_runs
from memtools.estimation.reliability import Halves
from memtools.estimation.statistics import Statistics
from memtools.report.subject import Subject
from memtools.runs.record import RunRecord
from memtools.runs.store import RunStore

Spread = tuple[float, float, float]
"""The 5 %, 50 % and 95 % quantiles."""


@dataclasses.dataclass(frozen=True)
class Quality:
    """What is known of the numbers; None where nothing is.

    n_lost: training examples without an estimate. n_runs: behind the estimates. errors: standard
    errors of memorization. inside, outside, test: accuracies of the runs. curve: two halves of
    more and more runs. false_pairs: high-influence pairs expected by chance alone. significant:
    pairs of positive influence at a false discovery rate of .05.
    """

    n_lost: int
    n_runs: int | None = None
    errors: Spread | None = None
    inside: Spread | None = None
    outside: Spread | None = None
    test: Spread | None = None
    curve: Sequence[Halves] = ()
    false_pairs: float | None = None
    significant: int | None = None


def quality_of(subject: Subject, stores: Sequence[RunStore] = ()) -> Quality:
    """What is known; stores: of the runs that the numbers were estimated from.

    Raises ConfigError for stores of other runs.
    """
    n_runs = None
    if subject.n_in is not None and subject.n_out is not None:
        n_runs = int(np.max(subject.n_in + subject.n_out, initial=0))
    errors = None if subject.errors is None else _spread(subject.errors)
    quality = Quality(int((~subject.known).sum()), n_runs, errors)
    return _with_runs(quality, subject, stores) if stores else quality


def _with_runs(quality: Quality, subject: Subject, stores: Sequence[RunStore]) -> Quality:
    sweep, examples = one_sweep(stores), stores[0].examples
    accuracies: list[Spread] = []
    records = _watched(unique_runs(stores), accuracies)
    outcomes = Outcomes.of(records, sweep.n_train, sweep.n_test)
    _require_ours(subject, outcomes, stores)
    statistics = Statistics.empty(examples, sweep.n_train, sweep.n_test).add(outcomes)
    inside, outside, test = (_spread(np.array(each)) for each in zip(*accuracies, strict=True))
    paired = subject.ties is not None
    return dataclasses.replace(
        quality,
        n_runs=outcomes.n_runs,
        inside=inside,
        outside=outside,
        test=test,
        curve=reliability.convergence(outcomes, examples),
        false_pairs=reliability.expected_false_pairs(statistics, subject.values)
        if paired
        else None,
        significant=reliability.significant_pairs(statistics) if paired else None,
    )


def _watched(
    records: Iterable[RunRecord], accuracies: list[tuple[float, float, float]]
) -> Iterator[RunRecord]:
    for record in records:
        accuracies.append((record.accuracy_in, record.accuracy_out, record.test_accuracy))
        yield record


def _require_ours(subject: Subject, outcomes: Outcomes, stores: Sequence[RunStore]) -> None:
    """The numbers must be of just these runs: the counts of each example say it."""
    n_in = outcomes.mask.totals()
    same = len(n_in) == subject.train.n and outcomes.n_runs > 0
    if same and subject.n_in is not None:
        same = np.array_equal(n_in, subject.n_in)
    if not same:
        raise ConfigError(
            f"the {outcomes.n_runs} runs in {', '.join(str(store.root) for store in stores)} are"
            " not those of these numbers",
            hint="memtools estimate makes numbers of them, and the report is of those",
        )


def _spread(values: Array) -> Spread | None:
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, middle, high = np.quantile(known.astype(np.float64), (0.05, 0.5, 0.95))
    return float(low), float(middle), float(high)
