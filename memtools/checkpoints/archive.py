"""One pass over a released archive, from which what is wanted is taken as it streams by.

    outcome = read(source, journal, open_member, size=..., md5=...)

The network, the digest and the decompression work side by side; memory holds a few megabytes.
Every `INTERVAL` bytes of the archive the state of all three is noted on disk, so that a pass that
was killed at 300 GB goes on at 300 GB, and the MD5 is still that of every byte.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable

from memtools.checkpoints.inflater import Inflater
from memtools.checkpoints.journal import Halt, Journal
from memtools.checkpoints.md5 import Md5
from memtools.checkpoints.tar_stream import Member, Sink, State, TarStream
from memtools.progress import bars

INTERVAL = 256 << 20  # bytes of the archive between two points from which a pass can go on


def read(
    opened: Callable[[int], Iterable[bytes]],
    journal: Journal,
    open_member: Callable[[Member], Sink | None],
    *,
    label: str,
    size: int | None = None,
) -> str | None:
    """Pass the whole archive by, from where the journal says; the MD5 of all of it, hex.

    opened: its bytes from a given one on. open_member: the sink for a member, or None. The MD5 is
    None if it is not known, because a pass was interrupted where there is no libcrypto.

    Raises IntegrityError if the archive is cut or damaged, and what reading and the sinks raise.
    """
    halt = journal.latest()
    inflater = Inflater(halt.point if halt else None)
    digest = _digest(halt)
    seen: list[Member] = []

    def note(member: Member) -> Sink | None:
        seen.append(member)
        return open_member(member)

    tar = TarStream(note, halt.tar if halt else State())
    since = inflater.position
    with bars() as show, concurrent.futures.ThreadPoolExecutor(1) as beside:
        for data in opened(inflater.position):
            begin = inflater.position
            before = digest.copy() if digest else None
            digesting = beside.submit(digest.update, data) if digest else None
            near = begin + len(data) - since >= INTERVAL
            for view in inflater.feed(data, stopping=near):
                tar.feed(view)
                if near and inflater.position - since >= INTERVAL:
                    point, state = inflater.point(), tar.state
                    if point is None or state is None:
                        continue
                    here = before.copy() if before else None
                    if here is not None:
                        here.update(data[: point.position - begin])
                    journal.note(Halt(point, state, here.state if here else None), seen)
                    seen.clear()
                    since = point.position
            if digesting:
                digesting.result()
            show(label, inflater.position, size)
    inflater.finish()
    inflater.close()
    tar.finish()
    return digest.hexdigest() if digest else None


def _digest(halt: Halt | None) -> Md5 | None:
    """From the first byte, or from where it was saved; None if it was not."""
    if halt is None:
        return Md5()
    return None if halt.md5 is None else Md5(halt.md5)
