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

import csv
import dataclasses
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools.errors import MemtoolsError, SchemaError
from memtools.estimates.about import About
from memtools.estimates.file_formats import Format, recognise_format
from memtools.estimates.npz import Array
from memtools.files import disk_errors

ABOUT_ENDING = ".about.json"
"""What is added to the name of a csv for the file that records what its numbers are."""
PARQUET_KEY = b"memtools"

_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)|", re.IGNORECASE)
_BOOLEANS = {"true": True, "false": False}
_FIELDS = tuple(field.name for field in dataclasses.fields(About))
_MISSING = {"", "nan", "na", "n/a", "null", "none"}


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

    def row_of(self, k: int) -> str:
        """Return the words for row `k`, counted from 0, in messages."""
        return f"row {k + 2}"


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
    readers = {"csv": _read_csv, "tsv": _read_csv, "json": _read_json, "parquet": _read_parquet}
    if format_ not in readers:
        raise SchemaError(f"{path} is not a table", hint="give a csv, tsv, json or parquet file")
    columns, recorded = readers[format_](path)
    about, metadata = _split_record(path, recorded)
    return Table(path, _restore_types(path, columns, metadata), about, metadata)


def _split_record(path: Path, recorded: Any) -> tuple[About, Mapping[str, Any]]:
    """Return what a file records as About and the rest; SchemaError if memtools cannot have."""
    try:
        said = {name: recorded[name] for name in _FIELDS if name in recorded}
        if not all(isinstance(value, str) for value in said.values()):
            raise TypeError("a text was expected")
        rest = {name: value for name, value in recorded.items() if name not in _FIELDS}
        return About(**{**said, "source": str(path), "digest": ""}), rest
    except (TypeError, AttributeError, ValueError) as error:
        raise SchemaError(
            f"{path}: about is not what memtools writes there", hint="write the file anew"
        ) from error


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
        name: _restore_type(path, name, column, np.dtype(types.get(name, column.dtype)))
        for name, column in columns.items()
    }


def _restore_type(path: Path, name: str, column: Array, dtype: np.dtype[Any]) -> Array:
    if dtype == column.dtype or dtype.kind == column.dtype.kind == "U":
        return column
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


# ---- text


def _read_csv(path: Path) -> tuple[dict[str, Array], Any]:
    text = _read_text(path)
    header, rows = _split_rows(path, text)
    names = _column_names(path, header)
    cells = zip(*rows, strict=True) if rows else ([] for _ in names)
    types = _recorded(path)
    columns: dict[str, Array] = {}
    for name, column in zip(names, cells, strict=True):
        is_text = str(types.get("types", {}).get(name, "")).startswith(("<U", "|S"))
        columns[name] = np.array(list(column), "U") if is_text else parse_cells(list(column))
    return columns, types


def _recorded(path: Path) -> Any:
    """Return what is recorded in the file beside a csv; nothing where there is none."""
    beside = path.with_name(path.name + ABOUT_ENDING)
    if not beside.is_file():
        return {}
    try:
        with disk_errors(beside):
            recorded = json.loads(beside.read_text("utf-8"))
        if isinstance(recorded, dict):
            return recorded
    except ValueError:
        pass
    raise SchemaError(f"{beside} is not what memtools writes there", hint="remove it")


def _read_text(path: Path) -> str:
    with disk_errors(path):
        data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SchemaError(f"{path}: row 1 is UTF-16", hint="save the file as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SchemaError(
            f"{path}: row {line} is not UTF-8: byte 0x{data[error.start]:02x}",
            hint="save the file as UTF-8",
        ) from error


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
    """Raise SchemaError where two columns have one name."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        shown = repr(twice[0]) if twice[0] else "without a name"
        raise SchemaError(
            f"{path}: row 1: two columns are called {shown}", hint="give each a name of its own"
        )


def parse_cells(cells: Sequence[str]) -> Array:
    """Return a column of text as int64, float64 or bool where every cell is one, else as str.

    An empty cell is NaN. Digits after a leading zero are a name, not a number.
    """
    stripped = [cell.strip() for cell in cells]
    if all(map(_INTEGER.fullmatch, stripped)):
        return np.array(stripped, np.str_).astype(np.int64) if stripped else np.zeros(0)
    lowered = [cell.lower() for cell in stripped]
    if all(cell in _BOOLEANS for cell in lowered):
        return np.array([_BOOLEANS[cell] for cell in lowered])
    if all(_is_number(cell) for cell in lowered):
        return np.array([float("nan" if cell in _MISSING else cell) for cell in lowered])
    return np.array(list(cells), "U")


def _is_number(cell: str) -> bool:
    if cell in _MISSING:
        return True
    digits = cell.lstrip("+-")
    padded = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
    return bool(_FLOAT.fullmatch(cell)) and not padded


# ---- json


def _read_json(path: Path) -> tuple[dict[str, Array], Any]:
    text = _read_text(path)
    try:
        document = json.loads(text, object_pairs_hook=_distinct_keys)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"{path} is not JSON: {error}", hint="write it anew") from error
    recorded: Any = {}
    if isinstance(document, dict) and set(document) == {"about", "rows"}:
        recorded, document = document["about"], document["rows"]
        if document == [] and isinstance(recorded, dict):
            document = {name: [] for name in recorded.get("types", {})}
    if isinstance(document, list) and document and isinstance(document[0], dict):
        document = _columns_of_rows(path, document)
    elif isinstance(document, list):
        document = {_name_of_list(path, document): document}
    elif isinstance(document, dict) and document and all(map(_is_json_number, document.values())):
        document = {"": list(document), "score": list(document.values())}
        document[""] = parse_cells(document[""]).tolist()
        if not all(isinstance(key, int) for key in document[""]):
            document["name"] = list(map(str, document.pop("")))
    columns = document if isinstance(document, dict) else {}
    wrong = [name for name, column in columns.items() if not isinstance(column, list)]
    if wrong or not columns:
        what = f"{wrong[0]!r} is not a list" if wrong else "it has no columns"
        raise SchemaError(
            f"{path} is not a table: {what}", hint="write a list of rows, or a list for each column"
        )
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name!r} {len(column):,}" for name, column in columns.items())
        raise SchemaError(f"{path}: columns differ in length: {lengths}", hint="write it anew")
    return {name: parse_values(column) for name, column in columns.items()}, recorded


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} comes twice in one object")
    return found


def _columns_of_rows(path: Path, rows: list[Any]) -> dict[str, list[Any]]:
    names = list(rows[0])
    for k, row in enumerate(rows):
        if not isinstance(row, dict) or row.keys() != rows[0].keys():
            raise SchemaError(
                f"{path}: row {k + 1} has other names than row 1",
                hint=f"each row needs {', '.join(names)}",
            )
    return {name: [row[name] for row in rows] for name in names}


def _name_of_list(path: Path, values: list[Any]) -> str:
    """Return the name for a plain list: of numbers, or of names."""
    if all(isinstance(value, str) for value in values):
        return "name"
    wrong = next((k for k, value in enumerate(values) if not _is_json_number(value)), None)
    if wrong is None:
        return "score"
    raise SchemaError(
        f"{path}: item {wrong} of the list is {values[wrong]!r:.40}, not a number",
        hint="write one number for each example, or an object for each row",
    )


def _is_json_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


_WRITTEN = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


def parse_values(values: Sequence[Any]) -> Array:
    """Return values of JSON as int64, float64, bool or str where all are, else as object."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return np.array(values)
    if kinds == {str}:
        return np.array(list(values), "U")
    if kinds <= {int} and all(abs(value) < 2**63 for value in values):
        return np.array(values, np.int64 if values else np.float64)
    numbers = [_WRITTEN.get(value, value) if isinstance(value, str) else value for value in values]
    if all(map(_is_json_number, numbers)):
        return np.array([np.nan if value is None else float(value) for value in numbers])
    column = np.empty(len(values), object)
    column[:] = values
    return column


# ---- parquet


def _read_parquet(path: Path) -> tuple[dict[str, Array], Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MemtoolsError(
            f"{path}: parquet needs pyarrow, which is not installed",
            hint="pip install 'memtools[parquet]'",
        ) from error
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
    columns = {}
    for name in schema.names:
        if name in plain:
            columns[name] = _from_arrow(pyarrow, table[name])
        else:
            columns[name] = np.full(table.num_rows, None, object)
    return columns, recorded


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
