"""Columns out of parquet, of numbers and of text: images are not read.

columns, recorded = read_parquet(Path("scores.parquet"))
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools.errors import SchemaError
from memtools.estimates.json_tables import parse_values
from memtools.estimates.npz import Array
from memtools.estimates.positions import POSITIONS
from memtools.estimates.text_tables import require_distinct
from memtools.extras import needing
from memtools.files import disk_errors

LEVEL = "__index_level_0__"
"""The column in which pandas keeps an index without a name."""
PARQUET_KEY = b"memtools"
"""The key of the metadata under which memtools records what the numbers are."""


def read_parquet(path: Path) -> tuple[dict[str, Array], Any]:
    """Return the columns of a parquet file, and what memtools recorded in it."""
    with needing("parquet"):
        import pyarrow
        import pyarrow.parquet
    try:
        with disk_errors(path):
            schema = pyarrow.parquet.read_schema(path)
            require_distinct(path, schema.names)
            plain = [field.name for field in schema if not _is_nested(pyarrow, field.type)]
            table = pyarrow.parquet.read_table(path, columns=plain)
        recorded = json.loads((schema.metadata or {}).get(PARQUET_KEY, b"{}"))
    except (pyarrow.ArrowException, ValueError) as error:
        raise SchemaError(
            f"{path}: not a valid parquet file: {error}", hint="write it anew"
        ) from error
    columns: dict[str, Array] = {}
    for name in schema.names:
        if name in plain:
            columns[name] = _from_arrow(pyarrow, table[name])
        else:
            columns[name] = np.full(table.num_rows, None, object)
    level, positions = pandas_index(schema.metadata, schema.names, table.num_rows)
    if positions is not None:
        return {**columns, LEVEL: positions}, recorded
    if level and columns[level].dtype.kind in "iuU":
        columns = {LEVEL if name == level else name: each for name, each in columns.items()}
    return columns, recorded


def pandas_index(
    metadata: Mapping[bytes, bytes] | None, names: Sequence[str], n: int
) -> tuple[str, Array | None]:
    """Return the index of a data frame that pandas wrote as parquet, where it tells something.

    Args:
        metadata: That of the schema.
        names: Names of the columns in the file.
        n: How many rows there are.

    Returns:
        The column of the index, if its name does not tell that it holds positions, or ""; and the
        positions, int64 [n], where pandas records a range in place of a column, other than 0 to
        n-1, or None.
    """
    try:
        levels = json.loads((metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    except (ValueError, AttributeError):
        levels = []
    for level in levels if LEVEL not in names else ():
        if isinstance(level, str) and level in names and level.casefold() not in POSITIONS:
            return level, None
        if isinstance(level, dict) and level.get("kind") == "range":
            counted = np.arange(level["start"], level["stop"], level["step"])
            is_told = len(counted) == n and not np.array_equal(counted, np.arange(n))
            return "", counted if is_told else None
    return "", None


def _is_nested(pyarrow: Any, kind: Any) -> bool:
    """Return whether values are structs, lists or bytes, such as images: they are not read."""
    types = pyarrow.types
    return bool(types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind))


def _from_arrow(pyarrow: Any, column: Any) -> Array:
    types = pyarrow.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind):
        values = column.to_pylist()
        return np.array(values, "U") if column.null_count == 0 else parse_values(values)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        if column.null_count and not types.is_floating(kind):
            return parse_values([None if v is None else float(v) for v in column.to_pylist()])
        found: Array = column.to_numpy()
        return found
    return parse_values(column.to_pylist())
