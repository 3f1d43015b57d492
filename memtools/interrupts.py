"""Signals that end a command, also where the code that runs just then swallows their exception.

with interruptible():
    for ...:
        check()                  # raises again what was swallowed since

Python swallows what is raised in a finalizer, such as that of a zip file, and so does TensorFlow in
some of its calls from C. A sweep would then go on for hours. So long work asks between its steps:
every bar of memtools.progress does, whether it is drawn or not.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_raised: BaseException | None = None  # for the last signal


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGINT, and SystemExit(128 + number) for other ending signals."""
    global _raised
    _raised = None
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, _end)
    try:
        yield
    finally:
        _raised = None
        if signal.getsignal(signal.SIGINT) is _end:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def check() -> None:
    """Raise the exception of a signal again if it was swallowed; while it unwinds, do nothing."""
    if _raised is not None and sys.exception() is None:
        raise _raised


def _end(number: int, _frame: object) -> NoReturn:
    global _raised
    _raised = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
    raise _raised
