"""Numbers out of a file of any known format: estimates, pairs, or one score for each example.

    numbers = read_numbers(Path("mine.csv"), Reading(column="el2n"))     # Scores

The column of the scores is never guessed; examples stand where the file, or the user, says that
they stand; and what the file does not record is not made up.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from memtools.documents import naming
from memtools.errors import ConfigError, SchemaError
from memtools.estimates.about import About, known_direction, read_about
from memtools.estimates.checked_arrays import CheckedArrays
from memtools.estimates.columns import (
    MAX_POSITION,
    SCORES,
    Roles,
    describe_roles,
    find_roles,
)
from memtools.estimates.file_formats import TABLES, recognise_format
from memtools.estimates.model import Estimates
from memtools.estimates.npy import read_header, read_npy
from memtools.estimates.npz import Array, header_of, scalar_of
from memtools.estimates.npz_scores import is_column, require_counted, scores_of_arrays
from memtools.estimates.pairs import MIN_INFL, MIN_MEM, HighInfluencePairs
from memtools.estimates.schema import kind_of, open_arrays
from memtools.estimates.score_columns import Reading, make_scores
from memtools.estimates.scores import Scores
from memtools.estimates.table_reader import Table, read_table
from memtools.files import disk_errors

Numbers = Estimates | HighInfluencePairs | Scores

_PAIRS = {
    "train_index": ("train_index", "tr_idx"),
    "test_index": ("test_index", "tt_idx"),
    "memorization": ("memorization", "mem"),
    "influence": ("influence", "infl"),
}


def read_numbers(path: Path, reading: Reading, about: About | None = None) -> Numbers:
    """Read a file of numbers.

    Args:
        path: An npz, npy, csv, tsv, json or parquet file.
        reading: How to read it.
        about: What a registry records of it, where its digest is known.

    Raises:
        SchemaError: It is damaged, or what it holds cannot be scores.
        ConfigError: It is in another format; its scores are not told by a name; or the user says
            what contradicts the file.
        DiskError: It is missing, or a directory.
    """
    format_ = recognise_format(path)
    if format_ in TABLES:
        return _from_table(read_table(path, format_), reading, about)
    if format_ == "npy":
        _require_unasked(path, reading, "a single array")
        about = about or About(source=str(path))
        roles = Roles("score", None, None, None)
        return make_scores(path, {"score": _read_npy(path)}, roles, reading, about, {})
    arrays = open_arrays(path, names=reading.names)
    with naming(path):
        return from_arrays(path, arrays, reading, about or read_about(arrays, path))


def from_arrays(path: Path, arrays: Mapping[str, Array], reading: Reading, about: About) -> Numbers:
    """Return the object that the arrays of an npz make; see `read_numbers`."""
    try:
        kind = kind_of(arrays)
    except SchemaError:
        is_named = reading.column in arrays or any(name.casefold() in SCORES for name in arrays)
        if not is_named and not any(is_column(arrays, name) for name in arrays):
            raise
        kind = "scores"
    if kind == "pairs" and not {"tt_idx", "infl"} & set(arrays):
        kind = "scores"  # whose positions are called tr_idx
    if kind == "scores":
        return scores_of_arrays(path, arrays, reading, about)
    _require_unasked(path, reading, kind)
    about = _complete(about, reading)
    if kind == "pairs":
        return _pairs_of(path, arrays, about)
    require_counted(path, arrays)
    checked = arrays if isinstance(arrays, CheckedArrays) else CheckedArrays(arrays)
    return Estimates(checked, about)


def _complete(about: About, reading: Reading) -> About:
    """Return what is known of memorization, whose direction is its definition."""
    direction = about.direction or known_direction("memorization")
    about = dataclasses.replace(about, direction=direction)
    return reading.declaration.complete(about, "memorization")


def _require_unasked(path: Path, reading: Reading, what: str) -> None:
    """Refuse options that the file leaves no room for."""
    if reading.column:
        raise ConfigError(
            f"{path} holds {what}, and no columns to choose from",
            hint="leave out --column (column=)",
        )
    if reading.index is not None and what != "a single array":
        raise ConfigError(
            f"{path} holds {what}, which records its positions",
            hint="leave out --index (index=): it is for files of scores",
        )


def _pairs_of(path: Path, arrays: Mapping[str, Array], about: About) -> HighInfluencePairs:
    names = ("tr_idx", "tt_idx", "mem", "infl")
    headers = {name: header_of(arrays, name) for name in names if name in arrays}
    wrong = next((name for name in names if name not in headers), None)
    kinds = {name: "iu" if name.endswith("idx") else "iuf" for name in names}
    why = "is missing"
    if wrong is None:
        shape = headers["tr_idx"][0]
        fits = {
            n: len(s) == 1 and s == shape and d.kind in kinds[n] for n, (s, d) in headers.items()
        }
        wrong = next((name for name in names if not fits[name]), None)
        why = "is not one number for each pair"
    if wrong is None:
        wrong = next((name for name in ("mem", "infl") if np.isnan(arrays[name]).any()), None)
        why = "holds NaN"
    if wrong is not None:
        raise SchemaError(
            f"{path}: {wrong} {why}", hint="a list of pairs has tr_idx, tt_idx, mem and infl, [n]"
        )
    return HighInfluencePairs(
        about,
        _as_index(arrays["tr_idx"], f"{path}: tr_idx"),
        _as_index(arrays["tt_idx"], f"{path}: tt_idx"),
        arrays["mem"],
        arrays["infl"],
        _threshold(path, arrays, "min_mem", MIN_MEM),
        _threshold(path, arrays, "min_infl", MIN_INFL),
    )


def _threshold(path: Path, arrays: Mapping[str, Array], name: str, published: float) -> float:
    """Return a threshold above which a list of pairs is complete, as the file records it."""
    value = scalar_of(arrays, name, "iuf") if name in arrays else published
    if not np.isfinite(value):
        raise SchemaError(f"{path}: {name} is {value}", hint="write the list of pairs anew")
    return float(value)


def _as_index(column: Array, where: str) -> Array:
    """Return the examples of pairs as int64 [n_pairs]; SchemaError for what is not a position."""
    wrong = np.flatnonzero((column < 0) | (column > MAX_POSITION))
    if len(wrong):
        raise SchemaError(
            f"{where} holds {column[wrong[0]]}, which is not the position of an example",
            hint="positions count from 0: repair the list",
        )
    return column.astype(np.int64, copy=False)


# ---- npy and npz


def _read_npy(path: Path) -> Array:
    """Read a single array; one of Python objects is refused with the lines that convert it."""
    with disk_errors(path), path.open("rb") as file:
        try:
            header = read_header(file)
        except SchemaError:
            return read_npy(path)  # which names the file
    if header.dtype.kind != "O":
        return read_npy(path)
    source, target = json.dumps(str(path)), json.dumps(str(path.with_suffix("")) + "-plain")
    loaded = f"numpy.load({source}, allow_pickle=True)"
    save = f"numpy.save({target}, {loaded}.astype(float))"
    if header.shape == ():
        save = f"numpy.savez({target}, **{loaded}.item())"
    raise SchemaError(
        f"{path} is a pickle of Python objects (dtype object), not numbers",
        hint=f"convert it, if you trust its source: import numpy; {save}",
    )


# ---- tables


def _from_table(table: Table, reading: Reading, about: About | None) -> Scores | HighInfluencePairs:
    """Return the scores or the pairs of a table."""
    about = about or table.about
    found = {
        role: next((name for name in names if name in table.columns), None)
        for role, names in _PAIRS.items()
    }
    if not reading.column and None not in found.values():
        return _pairs_of_table(table, found, reading, about)  # type: ignore[arg-type]
    recorded = {k: table.metadata[k] for k in ("quantity", "n", "partial") if k in table.metadata}
    column = reading.column
    if not column and recorded.get("quantity") in table.columns:
        column = str(recorded["quantity"])
    roles = find_roles(
        table.columns,
        where=str(table.path),
        column=column,
        from_one=reading.index is not None or "n" in recorded,
    )
    notes: tuple[str, ...] = ()
    if not recorded:
        notes = (describe_roles(roles, str(table.path)),)
    elif reading.column and roles.score != recorded.get("quantity"):
        recorded.pop("quantity", None)
        about = dataclasses.replace(about, definition="", direction="")
        notes = (describe_roles(roles, str(table.path)),)
    return make_scores(table.path, table.columns, roles, reading, about, recorded, notes)


def _pairs_of_table(
    table: Table, found: Mapping[str, str], reading: Reading, about: About
) -> HighInfluencePairs:
    _require_unasked(table.path, reading, "pairs")
    columns = {role: table.columns[name] for role, name in found.items()}
    for role, column in columns.items():
        kinds = "iu" if role.endswith("index") else "iuf"
        if len(column) and (column.dtype.kind not in kinds or np.isnan(column).any()):
            raise SchemaError(
                f"{table.path}: column {found[role]} holds {column.dtype} or gaps, not"
                f" {'positions' if kinds == 'iu' else 'numbers'}",
                hint="a list of pairs needs a position of each side, memorization and influence",
            )
    memorization, influence = columns["memorization"], columns["influence"]
    least = (float(memorization.min(initial=MIN_MEM)), float(influence.min(initial=MIN_INFL)))
    return HighInfluencePairs(
        _complete(about, reading),
        _as_index(columns["train_index"], f"{table.path}: column {found['train_index']}"),
        _as_index(columns["test_index"], f"{table.path}: column {found['test_index']}"),
        memorization,
        influence,
        float(table.metadata.get("min_mem", least[0])),
        float(table.metadata.get("min_infl", least[1])),
    )
