"""One piece of a file on its way, and the state file that outlives the process.

describe(identity, pieces)         # the bytes of a state file
is_state(path)                     # of ours, and not a user's own file of that name
load(path, identity, pieces)       # claims only: nothing in a state file is believed
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from memtools.temporary_files import read_regular
from memtools.transfer.chain import Chain

_TOO_LARGE = 1 << 50  # bytes: no part has a petabyte


class Piece:
    """One piece of the file: what is held of it, and what is known about its source.

    algorithms: which digests to compute of it. promised_size: what the registry
    says, in bytes. validator: the ETag or Last-Modified of the bytes held.
    received: bytes written in this process. resumed: whether the bytes come from
    more than one answer. changed: whether the source changed meanwhile. damage:
    words about a digest that did not match.
    """

    def __init__(
        self, name: str, size: int | None = None, algorithms: Iterable[str] = ("git_blob",)
    ) -> None:
        self.name = name
        self.promised_size = size
        self.algorithms = tuple(dict.fromkeys(algorithms))
        self.chain = Chain(self.algorithms, size)
        self.url = ""
        self.validator: str | None = None
        self.received = 0
        self.durable = 0
        self.resumed = False
        self.changed = False
        self.damage = ""

    @property
    def size(self) -> int | None:
        """The size in bytes, once known."""
        return self.chain.size

    def clear(self, size: int | None) -> None:
        """Hold nothing."""
        self.chain = Chain(self.algorithms, size)
        self.validator = None
        self.resumed = False

    def to_json(self) -> dict[str, Any]:
        """What the state file says about this piece."""
        facts = {"name": self.name, "url": self.url, "validator": self.validator}
        return {**facts, "damage": self.damage, **self.chain.to_json()}

    def claim(self, facts: Mapping[str, Any]) -> None:
        """Claim what a state file says about this piece."""
        if self.size not in (None, facts["size"]):
            return
        if facts["damage"]:  # a size that came with wrong bytes is not believed either
            return
        sizes = _is_size(facts["size"]) and _is_size(facts["block_size"])
        if not (sizes and isinstance(facts["validator"], str | None)):
            raise TypeError("no state of a piece")
        self.chain = Chain.from_json(self.algorithms, facts)
        self.url, self.validator = str(facts["url"]), facts["validator"]


def _is_size(value: object) -> bool:
    return value is None or (type(value) is int and 0 <= value < _TOO_LARGE)


def describe(identity: str, pieces: Sequence[Piece]) -> bytes:
    """The content of a state file: what is held of some pieces at this moment."""
    state = {"identity": identity, "pieces": [piece.to_json() for piece in pieces]}
    return json.dumps(state).encode()


def is_state(path: Path) -> bool:
    """Return whether a file, not a link, is a state file of ours, for whatever identity."""
    try:
        state = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(state, dict) and state.keys() == {"identity", "pieces"}


def load(path: Path, identity: str, pieces: Sequence[Piece]) -> None:
    """Claim what a state file of the same identity says; without one, nothing is claimed.

    identity: what the file must become. Behind a piece of unknown size no offset is
    known, so nothing there can be claimed either.
    """
    try:
        state = json.loads(read_regular(path))
        if state["identity"] == identity:
            for piece, facts in zip(pieces, state["pieces"], strict=True):
                piece.claim(facts)
                if piece.size is None:
                    return
    except (
        OSError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ):
        # No state, or none that can be read: the bytes alone prove nothing.
        for piece in pieces:
            piece.clear(piece.promised_size)
