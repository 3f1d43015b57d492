"""Standard streams that are never silently lost: closed, full, or without a reader.

with checked_streams():
    sys.stdout.write("a result")             # DiskError if the disk is full
    sys.stderr.write("a note")               # lost, if nothing can take it: the work goes on

Python itself notices at its exit that what it has buffered cannot be written: too late for an exit
code of ours, and with a traceback.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from memtools.errors import MemtoolsError
from memtools.files import disk_errors


class _Checked:
    """A text stream; `failed` decides what a write that fails means.

    What follows a failure is lost, too: a later write that succeeds would make a gap.
    """

    def __init__(self, stream: TextIO, failed: Callable[[OSError], object]) -> None:
        self._stream = stream
        self._failed = failed
        self._error: OSError | None = None

    def write(self, text: str) -> int:
        """Write text."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand everything to the system."""
        self._attempt(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, act: Callable[[], object]) -> None:
        try:
            if self._error is None:
                act()
        except OSError as error:
            self._error = error
            _abandon(self._stream)
        if self._error is not None:
            self._failed(self._error)


@contextlib.contextmanager
def checked_streams() -> Iterator[None]:
    """Make the standard streams usable and checked, whatever the process was started with."""
    before = sys.stdout, sys.stderr
    _open_closed()
    out, err = sys.stdout or _open(1), sys.stderr or _open(2)
    for stream in (out, err):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know ASCII only
    sys.stdout = cast(TextIO, _Checked(out, _raise_lost))
    sys.stderr = cast(TextIO, _Checked(err, lambda error: None))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Open those of the descriptors 0 to 2 that are closed.

    The next file that is opened would have such a number, and be written to as if it were a
    standard stream. Standard output is opened for reading: every write to it fails, as is right.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # which takes the lowest number that is free
            os.set_inheritable(number, True)


def _open(number: int) -> TextIO:
    return open(number, "w", encoding="utf-8", closefd=False)


def _abandon(stream: TextIO) -> None:
    """Let what is still buffered go nowhere: Python's own flush at its exit would fail again."""
    with contextlib.suppress(OSError):  # a stream of a test has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _raise_lost(error: OSError) -> None:
    """Raise the MemtoolsError for results that cannot be written."""
    if isinstance(error, BrokenPipeError):
        raise MemtoolsError(
            "standard output: its reader has ended, and the rest of the results is lost",
            hint="let it read to the end, or write to a file: memtools ... > FILE",
        ) from error
    if error.errno == errno.EBADF:
        raise MemtoolsError(
            "standard output is closed, and the results are lost",
            hint="write to a file, or to /dev/null if nobody needs them: memtools ... > FILE",
        ) from error
    with disk_errors(Path("standard output")):
        raise error
