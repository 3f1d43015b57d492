"""Scores out of columns: values that are numbers, at the positions that a file or a user names.

    make_scores(path, columns, roles, Reading(), about, recorded={})

What can be read in more than one way is refused, or noted in `Scores.notes`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.errors import ConfigError, SchemaError
from memtools.estimates.about import About, Declaration, known_direction, quantity_in
from memtools.estimates.checked_arrays import MOST_CLASSES
from memtools.estimates.columns import BESIDE, SCORES, Roles, as_positions
from memtools.estimates.npz import Array
from memtools.estimates.position_files import as_index
from memtools.estimates.scores import Scores
from memtools.estimates.tfds_ids import require_official, train_positions

_QUANTITIES = {
    "memorization": "memorization",
    "mem": "memorization",
    "cscore": "c_score",
    "c_score": "c_score",
    "influence": "influence",
}
_RESERVED = {"index", "label", "filename", *BESIDE}
_UNNAMED = re.compile(r"(arr_)?\d*")  # what NumPy and pandas call an array without a name


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """How a file is to be read, where it does not record it itself.

    Attributes:
        column: The column of a table, or the array of an npz, that holds the scores.
        index: The position of each value, int [n]; a mask, bool [n_all]; or a file with either.
        declaration: What the user says of the numbers.
        names: Whether names may be read that are kept as Python objects.
        quantity: What the scores are, where a registry tells it.
    """

    column: str = ""
    index: Any = None
    declaration: Declaration = dataclasses.field(default_factory=Declaration)
    names: bool = False
    quantity: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class _Places:
    """The places of values: position int64 [n], of `n_all` examples; partial: as of Scores."""

    position: NDArray[np.int64]
    n_all: int
    partial: bool

    def place(self, values: Array, gap: Any) -> Array:
        """Return values [n_all] in the order of the positions, `gap` where there is none."""
        placed = np.full(self.n_all, gap, values.dtype)
        placed[self.position] = values
        return placed

    @property
    def has_gaps(self) -> bool:
        return self.n_all > len(self.position)

    @property
    def is_identity(self) -> bool:
        return not self.has_gaps and bool(np.array_equal(self.position, np.arange(self.n_all)))


def make_scores(
    path: Path,
    columns: Mapping[str, Array],
    roles: Roles,
    reading: Reading,
    about: About,
    recorded: Mapping[str, Any],
    notes: tuple[str, ...] = (),
) -> Scores:
    """Make scores of the columns of a file.

    Args:
        path: The file, for messages.
        columns: By name, each [n]; the scores may be [n, 1].
        roles: Which column has which role; there is a score.
        reading: What the user says.
        about: What the file or a registry records.
        recorded: What memtools recorded when it wrote the file: `quantity`, `n`, `partial`.
        notes: How the score was chosen.

    Raises:
        SchemaError: The values are not one number for each example, or positions cannot be.
        ConfigError: The user says what contradicts the file.
    """
    name = roles.score or ""
    values, value_notes = _check_values(columns[name], f"{path}: {name}", quiet=bool(recorded))
    quantity = _quantity(name, about, recorded, reading)
    named = _positions_of_ids(columns, roles, about)
    if named is not None:
        require_official(str(path), reading.declaration.order)
        about = dataclasses.replace(about, order="official")
    about = dataclasses.replace(about, direction=about.direction or known_direction(quantity))
    about = reading.declaration.complete(about, quantity)
    beside = {key: columns[key] for key in BESIDE if key in columns and key != name}
    scores = Scores(
        about,
        quantity,
        values,
        _labels(path, columns, roles),
        None if roles.name is None or named is not None else columns[roles.name].astype("U"),
        **beside,
        partial=bool(recorded.get("partial", False)),
        notes=(*notes, *value_notes, *roles.notes),
    )
    places, place_notes = _find_places(path, columns, roles, reading, recorded, named)
    if places is None:
        return scores
    by_user = reading.index is not None
    return _placed(
        dataclasses.replace(scores, notes=(*scores.notes, *place_notes)), places, by_user
    )


def _quantity(name: str, about: About, recorded: Mapping[str, Any], reading: Reading) -> str:
    """Return what the scores are: as recorded, else as the column or the direction names it."""
    known = recorded.get("quantity") or reading.quantity or _QUANTITIES.get(name.casefold())
    if known or (known := quantity_in(about.direction)):
        return str(known)
    is_general = name.casefold() in SCORES or name.casefold() in _RESERVED
    return "score" if is_general or _UNNAMED.fullmatch(name) else name


def _labels(path: Path, columns: Mapping[str, Array], roles: Roles) -> Array | None:
    if roles.label is None:
        return None
    labels = columns[roles.label]
    for label in (labels.min(initial=0), labels.max(initial=0)):
        if abs(float(label)) >= MOST_CLASSES:  # before the cast, which wraps around
            raise SchemaError(
                f"{path}: column {roles.label} holds {label}, which is not a label",
                hint="labels count from 0: repair that column, or rename it",
            )
    return labels if labels.dtype.kind in "iu" else labels.astype(np.int64)


def _check_values(values: Array, where: str, *, quiet: bool) -> tuple[Array, list[str]]:
    """Return values as numbers [n], and what is unusual about them; SchemaError for others."""
    notes = []
    if values.ndim == 2 and values.shape[1] == 1:
        notes.append(f"{where} has the shape {list(values.shape)}: read as one column")
        values = values[:, 0]
    if values.ndim != 1:
        columns = ": each column is one score, so give one of them" if values.ndim == 2 else ""
        raise SchemaError(
            f"{where} has the shape {list(values.shape)}, and scores are [n]",
            hint=f"one number for each example{columns}",
        )
    if values.dtype.kind == "b":
        raise SchemaError(
            f"{where} holds booleans, not numbers", hint="a mask of examples is given as --index"
        )
    if values.dtype.kind not in "iuf":
        wrong = next((k for k, v in enumerate(values.tolist()) if not _is_number(v)), 0)
        shown = f" (row {wrong + 2} is {values[wrong]!s:.40})" if len(values) else ""
        raise SchemaError(
            f"{where} holds {_words(values)}{shown}, not numbers",
            hint="one number for each example; an empty field or NaN where there is none",
        )
    if not len(values):
        raise SchemaError(f"{where} holds no values", hint="it needs one for each example")
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    n_nan, n_inf = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    if n_nan and not quiet:
        notes.append(f"{where}: {n_nan:,} of {len(values):,} values are NaN: they have no score")
    if n_inf:
        notes.append(f"{where}: {n_inf:,} values are infinite: they are extremes of a ranking")
    return values, notes


def _words(values: Array) -> str:
    return {"U": "text", "S": "text", "O": "mixed values"}.get(values.dtype.kind, str(values.dtype))


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _find_places(
    path: Path,
    columns: Mapping[str, Array],
    roles: Roles,
    reading: Reading,
    recorded: Mapping[str, Any],
    named: NDArray[np.int64] | None,
) -> tuple[_Places | None, list[str]]:
    """Return where the values belong, and words about it; None where they stay as they are.

    named: the positions that ids of TFDS name, int64 [n], or None.
    """
    column, n = None, len(columns[roles.score or ""])
    if roles.position is not None:
        where = f"{path}: column {roles.position}"
        column = as_positions(columns[roles.position], where, from_one=True)  # looked at already
    if named is not None:
        return _places_of_ids(path, named, column, reading)
    if reading.index is not None:
        position, n_all = as_index(reading.index, n)
        if column is not None and not np.array_equal(column, position):
            raise ConfigError(
                f"{path} has positions of its own, in column {roles.position!r}, and the index"
                " gives others",
                hint="leave out --index (index=), or rename that column",
            )
        words = "the index"
    elif column is not None:
        position, n_all = column, recorded.get("n")
        words = f"column {roles.position or 'without a name, the first,'}"
    else:
        return None, []
    highest = int(position.max(initial=-1)) + 1
    if n_all is not None and highest > n_all:
        raise SchemaError(
            f"{path}: position {highest - 1} is beyond the {n_all:,} examples",
            hint="positions count from 0; is the table of another data set?",
        )
    places = _Places(position, highest if n_all is None else n_all, n_all is None)
    if "n" in recorded:
        places = dataclasses.replace(places, partial=bool(recorded.get("partial", False)))
    if "n" in recorded and places.is_identity:
        return places, []
    if reading.index is None and places.is_identity:  # pandas counts the rows of any table so
        places = dataclasses.replace(places, partial=False)
        return places, [f"{path}: {words} counts all {n:,} rows in order"]
    return places, [f"{path}: {n:,} values placed by {words}, at {places.n_all:,} positions"]


def _positions_of_ids(
    columns: Mapping[str, Array], roles: Roles, about: About
) -> NDArray[np.int64] | None:
    """Return the positions that names are which are ids of TFDS, int64 [n]; None for others.

    Where another order is recorded, the names are left to those who join by them.
    """
    if roles.name is None or about.order not in ("", "official", "file"):
        return None
    return train_positions(columns[roles.name])


def _places_of_ids(
    path: Path, named: NDArray[np.int64], column: NDArray[np.int64] | None, reading: Reading
) -> tuple[_Places, list[str]]:
    """Return the places that ids of TFDS name; ConfigError if other positions contradict them."""
    n = len(named)
    given = column
    if given is not None and np.array_equal(given, np.arange(n)):
        given = None  # it counts the rows
    if reading.index is not None:
        given, _ = as_index(reading.index, n)
    if given is not None and not np.array_equal(given, named):
        raise ConfigError(
            f"{path} holds ids of TFDS, which name positions, and the"
            f" {'index gives' if reading.index is not None else 'column of positions has'} others",
            hint="leave out --index (index=), or remove the column that is wrong",
        )
    positions = as_positions(named, f"{path}: the ids", from_one=True)
    n_all = int(positions.max(initial=-1)) + 1
    words = f"{path}: {n:,} values placed by ids of TFDS, at {n_all:,} positions"
    return _Places(positions, n_all, True), [words]


def _placed(scores: Scores, places: _Places, by_user: bool) -> Scores:
    """Return scores at their positions; rows with names stay as they are where some are missing."""
    if scores.filenames is not None and places.has_gaps and not by_user:
        about = dataclasses.replace(scores.about, order="file")
        note = "some positions are missing: the rows are known by their names"
        return dataclasses.replace(scores, about=about, notes=(*scores.notes[:-1], note))
    if places.is_identity:
        return dataclasses.replace(scores, partial=places.partial)
    names, labels = scores.filenames, scores.labels
    if names is not None and places.has_gaps:
        names = None
    gaps: dict[str, float] = {"standard_error": np.nan, "n_in": 0, "n_out": 0}
    if labels is not None and places.has_gaps:
        labels = labels.astype(np.int64)  # which has room for -1
    beside: dict[str, Any] = {key: getattr(scores, key) for key in BESIDE}
    for key, column in beside.items():
        if column is not None:
            beside[key] = places.place(column, gaps[key])
    return dataclasses.replace(
        scores,
        values=places.place(scores.values, np.nan),
        labels=None if labels is None else places.place(labels, -1 if places.has_gaps else 0),
        filenames=None if names is None else places.place(names, ""),
        **beside,
        partial=places.partial,
    )
