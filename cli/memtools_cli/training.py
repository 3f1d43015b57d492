"""train, demo: runs of one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

Workers = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Processes side by side, each on CPUs of its own."),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(train)
    app.command()(demo)


def train(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A preset, or a TOML file: digits-demo, ...")
    ],
    runs: Annotated[str, typer.Option(metavar="RUNS", help="Which runs: 7, 0:64, 0,17,123.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="The store of runs.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override the configuration. Repeatable."),
    ] = None,
    workers: Workers = 1,
) -> None:
    """Train models on random subsets; keep what each got right.

    Runs that are there are skipped: stop and start at any time, or ask for more. Memory: the
    data once for each worker, and three times the weights of the models in a stack.
    """
    import functools

    from memtools.errors import SweepError
    from memtools.runs.store import RunStore
    from memtools.runs.sweep import parse_runs, run_missing
    from memtools.training.config import load_config, parse_overrides
    from memtools_cli.extras import needing

    wanted = parse_runs(runs)
    resolved = load_config(config, parse_overrides(settings or []))
    with needing("tf"):
        from memtools.training.datasets import load_dataset
        from memtools.training.trainer import examples_of, sweep_of, train_group
    data = load_dataset(resolved.dataset, flipped=resolved.flipped, seed=resolved.seed)
    store = RunStore.create(to, sweep_of(resolved, data), examples_of(data))
    threads = max(1, (os.cpu_count() or 1) // workers) if workers > 1 else 0
    failed = run_missing(
        store,
        wanted,
        functools.partial(train_group, resolved, n_threads=threads),
        group=resolved.stack,
        n_workers=workers,
    )
    if failed:
        run_id, reason = next(iter(failed.items()))
        raise SweepError(
            f"{len(failed)} of {len(wanted)} runs failed, the first of them {run_id}: {reason}",
            failed_run_ids=sorted(failed),
            hint="the others are kept; a lower --set peak_lr=... may help",
        )
    print(to)


def demo(
    to: Annotated[Path, typer.Option(metavar="DIR", help="Write everything here.")] = Path("demo"),
    runs: Annotated[int, typer.Option(min=2, metavar="N", help="Models to train.")] = 400,
) -> None:
    """From nothing to estimates: train models on the digits, find the wrong labels.

    2 % of the training labels are flipped; 400 small networks are trained on random subsets;
    memorization and influence are estimated, printed, and drawn. Takes a minute on two cores.
    """
    from memtools_cli.extras import needing

    with needing("demo"):
        from memtools import demo as demonstration
    demonstration.run(to, n_runs=runs)
