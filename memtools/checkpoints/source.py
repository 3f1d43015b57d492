"""The bytes of an archive from a given byte on: a URL, a file, or a pipe.

for data in opened("https://...", start, stop): ...   # bytes, a megabyte or so at a time

A connection that breaks is opened again where it broke. What is read is read ahead a little, in
a thread: the network does not wait for what is done with the bytes.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import threading
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path

from memtools.errors import RefusedError
from memtools.files import CHUNK, disk_errors
from memtools.transfer.answers import RangeError, Wish, ask
from memtools.transfer.patience import USUAL_PATIENCE, Budget, Patience, TransientError
from memtools.wording import redact_url

log = logging.getLogger("memtools")
_AHEAD = 8  # chunks


def opened(
    source: str,
    start: int = 0,
    stop: int | None = None,
    *,
    size: int | None = None,
    patience: Patience = USUAL_PATIENCE,
) -> Iterator[bytes]:
    """The bytes from `start` to before `stop`, or to the end.

    source: a URL, a path, or `-` for standard input. size: of all of it, where known. Raises
    NetworkError when the budget of faults is used up; RefusedError, IntegrityError or DiskError
    at once.
    """
    if "://" in source:
        return _ahead(_remote(source, start, stop, size, patience))
    return _ahead(_local(source, start, stop))


def reopens(source: str) -> bool:
    """Whether it can be read more than once, and from any byte on."""
    if "://" in source:
        return True
    return Path(source).is_file()


def _remote(
    url: str, start: int, stop: int | None, size: int | None, patience: Patience
) -> Iterator[bytes]:
    budget, begun, ranged, trusting = Budget(patience), start, True, True
    validator: str | None = None
    while (end := size if stop is None else stop) is None or start < end:
        wish = Wish(start, stop, size, validator if trusting else None, ranged)
        try:
            with ask(url, wish, patience) as answer:
                if wish.validator and answer.validator != validator:
                    log.warning("%s: the remote file may have changed", redact_url(url))
                    trusting = False  # from now on the digest decides
                    continue
                validator, size = answer.validator, answer.size or size
                position = answer.start  # 0, from a server that cannot resume
                for view in answer.chunks():
                    wanted = view[max(0, start - position) :]
                    position += len(view)
                    if data := bytes(wanted if stop is None else wanted[: stop - start]):
                        start += len(data)
                        yield data
                    if start == stop:
                        return
                if answer.stop is not None and position < answer.stop:
                    raise TransientError(f"the connection ended at byte {position}")
                if size is None or position >= size:
                    return
                if position == answer.start:
                    raise TransientError("the answer brought nothing")
        except RangeError as error:
            if not ranged:
                raise RefusedError(
                    f"{redact_url(url)}: {error}, even when asked for the whole file",
                    url=redact_url(url),
                    status=206,
                    hint="this server cannot be used; try a mirror (--mirror)",
                ) from error
            ranged = False
        except TransientError as fault:
            log.warning("%s: %s; going on at byte %d", redact_url(url), fault, start)
            budget.spend(fault, redact_url(url), start - begun)


def _local(path: str, start: int, stop: int | None) -> Iterator[bytes]:
    with disk_errors(Path(path)), _file(path) as file:
        if file.seekable():
            file.seek(start)
        else:
            _pass(file, start)
        left = sys.maxsize if stop is None else stop - start
        while left and (data := file.read(min(CHUNK, left))):
            left -= len(data)
            yield data


def _pass(file: RawIOBase, n_bytes: int) -> None:
    """Read what was read before."""
    while n_bytes and (passed := file.read(min(n_bytes, CHUNK))):
        n_bytes -= len(passed)


def _file(path: str) -> RawIOBase:
    """Without a buffer, whose lock would outlive a thread that waits for a pipe."""
    return open(0, "rb", buffering=0, closefd=False) if path == "-" else Path(path).open("rb", 0)


def _ahead(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, read in a thread."""
    ready: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD)
    over = threading.Event()

    def put(each: bytes | BaseException | None) -> None:
        while not over.is_set():
            with contextlib.suppress(queue.Full):  # until there is room, or nobody waits any more
                ready.put(each, timeout=0.2)
                return

    def read() -> None:
        try:
            for data in chunks:
                put(data)
                if over.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            put(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while (data := ready.get()) is not None:
            if isinstance(data, BaseException):
                raise data
            yield data
    finally:
        over.set()
