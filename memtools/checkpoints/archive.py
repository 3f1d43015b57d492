"""A released archive, read as it streams by: to its end, or only where some members are.

    read_on(opened, index, crop, index.last())    # what the index does not know yet
    read_again(opened, index, crop, members)      # members that it knows, and what lies around

The network, the digest and the decompression work side by side; memory holds a few megabytes.
Every `INTERVAL` bytes the state of all three is noted in the index, so that a pass that was killed
at 300 GB goes on at 300 GB, and its MD5 is still that of every byte. Between two such halts the MD5
must go from the state of one to that of the other: what is read again is proven as the whole was.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, Self

from memtools.checkpoints.index import Ended, Halt, Index
from memtools.checkpoints.inflater import DamageError, Inflater
from memtools.checkpoints.md5 import Md5, can_go_on
from memtools.checkpoints.tar_stream import Member, Sink, State, TarStream
from memtools.progress import bars

INTERVAL = 256 << 20  # bytes of the archive between two halts
Opened = Callable[[int, int | None], Iterable[bytes]]
"""The bytes of an archive from one to before another; None: to the end."""


class Crop(Protocol):
    """What is taken of an archive."""

    def wants(self, member: Member) -> bool:
        """Whether a member is to be taken: it was chosen, and is not there yet."""

    def open(self, member: Member) -> Sink:
        """Where its data goes. Until somebody vouches for it, it is as if it were not there."""

    def vouch(self) -> None:
        """What was taken whole until now is what the index tells of: keep it."""


def read_on(
    opened: Opened, index: Index, crop: Crop, start: Halt | None, *, label: str, size: int | None
) -> None:
    """Read from a halt (None: the first byte) to the end of the archive.

    size: of all of it in bytes, where known. Raises CutError if it has no end, DamageError if it is
    no such archive, and what reading and the crop raise; what was vouched for until then stays.
    """
    seen: list[Member] = []

    def sink(member: Member) -> Sink | None:
        seen.append(member)
        return crop.open(member) if crop.wants(member) else None

    with _Passage(start, sink) as passage, bars() as show:
        since = passage.position
        for data in opened(since, None):
            near = passage.position + len(data) - since >= INTERVAL
            for _ in passage.feed(data, stopping=near):
                if near and passage.position - since >= INTERVAL and (here := passage.halt()):
                    index.note(here, seen)
                    crop.vouch()
                    seen.clear()
                    since = passage.position
            show(label, passage.position, size)
        index.end(passage.finish(), seen)
        crop.vouch()


def read_again(
    opened: Opened, index: Index, crop: Crop, members: Sequence[Member], *, label: str
) -> None:
    """Read members that the index knows, each from the halt before it to the one behind.

    Raises DamageError if the bytes between are not those that were read before.
    """
    spans, chosen = _spans(index, members), {member.offset for member in members}
    total = sum(_end(stop, index) - _begin(start) for start, stop in spans)
    done = 0

    def sink(member: Member) -> Sink | None:
        return crop.open(member) if member.offset in chosen else None

    with bars() as show:
        for start, stop in spans:
            expected = index.between(start, stop)
            with _Passage(start, sink) as passage:
                for data in opened(passage.position, stop.point.position if stop else None):
                    for _ in passage.feed(data, stopping=True):
                        if expected and passage.is_at(expected[0]):
                            del expected[0]
                            crop.vouch()
                    done += len(data)
                    show(label, done, total)
                if expected or (stop is None and not _same(passage.finish(), index.ended)):
                    raise _another(index, label)
                crop.vouch()


class _Passage:
    """The digest, the decompression and the tar, side by side, from a halt on."""

    def __init__(self, start: Halt | None, sink: Callable[[Member], Sink | None]) -> None:
        self._inflater = Inflater(start.point if start else None)
        self._tar = TarStream(sink, start.tar if start else State())
        self._digest = _digest(start)
        self._chunk, self._before = (0, b""), self._digest  # the last, and the digest before it
        self._beside = concurrent.futures.ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._beside.shutdown()
        self._tar.close()
        self._inflater.close()

    @property
    def position(self) -> int:
        """Bytes of the archive that were read."""
        return self._inflater.position

    def feed(self, data: bytes, *, stopping: bool) -> Iterator[None]:
        """Pass some bytes on; stopping: at the end of each block, where `halt` may be taken."""
        self._chunk = self.position, data
        if self._digest is not None:
            self._before = self._digest.copy()
            digesting = self._beside.submit(self._digest.update, data)
        for view in self._inflater.feed(data, stopping=stopping):
            self._tar.feed(view)
            yield
        if self._digest is not None:
            digesting.result()

    def halt(self) -> Halt | None:
        """The state of everything here; None where there is none to go on from."""
        point, tar = self._inflater.point(), self._tar.state
        return Halt(point, tar, self.md5) if point and tar else None

    def is_at(self, halt: Halt) -> bool:
        """Whether this is where a halt was, and the bytes until here are those of then."""
        if self.position != halt.point.position or self._inflater.point() != halt.point:
            return False
        md5 = self.md5
        return md5 == halt.md5 or None in (md5, halt.md5)

    @property
    def md5(self) -> bytes | None:
        """The state of the digest of all bytes until here; None where it cannot be saved."""
        if self._before is None:
            return None
        begin, data = self._chunk
        digest = self._before.copy()
        digest.update(data[: self.position - begin])
        return digest.state

    def finish(self) -> Ended:
        """At the end of the archive; CutError if it is none."""
        self._inflater.finish()
        self._tar.finish()
        return Ended(self.position, self._digest.hexdigest() if self._digest else None)


def _same(found: Ended, known: Ended | None) -> bool:
    """Whether two passes came to one end, as far as both could tell."""
    if known is None or found.size != known.size:
        return False
    return found.md5 == known.md5 or None in (found.md5, known.md5)


def _another(index: Index, label: str) -> DamageError:
    return DamageError(
        f"{label}: its bytes are not those that {index.path} tells of",
        hint="run the same command again; if that does not help, take the index away",
    )


def _digest(start: Halt | None) -> Md5 | None:
    """From the first byte, or from where it was saved; None if it was not, or no one here can."""
    if start is None:
        return Md5()
    return Md5(start.md5) if start.md5 is not None and can_go_on() else None


def _spans(index: Index, members: Sequence[Member]) -> list[tuple[Halt | None, Halt | None]]:
    """From halt to halt around the members, each byte once."""
    spans: list[tuple[Halt | None, Halt | None]] = []
    for member in sorted(members, key=lambda each: each.offset):
        start, stop = index.before(member), index.behind(member)
        if spans and ((last := spans[-1][1]) is None or _begin(start) <= last.point.position):
            spans[-1] = spans[-1][0], stop if last is not None else None
        else:
            spans.append((start, stop))
    return spans


def _begin(start: Halt | None) -> int:
    """The first byte of a span."""
    return start.point.position if start else 0


def _end(stop: Halt | None, index: Index) -> int:
    """The byte behind a span: without a halt, the last of an archive whose end is known."""
    if stop:
        return stop.point.position
    return index.ended.size if index.ended else 0
