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

from memtools.errors import ConfigError, SchemaError
from memtools.estimates.npz import Array
from memtools.estimates.positions import MAX_POSITION as MAX_POSITION
from memtools.estimates.positions import POSITIONS as POSITIONS
from memtools.estimates.positions import UNNAMED as UNNAMED
from memtools.estimates.positions import as_positions as as_positions
from memtools.estimates.positions import (
    is_whole,
    looks_like_positions,
    parse_positions,
    require_no_positions,
)

SCORES = ("score", "scores", "memorization", "mem", "influence", "cscore", "c_score")
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
    *("id", "image_id", "index"),
    *POSITIONS,
)
"""Names of columns of file names, in the order in which they are preferred."""
LABELS = ("label", "labels", "target", "targets", "fine_label", "class")
PERHAPS_CLASSES = ("name", "names", "image")
"""The names among them that a column of the names of classes, or of images, may have, too."""
BESIDE = ("standard_error", "n_in", "n_out")
"""The columns that memtools writes beside a score."""

_UNNAMED = tuple(name.casefold() for name in UNNAMED)
_OF_FILES = tuple(name for name in NAMES if name not in (*PERHAPS_CLASSES, *POSITIONS))
_HINT_POSITIONS = "correct that column; or rename it, if it does not hold positions"


@dataclasses.dataclass(frozen=True)
class Roles:
    """The column that has each role; None where there is none.

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
            that the user gives; or a column without a role looks like positions.
        SchemaError: A column has the name of a role and cannot have it: positions that come twice
            or count from 1, for example.
    """
    score = choose_score(columns, where=where, column=column) if need_score or column else None
    columns = read_digits(columns, score)
    others = {name: values for name, values in columns.items() if name != score}
    position = find_position(others, where, next(iter(columns), None), from_one)
    named = {key: each for key, each in others.items() if key != position}
    name = _find_name(named, where, next(iter(columns), None))
    label, notes = _find_label(others)
    if name is None and (position is None or position in UNNAMED):
        rest = _without_role(others, position)
        require_no_positions(rest, where, None if score is None else columns[score])
    return Roles(score, position, name, label, notes)


def read_digits(columns: Mapping[str, Array], score: str | None = None) -> dict[str, Array]:
    """Return columns in which text under the name of positions is integers, if all is digits."""
    found = dict(columns)
    for name, column in columns.items():
        if name != score and (name.casefold() in POSITIONS or name in UNNAMED):
            positions = parse_positions(column)
            found[name] = column if positions is None else positions
    return found


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


def find_position(
    columns: Mapping[str, Array], where: str, first: str | None, from_one: bool = False
) -> str | None:
    """Return the column of positions: of a known name, else the first if it has no name.

    Args:
        columns: By name, each [n], without the scores.
        where: The file, for messages.
        first: The name of the first column of the file.
        from_one: As for `as_positions`.

    Raises:
        ConfigError: Two columns are positions, and differ.
        SchemaError: A column with the name of positions holds something else.
    """
    known = [name for name in columns if name.casefold() in POSITIONS]
    known += [name for name in UNNAMED if name in columns and (name or first == "")]
    for name in known:
        _require_whole(columns[name], f"{where}: column {name or '(without a name)'}")
    whole = [name for name in known if is_whole(columns[name])]
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
    if values.dtype.kind not in "fO" or not len(values) or is_whole(values):
        return
    wrong = next((k for k, each in enumerate(values.tolist()) if not _is_integer(each)), None)
    if wrong is not None and not all(each is None for each in values.tolist()):
        raise SchemaError(
            f"{where} is {values[wrong]!s:.40} in row {wrong + 2}, and positions are integers",
            hint=_HINT_POSITIONS,
        )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _without_role(others: Mapping[str, Array], position: str | None) -> dict[str, Array]:
    """Return the columns that are neither the positions nor have the name of another role."""
    known = None if position is None else others[position]
    return {
        name: column
        for name, column in others.items()
        if name.casefold() not in (*LABELS, *BESIDE)
        and not (known is not None and np.array_equal(column, known))
    }


def _find_name(columns: Mapping[str, Array], where: str, first_column: str | None) -> str | None:
    """Return the column of names: text, no two alike; integers where its name says so."""
    by_folded = {name.casefold(): name for name in columns if name or first_column == ""}
    for known in (*NAMES, *_UNNAMED):
        name = by_folded.get(known)
        if name is None:
            continue
        values = columns[name]
        if known in _OF_FILES and values.dtype.kind in "iu" and _are_distinct(values):
            return name
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
        if known not in (*PERHAPS_CLASSES, *_UNNAMED):
            row = int(np.setdiff1d(np.arange(len(values)), first)[0])
            raise SchemaError(
                f"{where}: column {name}: {values[row]!s} comes twice (row {row + 2})",
                hint="each example may come once: repair the table",
            )
    return None


def _are_distinct(values: Array) -> bool:
    """Return whether integers tell examples apart; not where they count the rows in any order."""
    n = len(values)
    counts_rows = looks_like_positions(values) or np.array_equal(values, np.arange(n))
    return len(np.unique(values)) == n and not counts_rows


def _find_label(columns: Mapping[str, Array]) -> tuple[str | None, tuple[str, ...]]:
    """Return the column of labels, and a note where there are labels that are not used."""
    found = [name for name in columns if name.casefold() in LABELS]
    usable = [name for name in found if is_whole(columns[name])]
    if not found:
        return None, ()
    if not usable:
        return None, (f"column {found[0]} does not hold integers: it is not used as labels",)
    one = columns[usable[0]]
    if all(np.array_equal(columns[name], one) for name in usable):
        return usable[0], ()
    return None, (f"columns {' and '.join(usable)} differ: none is used as labels",)


def describe_roles(roles: Roles, where: str) -> str:
    """Return a sentence that names the columns that were chosen, without that of positions."""
    named = {"scores": roles.score, "names": roles.name, "labels": roles.label}
    chosen = [f"the {role} are the column {name!r}" for role, name in named.items() if name]
    return f"{where}: {', '.join(chosen)}"
