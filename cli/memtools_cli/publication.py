"""publish: the way back, for others to fetch."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from memtools_cli.options import Names


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(publish)


def publish(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Estimates, a list of pairs, or C-scores: npz or npy."),
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
    dataset: Annotated[str, typer.Option(help="The data set, if the file does not say.")] = "",
    order: Annotated[
        str,
        typer.Option(
            help="Order of the examples, if the file does not say: official, published, tfds, file."
        ),
    ] = "",
    definition: Annotated[
        str, typer.Option(help="What the numbers are, if the file does not say.")
    ] = "",
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
    names: Names = False,
) -> None:
    """Make a folder from which others can fetch estimates; print the path of its registry.

    The file, in parts if it is larger than 95 MB; README.md, croissant.json, registry.toml. Put
    the folder on any static host: `memtools fetch NAME --registry URL/registry.toml` brings the
    file from there. The same command again goes on where it was interrupted, and repairs.
    """
    from memtools.artifacts.bundle import publish as publish_file
    from memtools.artifacts.croissant import Imprint
    from memtools.estimates.about import About

    about = About(dataset=dataset, order=order, definition=definition, paper=paper)
    imprint = Imprint(license_, creator or (), url, date.date() if date else None)
    print(publish_file(path, to, name=name, about=about, imprint=imprint, names=names))
