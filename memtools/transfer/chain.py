"""What is held of one piece of a file: its first bytes, and a digest after every block.

    chain = Chain(size=95_000_000)
    chain.extend(memoryview(data))         # data follows what is held, and is on disk now
    chain.links                            # {16777216: "...", ..., chain.position: "..."}

A link is the digest of *all* bytes before a position. It costs nothing: it is read
off the digest that the piece must have in the end. After a restart the links are
*claims*, proven in order by reading the bytes again; where one fails, its block
is fetched anew and the next one is tried, so that garbage in the middle costs one
block and not the rest. No I/O happens here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Self

from memtools.files import new_hash

MIN_BLOCK = 16 << 20
MAX_BLOCKS = 4096
LINKED = ("git_blob", "sha256")  # algorithms that links may have


class Chain:
    """The first `position` bytes of a piece of `size` bytes (None: not known yet).

    algorithms: the digests that are wanted of the whole piece; the first is the
    links'. While the size is unknown there is only sha256: git_blob needs it.
    """

    def __init__(
        self, algorithms: Iterable[str], size: int | None, block_size: int | None = None
    ) -> None:
        wanted = tuple(algorithms) if size is not None else ("sha256",)
        self.size = size
        self.block_size = block_size or max(MIN_BLOCK, -(-(size or 0) // MAX_BLOCKS))
        self.position = 0
        self.claims: dict[int, str] = {}
        self.algorithm = wanted[0]
        self._hashes = {name: new_hash(name, size or 0) for name in wanted}
        self._ends: dict[int, str] = {}  # at block ends
        self._mark = (0, "")  # the last position and its digest: one assignment, so one truth

    @property
    def complete(self) -> bool:
        """Whether every byte is held; never before the size is known."""
        return self.position == self.size

    @property
    def links(self) -> dict[int, str]:
        """The digest of all bytes before each position; proven ones and claims."""
        return {**self.claims, **self._ends, **dict([self._mark] if self._mark[0] else [])}

    @property
    def digests(self) -> dict[str, str]:
        """Hex digests of the bytes held, by algorithm."""
        return {name: each.hexdigest() for name, each in self._hashes.items()}

    def extend(self, data: memoryview) -> None:
        """Hold the bytes that follow; they must be on disk already."""
        while data:
            block_end = self.position - self.position % self.block_size + self.block_size
            fresh, data = data[: block_end - self.position], data[block_end - self.position :]
            for each in self._hashes.values():
                each.update(fresh)
            end = self.position + len(fresh)
            self._mark = (end, self._hashes[self.algorithm].hexdigest())
            if end == block_end:
                self._ends[end] = self._mark[1]
            self.position = end

    def gap(self) -> tuple[int, int | None]:
        """(start, stop) of the missing bytes up to the next claimed block, or to the end."""
        claimed = [self._block_start(end) for end in self.claims if end > self.position]
        return self.position, min(
            (start for start in claimed if start > self.position), default=self.size
        )

    def next_claim(self) -> tuple[int, str] | None:
        """(end, digest) of a claim about the bytes that follow, within the present block."""
        within = [end for end in self.claims if self._block_start(end) <= self.position < end]
        return (min(within), self.claims[min(within)]) if within else None

    def branch(self) -> Chain:
        """A copy to try bytes on, before they are believed."""
        twin = copy.copy(self)
        twin._hashes = {name: each.copy() for name, each in self._hashes.items()}
        twin._ends, twin.claims = dict(self._ends), dict(self.claims)
        return twin

    def to_json(self) -> dict[str, Any]:
        """What a state file says about this piece."""
        return {
            "size": self.size,
            "block_size": self.block_size,
            "algorithm": self.algorithm,
            "links": {str(end): digest for end, digest in self.links.items()},
        }

    @classmethod
    def from_json(cls, algorithms: Iterable[str], state: Mapping[str, Any]) -> Self:
        """Return a chain that holds nothing, and claims what the state file says.

        Links of another algorithm are proven by it; the digests that are wanted come in addition.
        """
        size, block_size = state["size"], int(state["block_size"])
        of_links = [name for name in LINKED if name == state["algorithm"]]
        chain = cls(dict.fromkeys([*of_links, *algorithms]), size, block_size)
        if state["algorithm"] == chain.algorithm:
            limit = float("inf") if size is None else size
            links = {int(end): str(digest) for end, digest in state["links"].items()}
            chain.claims = {end: each for end, each in links.items() if 0 < end <= limit}
        return chain

    def _block_start(self, end: int) -> int:
        return (end - 1) // self.block_size * self.block_size
