"""Which bytes of one published piece are held, in blocks that carry their digest.

    coverage = Coverage(size=95_000_000)
    while gap := coverage.gap():                 # (start, stop) of the first missing run
        ...
        for start, stop in coverage.wanted(position, len(data)):
            ...                                  # write those bytes to disk, then
            coverage.add(start, data[...])

Three states of a block: *claimed* (a state file says it is on disk; not yet
re-read), *held* (its sha256 is known from its very bytes), and *open* (held from
its start up to some length, with a running sha256). A claim is never used
before `confirm` has seen its bytes again. No I/O happens here.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

MIN_BLOCK = 16 << 20
MAX_BLOCKS = 4096


@dataclasses.dataclass
class _Open:
    """A block that is being filled: its first `n_bytes` are held."""

    n_bytes: int
    sha256: Any  # a hashlib object: it has no public type


class Coverage:
    """The held bytes of a piece of `size` bytes (None: not known yet)."""

    def __init__(self, size: int | None, block_size: int | None = None) -> None:
        self.size = size
        self.block_size = block_size or max(MIN_BLOCK, -(-(size or 0) // MAX_BLOCKS))
        self.claimed: dict[int, str] = {}
        self._held: dict[int, str] = {}
        self._open: dict[int, _Open] = {}
        self._front = 0  # blocks below are held

    @property
    def complete(self) -> bool:
        """Whether every byte is held; never before the size is known."""
        return self.size is not None and self.frontier == self.size

    @property
    def frontier(self) -> int:
        """How many bytes from the start on are held without a gap."""
        while self._front in self._held:
            self._front += 1
        open_block = self._open.get(self._front)
        reached = self._front * self.block_size + (open_block.n_bytes if open_block else 0)
        return reached if self.size is None else min(reached, self.size)

    @property
    def n_bytes(self) -> int:
        """How many bytes are held or claimed, anywhere."""
        blocks = [*self._held, *self.claimed]
        return sum(map(self._length, blocks)) + sum(each.n_bytes for each in self._open.values())

    def gap(self) -> tuple[int, int | None] | None:
        """(start, stop) of the first run of missing bytes; stop is None up to an unknown end."""
        block = self._front
        while block in self._held or block in self.claimed:
            block += 1
        start = block * self.block_size + self._filled(block)
        if self.size is None:
            return start, None
        if start >= self.size:
            return None
        block += 1
        while block * self.block_size < self.size and not self._known(block):
            block += 1
        return start, min(block * self.block_size, self.size)

    def wanted(self, start: int, n_bytes: int) -> Iterator[tuple[int, int]]:
        """The spans of `n_bytes` bytes at `start` that are missing, none across two blocks.

        Each must be passed to `add` before the next is asked for.
        """
        stop = start + n_bytes if self.size is None else min(start + n_bytes, self.size)
        while start < stop:
            block, inside = divmod(start, self.block_size)
            end = min(stop, (block + 1) * self.block_size)
            first = start - inside + self._filled(block)
            if not (block in self._held or block in self.claimed) and start <= first < end:
                yield first, end
            start = end

    def add(self, start: int, data: memoryview) -> bool:
        """Note bytes that are now on disk; True if they completed a block."""
        block, inside = divmod(start, self.block_size)
        entry = self._open.setdefault(block, _Open(0, hashlib.sha256()))
        if entry.n_bytes != inside:
            raise ValueError(f"bytes at {start} leave a hole in block {block}")
        entry.sha256.update(data)
        entry.n_bytes += len(data)
        return self._close(block)

    def learn_size(self, size: int) -> None:
        """The size of the piece is known now; what lies beyond it is dropped."""
        self.size = size
        for block in [*self._held, *self.claimed, *self._open]:
            if block * self.block_size + self._filled_or_full(block) > size:
                self.drop(block)
        for block in list(self._open):
            self._close(block)

    def confirm(self, block: int, data_sha256: str) -> bool:
        """Turn a claim into a held block if its bytes have the claimed digest, else forget it."""
        held = self.claimed.pop(block) == data_sha256
        if held:
            self._held[block] = data_sha256
        return held

    def reopen(self, block: int, n_bytes: int, sha256: Any) -> None:
        """Go on with a block of which `n_bytes` were found on disk, with their running digest."""
        self._open[block] = _Open(n_bytes, sha256)
        self._close(block)

    def drop(self, block: int) -> None:
        """Forget one block."""
        for table in (self._held, self.claimed, self._open):
            table.pop(block, None)
        self._front = min(self._front, block)

    def clear(self) -> None:
        """Forget everything but the size."""
        for block in [*self._held, *self.claimed, *self._open]:
            self.drop(block)

    def span(self, block: int) -> tuple[int, int]:
        """(start, length) of a block in bytes."""
        return block * self.block_size, self._length(block)

    def to_json(self) -> dict[str, Any]:
        """What a state file says about this piece."""
        return {
            "size": self.size,
            "block_size": self.block_size,
            "blocks": {str(block): each for block, each in {**self.claimed, **self._held}.items()},
            "open": {
                str(block): [each.n_bytes, each.sha256.hexdigest()]
                for block, each in self._open.items()
            },
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Coverage:
        """The coverage with every whole block claimed; open ones are the caller's to reopen."""
        coverage = cls(state["size"], int(state["block_size"]))
        coverage.claimed = {int(block): str(each) for block, each in state["blocks"].items()}
        return coverage

    def _filled(self, block: int) -> int:
        return self._open[block].n_bytes if block in self._open else 0

    def _filled_or_full(self, block: int) -> int:
        return self._filled(block) if block in self._open else 1

    def _known(self, block: int) -> bool:
        return block in self._held or block in self.claimed or block in self._open

    def _length(self, block: int) -> int:
        left = self.block_size if self.size is None else self.size - block * self.block_size
        return min(self.block_size, left)

    def _close(self, block: int) -> bool:
        """Hold an open block for good once it is full."""
        full = self._open[block].n_bytes == self._length(block)
        if full:
            self._held[block] = self._open.pop(block).sha256.hexdigest()
        return full
