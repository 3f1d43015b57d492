"""Scores out of the arrays of an npz: which array they are, and what stands beside them.

    scores_of_arrays(path, arrays, Reading(), about)

An array beside the scores that identifies examples is used, or it is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memtools.errors import SchemaError
from memtools.estimates.about import About
from memtools.estimates.columns import (
    BESIDE,
    LABELS,
    NAMES,
    PERHAPS_CLASSES,
    POSITIONS,
    SCORES,
    UNNAMED,
    choose_score,
    find_roles,
)
from memtools.estimates.model import as_text
from memtools.estimates.npz import Array, header_of, scalar_of
from memtools.estimates.positions import looks_like_positions, parse_positions
from memtools.estimates.score_columns import Reading, make_scores
from memtools.estimates.scores import Scores

_BOTH_WAYS = {"position", "inverse", "found"}  # of an alignment that memtools wrote


def is_column(arrays: Mapping[str, Array], name: str) -> bool:
    """Return whether an array of an npz may be one number for each example: [n], or [n, 1]."""
    shape, dtype = header_of(arrays, name)
    return dtype.kind in "iuf" and (len(shape) == 1 or shape[1:] == (1,))


def scores_of_arrays(
    path: Path, arrays: Mapping[str, Array], reading: Reading, about: About
) -> Scores:
    """Return the scores of an npz, with the arrays beside them that have a role."""
    score = _choose_array(path, arrays, reading.column)
    own = "about" in arrays
    columns = {score: arrays[score], **_columns_beside(path, arrays, score)}
    n = len(columns[score]) if columns[score].ndim else 0
    recorded: dict[str, Any] = {}
    if own:
        partial = "partial" in arrays and scalar_of(arrays, "partial", "b")
        recorded = {"n": n, "partial": partial}
    if score != "scores" and "scores" in arrays:  # what is recorded is of the other array
        about = dataclasses.replace(about, definition="", direction="")
        reading = dataclasses.replace(reading, quantity="")
    elif "quantity" in arrays:
        recorded["quantity"] = scalar_of(arrays, "quantity", "U")
    roles = find_roles(columns, where=str(path), column=score, from_one=reading.index is not None)
    notes = () if score == "scores" else (f"{path}: the scores are the array {score!r}",)
    return make_scores(path, columns, roles, reading, about, recorded, notes)


def _columns_beside(path: Path, arrays: Mapping[str, Array], score: str) -> dict[str, Array]:
    """Return the arrays beside the scores that have a role, or may be positions, each [n].

    Raises SchemaError for positions, names or labels that are not one for each example.
    """
    skipped = {score, *(_BOTH_WAYS if "about" in arrays else ())}
    with_roles = {*POSITIONS, *NAMES, *LABELS, *BESIDE}
    shape_of_scores = header_of(arrays, score)[0]
    n = shape_of_scores[0] if shape_of_scores else 0
    columns: dict[str, Array] = {}
    for name in [each for each in arrays if each not in skipped]:
        shape, dtype = header_of(arrays, name)
        has_role = name.casefold() in with_roles or name in UNNAMED
        if shape in ((n,), (n, 1)) and (has_role or dtype.kind in "iu"):
            column = arrays[name].reshape(n)
            columns[name] = as_text(column) if column.dtype.kind == "S" else column  # type: ignore[assignment]
        elif has_role and shape and name.casefold() not in PERHAPS_CLASSES:
            raise SchemaError(
                f"{path}: {name} has the shape {list(shape)}, and there are {n:,} scores",
                hint=f"{name!r} tells something of each example: give one for each, or remove it",
            )
    return columns


def _choose_array(path: Path, arrays: Mapping[str, Array], column: str) -> str:
    """Return the name of the array of scores: `scores`, the only one, or that the user names."""
    if column or "scores" in arrays:
        return choose_score(
            dict.fromkeys(arrays, _NONE), where=str(path), column=column or "scores"
        )
    candidates = [name for name in arrays if is_column(arrays, name)]
    floats = [name for name in candidates if header_of(arrays, name)[1].kind == "f"]
    known = [name for name in candidates if name.casefold() in SCORES]
    if not known:  # whose shape or type is then said
        candidates += [name for name in arrays if name.casefold() in SCORES]
    if len(floats) == 1 and known in ([], floats):
        return floats[0]
    return choose_score(dict.fromkeys(candidates, _NONE), where=str(path))


_NONE: Array = np.empty(0)


def require_counted(path: Path, arrays: Mapping[str, Array]) -> None:
    """Raise SchemaError for estimates with positions beside them: they stand as their rows do."""
    for name in arrays:
        is_named = name.casefold() in POSITIONS or name in UNNAMED
        if not is_named and name.startswith(("tr_", "tt_", "infl_matrix", "infl_se")):
            continue  # there are thousands of these, and a header takes a tenth of a millisecond
        shape, dtype = header_of(arrays, name)
        is_unknown = len(shape) == 1
        if dtype.kind not in "iufUS" or not (is_named or (is_unknown and dtype.kind in "iu")):
            continue
        column = arrays[name].reshape(-1)
        parsed = parse_positions(column)
        column = column if parsed is None else parsed
        if is_named and np.array_equal(column, np.arange(len(column))):
            continue
        if is_named or looks_like_positions(column):
            raise SchemaError(
                f"{path} holds estimates and the array {name!r} {list(shape)}: positions other"
                " than those of the rows are not read there",
                hint=f"put all arrays into the order of the examples, and leave {name!r} out;"
                " or write the scores alone, with their positions",
            )
