"""Processes that work on one item after the other, and what becomes of them.

worker = Worker(Attempt(work, limit), place=(0, 2))
pipe = worker.give(item)                 # readable when it has something to say
message = worker.take()                  # Begun, or a result, or Lost
worker.leave(abruptly=False)
worker.end(patience=5.0)
"""

from __future__ import annotations

import contextlib
import importlib
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from memtools import progress
from memtools.attempts import Attempt, Lost, died, over_limit
from memtools.errors import MemtoolsError

GRACE = 10.0
"""Seconds after the limit of an item when its worker is killed, if it has not ended itself."""
PATIENCE = 5.0
"""Seconds for a worker to end."""
_place = (0, 1)


class Begun:
    """The message of a worker that begins with an item; until then it imports modules.

    at: when, by the clock that all processes of a machine share.
    """

    def __init__(self) -> None:
        self.at = time.monotonic()


class Worker:
    """A process, and the item that it has: one at a time, so that a death costs no other.

    The process is a fresh one, since TensorFlow does not survive a fork.
    """

    def __init__(self, work: Attempt[Any, Any], place: tuple[int, int]) -> None:
        self._work, self._place = work, place
        self._process: Any = None
        self._begun = self._deadline = math.inf
        self._killed = threading.Event()
        self.item: Any = None

    def give(self, item: object) -> Connection[Any, Any]:
        """Begin with an item; return where the answer will come from."""
        if self._process is not None and self._killed.is_set():
            self.end(PATIENCE)  # it may look alive for another instant
        if self._process is None or not self._process.is_alive():  # it was killed by others
            self._begin()
        self.item, self._begun, self._deadline = item, math.inf, math.inf
        self._send(item)
        return self._pipe

    def take(self) -> Any:
        """Return the outcome, or Begun; Lost if the process has died or was killed."""
        try:
            message = self._receive()
        except (EOFError, OSError):
            self.end(PATIENCE)
            return Lost(self._error())
        if isinstance(message, Begun) and self._work.limit is not None:
            # From now on, and not from then: while nobody reads, a worker that has finished waits.
            self._begun, self._deadline = message.at, time.monotonic() + self._work.limit + GRACE
        return message

    @property
    def time_left(self) -> float:
        """Seconds until the worker is to be killed; infinite without a limit."""
        return self._deadline - time.monotonic()

    def kill_if_late(self) -> None:
        """Kill a worker that is over its limit and has not ended itself, as one that is frozen."""
        if self.time_left <= 0:
            self._kill()

    def leave(self, *, abruptly: bool) -> None:
        """Tell the worker that nothing more comes; abruptly: end what it is doing, too."""
        if self._process is not None:
            self._pipe.close()
            if abruptly:
                self._process.terminate()

    def end(self, patience: float) -> None:
        """Wait so many seconds until it has ended, then end it."""
        if self._process is not None:
            self._process.join(patience)
            self._process.kill()
            self._process.join()
            self._process = None

    def _receive(self) -> Any:
        """Return a message. A worker that freezes in the middle of a long one is killed."""
        if self._work.limit is None:
            return self._pipe.recv()
        watch = threading.Timer(GRACE, self._kill)
        watch.daemon = True
        watch.start()
        try:
            return self._pipe.recv()
        finally:
            watch.cancel()
            watch.join()  # after this it kills no more, so the next item is safe

    def _kill(self) -> None:
        self._killed.set()
        self._process.kill()

    def _error(self) -> MemtoolsError:
        limit = self._work.limit
        if limit is not None and time.monotonic() - self._begun >= limit:
            return over_limit(limit)
        return died()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        module = getattr(self._work.work, "func", self._work.work).__module__
        # A daemon ends with the interpreter, whoever still holds on to what it was to find.
        arguments = theirs, module, self._place
        process = context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        self._process, self._killed = process, threading.Event()
        theirs.close()
        self._send(self._work)

    def _send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # of a dead one, which is noticed when it should answer
            self._pipe.send(message)


def place() -> tuple[int, int]:
    """Return (which worker this process is, 0-based, how many there are); (0, 1) outside."""
    return _place


def _serve(pipe: Connection[Any, Any], module: str, place: tuple[int, int]) -> None:
    """Work in a worker: the work comes first, then item after item, until nothing more does."""
    global _place
    _place = place
    progress.hush()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt reaches all of a terminal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and leaves nothing half-written
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if module != "__main__":
        with progress.silence():  # TensorFlow's greetings
            importlib.import_module(module)
    with contextlib.suppress(EOFError, ConnectionError):  # the other end is closed
        work = pipe.recv()
        while True:
            item = pipe.recv()
            pipe.send(Begun())
            pipe.send(work(item))


def _end_with_parent() -> None:
    """End this process when its parent has: one that was killed cannot tell its workers."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
