"""A hash table of names: where a name stands in a column, for a whole column of names at once.

    table = NameTable(NameColumn.of(published))
    table.find(NameColumn.of(wanted))        # int64, -1 where a name is not in the table
    table.repeated                           # names that are there more than once

Every step is one NumPy operation over all names that have not found their place yet. The hash only
says where to look: a name is found when all of its bytes agree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memtools.datasets.names import NameColumn

_LONGEST = 64  # bytes; longer names are rare, and rows as wide as the longest would not fit
_BLOCK = 1 << 15
_SEED, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


class NameTable:
    """The positions of n names, an open-addressing table with linear probing.

    It has at least twice as many slots as names, so that a search takes 1.5 steps on average.
    Rows of bytes are fetched as values of a void type: `take` copies those five times as fast as
    rows of an array with two axes.

    Attributes:
        names: The names in the table.
        repeated: Positions of names that are in the table more than once, int64, ascending;
            at least one position for each such name.
    """

    def __init__(self, names: NameColumn) -> None:
        self.names = names
        regular = _is_regular(names)
        self._width = _round_up(int(names.lengths[regular].max(initial=1)))
        self._bits = max(int(2 * len(names) - 1).bit_length(), 4)
        self._slots = np.full(1 << self._bits, -1, np.int32)
        self._rows = np.empty(len(names), np.dtype((np.void, self._width)))
        slots = np.empty(len(names), np.int32)
        for k in range(0, len(names), _BLOCK):
            words = _words(names[k : k + _BLOCK], self._width)
            self._rows[k : k + _BLOCK] = words.view(self._rows.dtype)[:, 0]
            slots[k : k + _BLOCK] = self._first_slots(words)
        others = np.flatnonzero(~regular).tolist()
        self._others: dict[bytes, int] = {}
        repeated = [k for k in others if self._others.setdefault(_bytes(names, k), k) != k]
        repeated += self._insert(np.flatnonzero(regular).astype(np.int32), slots)
        self.repeated = np.array(sorted(repeated), np.int64)

    def find(self, names: NameColumn) -> NDArray[np.int64]:
        """Return the position of each name in the table, int64 [m]; -1 where it is not there."""
        positions = np.full(len(names), -1, np.int64)
        for k in range(0, len(names), _BLOCK):
            positions[k : k + _BLOCK] = self._find_block(names[k : k + _BLOCK])
        return positions

    def _insert(self, pending: NDArray[np.int32], slots: NDArray[np.int32]) -> list[int]:
        """Put names into their slots, and return those that are there already."""
        repeated: list[int] = []
        while len(pending):
            at = slots.take(pending)
            free = np.flatnonzero(self._slots.take(at) < 0)
            self._slots[at.take(free)] = pending.take(free)  # of several in one slot, one stays
            held = self._slots.take(at)
            lost = np.flatnonzero(held != pending)
            pending, held = pending.take(lost), held.take(lost)
            again = self._is_equal(held, self._rows.take(pending))
            repeated += pending[again].tolist()
            pending = pending[~again]
            slots[pending] = self._next(slots.take(pending))
        return repeated

    def _find_block(self, names: NameColumn) -> NDArray[np.int64]:
        words = _words(names, self._width)
        rows = words.view(self._rows.dtype)[:, 0]
        slots = self._first_slots(words)
        positions = np.full(len(names), -1, np.int64)
        regular = _is_regular(names)
        pending = np.flatnonzero(regular & (names.lengths <= self._width))
        while len(pending):
            held = self._slots.take(slots.take(pending))
            taken = np.flatnonzero(held >= 0)  # an empty slot ends the search
            pending, held = pending.take(taken), held.take(taken)
            same = self._is_equal(held, rows.take(pending))
            hits = np.flatnonzero(same)
            positions[pending.take(hits)] = held.take(hits)
            pending = pending.take(np.flatnonzero(~same))
            slots[pending] = self._next(slots.take(pending))
        if self._others:
            for k in np.flatnonzero(~regular).tolist():
                positions[k] = self._others.get(_bytes(names, k), -1)
        return positions

    def _is_equal(self, held: NDArray[np.int32], rows: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return where the names at `held`, int [m], have the bytes of `rows`, [m]."""
        same = np.ones(len(rows), np.bool_)
        ours = self._rows.take(held).view(np.uint64).reshape(-1, self._width // 8)
        theirs = rows.view(np.uint64).reshape(-1, self._width // 8)
        for column in range(self._width // 8):
            same &= ours[:, column] == theirs[:, column]
        return same

    def _first_slots(self, words: NDArray[np.uint64]) -> NDArray[np.int32]:
        mixed = np.full(len(words), _SEED)
        for column in range(words.shape[1]):
            mixed = (mixed ^ words[:, column]) * _MIX
            mixed ^= mixed >> np.uint64(29)
        return ((mixed * _SEED) >> np.uint64(64 - self._bits)).astype(np.int32)

    def _next(self, slots: NDArray[np.int32]) -> NDArray[np.int32]:
        return (slots + np.int32(1)) & np.int32(len(self._slots) - 1)


def _words(names: NameColumn, width: int) -> NDArray[np.uint64]:
    """Return the first `width` bytes of each name, uint64 [m, width / 8], filled up with zeros."""
    kept = (np.arange(width) < np.arange(width + 1)[:, None]).astype(np.uint8) * np.uint8(255)
    masks = kept.view(np.dtype((np.void, width)))[:, 0].take(names.lengths.clip(0, width))
    words = names.rows(names.starts, width).view(np.uint64)
    words &= masks.view(np.uint64).reshape(words.shape)
    return words


def _is_regular(names: NameColumn) -> NDArray[np.bool_]:
    """Return which names, bool [m], are told apart by their bytes with zeros behind them.

    Those that are too long, and those that end with a zero byte, are looked up in a dict.
    """
    lengths = names.lengths
    regular = lengths <= _LONGEST
    ends_with_zero = names.rows(names.ends - 1, 1)[:, 0] == 0
    if ends_with_zero.any():
        regular &= ~ends_with_zero | (lengths == 0)
    return regular


def _round_up(length: int) -> int:
    return -(-length // 8) * 8


def _bytes(names: NameColumn, k: int) -> bytes:
    return names.data[names.starts[k] : names.ends[k]].tobytes()
