"""gzip as it streams by, with points from which another process can go on.

    inflater = Inflater()
    for output in inflater.feed(data):       # memoryviews, good until the next
        ...
        point = inflater.point()             # between two blocks: a Point, else None
    inflater.finish()                        # CutError if the stream has not ended
    Inflater(point).feed(data_from_there)

gzip has no index, and Python's zlib objects cannot be saved; but between two blocks of deflate the
32 KiB before are all that the rest depends on. So the same libz is called through ctypes. Members
follow one another as in RFC 1952; the checksum and the length of each are checked, restarts or not.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import dataclasses
import functools
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from memtools.errors import IntegrityError, MemtoolsError

_OUTPUT = 1 << 20  # bytes that are given on at a time
_WINDOW = 1 << 15
_NO_FLUSH, _BLOCK = 0, 5
_STREAM_END, _BUF_ERROR = 1, -5
_BETWEEN, _LAST = 128, 64  # bits of data_type: between two blocks; in the last
_HEADER = 10
_EXTRA, _NAME, _COMMENT, _CRC = 4, 8, 16, 2  # flags of a header


class CutError(IntegrityError):
    """A stream that stops before its end: what came before it may be right."""


class DamageError(IntegrityError):
    """A stream that is not what was published: nothing that came out of it is to be trusted."""


class _Stream(ctypes.Structure):
    """z_stream of zlib.h."""

    _fields_ = (
        ("next_in", ctypes.c_void_p),
        ("avail_in", ctypes.c_uint),
        ("total_in", ctypes.c_ulong),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint),
        ("total_out", ctypes.c_ulong),
        ("msg", ctypes.c_char_p),
        ("state", ctypes.c_void_p),
        ("zalloc", ctypes.c_void_p),
        ("zfree", ctypes.c_void_p),
        ("opaque", ctypes.c_void_p),
        ("data_type", ctypes.c_int),
        ("adler", ctypes.c_ulong),
        ("reserved", ctypes.c_ulong),
    )


@dataclasses.dataclass(frozen=True)
class Point:
    """Where a stream can be taken up again.

    position: bytes of input before it. offset: bytes of output before it. bits: how many high bits
    of the input's byte `last` belong to what follows. window: the output before, up to 32 KiB. crc,
    length: of the output of this member so far.
    """

    position: int
    offset: int
    bits: int
    last: int
    window: bytes
    crc: int
    length: int


class Inflater:
    """One gzip stream. position, offset: bytes of input taken, and of output given."""

    def __init__(self, point: Point | None = None) -> None:
        self.position = point.position if point else 0
        self.offset = point.offset if point else 0
        self._crc, self._length = (point.crc, point.length) if point else (0, 0)
        self._held = b""  # of a header or a trailer, until it is whole
        self._last = 0
        self._part = "body" if point else "header"
        self._n_members = 0
        self._output = bytearray(_OUTPUT)
        self._into = (ctypes.c_char * _OUTPUT).from_buffer(self._output)
        self._stream = _Stream()
        if point:
            self._begin()
            if point.bits:
                value = point.last >> (8 - point.bits)
                _libz().inflatePrime(ctypes.byref(self._stream), point.bits, value)
            window = point.window
            _libz().inflateSetDictionary(ctypes.byref(self._stream), window, len(window))

    def feed(self, data: bytes, *, stopping: bool = False) -> Iterator[memoryview]:
        """What the next bytes of input become; each view is good until the next is asked for.

        stopping: give a view at the end of each block, where `point` may be taken.

        Raises DamageError for what is no gzip, or damaged.
        """
        start = 0
        while start < len(data):
            if self._part == "body":
                taken, given = self._inflate(data, start, _BLOCK if stopping else _NO_FLUSH)
                start += taken
                if given or stopping:  # a block may end behind the last of its bytes
                    yield memoryview(self._output)[:given]
            else:
                start += self._frame(data, start)

    def point(self) -> Point | None:
        """A point to go on from, if this is the end of a block."""
        kind = self._stream.data_type
        if self._part != "body" or not kind & _BETWEEN or kind & _LAST:
            return None
        window, n = ctypes.create_string_buffer(_WINDOW), ctypes.c_uint(_WINDOW)
        _libz().inflateGetDictionary(ctypes.byref(self._stream), window, ctypes.byref(n))
        known = window.raw[: n.value]
        bits = kind & 7
        return Point(self.position, self.offset, bits, self._last, known, self._crc, self._length)

    def finish(self) -> None:
        """Raise CutError unless the stream was read to its end."""
        if self._part != "header" or self._held.strip(b"\0") or not self._n_members:
            raise CutError(
                f"the gzip stream is cut after {self.position} bytes",
                hint="the archive is not whole: get it again, or run the same command again",
            )

    def close(self) -> None:
        """Give the memory of zlib back."""
        if self._stream.state:
            _libz().inflateEnd(ctypes.byref(self._stream))

    def _begin(self) -> None:
        self.close()
        self._stream = _Stream()
        size = ctypes.sizeof(_Stream)
        _libz().inflateInit2_(ctypes.byref(self._stream), -15, _libz().zlibVersion(), size)

    def _inflate(self, data: bytes, start: int, flush: int) -> tuple[int, int]:
        """(bytes taken, bytes given)."""
        stream = self._stream
        address = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
        stream.next_in, stream.avail_in = address + start, len(data) - start
        stream.next_out, stream.avail_out = ctypes.addressof(self._into), _OUTPUT
        code = _libz().inflate(ctypes.byref(stream), flush)
        if code not in (0, _STREAM_END, _BUF_ERROR):
            why = (stream.msg or b"").decode() or f"zlib says {code}"
            raise self._damaged(why)
        taken, given = len(data) - start - stream.avail_in, _OUTPUT - stream.avail_out
        if taken:
            self._last = data[start + taken - 1]
        self._crc = zlib.crc32(memoryview(self._output)[:given], self._crc)
        self._length += given
        self.position += taken
        self.offset += given
        if code == _STREAM_END:
            self._part = "trailer"
        return taken, given

    def _frame(self, data: bytes, start: int) -> int:
        """Bytes taken for a header or a trailer, once it is whole; else they are held."""
        before = len(self._held)
        held = self._held + data[start : start + 65536]
        if self._n_members and self._part == "header" and not held.strip(b"\0"):
            self._held = b"\0"  # padding behind the last member
            self.position += len(held) - before
            return len(held) - before
        size = 8 if self._part == "trailer" else self._header(held)
        if size is None or len(held) < size:
            if len(held) > 1 << 20:
                raise self._damaged("its header does not end")
            self._held = held
            taken = len(held) - before
        else:
            self._held, taken = b"", size - before
            if self._part == "trailer":
                self._check(held[:8])
                self._part = "header"
            elif size:
                self._part = "body"
                self._crc = self._length = 0
                self._begin()
        self.position += taken
        return taken

    def _header(self, held: bytes) -> int | None:
        """How long the header of a member is; None if that is not known yet."""
        if self._n_members and held[:1] == b"\0":
            raise self._damaged("something stands behind its end")
        if len(held) < _HEADER:
            if not b"\x1f\x8b\x08".startswith(held[:3]):
                raise self._damaged("it does not begin like gzip")
            return None
        if held[:3] != b"\x1f\x8b\x08":
            raise self._damaged("it does not begin like gzip")
        flags, end = held[3], _HEADER
        if flags & _EXTRA:
            if len(held) < end + 2:
                return None
            end += 2 + int.from_bytes(held[end : end + 2], "little")
        for flag in (_NAME, _COMMENT):
            if flags & flag:
                at = held.find(b"\0", end)
                if at < 0:
                    return None
                end = at + 1
        return end + (2 if flags & _CRC else 0)

    def _check(self, trailer: bytes) -> None:
        """The member is what it was when it was made."""
        if struct.unpack("<II", trailer) != (self._crc, self._length & 0xFFFFFFFF):
            raise self._damaged("its checksum does not hold")
        self._n_members += 1

    def _damaged(self, why: str) -> DamageError:
        return DamageError(
            f"the gzip stream is damaged near byte {self.position}: {why}",
            hint="it is no .tar.gz, or not as it was published: get it again",
        )


@functools.cache
def _libz() -> Any:
    """The library that Python's own module uses; where that is built in, the system's."""
    for name in (getattr(zlib, "__file__", None), ctypes.util.find_library("z")):
        with contextlib.suppress(OSError, AttributeError):  # not there, or without functions
            library = ctypes.CDLL(name)
            library.inflateGetDictionary.restype = ctypes.c_int
            library.zlibVersion.restype = ctypes.c_char_p
            return library
    raise MemtoolsError(
        "there is no libz on this system", hint="install zlib (zlib1g, zlib) with its packages"
    )
