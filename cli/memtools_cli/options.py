"""Options that several commands have."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def a_number(value: Any) -> Any:
    """Return the value of an option; refuse NaN, which lies within every range."""
    for each in value if isinstance(value, list | tuple) else [value]:
        if isinstance(each, float) and math.isnan(each):
            raise typer.BadParameter("nan is not a number")
    return value


Directory = Annotated[
    Path | None,
    typer.Option(
        "--to", metavar="DIR", help="Directory of the files, instead of the cache (MEMTOOLS_CACHE)."
    ),
]
Registries = Annotated[
    list[str] | None,
    typer.Option(
        "--registry",
        metavar="FILE|URL",
        help="A registry of more artifacts: file or URL. Repeatable.",
    ),
]
Mirror = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Base URL under which every file is looked for by its name."),
]
Names = Annotated[
    bool,
    typer.Option(
        "--names",
        help="Read names kept as Python objects from a file of unknown origin; none is run.",
    ),
]
Column = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Column of the scores, where no known name tells it; of an npz, the array.",
    ),
]
Index = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Positions of the values, from 0, or a mask of all examples: npy, csv, json, txt.",
    ),
]
Dataset = Annotated[
    str,
    typer.Option(metavar="NAME", help="Data set of the numbers, if the file does not record it."),
]
Order = Annotated[
    str,
    typer.Option(
        metavar="ORDER",
        help="Order of the examples, if the file records none: official, published, tfds, file.",
    ),
]
Meaning = Literal["typical", "atypical"]
Direction = Annotated[
    Meaning | None,
    typer.Option(help="What a high number means, if the file does not record it."),
]
Definition = Annotated[
    str, typer.Option(metavar="TEXT", help="What the numbers are, if the file does not record it.")
]
ClassFolders = Annotated[
    Literal["auto", "index", "words", "synset"],
    typer.Option(help="What the names of class folders are: labels, words or synsets."),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", metavar="DIR", help="Directory of fetched files, instead of MEMTOOLS_CACHE."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
