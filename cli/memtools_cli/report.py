"""report: a page that shows what the numbers mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memtools_cli.numbers import open_numbers
from memtools_cli.options import (
    Cache,
    Column,
    Dataset,
    Definition,
    Direction,
    Index,
    Mirror,
    Names,
    Order,
    Registries,
)
from memtools_cli.output import note, show


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(report)


def report(
    what: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="An artifact, a group, or a file of your own."),
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Write the report here: a new folder.")],
    images: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="digits, tfds:NAME, a folder of images, tfrecords:DIR, an npz, or the TOML of"
            " what was trained on.",
        ),
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="The runs behind the numbers, for their quality. Repeatable."
        ),
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw figures for a paper, too: PDF and PNG.")
    ] = False,
    max_images: Annotated[
        int, typer.Option(min=1000, metavar="N", help="Draw at most so many thumbnails.")
    ] = 70_000,
    column: Column = "",
    index: Index = None,
    dataset: Dataset = "",
    order: Order = "",
    direction: Direction = None,
    definition: Definition = "",
    cache: Cache = None,
    registry: Registries = None,
    mirror: Mirror = None,
    names: Names = False,
) -> None:
    """Write a page that shows what the numbers mean.

    A folder that opens in any browser: a histogram with a range over examples of each level,
    high-influence pairs, classes, each example, and what the numbers are worth. It needs no server
    and no network. Without --images it lists examples without showing them. A folder of images has
    one folder for each class; or such folders in train and val.
    """
    from memtools.files import human_size
    from memtools.runs.stores import open_stores
    from memtools_cli.extras import needing, require_for_images

    with needing("report"):
        from memtools.report.page import write_report
    require_for_images(images)
    numbers = open_numbers(
        what,
        cache=cache,
        registry=registry,
        mirror=mirror,
        names=names,
        column=column,
        index=index,
        dataset=dataset,
        order=order,
        direction=direction,
        definition=definition,
    )
    stores = open_stores(runs or [])
    written = write_report(
        numbers, to, images=images, stores=stores, figures=figures, max_images=max_images
    )
    said = f"{human_size(written.n_bytes)}, {written.n_drawn:,} thumbnails"
    if written.n_missing:
        said += f"; the images of {written.n_missing:,} examples are missing or cannot be read"
    note(said)
    show(written.page)
