"""A released archive, read as it streams by: to its end, or only where some members are.

    read_on(opened, index, crop)             # what the index does not know yet
    read_again(opened, index, crop, members) # members that it knows, and what lies around them

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
from memtools.checkpoints.inflater import Inflater
from memtools.checkpoints.md5 import Md5
from memtools.checkpoints.tar_stream import Member, Sink, State, TarStream
from memtools.errors import IntegrityError
from memtools.progress import bars

INTERVAL = 256 << 20  # bytes of the archive between two halts
Opened = Callable[[int, int | None], Iterable[bytes]]
"""The bytes of an archive from one to before another; None: to the end."""


class Crop(Protocol):
    """What is taken of an archive."""

    def wants(self, member: Member) -> bool:
        """Whether a member is to be taken: it was chosen, and is not there yet."""

    def open(self, member: Member) -> Sink:
        """Where its data goes; when it is closed, it is on disk."""


def read_on(
    opened: Opened, index: Index, crop: Crop, start: Halt | None, *, label: str, size: int | None
) -> None:
    """Read from a halt (None: the first byte) to the end of the archive.

    size: of all of it in bytes, where known. Raises CutError if it has no end, IntegrityError if it
    is damaged, and what reading and the crop raise; what was taken until then stays.
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
                    seen.clear()
                    since = passage.position
            show(label, passage.position, size)
        index.end(passage.finish(), seen)


def read_again(
    opened: Opened, index: Index, crop: Crop, members: Sequence[Member], *, label: str
) -> None:
    """Read members that the index knows, each from the halt before it to the one behind.

    Raises IntegrityError if the bytes between are not those that were read before.
    """
    spans, chosen = _spans(index, members), {member.offset for member in members}
    total = sum(
        (stop.point.position if stop else _size(index)) - _at(start) for start, stop in spans
    )
    done = 0
    with bars() as show:
        for start, stop in spans:
            with _Passage(
                start, lambda each: crop.open(each) if each.offset in chosen else None
            ) as here:
                for data in opened(here.position, stop.point.position if stop else None):
                    for _ in here.feed(data, stopping=True):
                        pass
                    done += len(data)
                    show(label, done, total)
                same = here.halt() == stop if stop else here.finish() == index.ended
            if not same:
                raise IntegrityError(
                    f"{label}: bytes {_at(start)} to {here.position} are not those that"
                    f" {index.path} tells of",
                    hint="run the same command again; if that does not help, take the index away",
                )


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
        if point is None or tar is None:
            return None
        begin, data = self._chunk
        digest = self._before.copy() if self._before is not None else None
        if digest is not None:
            digest.update(data[: point.position - begin])
        return Halt(point, tar, digest.state if digest else None)

    def finish(self) -> Ended:
        """At the end of the archive; CutError if it is none."""
        self._inflater.finish()
        self._tar.finish()
        return Ended(self.position, self._digest.hexdigest() if self._digest else None)


def _digest(start: Halt | None) -> Md5 | None:
    """From the first byte, or from where it was saved; None if it was not."""
    if start is None:
        return Md5()
    return None if start.md5 is None else Md5(start.md5)


def _spans(index: Index, members: Sequence[Member]) -> list[tuple[Halt | None, Halt | None]]:
    """From halt to halt around the members, each byte once."""
    spans: list[tuple[Halt | None, Halt | None]] = []
    for member in sorted(members, key=lambda each: each.offset):
        start, stop = index.before(member), index.behind(member)
        if spans and ((last := spans[-1][1]) is None or _at(start) <= last.point.position):
            spans[-1] = spans[-1][0], stop if last is not None else None
        else:
            spans.append((start, stop))
    return spans


def _at(halt: Halt | None) -> int:
    return halt.point.position if halt else 0


def _size(index: Index) -> int:
    return index.ended.size if index.ended else 0
