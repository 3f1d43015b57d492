"""estimate: from runs to estimates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from memtools_cli.options import a_number
from memtools_cli.output import note, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memtools.estimates.model import Estimates
    from memtools.runs.store import RunStore


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(estimate)


def estimate(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Stores of runs, or directories of them.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write the estimates here (.npz).")],
    of: Annotated[
        Literal["correctness", "probability", "margin"],
        typer.Option(help="What to take the difference of; only the first is memorization."),
    ] = "correctness",
    min_train_accuracy: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            callback=a_number,
            help="Name runs below this share of the median training accuracy.",
        ),
    ] = 0.95,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Refuse runs that have not converged, or that memorize nothing."
        ),
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Print how reliable the estimates are.")
    ] = False,
) -> None:
    """Estimate memorization and influence from runs.

    Stores of one sweep are merged; stores of several subset ratios give C-scores. Writes the
    published schema, with standard errors, intervals and counts. Any number of runs will do.
    Runs whose masks seem inverted, or whose outcomes are not in one order, are refused.
    """
    from memtools.errors import ConfigError
    from memtools.estimates.about import require_npz
    from memtools.estimation import estimator, means
    from memtools.runs.stores import open_stores

    require_npz(out)  # before an hour of work, not after it
    stores = open_stores(directories)
    several = len({store.sweep.ratio for store in stores}) > 1
    if several and of != "correctness":
        raise ConfigError(
            f"--of {of} is for stores of one subset ratio, and these have several",
            hint="C-scores are averages of correctness: leave it out, or give stores of one ratio",
        )
    if report and (several or of != "correctness"):
        made = "C-scores" if several else f"the {of}"
        raise ConfigError(
            f"--report is about memorization from correctness, not about {made}",
            hint="leave it out, or estimate from correctness at one ratio",
        )
    if several:
        estimator.c_scores(stores, converged=min_train_accuracy, strict=strict).save(out)
    elif of != "correctness":
        means.estimate_means(stores, of, converged=min_train_accuracy, strict=strict).save(out)
    else:
        estimates = estimator.estimate(stores, converged=min_train_accuracy, strict=strict)
        estimates.save(out)
        if report:
            _report(stores, estimates)
    show(out)


def _report(stores: Sequence[RunStore], estimates: Estimates) -> None:
    """Reliability, on stderr: what stdout says is the path."""
    import numpy as np

    from memtools.estimation import reliability
    from memtools.estimation.bits import Outcomes
    from memtools.estimation.run_checks import examples_of, unique_runs
    from memtools.estimation.statistics import Statistics

    sweep, examples = stores[0].sweep, examples_of(stores)
    outcomes = Outcomes.of(unique_runs(stores), sweep.n_train, sweep.n_test)
    statistics = Statistics.empty(examples, sweep.n_train, sweep.n_test).add(outcomes)
    lines = [f"runs: {outcomes.n_runs}"]
    lost = int(np.isnan(estimates.memorization).sum())
    lines.append(f"training examples without an estimate: {lost} of {sweep.n_train}")
    error = estimates.standard_error
    if error is not None and lost < sweep.n_train:
        wanted = float(np.nanmean(error)) / 2
        lines.append(
            f"standard error of memorization: mean {np.nanmean(error):.4f};"
            f" for {wanted:.4f}: {reliability.runs_for(estimates, outcomes.n_runs, wanted)} runs"
        )
    lines += [
        f"two halves of {halves.n_runs} runs: Pearson {halves.pearson:.3f},"
        f" Spearman {halves.spearman:.3f} of memorization;"
        f" {halves.n_pairs[0]} and {halves.n_pairs[1]} high-influence pairs,"
        f" Jaccard {halves.jaccard:.3f}"
        for halves in reliability.convergence(outcomes, examples)
    ]
    if estimates.classes:
        by_chance = reliability.expected_false_pairs(statistics, estimates.memorization)
        lines.append(
            f"high-influence pairs: {len(estimates.pairs())}; by chance alone: {by_chance:.1f};"
            f" at a false discovery rate of .05: {reliability.significant_pairs(statistics)}"
            " pairs of any positive influence"
        )
    note(*lines)
