"""Tables out of estimates, one row for each example or pair: csv, json or parquet.

    write_table(Path("scores.csv"), score_columns(estimates.scores), about)

A csv has no place for what its numbers mean, so `scores.csv.about.json` is written
beside it; json and parquet carry it inside. Numbers are written with just as many
digits as give the same number back; NaN is an empty field, or null.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from memtools.errors import ConfigError, MemtoolsError
from memtools.estimates.about import About
from memtools.estimates.npz import Array
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.scores import Scores
from memtools.files import appearing, disk_errors, write_atomically

Columns = Mapping[str, Array]

_ROWS = 1 << 16  # rows that are text at one time


def score_columns(scores: Scores) -> Columns:
    """index, label, filename, the quantity, and its errors and counts where known: each [n]."""
    columns = {
        "index": np.arange(len(scores)),
        "label": scores.labels,
        "filename": scores.filenames,
        scores.quantity: scores.values,
        "standard_error": scores.standard_error,
        "n_in": scores.n_in,
        "n_out": scores.n_out,
    }
    return {name: column for name, column in columns.items() if column is not None}


def pair_columns(pairs: HighInfluencePairs) -> Columns:
    """train_index, test_index, memorization, influence: each [n_pairs]."""
    return {
        "train_index": pairs.train_index,
        "test_index": pairs.test_index,
        "memorization": pairs.memorization,
        "influence": pairs.influence,
    }


def write_table(path: Path, columns: Columns, about: About) -> None:
    """Write a table in the format that the ending of `path` names, whole or not at all.

    Raises ConfigError for another ending, MemtoolsError where pyarrow is missing.
    """
    writers = {".csv": _write_csv, ".json": _write_json, ".parquet": _write_parquet}
    write = writers.get(path.suffix.lower())
    if write is None:
        raise ConfigError(
            f"{path}: the ending names no format", hint=f"choose one of {', '.join(writers)}"
        )
    with disk_errors(path), appearing(path) as file:
        write(file, columns, dataclasses.asdict(about))
    if write is _write_csv:
        beside = path.with_name(path.name + ".about.json")
        with disk_errors(beside):
            write_atomically(beside, json.dumps(dataclasses.asdict(about), indent=1).encode())


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


def _write_csv(file: BinaryIO, columns: Columns, _about: Mapping[str, str]) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows(columns))
    text.detach()


def _write_json(file: BinaryIO, columns: Columns, about: Mapping[str, str]) -> None:
    head = json.dumps({"about": about}, indent=1)[:-2]
    file.write(f'{head},\n "rows": [\n'.encode())
    for n, row in enumerate(rows(columns)):
        line = json.dumps(dict(zip(columns, row, strict=True)), allow_nan=False)
        file.write((",\n  " if n else "  ").encode() + line.encode())
    file.write(b"\n ]\n}\n")


def _write_parquet(file: BinaryIO, columns: Columns, about: Mapping[str, str]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MemtoolsError(
            "parquet needs pyarrow, which is not installed",
            hint="pip install 'memtools[parquet]', or choose csv",
        ) from error
    arrays = {name: pyarrow.array(column, from_pandas=True) for name, column in columns.items()}
    table = pyarrow.table(arrays).replace_schema_metadata({"memtools": json.dumps(about)})
    pyarrow.parquet.write_table(table, file)
