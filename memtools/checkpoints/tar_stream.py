"""A tar as it streams by: what is wanted of it goes to sinks, the rest is passed over.

    tar = TarStream(lambda member: sink or None)
    tar.feed(view)                           # any number of bytes at a time
    tar.state                                # to go on from, between two wanted members; else None
    tar.finish()                             # CutError unless the archive has ended

Python's own reader takes a tar that is cut at the boundary of a member, or damaged in a header, for
whole; here only two blocks of zeros are an end.
"""

from __future__ import annotations

import dataclasses
import io
import tarfile
from collections.abc import Callable
from typing import Protocol

from memtools.checkpoints.inflater import CutError, DamageError

_BLOCK = 512
_MAX_HEADER = 1 << 16  # bytes of one member's headers: names of 10 kB are no names
_MAX_SIZE = 1 << 60  # bytes of a member: a header can say anything
_EXTENSIONS = b"xgLKX"  # types of headers that speak of the header behind them


@dataclasses.dataclass(frozen=True)
class Member:
    """name: as it stands there. offset: of its data in the tar; size: of them. regular: a file."""

    name: str
    offset: int
    size: int
    regular: bool


class Sink(Protocol):
    """Takes the data of a member."""

    def write(self, data: memoryview, /) -> object:
        """The next bytes; good until the call returns."""

    def close(self) -> object:
        """There are no more: it is whole."""

    def drop(self) -> object:
        """There will be no more, and it is not whole."""


@dataclasses.dataclass(frozen=True)
class State:
    """offset: bytes read so far. left: how many more belong to a member that nobody wants."""

    offset: int = 0
    left: int = 0
    ended: bool = False


class TarStream:
    """One tar. open_member: the sink for a member, or None to pass over it."""

    def __init__(
        self, open_member: Callable[[Member], Sink | None], state: State | None = None
    ) -> None:
        state = state or State()
        self._open_member = open_member
        self._offset, self._left = state.offset, state.left
        self._header, self._ended = bytearray(), state.ended
        self._wanted = _BLOCK  # size that the headers must have before they can be read
        self._sink: Sink | None = None
        self._padding = 0  # of what is left: not the member's

    @property
    def state(self) -> State | None:
        """None within a wanted member, or within a header."""
        if self._sink is not None or self._header:
            return None
        return State(self._offset, self._left, self._ended)

    def feed(self, data: memoryview) -> None:
        """The next bytes. Raises DamageError for what is no tar, and what the sinks raise."""
        while data:
            if self._left:
                data = self._pass(data)
            elif self._ended:
                if bytes(data).strip(b"\0"):
                    raise self._damaged("something stands behind its end")
                self._offset += len(data)
                return
            else:
                data = self._gather(data)

    def finish(self) -> None:
        """Raise CutError unless the end was there."""
        if not self._ended:
            raise CutError(
                f"the tar is cut after {self._offset} bytes",
                hint="the archive is not whole: get it again, or run the same command again",
            )

    def close(self) -> None:
        """Nothing more will come."""
        if self._sink is not None:
            self._sink.drop()
            self._sink = None

    def _pass(self, data: memoryview) -> memoryview:
        """Data of a member and its padding."""
        n = min(len(data), self._left)
        if self._sink is not None:
            self._sink.write(data[: max(0, min(n, self._left - self._padding))])
        self._left -= n
        self._offset += n
        self._close_at_end()
        return data[n:]

    def _close_at_end(self) -> None:
        """Tell the sink when its member is over."""
        if not self._left and self._sink is not None:
            sink, self._sink = self._sink, None
            sink.close()

    def _gather(self, data: memoryview) -> memoryview:
        """The header of a member, with those that belong to it."""
        n = min(len(data), self._wanted - len(self._header))
        self._header += data[:n]
        self._offset += n
        if len(self._header) == self._wanted:
            self._read_header()
        return data[n:]

    def _read_header(self) -> None:
        last = bytes(self._header[-_BLOCK:])
        if not any(last):
            if len(self._header) == 2 * _BLOCK and not any(self._header):
                self._header.clear()
                self._ended = True
            elif len(self._header) > _BLOCK:
                raise self._damaged("a header is empty")
            self._wanted = 2 * _BLOCK
            return
        if len(self._header) == 2 * _BLOCK and not any(self._header[:_BLOCK]):
            raise self._damaged("one block of zeros stands where two should")
        whole = self._parsed(self._header)
        if whole is None:
            if self._wanted > _MAX_HEADER:
                raise self._damaged("a header does not end")
            return
        self._header.clear()
        self._wanted = _BLOCK
        self._padding = -whole.size % _BLOCK
        self._left = whole.size + self._padding
        self._sink = self._open_member(whole)
        self._close_at_end()

    def _parsed(self, header: bytearray) -> Member | None:
        """The member, or None if more of its headers must come; `_wanted` says how much."""
        try:
            at = 0
            while at < len(header):
                info = tarfile.TarInfo.frombuf(
                    bytes(header[at : at + _BLOCK]), "utf-8", "surrogateescape"
                )
                if info.type not in (bytes([each]) for each in _EXTENSIONS):
                    break
                if not 0 <= info.size <= _MAX_HEADER:
                    raise self._damaged("a header has no size")
                at += _BLOCK + info.size + -info.size % _BLOCK
            else:
                self._wanted = at + _BLOCK
                return None
            with tarfile.open(fileobj=io.BytesIO(bytes(header)), mode="r:") as tar:
                found = tar.next()
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise self._damaged(str(error)) from error
        known = found is not None and found.type in tarfile.SUPPORTED_TYPES
        if found is None or not known or found.sparse is not None:
            raise self._damaged("a member of a kind that is not read here")
        if not 0 <= found.size <= _MAX_SIZE:
            raise self._damaged("a member has no size")
        size = found.size if found.isreg() else 0
        name = found.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return Member(name, self._offset, size, found.isreg())

    def _damaged(self, why: str) -> DamageError:
        return DamageError(
            f"the tar is damaged near byte {self._offset}: {why}",
            hint="it is not as it was published: get it again",
        )
