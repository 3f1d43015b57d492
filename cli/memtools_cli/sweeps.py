"""sweep run, sweep status: thousands of runs, none lost and none twice."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memtools_cli import engines
from memtools_cli.options import Json, a_number
from memtools_cli.output import note, show, show_json
from memtools_cli.training import CheckpointMinutes, Config, Runs, Settings, StoreOfRuns

if TYPE_CHECKING:
    from memtools.runs.status import Spread, Status
    from memtools.runs.store import RunStore

app = typer.Typer(
    help="Thousands of runs, in processes or on a Ray cluster: none lost, none twice.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add_to(parent: typer.Typer) -> None:
    """Register the commands."""
    app.command()(run)
    app.command()(status)
    parent.add_typer(app, name="sweep")


def run(
    config: Config,
    runs: Runs,
    to: StoreOfRuns,
    settings: Settings = None,
    engine: engines.Name = "process",
    workers: engines.Workers = None,
    address: engines.Address = None,
    resources: engines.Resources = None,
    hosts: engines.Hosts = 1,
    group: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Runs of a task; without it the stack."),
    ] = None,
    attempts: Annotated[
        int, typer.Option(min=1, metavar="N", help="How often a group that dies is tried.")
    ] = 3,
    limit_minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            callback=a_number,
            metavar="M",
            help="For a group; one that hangs longer is ended.",
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for another process that drives this store.")
    ] = False,
    checkpoint_minutes: CheckpointMinutes = 10,
) -> None:
    """Train all runs that are missing, whatever dies on the way; exit 1 if any is missing then.

    Stop, kill and start at any time; "500 more" is the same command with a larger range. Each
    group of runs is a task: the stack of the configuration, or more (--group) where a task has
    several GPUs or chips, which train a stack each. With --hosts several machines of a Ray
    cluster train one run together, data-parallel (stack=1). Only this process writes to the
    store; a second one on the same store ends with exit code 7.
    """
    import functools

    from memtools.errors import ConfigError, SweepError
    from memtools.runs.sweep import parse_runs, remove_checkpoints, run_missing
    from memtools.training.config import load_config, parse_overrides
    from memtools_cli.extras import needing

    wanted = parse_runs(runs)
    resolved = load_config(config, parse_overrides(settings or []))
    if hosts > 1 and (resolved.stack, group or 1) != (1, 1):
        raise ConfigError(
            f"{hosts} hosts train one run at a time, and stack is {resolved.stack}",
            hint="--set stack=1, and no --group",
        )
    on = engines.engine_of(
        engine,
        workers=workers,
        address=address,
        resources=resources,
        hosts=hosts,
        limit=None if limit_minutes is None else 60 * limit_minutes,
    )
    with needing("tf"):
        from memtools.training.datasets import load_dataset
        from memtools.training.trainer import store_of, train_group
    store = store_of(to, resolved, load_dataset(resolved))
    train = functools.partial(
        train_group,
        resolved,
        unfinished=None if engine == "ray" else to.resolve() / "unfinished",
        minutes=checkpoint_minutes,
    )
    failed = run_missing(
        store, wanted, train, group=group or resolved.stack, engine=on, attempts=attempts, wait=wait
    )
    if failed:
        run_id, reason = next(iter(failed.items()))
        raise SweepError(
            f"{len(failed)} of {len(wanted)} runs are missing, first {run_id}: {reason}",
            failed_run_ids=sorted(failed),
            hint="the others are kept; the same command tries these again",
        )
    remove_checkpoints(to / "unfinished")
    show(to)


def status(
    store: Annotated[Path, typer.Argument(metavar="DIR", help="A store of runs.")],
    watch: Annotated[bool, typer.Option("--watch", help="Again every ten seconds.")] = False,
    standard_error: Annotated[
        float,
        typer.Option(
            callback=a_number, min=0.001, max=0.5, help="How many runs would it take for this one?"
        ),
    ] = 0.02,
    as_json: Json = False,
) -> None:
    """Show what is done, running, failed, missing; accuracies, pace, time left, standard errors."""
    from memtools.runs.status import Status
    from memtools.runs.store import RunStore

    opened = RunStore.open(store)
    while True:
        found = Status.of(opened)
        error = _standard_error(opened) if found.n_done > 1 else None
        wanted = None if error is None else _runs_for(found.n_done, error, standard_error)
        if as_json:
            more = {"standard_error": error, "runs_for_standard_error": wanted}
            show_json({**dataclasses.asdict(found), **more}, indent=None)
        else:
            _tell(found, error, wanted, standard_error)
        if not watch:
            return
        time.sleep(10)


def _tell(found: Status, error: float | None, wanted: int | None, target: float) -> None:
    show(
        f"{found.n_done:,} done, {found.n_missing:,} missing ({found.n_running:,} running,"
        f" {found.n_failed:,} failed);"
        f" {'being worked on' if found.driven else 'nobody works on it'}"
    )
    if found.n_damaged:
        show(
            f"{found.n_damaged:,} damaged and left out; memtools sweep run or train sets them aside"
            " and trains those runs again"
        )
    if found.runs_per_hour is not None:
        left = f", {found.hours_left:.1f} hours left" if found.hours_left else ""
        show(f"{found.runs_per_hour:,.1f} runs/hour{left}")
    for name, spread in (("in", found.inside), ("out", found.outside), ("test", found.test)):
        if spread is not None:
            show(f"accuracy {name:5}{_words(spread)}")
    if error is not None:
        show(
            f"standard error of memorization: {error:.4f} (median);"
            f" {wanted:,} runs would make it {target:g}"
        )
    for run_id, reason in list(found.failures.items())[:5]:
        show(f"failed: run {run_id}: {reason}")


def _words(spread: Spread) -> str:
    return f"{spread.median:.4f} (from {spread.least:.4f} to {spread.most:.4f})"


def _standard_error(store: RunStore) -> float | None:
    """Return the median over the training examples; None while it is not known."""
    import numpy as np

    from memtools.errors import MemtoolsError
    from memtools.estimation.estimator import estimate

    try:
        found = estimate(store).standard_error
    except MemtoolsError as error:  # the status of runs that cannot be estimated from is shown
        note(str(error))
        return None
    if found is None or not np.isfinite(found).any():
        return None
    return float(np.nanmedian(found))


def _runs_for(n_runs: int, error: float, target: float) -> int:
    """It falls with the square root of the number of runs."""
    return int(-(-n_runs * error**2 // target**2))
