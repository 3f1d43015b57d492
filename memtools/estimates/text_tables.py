"""Columns out of csv and tsv, as spreadsheets, pandas and numpy.savetxt write them.

    columns, recorded = read_csv(Path("scores.csv"))

Cells become numbers only where all cells of a column are numbers. Rows are counted as a
spreadsheet counts them: the header is row 1.
"""

from __future__ import annotations

import collections
import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools.documents import read_json, read_utf8
from memtools.errors import SchemaError
from memtools.estimates.npy import Array, pack_texts

ABOUT_ENDING = ".about.json"
"""The ending of the file beside a csv that records what its numbers are."""

_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,17})", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)|", re.I | re.A)
_BOOLEANS = {"true": True, "false": False}
_MAX_NAME = 200  # characters of the name of a column
_MISSING = {"", "nan", "na", "n/a", "null", "none"}


def read_csv(path: Path) -> tuple[dict[str, Array], Any]:
    """Return the columns of a csv or tsv, and what memtools recorded beside it."""
    text = read_utf8(path, hint="save the file as UTF-8")
    header, rows = _split_rows(path, text)
    names = _column_names(path, header)
    cells = zip(*rows, strict=True) if rows else ([] for _ in names)
    types = _recorded(path)
    columns: dict[str, Array] = {}
    for name, column in zip(names, cells, strict=True):
        is_text = str(types.get("types", {}).get(name, "")).startswith(("<U", "|S"))
        where = f"{path}: column {name}"
        columns[name] = pack_texts(column, where) if is_text else parse_cells(column, where)
    return columns, types


def _recorded(path: Path) -> Any:
    """Return what is recorded in the file beside a csv; nothing where there is none."""
    beside = path.with_name(path.name + ABOUT_ENDING)
    if not beside.is_file():
        return {}
    recorded = read_json(beside, hint="remove it")
    if not isinstance(recorded, dict) or not isinstance(recorded.get("types", {}), dict):
        raise SchemaError(f"{beside} is not what memtools writes there", hint="remove it")
    return recorded


def _split_rows(path: Path, text: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows, each as long as the header; SchemaError names the row."""
    first = text.split("\n", 1)[0]
    delimiter = max(",\t;", key=first.count)
    rows: list[list[str]] = []
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise SchemaError(
            f"{path}: a row cannot be read: {error}", hint="are its quotes and rows complete?"
        ) from error
    while rows and not rows[-1]:
        rows.pop()
    if not rows:
        raise SchemaError(f"{path} has no rows", hint="it needs a header, and a row for each")
    header, rows = rows[0], rows[1:]
    width = len(header)
    wrong = next((k for k, row in enumerate(rows) if len(row) != width), None)
    if wrong is not None:
        found = len(rows[wrong])
        raise SchemaError(
            f"{path}: row {wrong + 2} has {found} fields, and the header has {width}",
            hint="an empty row, or a comma in a field that is not quoted? repair that row",
        )
    return header, rows


def _column_names(path: Path, header: Sequence[str]) -> list[str]:
    names = [name.strip() for name in header]
    names[0] = names[0].lstrip("#").strip()  # as numpy.savetxt writes a header
    numbers = [name for name in names if name and _FLOAT.fullmatch(name)]
    is_data = len(numbers) == len(names) or not all(map(_INTEGER.fullmatch, numbers))
    if numbers and is_data:
        raise SchemaError(
            f"{path}: row 1 holds {numbers[0]!r}, a number, in place of names of columns",
            hint="add a first row with the name of each column, such as index,score",
        )
    require_distinct(path, names)
    return names


def require_distinct(path: Path, names: Sequence[str]) -> None:
    """Raise SchemaError where two columns have one name, or one has a text in place of a name."""
    longest = max(names, key=len, default="")
    if len(longest) > _MAX_NAME:
        raise SchemaError(
            f"{path}: the name {longest[:20]!r}... of a column has {len(longest):,} characters",
            hint="is the first row one of names?",
        )
    twice = sorted(name for name, n in collections.Counter(names).items() if n > 1)
    if twice:
        shown = repr(twice[0]) if twice[0] else "without a name"
        raise SchemaError(
            f"{path}: row 1: two columns are called {shown}", hint="give each a name of its own"
        )


def parse_cells(cells: Sequence[str], where: str) -> Array:
    """Return a column of text as int64, float64 or bool where every cell is one, else as str.

    An empty cell is NaN. Digits after a leading zero are a name, not a number. where: what holds
    the cells, for messages.
    """
    stripped = [cell.strip() for cell in cells]
    if all(map(_INTEGER.fullmatch, stripped)):
        return np.array(stripped, np.str_).astype(np.int64) if stripped else np.zeros(0)
    lowered = [cell.lower() for cell in stripped]
    if all(cell in _BOOLEANS for cell in lowered):
        return np.array([_BOOLEANS[cell] for cell in lowered])
    if all(_is_number(cell) for cell in lowered):
        return np.array([float("nan" if cell in _MISSING else cell) for cell in lowered])
    return pack_texts(cells, where)


def _is_number(cell: str) -> bool:
    if cell in _MISSING:
        return True
    digits = cell.lstrip("+-")
    padded = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
    return bool(_FLOAT.fullmatch(cell)) and not padded
