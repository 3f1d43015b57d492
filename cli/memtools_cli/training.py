"""train, demo: runs of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from memtools_cli.options import a_number
from memtools_cli.output import show

Strategy = Literal["auto", "one", "mirrored", "multiworker", "tpu"]
Mode = Literal["auto", "data-parallel", "replica-parallel", "stacked"]
Config = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        help="A TOML file, or a preset: digits-demo, mnist-mlp, cifar10-resnet18,"
        " cifar100-resnet50, cifar100-inception, imagenet-resnet50.",
    ),
]
Runs = Annotated[str, typer.Option(metavar="RUNS", help="Which runs: 7, 0:64, 0,17,123.")]
StoreOfRuns = Annotated[Path, typer.Option(metavar="DIR", help="The store of runs.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override the configuration. Repeatable."),
]
CheckpointMinutes = Annotated[
    float,
    typer.Option(
        min=0, callback=a_number, metavar="M", help="Between checkpoints of unfinished runs."
    ),
]
Workers = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Processes side by side, each on CPUs of its own."),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(train)
    app.command()(demo)


def train(
    config: Config,
    runs: Runs,
    to: StoreOfRuns,
    settings: Settings = None,
    workers: Workers = 1,
    strategy: Annotated[
        Strategy, typer.Option(help="Devices: one, all GPUs, hosts of TF_CONFIG, a TPU.")
    ] = "auto",
    mode: Annotated[
        Mode, typer.Option(help="One model on all devices, or others on each; see above.")
    ] = "auto",
    checkpoint_minutes: CheckpointMinutes = 10,
) -> None:
    """Train models on random subsets; keep what each got right.

    Runs that are there are skipped: stop, kill and start at any time, or ask for more. One device
    trains the models of a stack side by side (stacked); of several devices each trains its own
    (replica-parallel), or all train one model (data-parallel; of several hosts always).

    Memory: the data once on each device and in each worker, four times the weights of all models
    that are trained at a time, and the activations of their batches. TFRecords are streamed.
    """
    import contextlib
    import functools

    from memtools.engines import outcomes
    from memtools.errors import ConfigError, SweepError
    from memtools.runs.sweep import Train, parse_runs, remove_checkpoints, run_missing
    from memtools.training.config import load_config, parse_overrides
    from memtools_cli.extras import needing

    wanted = parse_runs(runs)
    resolved = load_config(config, parse_overrides(settings or []))
    if workers > 1 and strategy not in ("auto", "one"):
        raise ConfigError(
            f"--workers {workers} trains on one device in each process, not {strategy}",
            hint="leave out one of the two",
        )
    with needing("tf"):
        from memtools.training.datasets import load_dataset
        from memtools.training.hosts import follow, leading
        from memtools.training.strategy import choose
        from memtools.training.trainer import Trainer, store_of, train_group
    devices = choose("one" if workers > 1 else strategy, mode)
    data = load_dataset(resolved)
    unfinished = to / "unfinished"
    with contextlib.ExitStack() as stack:
        if workers > 1:
            each: Train = functools.partial(
                train_group, resolved, unfinished=unfinished, minutes=checkpoint_minutes
            )
            group = resolved.stack
        else:
            trainer = Trainer(resolved, data, devices, unfinished, checkpoint_minutes)
            if not devices.is_chief:
                follow(trainer)
                return
            each, group = stack.enter_context(leading(trainer)), trainer.capacity
        store = store_of(to, resolved, data)
        failed = run_missing(
            store, wanted, each, group=group, engine=functools.partial(outcomes, n_workers=workers)
        )
    if failed:
        run_id, reason = next(iter(failed.items()))
        raise SweepError(
            f"{len(failed)} of {len(wanted)} runs failed, the first of them {run_id}: {reason}",
            failed_run_ids=sorted(failed),
            hint="the others are kept; a lower --set peak_lr=... may help",
        )
    remove_checkpoints(unfinished)
    show(to)


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
    demonstration.run(to, n_runs=runs, tell=show)
