"""Columns out of parquet, of numbers and of text: images are not read.

columns, recorded = read_parquet(Path("scores.parquet"))
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools.documents import describe, parse_json, parsing
from memtools.errors import SchemaError
from memtools.estimates.json_tables import parse_values
from memtools.estimates.npy import Array, pack_texts
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
    columns: dict[str, Array] = {}
    with reading_parquet(path):
        schema = pyarrow.parquet.read_schema(path)
        require_distinct(path, schema.names)
        plain = [field.name for field in schema if not _is_nested(pyarrow, field.type)]
        table = pyarrow.parquet.read_table(path, columns=plain)
        for name in schema.names:
            if name in plain:
                columns[name] = _from_arrow(pyarrow, table[name], f"{path}: column {name}")
            else:
                columns[name] = np.full(table.num_rows, None, object)
        text = (schema.metadata or {}).get(PARQUET_KEY, b"{}").decode()
    recorded = parse_json(text, f"{path}: what memtools recorded")
    level, positions = pandas_index(schema.metadata, schema.names, table.num_rows)
    if positions is not None:
        return {**columns, LEVEL: positions}, recorded
    if level and columns[level].dtype.kind in "iuU":
        columns = {LEVEL if name == level else name: each for name, each in columns.items()}
    return columns, recorded


@contextlib.contextmanager
def reading_parquet(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises for a file into a SchemaError, or a DiskError if the disk fails."""
    import pyarrow

    try:
        with parsing(f"{path}", "a valid parquet file", hint="write it anew"):
            yield
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            with disk_errors(path):
                raise
        raise SchemaError(
            f"{path} is not a valid parquet file: {describe(error)}", hint="write it anew"
        ) from error


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
    for level in pandas_levels(metadata) if LEVEL not in names else ():
        if isinstance(level, str) and level in names and level.casefold() not in POSITIONS:
            return level, None
        if isinstance(level, dict) and level.get("kind") == "range":
            return "", count_range(level, n)
    return "", None


def pandas_levels(metadata: Mapping[bytes, bytes] | None) -> list[Any]:
    """Return the levels of an index as pandas records them; SchemaError for something else."""
    text = (metadata or {}).get(b"pandas")
    if text is None:
        return []
    document = parse_json(text.decode("utf-8", "replace"), "what pandas recorded")
    levels = document.get("index_columns", []) if isinstance(document, dict) else None
    if not isinstance(levels, list):
        raise SchemaError("what pandas recorded has no index", hint="write the file anew")
    return levels


def count_range(level: Mapping[str, Any], n: int) -> Array | None:
    """Return the integers of a range that pandas recorded, int64 [n].

    None where they are 0 to n-1, or as many as the rows were before some were cut.
    """
    bounds: list[Any] = [level.get(key) for key in ("start", "stop", "step")]
    if not all(type(each) is int and abs(each) < 1 << 62 for each in bounds) or not bounds[2]:
        raise SchemaError(
            f"what pandas recorded as the index is {bounds!r:.60}", hint="write the file anew"
        )
    counted = range(*bounds)
    if len(counted) != n or counted == range(n):
        return None
    return np.fromiter(counted, np.int64, n)


def _is_nested(pyarrow: Any, kind: Any) -> bool:
    """Return whether values are structs, lists or bytes, such as images: they are not read."""
    types = pyarrow.types
    return bool(types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind))


def _from_arrow(pyarrow: Any, column: Any, where: str) -> Array:
    types = pyarrow.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind):
        values = column.to_pylist()
        return pack_texts(values, where) if column.null_count == 0 else parse_values(values, where)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        if column.null_count and not types.is_floating(kind):
            values = [None if v is None else float(v) for v in column.to_pylist()]
            return parse_values(values, where)
        found: Array = column.to_numpy()
        return found
    return parse_values(column.to_pylist(), where)
