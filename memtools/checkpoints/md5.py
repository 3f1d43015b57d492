"""An MD5 that can be put down and taken up again, in another process or week.

    digest = Md5()
    digest.update(data)
    saved = digest.state                     # bytes, or None where it cannot be saved
    Md5(saved).update(more)

The objects of hashlib cannot be saved. The MD5_CTX of libcrypto is a plain struct of 92 bytes, the
same in every version since OpenSSL 0.9.7; where the library is missing, hashlib counts and there is
no state.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import hashlib
from typing import Any, Self

_SIZE = 92  # of MD5_CTX: four words, a length of two, a block of sixteen, a count
_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"


class Md5:
    """state: of an earlier one; None: at the beginning."""

    def __init__(self, state: bytes | None = None) -> None:
        self._library = _libcrypto()
        if self._library is None:
            self._hash = hashlib.md5(usedforsecurity=False)
            return
        self._context = ctypes.create_string_buffer(state or b"", _SIZE)
        if state is None:
            self._library.MD5_Init(self._context)

    def update(self, data: bytes | memoryview) -> None:
        """Append bytes; other threads go on meanwhile."""
        if self._library is None:
            self._hash.update(data)
        else:
            self._library.MD5_Update(self._context, bytes(data), ctypes.c_size_t(len(data)))

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
        self._library.MD5_Final(found, ctypes.create_string_buffer(self._context.raw, _SIZE))
        return found.raw.hex()


@functools.cache
def _libcrypto() -> Any:
    """The library, if it has an MD5 that gives what MD5 gives."""
    name = ctypes.util.find_library("crypto")
    try:
        library = ctypes.CDLL(name) if name else None
        context, found = ctypes.create_string_buffer(_SIZE + 164), ctypes.create_string_buffer(16)
        if library is None or not library.MD5_Init(context):
            return None
        library.MD5_Final(found, context)
    except (OSError, AttributeError):
        return None
    return library if found.raw.hex() == _EMPTY else None
