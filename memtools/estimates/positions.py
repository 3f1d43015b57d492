"""Positions of examples in columns: the names of such columns, and what they may hold.

    "train_idx" in POSITIONS                 # True
    as_positions(column, "scores.csv: column idx")     # int64 [n], each once, counted from 0
    parse_positions(np.array(["00012", "00007"]))      # int64 [2]
    looks_like_positions(np.array([2, 0, 1, 3]))       # True

A column of positions that is not recognised would leave values in the order of the rows: a silent
wrong number. So the names are many, and what looks like positions under another name is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from memtools.errors import ConfigError, SchemaError
from memtools.estimates.npz import Array

_OF_WHAT = ("tr", "train", "example", "sample", "data", "img", "image", "orig", "original")
_WORDS = ("idx", "index", "indices", "id", "ids", "position", "positions")
_FIRST = ("index", "idx", "id", "image_id", "position")
POSITIONS = tuple(
    dict.fromkeys(
        (
            *_FIRST,
            *_WORDS,
            *(f"{a}{mark}{b}" for a in _OF_WHAT for mark in ("_", "", "-", " ") for b in _WORDS),
        )
    )
)
"""The names of columns of positions, folded, in the order in which they are preferred."""
UNNAMED = ("", "Unnamed: 0", "__index_level_0__")
"""The names that an index has which pandas wrote."""
MAX_POSITION = 1 << 27  # scores of so many take a gigabyte

_FEW = 20  # positions of which a missing 0 tells nothing
_LEAST = 3  # values that are taken for positions under an unknown name
_DIGITS = re.compile(r"\d{1,18}(\.0*)?", re.ASCII)
_HINT_POSITIONS = "correct that column; or rename it, if it does not hold positions"


def as_positions(values: Array, where: str, *, from_one: bool = False) -> NDArray[np.int64]:
    """Return positions as int64 [n].

    Args:
        values: The positions, each once, counted from 0; also text that is digits.
        where: What holds them, for messages.
        from_one: Whether 1 to n are accepted as they are, since somebody said that they count
            from 0.

    Raises:
        SchemaError: They cannot be positions.
    """
    parsed = parse_positions(values)
    values = values if parsed is None else parsed
    if not is_whole(values):
        raise SchemaError(f"{where} holds {values.dtype}, not positions", hint=_HINT_POSITIONS)
    n = len(values)
    if n and values.max() > MAX_POSITION:  # before the cast, which wraps around
        raise SchemaError(
            f"{where}: {values.max()} is too large for a position", hint=_HINT_POSITIONS
        )
    if n and values.min() < 0:
        row = int(np.argmin(values))
        raise SchemaError(
            f"{where}: position {values[row]:.0f} (row {row + 2}) is below 0",
            hint=_HINT_POSITIONS,
        )
    found = values.astype(np.int64)
    if not n:
        return found
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


def is_whole(values: Array) -> bool:
    """Return whether all values are integers, of whatever type."""
    if values.dtype.kind in "iu":
        return True
    if values.dtype.kind != "f" or not len(values):
        return False
    return bool(np.isfinite(values).all() and (values == np.floor(values)).all())


def parse_positions(values: Array) -> NDArray[np.int64] | None:
    """Return text that is digits as int64 [n], also padded or with a point; else None."""
    if values.dtype.kind not in "US" or not values.size:
        return None
    texts = [text.strip() for text in values.astype("U").reshape(-1).tolist()]
    if not all(map(_DIGITS.fullmatch, texts)):
        return None
    return np.array([int(text.partition(".")[0]) for text in texts], np.int64)


def looks_like_positions(values: Array) -> bool:
    """Return whether integers hold each of 0 to n-1, or of 1 to n, once and not in order."""
    n = len(values)
    if n < _LEAST or values.ndim != 1 or not is_whole(values):
        return False
    least = values.min()
    if least not in (0, 1) or values.max() != n - 1 + least:
        return False
    counted = values.astype(np.int64) - int(least)
    if np.array_equal(counted, np.arange(n)):
        return False
    return bool((np.bincount(counted, minlength=n) == 1).all())


def require_no_positions(columns: Mapping[str, Array], where: str, score: Array | None) -> None:
    """Raise ConfigError for a column without a role that looks like positions.

    Args:
        columns: Those without a role by name, each [n].
        where: The file, for messages.
        score: The scores, [n], or None: their ranks look like positions, and are not.
    """
    for name, column in columns.items():
        if looks_like_positions(column) and not _are_ranks(column, score):
            raise ConfigError(
                f"{where}: column {name or 'without a name'} looks like positions: it holds each of"
                f" {int(column.min())} to {int(column.max()):,} once, in another order",
                hint="rename it to index if it holds the positions of the examples, counted from"
                " 0; remove it if it does not",
            )


def _are_ranks(column: Array, score: Array | None) -> bool:
    """Return whether the scores ascend or descend with a column."""
    if score is None or score.ndim != 1 or score.dtype.kind not in "iuf":
        return False
    steps = np.diff(score[np.argsort(column)].astype(np.float64))
    return bool((steps >= 0).all() or (steps <= 0).all())
