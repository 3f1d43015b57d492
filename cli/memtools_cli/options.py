"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
