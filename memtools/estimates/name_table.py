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

from memtools.estimates.names import NameColumn

_LONGEST = 64  # bytes; longer names are rare, and rows as wide as the longest would not fit
_BLOCK = 1 << 16
_SEED, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


class NameTable:
    """The positions of n names, an open-addressing table with linear probing.

    It has at least twice as many slots as names, so that a search takes 1.5 steps on average.

    Attributes:
        names: The names in the table.
        repeated: Positions of names that are in the table more than once, int64, ascending;
            at least one position for each such name.
    """

    def __init__(self, names: NameColumn) -> None:
        self.names = names
        lengths = names.lengths
        short = np.flatnonzero(lengths <= _LONGEST)
        self._width = _round_up(int(lengths[short].max(initial=1)))
        self._lengths = lengths.astype(np.int32)
        self._words = np.zeros((len(names), self._width // 8), np.uint64)
        self._bits = max(int(2 * len(names) - 1).bit_length(), 4)
        self._slots = np.full(1 << self._bits, -1, np.int32)
        self._long: dict[bytes, int] = {}
        slots = np.empty(len(names), np.int32)
        for k in range(0, len(names), _BLOCK):
            part = slice(k, k + _BLOCK)
            self._words[part] = _words(names[part], self._width)
            slots[part] = self._first_slots(self._words[part], self._lengths[part])
        long = np.flatnonzero(lengths > _LONGEST).tolist()
        repeated = [k for k in long if self._long.setdefault(_bytes(names, k), k) != k]
        repeated += self._insert(short.astype(np.int32), slots)
        self.repeated = np.array(sorted(repeated), np.int64)

    def find(self, names: NameColumn) -> NDArray[np.int64]:
        """Return the position of each name in the table, int64 [m]; -1 where it is not there."""
        positions = np.full(len(names), -1, np.int64)
        for k in range(0, len(names), _BLOCK):
            positions[k : k + _BLOCK] = self._find_block(names[k : k + _BLOCK])
        if self._long:
            for k in np.flatnonzero(names.lengths > _LONGEST).tolist():
                positions[k] = self._long.get(_bytes(names, k), -1)
        return positions

    def _insert(self, pending: NDArray[np.int32], slots: NDArray[np.int32]) -> list[int]:
        """Put names into their slots, and return those that are there already."""
        repeated: list[int] = []
        while len(pending):
            at = slots[pending]
            free = self._slots[at] < 0
            self._slots[at[free]] = pending[free]  # of several in one slot, one stays
            held = self._slots[at]
            lost = held != pending
            pending, held = pending[lost], held[lost]
            again = self._equal(held, self._words[pending], self._lengths[pending])
            repeated += pending[again].tolist()
            pending = pending[~again]
            slots[pending] = self._next(slots[pending])
        return repeated

    def _find_block(self, names: NameColumn) -> NDArray[np.int64]:
        lengths = names.lengths.astype(np.int32)
        words = _words(names, self._width)
        slots = self._first_slots(words, lengths)
        positions = np.full(len(names), -1, np.int64)
        pending = np.flatnonzero(lengths <= self._width)
        while len(pending):
            held = self._slots[slots[pending]]
            taken = held >= 0  # an empty slot ends the search
            pending, held = pending[taken], held[taken]
            same = self._equal(held, words[pending], lengths[pending])
            positions[pending[same]] = held[same]
            pending = pending[~same]
            slots[pending] = self._next(slots[pending])
        return positions

    def _equal(
        self, held: NDArray[np.int32], words: NDArray[np.uint64], lengths: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        """Return where the names at `held`, int [m], have these bytes and lengths."""
        same: NDArray[np.bool_] = self._lengths[held] == lengths
        ours = self._words[held]
        for column in range(words.shape[1]):
            same &= ours[:, column] == words[:, column]
        return same

    def _first_slots(
        self, words: NDArray[np.uint64], lengths: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        mixed = (lengths.astype(np.uint64) + np.uint64(1)) * _SEED
        for column in range(words.shape[1]):
            mixed = (mixed ^ words[:, column]) * _MIX
            mixed ^= mixed >> np.uint64(29)
        return ((mixed * _SEED) >> np.uint64(64 - self._bits)).astype(np.int32)

    def _next(self, slots: NDArray[np.int32]) -> NDArray[np.int32]:
        return (slots + np.int32(1)) & np.int32(len(self._slots) - 1)


def _words(names: NameColumn, width: int) -> NDArray[np.uint64]:
    """Return the first `width` bytes of each name, uint64 [m, width / 8], filled up with zeros."""
    words = names.rows(names.starts, width).view("<u8").astype(np.uint64, copy=False)
    kept = (np.arange(width) < np.arange(width + 1)[:, None]).astype(np.uint8) * np.uint8(255)
    masks = kept.view("<u8").astype(np.uint64)
    words &= masks[names.lengths.clip(0, width)]
    return words


def _round_up(length: int) -> int:
    return -(-length // 8) * 8


def _bytes(names: NameColumn, k: int) -> bytes:
    return names.data[names.starts[k] : names.ends[k]].tobytes()
