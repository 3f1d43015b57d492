"""Tables as columns: csv, tsv, json and parquet, of memtools or of others.

    table = read_table(Path("scores.csv"))
    table.columns["score"]                   # float64 [n]
    table.about, table.metadata              # what the file records, where memtools wrote it

A csv that memtools wrote has `scores.csv.about.json` beside it; json and parquet carry the same
inside. Other json is a list of rows, columns by name, one number for each name, or a plain list.
A table that cannot be read without a guess is refused, with the row that is wrong. Rows are counted
as a spreadsheet counts them: the header is row 1.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memtools.errors import SchemaError
from memtools.estimates.about import About, parse_about
from memtools.estimates.file_formats import Format, recognise_format
from memtools.estimates.json_tables import read_json
from memtools.estimates.npy import standard_type
from memtools.estimates.npz import Array
from memtools.estimates.parquet_tables import read_parquet
from memtools.estimates.positions import MAX_POSITION
from memtools.estimates.text_tables import ABOUT_ENDING, read_csv


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """The columns of a file, and what the file records about them.

    Attributes:
        path: The file.
        columns: By name, each [n]: int64, float64, bool, str, or the narrower types of a parquet
            file or of a table of memtools; object for anything else. A column without a name has
            the name "".
        about: What the numbers are; empty but for `source` where the file does not record it.
        metadata: What memtools recorded besides: `quantity`, `n`, `types`, thresholds of pairs.
    """

    path: Path
    columns: Mapping[str, Array]
    about: About
    metadata: Mapping[str, Any]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def read_table(path: Path, format_: Format | None = None) -> Table:
    """Read a table.

    Args:
        path: A csv, tsv, json or parquet file.
        format_: Its format, where it is known already.

    Raises:
        SchemaError: The file is damaged or ambiguous: rows of different lengths, a name that two
            columns have, a header that is missing, bytes that are not UTF-8.
        MemtoolsError: It is a parquet file, and pyarrow is not installed.
    """
    format_ = format_ or recognise_format(path)
    readers = {"csv": read_csv, "tsv": read_csv, "json": read_json, "parquet": read_parquet}
    if format_ not in readers:
        raise SchemaError(f"{path} is not a table", hint="give a csv, tsv, json or parquet file")
    columns, recorded = readers[format_](path)
    about, metadata = parse_about(recorded, path)
    _require_recorded(path, metadata)
    return Table(path, _restore_types(path, columns, metadata), about, metadata)


def _require_recorded(path: Path, metadata: Mapping[str, Any]) -> None:
    """Raise SchemaError for a fact about a table that memtools cannot have recorded."""
    for name, is_right in _RECORDED.items():
        if name in metadata and not is_right(metadata[name]):
            raise SchemaError(
                f"{path}: what it records as {name} is {metadata[name]!r:.40}",
                hint="write the file anew",
            )


def _is_threshold(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _FAR  # neither NaN nor 10 ** 400


def _are_types(value: Any) -> bool:
    """Return whether a value holds the code of a type for each name of a column."""
    return isinstance(value, dict) and all(
        isinstance(code, str) and _TYPE.fullmatch(code) for code in value.values()
    )


_MAX_QUANTITY = 200  # characters
_FAR = 1e9  # a threshold of pairs, even of margins
_TYPE = re.compile(r"[<>|=]?([iu][1248]|f(2|4|8|16)|b1|U|S[0-9]{1,9})")
_RECORDED: Mapping[str, Callable[[Any], bool]] = {
    "quantity": lambda value: isinstance(value, str) and len(value) <= _MAX_QUANTITY,
    "n": lambda value: type(value) is int and 0 <= value <= MAX_POSITION,
    "partial": lambda value: type(value) is bool,
    "min_mem": _is_threshold,
    "min_infl": _is_threshold,
    "types": _are_types,
}
"""The facts that memtools records beside a table, and what each must be."""


def _restore_types(
    path: Path, columns: dict[str, Array], metadata: Mapping[str, Any]
) -> dict[str, Array]:
    """Give columns the types that memtools recorded: csv and json know no widths."""
    types: Mapping[str, str] = metadata.get("types", {})
    lacking = [name for name in types if name not in columns]
    if lacking:
        raise SchemaError(
            f"{path} has no column {lacking[0]!r}, and what is recorded about it says that it has",
            hint=f"is {path.name}{ABOUT_ENDING} of another table? remove it, or write both anew",
        )
    return {
        name: _restore_type(
            path, name, column, standard_type(np.dtype(types.get(name, column.dtype)))
        )
        for name, column in columns.items()
    }


def _restore_type(path: Path, name: str, column: Array, dtype: np.dtype[Any]) -> Array:
    if dtype == column.dtype or dtype.kind == column.dtype.kind == "U":
        return column
    if dtype.kind == "U" and column.dtype.kind == "O":
        raise SchemaError(
            f"{path}: column {name} held text, and now holds other values", hint="write it anew"
        )
    if dtype.kind in "U" or not len(column):
        return column.astype(dtype.kind if dtype.kind == "U" else dtype)
    if dtype.kind not in "iufb" or column.dtype.kind not in "iufb":
        return column
    with np.errstate(invalid="ignore", over="ignore"):
        restored = column.astype(dtype)
    if dtype.kind in "iub" and not np.array_equal(restored, column):
        raise SchemaError(
            f"{path}: column {name} held {dtype}, and now holds other values",
            hint="is a field empty? repair the table, or write it anew",
        )
    return restored
