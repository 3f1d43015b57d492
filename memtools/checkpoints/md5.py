"""An MD5 that can be put down and taken up again, in another process or week.

    digest = Md5()
    digest.update(data)
    saved = digest.state                     # bytes, or None where it cannot be saved
    Md5(saved).update(more)

The objects of hashlib cannot be saved. The MD5_CTX of libcrypto is a plain struct of 92 bytes, the
same in every version since OpenSSL 0.9.7, and so is that of CommonCrypto on macOS; where there is
neither, hashlib counts and there is no state.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

_SIZE = 92  # of MD5_CTX: four words, a length of two, a block of sixteen, a count


class Md5:
    """state: of an earlier one, where `can_go_on`; None: at the beginning."""

    def __init__(self, state: bytes | None = None) -> None:
        self._library = _library()
        if self._library is None:
            if state is not None:
                raise ValueError("there is no library here that goes on from a state")
            self._hash = hashlib.md5(usedforsecurity=False)
            return
        self._context = ctypes.create_string_buffer(state or b"", _SIZE)
        if state is None:
            self._library.init(self._context)

    def update(self, data: bytes | memoryview) -> None:
        """Append bytes; other threads go on meanwhile."""
        if self._library is None:
            self._hash.update(data)
        else:
            self._library.update(self._context, bytes(data), ctypes.c_size_t(len(data)))

    def copy(self) -> Self:
        """Another one, to go on from here."""
        other = type(self)(self.state)
        if self._library is None:
            other._hash = self._hash.copy()
        return other

    @property
    def state(self) -> bytes | None:
        """What to go on from; None where it cannot be saved."""
        return None if self._library is None else self._context.raw

    def hexdigest(self) -> str:
        """The digest so far, in hex."""
        if self._library is None:
            return self._hash.hexdigest()
        found = ctypes.create_string_buffer(16)
        self._library.final(found, ctypes.create_string_buffer(self._context.raw, _SIZE))
        return found.raw.hex()


def is_state(state: object, n_bytes: int) -> bool:
    """Return whether a value can be the state of an MD5 of so many bytes.

    The library takes a state as it is, so every number in it is compared with the position first.
    """
    if type(state) is not bytes or len(state) != _SIZE:
        return False
    low, high = (int.from_bytes(state[k : k + 4], sys.byteorder) for k in (16, 20))
    pending = int.from_bytes(state[-4:], sys.byteorder)
    return pending == n_bytes % 64 and low | high << 32 == n_bytes * 8 % (1 << 64)


def can_go_on() -> bool:
    """Whether an MD5 can be saved and taken up again on this system."""
    return _library() is not None


class _Library(NamedTuple):
    init: Any
    update: Any
    final: Any


@functools.cache
def _library() -> _Library | None:
    """The first that has an MD5 which gives what MD5 gives, put down in the middle, too."""
    for path, prefix in _candidates():
        with contextlib.suppress(OSError, AttributeError):  # it is not there, or has no MD5
            library = ctypes.CDLL(path)
            found = _Library(
                *(getattr(library, prefix + verb) for verb in ("Init", "Update", "Final"))
            )
            if _works(found):
                return found
    return None


def _candidates() -> Iterator[tuple[str, str]]:
    """(library, what its functions are called)."""
    if sys.platform == "darwin":  # which ends a process that loads its libcrypto
        yield "/usr/lib/libSystem.dylib", "CC_MD5_"
        return
    if (spec := importlib.util.find_spec("_hashlib")) and spec.origin:
        yield spec.origin, "MD5_"  # through it: the libcrypto that Python itself uses
    if name := ctypes.util.find_library("crypto"):
        yield name, "MD5_"


def _works(library: _Library) -> bool:
    half, context = b"memtools" * 9, ctypes.create_string_buffer(_SIZE + 164)
    library.init(context)
    for data in (half, half):
        library.update(context, data, ctypes.c_size_t(len(data)))
        context = ctypes.create_string_buffer(context.raw[:_SIZE], _SIZE + 164)
    found = ctypes.create_string_buffer(16)
    library.final(found, context)
    return found.raw == hashlib.md5(2 * half, usedforsecurity=False).digest()
