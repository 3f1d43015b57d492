"""Digests of files, any number of them in one pass.

digest_file(path, ("md5", "sha256"))      # {"md5": "...", "sha256": "..."}
new_hash("git_blob", size=12)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

CHUNK = 1 << 20  # bytes that are read at a time


class Hash(Protocol):
    """The part of a `hashlib` object that is used here."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Append bytes."""

    def hexdigest(self) -> str:
        """The digest so far, in hex."""

    def copy(self) -> Hash:
        """Another one, to go on from here."""


def new_hash(algorithm: str, size: int = 0) -> Hash:
    """A fresh hash object: any name of `hashlib`, or `git_blob`.

    `git_blob` is the name that git gives to a file's content: the SHA-1 of
    "blob", a space, the size in decimal, a zero byte, and the bytes. So it needs
    the size beforehand.
    """
    if algorithm == "git_blob":
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return hashlib.new(algorithm, usedforsecurity=False)


def digest_file(
    path: Path,
    algorithms: Iterable[str],
    *,
    start: int = 0,
    size: int | None = None,
    advance: Callable[[int], object] = lambda n_bytes: None,
) -> dict[str, str]:
    """Hex digests of `size` bytes of a file from `start` on, in one pass.

    `advance` is told the number of bytes of each read, for a progress bar.
    """
    with path.open("rb", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size - start if size is None else size
        hashes = {name: new_hash(name, left) for name in algorithms}
        file.seek(start)
        while left > 0 and (data := file.read(min(CHUNK, left))):
            for each in hashes.values():
                each.update(data)
            left -= len(data)
            advance(len(data))
    return {name: each.hexdigest() for name, each in hashes.items()}
