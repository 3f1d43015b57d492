"""The bytes of an archive from a given byte on: a URL, a file, or a pipe.

for data in opened("https://...", position): ...      # bytes, a megabyte or less

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
from pathlib import Path
from typing import BinaryIO

from memtools.errors import IntegrityError, RefusedError
from memtools.files import CHUNK, disk_errors
from memtools.transfer.answers import RangeError, Wish, ask
from memtools.transfer.patience import USUAL_PATIENCE, Budget, Patience, TransientError
from memtools.transfer.wire import public

log = logging.getLogger("memtools")
_AHEAD = 8  # chunks


def opened(
    source: str, start: int = 0, *, size: int | None = None, patience: Patience = USUAL_PATIENCE
) -> Iterator[bytes]:
    """The bytes from `start` to the end. source: a URL, a path, or `-` for standard input.

    size: of all of it, where known. Raises NetworkError when the budget of faults is used up;
    RefusedError, IntegrityError or DiskError at once.
    """
    if "://" in source:
        return _ahead(_remote(source, start, size, patience))
    return _ahead(_local(source, start))


def _remote(url: str, start: int, size: int | None, patience: Patience) -> Iterator[bytes]:
    budget, begun, ranged = Budget(patience), start, True
    validator: str | None = None
    while size is None or start < size:
        try:
            with ask(url, Wish(start, None, size, validator, ranged), patience) as answer:
                if validator and answer.validator != validator:
                    raise IntegrityError(
                        f"{public(url)}: the remote file has changed meanwhile",
                        hint="run the same command again: it begins with the new one",
                    )
                validator, size = answer.validator, answer.size or size
                position = answer.start  # the whole, from a server that cannot resume
                for view in answer.chunks():
                    skipped = min(len(view), max(0, start - position))
                    position += len(view)
                    if data := bytes(view[skipped:]):
                        start = position
                        yield data
                if answer.stop is None or position >= answer.stop:
                    return
                raise TransientError(f"the connection ended at byte {position} of {answer.stop}")
        except RangeError as error:
            if not ranged:
                raise RefusedError(
                    f"{public(url)}: {error}, even when asked for the whole file",
                    url=public(url),
                    status=206,
                    hint="this server cannot be used; try a mirror (--mirror)",
                ) from error
            ranged = False
        except TransientError as fault:
            log.warning("%s: %s; going on at byte %d", public(url), fault, start)
            budget.spend(fault, public(url), start - begun)


def _local(path: str, start: int) -> Iterator[bytes]:
    with disk_errors(Path(path)), _file(path) as file:
        if file.seekable():
            file.seek(start)
        while not file.seekable() and start and (passed := file.read(min(start, CHUNK))):
            start -= len(passed)
        while data := file.read(CHUNK):
            yield data


def _file(path: str) -> BinaryIO:
    return sys.stdin.buffer if path == "-" else Path(path).open("rb")


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
