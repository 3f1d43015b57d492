"""Tables out of estimates, one row for each example or pair: csv, tsv, json or parquet.

    write_scores(Path("scores.csv"), estimates.scores)
    write_pairs(Path("pairs.json"), pairs)

A csv has no place for what its numbers mean, so `scores.csv.about.json` is written
beside it; json and parquet carry it inside. Numbers are written with just as many
digits as give the same number back; NaN is an empty field, or null. What is recorded with them is
enough for memtools to read the same object back (memtools.estimates.score_files).
"""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np

from memtools.arguments import StrPath, checked
from memtools.errors import ConfigError
from memtools.estimates.about import About
from memtools.estimates.columns import BESIDE
from memtools.estimates.model import Estimates
from memtools.estimates.npy import standard_type
from memtools.estimates.npz import Array, encodable_text
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.parquet_tables import PARQUET_KEY
from memtools.estimates.scores import Scores
from memtools.estimates.text_tables import ABOUT_ENDING
from memtools.extras import needing
from memtools.files import appearing, appearing_with_note, disk_errors

Columns = Mapping[str, Array]
ENDINGS = (".csv", ".tsv", ".json", ".parquet")
"""The endings that name a format of tables."""

_ROWS = 1 << 16  # rows that are text at one time


def score_columns(scores: Scores) -> Columns:
    """index, label, filename, the quantity, and its errors and counts where known: each [n].

    Raises ConfigError for a quantity that has the name of another column.
    """
    columns = {
        "index": np.arange(len(scores)),
        "label": scores.labels,
        "filename": scores.filenames,
        "standard_error": scores.standard_error,
        "n_in": scores.n_in,
        "n_out": scores.n_out,
    }
    if scores.quantity.casefold() in columns:
        raise ConfigError(
            f"the quantity is called {scores.quantity!r}, as another column of the table",
            hint="give it another name: dataclasses.replace(scores, quantity=...); or write .npz",
        )
    beside = {name: columns.pop(name) for name in BESIDE}
    columns |= {scores.quantity: scores.values, **beside}
    return {name: column for name, column in columns.items() if column is not None}


def pair_columns(pairs: HighInfluencePairs) -> Columns:
    """train_index, test_index, memorization, influence: each [n_pairs]."""
    return {
        "train_index": pairs.train_index,
        "test_index": pairs.test_index,
        "memorization": pairs.memorization,
        "influence": pairs.influence,
    }


@checked('write_scores("scores.csv", estimates.scores)')
def write_scores(path: StrPath, scores: Scores | Estimates, extra: Columns | None = None) -> None:
    """Write a row for each example, and with it everything that `memtools.load` needs.

    Args:
        path: Its ending names the format: an npz, or one of `ENDINGS`.
        scores: The scores; of estimates the memorization.
        extra: More columns of a table, each [n].

    Raises:
        ConfigError: The ending names no format.
        DiskError: The disk fails.
    """
    path = Path(path)
    if isinstance(scores, Estimates):
        scores = scores.scores
    if path.suffix.lower() == ".npz":
        scores.save(path)
        return
    recorded = {"quantity": scores.quantity, "n": len(scores), "partial": scores.partial}
    write_table(path, {**score_columns(scores), **(extra or {})}, scores.about, recorded)


@checked('write_pairs("pairs.csv", pairs)')
def write_pairs(path: StrPath, pairs: HighInfluencePairs) -> None:
    """Write a row for each pair, and the thresholds; see `write_scores`."""
    path = Path(path)
    if path.suffix.lower() == ".npz":
        pairs.save(path)
        return
    recorded = {"min_mem": pairs.min_mem, "min_infl": pairs.min_infl}
    write_table(path, pair_columns(pairs), pairs.about, recorded)


def write_table(
    path: Path, columns: Columns, about: About, recorded: Mapping[str, Any] | None = None
) -> None:
    """Write a table in the format that the ending of `path` names, whole or not at all.

    Args:
        path: Where to write.
        columns: By name, each [n].
        about: What the numbers are.
        recorded: What is recorded besides, JSON values; the types of the columns are added.

    Raises ConfigError for another ending, MemtoolsError where pyarrow is missing.
    """
    writers: dict[str, Callable[[BinaryIO, Columns, Mapping[str, Any]], None]] = {
        ".csv": _write_csv,
        ".tsv": functools.partial(_write_csv, delimiter="\t"),
        ".json": _write_json,
        ".parquet": _write_parquet,
    }
    ending = path.suffix.lower()
    write = writers.get(ending)
    if write is None:
        raise ConfigError(
            f"{path}: the ending names no format", hint=f"choose one of {', '.join(ENDINGS)}"
        )
    columns = {  # pyarrow takes no other byte order, and no longdouble
        name: column.astype(standard_type(column.dtype), copy=False)
        for name, column in columns.items()
    }
    types = {name: _type_code(column) for name, column in columns.items()}
    columns = {name: encodable_text(column) for name, column in columns.items()}
    document = {**about.to_json(), **(recorded or {}), "types": types}
    noted = ending in (".csv", ".tsv")  # the other formats have a place for it inside
    note, content = path.with_name(path.name + ABOUT_ENDING), json.dumps(document, indent=1)
    output = appearing_with_note(path, note, content.encode()) if noted else appearing(path)
    with disk_errors(path), output as file:
        write(file, columns, document)


def _type_code(column: Array) -> str:
    """Return the type as NumPy writes it; of text without its width."""
    return "<U" if column.dtype.kind == "U" else column.dtype.str


def rows(columns: Columns) -> Iterator[tuple[Any, ...]]:
    """Each row as Python values; NaN is None."""
    n = len(next(iter(columns.values())))
    for start in range(0, n, _ROWS):
        block = [_values(column[start : start + _ROWS]) for column in columns.values()]
        yield from zip(*block, strict=True)


def _values(column: Array) -> list[Any]:
    if column.dtype.kind == "f" and column.dtype != np.float64:
        column = column.astype("U").astype(np.float64)  # the digits of this width, not a double's
    values: list[Any] = column.tolist()
    if column.dtype.kind == "f" and np.isnan(column).any():
        return [None if value != value else value for value in values]
    return values


def _write_csv(
    file: BinaryIO, columns: Columns, _document: Mapping[str, Any], delimiter: str = ","
) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv_writer(text, delimiter)
    writer.writerow(columns)
    writer.writerows(rows(columns))
    text.detach()


def csv_writer(text: TextIO, delimiter: str = ",") -> Any:
    """Return a csv.writer that ends rows with a newline, and quotes carriage returns, too.

    Python quotes only the line breaks that are in its own line terminator, and reads both.
    """

    class Lines:
        def write(self, row: str) -> int:
            return text.write(row.removesuffix("\r\n") + "\n")

    return csv.writer(Lines(), delimiter=delimiter, lineterminator="\r\n")


def _write_json(file: BinaryIO, columns: Columns, document: Mapping[str, Any]) -> None:
    head = json.dumps({"about": document}, indent=1)[:-2]
    file.write(f'{head},\n "rows": [\n'.encode())
    infinite = any(c.dtype.kind == "f" and np.isinf(c).any() for c in columns.values())
    for n, row in enumerate(rows(columns)):
        if infinite:
            row = tuple(map(_spell_infinity, row))
        line = json.dumps(dict(zip(columns, row, strict=True)), allow_nan=False)
        file.write((",\n  " if n else "  ").encode() + line.encode())
    file.write(b"\n ]\n}\n")


def _spell_infinity(value: Any) -> Any:
    """Return infinity as text: JSON has no number for it."""
    if isinstance(value, float) and np.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _write_parquet(file: BinaryIO, columns: Columns, document: Mapping[str, Any]) -> None:
    with needing("parquet"):
        import pyarrow
        import pyarrow.parquet
    arrays = {name: pyarrow.array(column, from_pandas=True) for name, column in columns.items()}
    table = pyarrow.table(arrays).replace_schema_metadata({PARQUET_KEY: json.dumps(document)})
    pyarrow.parquet.write_table(table, file)
