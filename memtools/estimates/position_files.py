"""Positions of examples, or a mask of them, in a file.

read_positions(Path("subset.npy"))       # int64 [m], or bool [n]
as_index([3, 1, 4], n=3)                 # int64 [3] and the number of examples, where it is known
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.arguments import StrPath
from memtools.documents import read_json, read_utf8
from memtools.errors import ConfigError
from memtools.estimates.columns import as_positions, find_position, read_digits
from memtools.estimates.file_formats import TABLES, recognise_format, require_file
from memtools.estimates.npz import Array, read_npy
from memtools.estimates.positions import UNNAMED, parse_positions
from memtools.estimates.table_reader import read_table

_INTEGER = re.compile("-?[0-9]{1,18}")
_HINT = "give integers counted from 0, or booleans: npy, csv, json, or txt with one in a line"


def read_positions(path: StrPath) -> Array:
    """Return the positions that a file lists, int64 [m], or its mask, bool [n].

    Args:
        path: An npy; a txt with a position in each line; a json list, or the json, csv or txt that
            `memtools select` wrote; a csv, tsv or parquet with a column of positions.

    Raises:
        ConfigError: The file holds no positions.
    """
    path = Path(path)
    require_file(path)
    try:
        if path.suffix.lower() == ".txt":
            found = np.array([_integer(line) for line in read_utf8(path).split()])
        elif (format_ := recognise_format(path)) == "npy":
            found = read_npy(path)
        elif format_ == "json":
            found = _from_json(path)
        elif format_ in TABLES:
            found = _from_columns(path, read_table(path, format_).columns)
        else:
            raise ValueError(f"it is an {format_}")
        return _require_positions(found)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} holds no positions: {error}", hint=_HINT) from error


def as_index(index: Any, n: int) -> tuple[NDArray[np.int64], int | None]:
    """Return the position of each of `n` values, and how many examples there are in all.

    Args:
        index: Positions, int [n], each once; or a mask, bool [n_all], with `n` that are true; or
            the path of a file that holds either.
        n: How many values there are.

    Returns:
        int64 [n], and the length of the mask; None where positions were given.

    Raises:
        ConfigError: It is not one position for each value.
        SchemaError: A position comes twice, or is below 0.
    """
    found = read_positions(Path(index)) if isinstance(index, str | Path) else np.asarray(index)
    try:
        found = _require_positions(found)
    except ValueError as error:
        raise ConfigError(f"index is not positions: {error}", hint=_HINT) from error
    if found.dtype == np.bool_:
        positions = np.flatnonzero(found)
        words = f"the mask of {len(found):,} names {len(positions):,} examples"
    else:
        positions = as_positions(found, "index", from_one=True)
        words = f"the index names {len(found):,} examples"
    if len(positions) != n:
        raise ConfigError(f"{words}, and there are {n:,} values", hint="give one for each value")
    return positions, len(found) if found.dtype == np.bool_ else None


def _from_columns(path: Path, columns: Mapping[str, Array]) -> Array:
    """Return the column of positions, or the only one that there is.

    The row numbers that pandas writes give way to the only other column of integers.
    """
    name = find_position(read_digits(columns), str(path), next(iter(columns), None))
    if name in UNNAMED and np.array_equal(columns[name], np.arange(len(columns[name]))):
        others = [
            other
            for other, column in columns.items()
            if other != name and column.dtype.kind in "iub"
        ]
        if len(others) > 1:
            raise ValueError(f"{' and '.join(others)} may be positions: which? call it index")
        name = others[0] if others else name
    if name is None and len(columns) == 1:
        name = next(iter(columns))
    if name is None:
        raise ValueError(f"its columns are {', '.join(columns)}")
    parsed = parse_positions(columns[name])
    return columns[name] if parsed is None else parsed


def _from_json(path: Path) -> Array:
    document = read_json(path)
    listed = document["indices"] if isinstance(document, dict) else document
    if not isinstance(listed, list):
        raise ValueError(f"it holds {listed!r:.40}, not a list")
    found = np.array(listed)
    return found if len(found) else found.astype(np.int64)


def _require_positions(found: Array) -> Array:
    if found.ndim != 1 or found.dtype.kind not in "iub":
        raise ValueError(f"they are {found.dtype} {list(found.shape)}")
    return found if found.dtype == np.bool_ else found.astype(np.int64)


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text!r:.40} is not an integer")
    return int(text)
