"""Signals that end a command: an interrupt at a terminal, and requests to terminate.

with interruptible():
    ...                     # KeyboardInterrupt for SIGINT, SystemExit(143) for SIGTERM

Python swallows what is raised in a finalizer, such as that of a zip file. A signal that arrives
just then would be lost, and a sweep would go on for hours; so it is sent once more.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

AGAIN = 0.05  # seconds until a swallowed signal is sent once more: the finalizer has ended by then
_ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise SystemExit for signals that end a command, and let no finalizer swallow one."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, _end)
    show = sys.unraisablehook
    sys.unraisablehook = functools.partial(_send_again, show)
    try:
        yield
    finally:
        sys.unraisablehook = show


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _send_again(
    show: Callable[[sys.UnraisableHookArgs], object], swallowed: sys.UnraisableHookArgs
) -> None:
    """Send a signal again whose exception was swallowed; show any other exception."""
    number = _signal_of(swallowed.exc_value)
    if number is None:
        show(swallowed)
    else:
        timer = threading.Timer(AGAIN, os.kill, (os.getpid(), number))
        timer.daemon = True
        timer.start()


def _signal_of(error: BaseException | None) -> int | None:
    """Return the signal that an exception was raised for; None for any other exception."""
    if isinstance(error, KeyboardInterrupt):
        return signal.SIGINT
    codes = {128 + number: number for number in _ENDING}
    return codes.get(error.code) if isinstance(error, SystemExit) else None  # type: ignore[arg-type]
