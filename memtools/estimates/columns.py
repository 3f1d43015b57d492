"""The role of each column of a table: score, position, name, label, or none of them.

    roles = find_roles({"Unnamed: 0": ..., "memorization": ..., "label": ...}, where="scores.csv")
    roles.score, roles.position, roles.label     # "memorization", "Unnamed: 0", "label"

A role is told by the name of the column together with what it holds. The score is never guessed:
it is the only column that has one of the known names, or the one that the user names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from memtools.errors import ConfigError, SchemaError
from memtools.estimates.npz import Array

SCORES = ("score", "scores", "memorization", "mem", "influence", "cscore", "c_score")
POSITIONS = ("index", "idx", "id", "image_id", "position")
UNNAMED = ("", "Unnamed: 0", "__index_level_0__")
"""The names that an index has which pandas wrote."""
NAMES = (
    "filename",
    "file_name",
    "filenames",
    "file",
    "image_path",
    "path",
    "image_name",
    "image",
    "name",
    "names",
    "id",
    "image_id",
    "index",
)
"""Names of columns of file names, in the order in which they are preferred."""
LABELS = ("label", "labels", "target", "targets", "fine_label", "class")

MAX_POSITION = 1 << 27  # scores of so many take a gigabyte
_FEW = 20  # positions of which a missing 0 tells nothing
_HINT_POSITIONS = "correct that column; or rename it, if it does not hold positions"


@dataclasses.dataclass(frozen=True)
class Roles:
    """Which column has which role; None where there is none.

    Attributes:
        score: The column of the scores; None if none was asked for.
        position: That of the positions of the examples, counted from 0.
        name: That of file names or ids, each different from the others.
        label: That of labels.
        notes: What a user should know of the choice, a sentence each.
    """

    score: str | None
    position: str | None
    name: str | None
    label: str | None
    notes: tuple[str, ...] = ()


def find_roles(
    columns: Mapping[str, Array],
    *,
    where: str,
    column: str = "",
    need_score: bool = True,
    from_one: bool = False,
) -> Roles:
    """Find the role of each column.

    Args:
        columns: By name, each [n].
        where: The file, for messages.
        column: The column of the scores, where the user names it.
        need_score: Whether a table without scores is refused.
        from_one: As for `as_positions`.

    Raises:
        ConfigError: No column, or more than one, can be the score, or there is none of the name
            that the user gives.
        SchemaError: A column has the name of a role and cannot have it: positions that come twice
            or count from 1, for example.
    """
    score = choose_score(columns, where=where, column=column) if need_score or column else None
    others = {name: values for name, values in columns.items() if name != score}
    position = _find_position(others, where, next(iter(columns), None), from_one)
    name = _find_name({key: each for key, each in others.items() if key != position}, where)
    label, notes = _find_label(others)
    return Roles(score, position, name, label, notes)


def choose_score(columns: Mapping[str, Array], *, where: str, column: str = "") -> str:
    """Return the name of the column of scores; ConfigError lists the columns if it is not clear."""
    shown = ", ".join(name or "(without a name)" for name in columns)
    if column:
        if column in columns:
            return column
        same = [name for name in columns if name.casefold() == column.casefold()]
        if len(same) == 1:
            return same[0]
        raise ConfigError(f"{where} has no column {column!r}", hint=f"its columns are {shown}")
    found = [name for name in columns if name.casefold() in SCORES]
    if len(found) == 1:
        return found[0]
    what = (
        "has no column with a known name of scores" if not found else f"has {' and '.join(found)}"
    )
    raise ConfigError(
        f"{where} {what}: which column holds the scores?",
        hint=f"name it: --column NAME, column= in Python; its columns are {shown}",
    )


def as_positions(values: Array, where: str, *, from_one: bool = False) -> NDArray[np.int64]:
    """Return positions as int64 [n].

    Args:
        values: The positions, each once, counted from 0.
        where: What holds them, for messages.
        from_one: Whether 1 to n are accepted as they are, since somebody said that they count
            from 0.

    Raises:
        SchemaError: They cannot be positions.
    """
    if not _is_whole(values):
        raise SchemaError(f"{where} holds {values.dtype}, not positions", hint=_HINT_POSITIONS)
    found = values.astype(np.int64)
    n = len(found)
    if not n:
        return found
    if found.min() < 0:
        row = int(np.argmin(found))
        raise SchemaError(
            f"{where}: position {found[row]} (row {row + 2}) is below 0", hint=_HINT_POSITIONS
        )
    if found.max() > MAX_POSITION:
        raise SchemaError(
            f"{where}: {found.max()} is too large for a position", hint=_HINT_POSITIONS
        )
    order = np.argsort(found, kind="stable")
    again = np.flatnonzero(np.diff(found[order]) == 0)
    if len(again):
        first, second = sorted(order[again[0] : again[0] + 2].tolist())
        raise SchemaError(
            f"{where}: position {found[first]} comes twice (rows {first + 2} and {second + 2})",
            hint=_HINT_POSITIONS,
        )
    if not from_one:
        _require_zero_based(found, where)
    return found


def _require_zero_based(found: NDArray[np.int64], where: str) -> None:
    """Raise SchemaError for positions that may as well count from 1.

    Without 0, most of 1 to the highest is what numbers from 1 look like of which some were left
    out. Of few positions nothing can be told.
    """
    n, highest = len(found), int(found.max())
    if found.min() != 1 or n < 2 or (n < highest and (n < _FEW or n < highest / 2)):
        return
    held = f"1 to {n:,}" if n == highest else f"{n:,} of 1 to {highest:,}, and 0 is missing"
    raise SchemaError(
        f"{where} holds {held}; positions count from 0",
        hint="subtract 1 if they count from 1; if they do not, give them as an index (--index);"
        " rename the column if it does not hold positions",
    )


def _find_position(
    columns: Mapping[str, Array], where: str, first: str | None, from_one: bool
) -> str | None:
    """Return the column of positions: of a known name, else the first if it has no name."""
    known = [name for name in columns if name.casefold() in POSITIONS]
    known += [name for name in UNNAMED if name in columns and (name or first == "")]
    for name in known:
        _require_whole(columns[name], f"{where}: column {name or '(without a name)'}")
    whole = [name for name in known if _is_whole(columns[name])]
    candidates = [name for name in whole if name not in UNNAMED] or whole
    if not candidates:
        return None
    one = columns[candidates[0]]
    other = next((name for name in candidates if not np.array_equal(columns[name], one)), None)
    if other is not None:
        raise ConfigError(
            f"{where}: columns {candidates[0]!r} and {other!r} both hold integers and differ:"
            " which are the positions?",
            hint="rename the other one, or remove it",
        )
    shown = candidates[0] or "(without a name)"
    as_positions(one, f"{where}: column {shown}", from_one=from_one)
    return candidates[0]


def _require_whole(values: Array, where: str) -> None:
    """Raise SchemaError for numbers that are not positions: gaps, or fractions."""
    if values.dtype.kind not in "fO" or not len(values) or _is_whole(values):
        return
    wrong = next((k for k, each in enumerate(values.tolist()) if not _is_integer(each)), None)
    if wrong is not None and not all(each is None for each in values.tolist()):
        raise SchemaError(
            f"{where} is {values[wrong]!s:.40} in row {wrong + 2}, and positions are integers",
            hint=_HINT_POSITIONS,
        )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _find_name(columns: Mapping[str, Array], where: str) -> str | None:
    """Return the column of names: text, no two alike."""
    by_folded = {name.casefold(): name for name in columns}
    for known in NAMES:
        name = by_folded.get(known)
        if name is None:
            continue
        values = columns[name]
        if values.dtype.kind == "O" and any(isinstance(each, str) for each in values.tolist()):
            raise SchemaError(
                f"{where}: column {name} holds names and gaps",
                hint="each example needs a name: repair the table, or remove that column",
            )
        if values.dtype.kind not in "US":
            continue
        distinct, first = np.unique(values, return_index=True)
        if len(distinct) == len(values):
            return name
        if known not in ("name", "names", "image"):  # which may be the name of the class
            row = int(np.setdiff1d(np.arange(len(values)), first)[0])
            raise SchemaError(
                f"{where}: column {name}: {values[row]!s} comes twice (row {row + 2})",
                hint="each example may come once: repair the table",
            )
    return None


def _find_label(columns: Mapping[str, Array]) -> tuple[str | None, tuple[str, ...]]:
    """Return the column of labels, and a note where there are labels that are not used."""
    found = [name for name in columns if name.casefold() in LABELS]
    usable = [name for name in found if _is_whole(columns[name])]
    if not found:
        return None, ()
    if not usable:
        return None, (f"column {found[0]} does not hold integers: it is not used as labels",)
    one = columns[usable[0]]
    if all(np.array_equal(columns[name], one) for name in usable):
        return usable[0], ()
    return None, (f"columns {' and '.join(usable)} differ: none is used as labels",)


def _is_whole(values: Array) -> bool:
    """Return whether all values are integers, of whatever type."""
    if values.dtype.kind in "iu":
        return True
    if values.dtype.kind != "f" or not len(values):
        return False
    return bool(np.isfinite(values).all() and (values == np.floor(values)).all())


def describe_roles(roles: Roles, where: str) -> str:
    """Return a sentence that names the columns that were chosen, without that of positions."""
    named = {"scores": roles.score, "names": roles.name, "labels": roles.label}
    chosen = [f"the {role} are the column {name!r}" for role, name in named.items() if name]
    return f"{where}: {', '.join(chosen)}"
