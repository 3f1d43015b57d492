"""publish: the way back, for others to fetch."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from memtools_cli.numbers import open_numbers
from memtools_cli.options import Column, Dataset, Definition, Direction, Index, Names, Order
from memtools_cli.output import show


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(publish)


def publish(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Estimates, a list of pairs, or scores: npz, npy, csv, tsv, json or parquet.",
        ),
    ],
    to: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder to fill: new, empty, or begun.")
    ],
    name: Annotated[
        str,
        typer.Option(
            help="What others will type to fetch it: a-z, 0-9, '._-'; else the folder's name."
        ),
    ] = "",
    column: Column = "",
    index: Index = None,
    dataset: Dataset = "",
    order: Order = "",
    direction: Direction = None,
    definition: Definition = "",
    paper: Annotated[str, typer.Option(help="What to cite, if it is not the usual paper.")] = "",
    license_: Annotated[
        str, typer.Option("--license", help="Licence of the numbers: a URL, or a name of SPDX's.")
    ] = "",
    creator: Annotated[
        list[str] | None, typer.Option(help="A person who made them. Repeatable.")
    ] = None,
    url: Annotated[str, typer.Option(help="Where the folder will be.")] = "",
    date: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Date of the publication."),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Images for the report, as of memtools report."),
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="The runs behind the numbers, for the report. Repeatable."
        ),
    ] = None,
    report: Annotated[bool, typer.Option(help="Put the report beside the files.")] = True,
    names: Names = False,
) -> None:
    """Make a folder from which others can fetch estimates.

    The path of its registry is printed. It holds the file (a table as npz), in parts if it is
    larger than 95 MB; README.md, croissant.json, registry.toml; and in report/ the page of memtools
    report, made anew each time. Put the folder on any static host: `memtools fetch NAME --registry
    URL/registry.toml` brings the file from there. The same command again goes on where it was
    interrupted, and repairs.
    """
    from memtools.artifacts.bundle import REPORT
    from memtools.artifacts.bundle import publish as publish_file
    from memtools.artifacts.croissant import Imprint
    from memtools.estimates.about import About
    from memtools.estimates.pairs import HighInfluencePairs
    from memtools_cli.extras import needing, require_for_images

    numbers = open_numbers(
        path,
        registry=None,
        names=names,
        column=column,
        index=index,
        dataset=dataset,
        order=order,
        direction=direction,
        definition=definition,
    )
    report = report and not isinstance(numbers, HighInfluencePairs)  # which has none
    if report:
        with needing("report"):
            from memtools.report.page import require_free_place
        require_for_images(images)
        require_free_place(to / REPORT, over=True)
    said = numbers.about
    about = About(said.dataset, said.order, said.definition, said.direction, paper)
    imprint = Imprint(license_, creator or (), url, date.date() if date else None)
    registry = publish_file(
        path,
        to,
        name=name,
        about=about,
        imprint=imprint,
        names=names,
        column=column,
        index=index,
    )
    if report:
        _add_report(numbers, path, registry, images, runs or [])
    show(registry)


def _add_report(
    numbers: Any, path: Path, registry: Path, images: str | None, runs: list[Path]
) -> None:
    """The page beside the files, in the place of an earlier one."""
    import dataclasses

    from memtools.artifacts.bundle import REPORT
    from memtools.artifacts.loader import about
    from memtools.artifacts.manifest import parse_registry
    from memtools.report.page import write_report
    from memtools.runs.stores import open_stores

    text = registry.read_text("utf-8")
    [artifact] = parse_registry(text, where=str(registry), base="").artifacts.values()
    whole = registry.with_name(artifact.file)  # which others will know; unless it is in parts
    published = dataclasses.replace(
        numbers, about=about(artifact, whole if whole.is_file() else path)
    )
    to, stores = registry.with_name(REPORT), open_stores(runs)
    write_report(published, to, images=images, stores=stores, over=True)
