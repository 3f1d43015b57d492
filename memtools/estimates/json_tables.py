"""Columns out of json: a list of rows, columns by name, one number for each name, or a plain list.

columns, recorded = read_json(Path("scores.json"))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools.documents import parse_json, parsing, read_utf8
from memtools.errors import SchemaError
from memtools.estimates.columns import LABELS, SCORES
from memtools.estimates.npy import Array, pack_texts
from memtools.estimates.positions import parse_positions
from memtools.estimates.text_tables import require_distinct


def read_json(path: Path) -> tuple[dict[str, Array], Any]:
    """Return the columns of a json, and what memtools recorded in it."""
    document = _parse(path, read_utf8(path, hint="save the file as UTF-8"))
    recorded: Any = {}
    if isinstance(document, dict) and set(document) == {"about", "rows"}:
        recorded, document = document["about"], document["rows"]
        types = recorded.get("types") if isinstance(recorded, dict) else None
        if document == [] and isinstance(types, dict):
            document = {name: [] for name in types}
    if isinstance(document, list) and document and isinstance(document[0], dict):
        document = _columns_of_rows(path, document)
    elif isinstance(document, list):
        document = {_name_of_list(path, document): document}
    elif isinstance(document, dict) and document and all(map(_is_json_number, document.values())):
        keys = _parse_keys(list(document))
        if isinstance(keys[0], str):
            _require_names(path, keys)
        name = "name" if isinstance(keys[0], str) else ""
        document = {name: keys, "score": list(document.values())}
    elif isinstance(document, dict) and document and _is_of_pandas(document):
        keys = list(next(iter(document.values())))
        columns_by_name = {name: list(column.values()) for name, column in document.items()}
        document = {"": _parse_keys(keys), **columns_by_name}
    columns = document if isinstance(document, dict) else {}
    wrong = [name for name, column in columns.items() if not isinstance(column, list)]
    if wrong or not columns:
        what = f"{wrong[0]!r} is not a list" if wrong else "it has no columns"
        raise SchemaError(
            f"{path} is not a table: {what}", hint="write a list of rows, or a list for each column"
        )
    require_distinct(path, list(columns))
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name!r} {len(column):,}" for name, column in columns.items())
        raise SchemaError(f"{path}: columns differ in length: {lengths}", hint="write it anew")
    parsed = {name: parse_values(column, f"{path}: {name}") for name, column in columns.items()}
    return parsed, recorded


def _parse_keys(keys: list[str]) -> list[Any]:
    """Return keys as integers if all are positions, else as they are."""
    positions = parse_positions(np.array(keys, "U"))
    return keys if positions is None else positions.tolist()


def _require_names(path: Path, keys: list[str]) -> None:
    """Raise SchemaError for keys of which one is a word, such as the name of a metric."""
    wrong = next((key for key in keys if not any(c.isdigit() or c in "./\\" for c in key)), None)
    if wrong is None and not {key.casefold() for key in keys} & {*SCORES, *LABELS}:
        return
    raise SchemaError(
        f"{path} holds one number for each name, and {wrong or keys[0]!r} does not name an example",
        hint="the keys of an object are names of examples, or positions; numbers of a model, such"
        " as its accuracy, are not read; or write a list of rows with a column name",
    )


def _parse(path: Path, text: str) -> Any:
    """Return the document; of JSON lines the list of them."""
    try:
        return parse_json(text, str(path))
    except SchemaError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith("{") for line in lines[:2]):
            raise
        return [parse_json(line, f"{path}: row {k}") for k, line in enumerate(lines, 1)]


def _is_of_pandas(document: dict[str, Any]) -> bool:
    """Return whether each column holds a value for each of the same rows, as to_json writes."""
    first = next(iter(document.values()))
    return "" not in document and all(
        isinstance(column, dict) and column and column.keys() == first.keys()
        for column in document.values()
    )


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


def parse_values(values: Sequence[Any], where: str) -> Array:
    """Return values of JSON as int64, float64, bool or str where all are, else as object.

    where: what holds them, for messages.
    """
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return np.array(values)
    if kinds == {str}:
        return pack_texts(list(values), where)
    if kinds <= {int} and all(abs(value) < 2**63 for value in values):
        return np.array(values, np.int64 if values else np.float64)
    numbers = [_WRITTEN.get(value, value) if isinstance(value, str) else value for value in values]
    if all(map(_is_json_number, numbers)):
        with parsing(where, "a column of numbers", hint="a number in it is too large"):
            return np.array([np.nan if value is None else float(value) for value in numbers])
    column = np.empty(len(values), object)
    column[:] = values
    return column
