"""checkpoints aux: what estimates need of the released archives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memtools_cli.options import Mirror, Registries

if TYPE_CHECKING:
    from memtools.checkpoints.aux import Released

app = typer.Typer(
    help="The released models, out of archives of hundreds of gigabytes that are never unpacked.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add_to(parent: typer.Typer) -> None:
    """Register the commands."""
    app.command()(aux)
    parent.add_typer(app, name="checkpoints")


@app.callback()
def group() -> None:
    """Keep `aux` a command of its own, also while it is the only one."""


def aux(
    source: Annotated[
        str,
        typer.Argument(
            metavar="NAME|URL|FILE|-", help="An artifact, an archive of that kind, or a pipe."
        ),
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="A store for each ratio goes there.")],
    ratio: Annotated[
        list[str] | None, typer.Option(metavar="R", help="Only this subset ratio. Repeatable.")
    ] = None,
    runs: Annotated[
        str | None, typer.Option(metavar="RUNS", help="Only these: 0:64, or 0,17,123.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Name of the data set; of an artifact it is known.")
    ] = None,
    order: Annotated[
        str | None, typer.Option(help="Order of the examples: official, published, tfds, file.")
    ] = None,
    md5: Annotated[str | None, typer.Option(metavar="HEX", help="Of the whole archive.")] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Take the runs although no md5 could be checked.")
    ] = False,
    registry: Registries = None,
    mirror: Mirror = None,
) -> None:
    """Take which examples each released model saw and got right; print the stores.

    One pass over the archive, of which nothing else is kept: 0.65 GB of ImageNet's 367. Killed
    at any instant, it goes on where it was. The runs are provisional until the md5 of the whole
    archive holds; memtools estimate makes estimates of them.
    """
    from memtools.checkpoints.aux import Released, collect
    from memtools.runs.sweep import parse_runs

    where, known = _released(source, registry, mirror)
    released = Released(
        dataset or known.dataset, order or known.order, md5 or known.md5, known.size
    )
    stores = collect(
        where,
        to,
        released,
        ratios=ratio or (),
        run_ids=parse_runs(runs) if runs else (),
        unverified=unverified,
    )
    for store in stores:
        print(store.root)


def _released(source: str, registry: list[str] | None, mirror: str | None) -> tuple[str, Released]:
    """Where the archive is, and what the registry knows of it."""
    from memtools.artifacts.settings import Settings
    from memtools.checkpoints.aux import Released
    from memtools.errors import ConfigError

    if "://" in source or source == "-" or Path(source).is_file():
        return source, Released("unknown", "file")
    settings = Settings.of(registries=registry or (), mirror=mirror)
    artifact = settings.registry()[source]
    if artifact.kind != "checkpoints":
        raise ConfigError(
            f"{source} is no archive of models", hint="memtools list shows which artifacts are"
        )
    if settings.offline:
        raise ConfigError(
            f"{source} is on the network, and offline is set",
            hint="run again without MEMTOOLS_OFFLINE, or give the archive as a file",
        )
    released = Released(artifact.dataset, artifact.order, artifact.md5, artifact.total_size)
    return artifact.parts[0].url, released
