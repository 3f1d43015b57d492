"""The output of the command line: results on stdout, notes on stderr, foreign text escaped.

show(f"{path}: {words}")                     # a line of the results
note("3 images are left out")                # a line beside them
show_json(document)
print_table(("name", "size"), rows)

A name of a file, a label or a registry may hold anything: characters that would move the cursor,
or a line break that makes one line look like two. Each argument of these functions is one line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from memtools.errors import MemtoolsError
from memtools.wording import printable


def show(*lines: object) -> None:
    """Write lines of the results; MemtoolsError if they cannot be written."""
    sys.stdout.write("".join(f"{printable(str(line))}\n" for line in lines))
    sys.stdout.flush()


def note(*lines: object) -> None:
    """Write lines of what is not a result: progress, warnings, errors."""
    sys.stderr.write("".join(f"{printable(str(line))}\n" for line in lines))
    sys.stderr.flush()


def show_error(error: MemtoolsError) -> None:
    """Write the two lines of an error: what is wrong, and what to do."""
    note(*f"error: {error}".split("\n"))
    if error.hint:
        note(*f"       {error.hint}".split("\n"))


def show_json(document: Any, *, indent: int | None = 1) -> None:
    """Write a document as JSON, with the true values: JSON escapes them itself."""
    text = json.dumps(document, indent=indent).replace("\x7f", "\\u007f")
    show(*text.split("\n"))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table as wide as the terminal; plain and unfolded where there is none."""
    cells = [[printable(cell) for cell in row] for row in (headings, *rows)]
    if not sys.stdout.isatty():
        # A tab within a cell is escaped above; those between the cells are ours.
        sys.stdout.write("".join("\t".join(row) + "\n" for row in cells))
        sys.stdout.flush()
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*cells[0], box=None, pad_edge=False)
    for row in cells[1:]:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)
