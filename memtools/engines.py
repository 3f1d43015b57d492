"""Work on many items: here and now, or in processes beside each other.

    for item, result in spread(work, items, n_workers=4): ...         # the first error ends it
    for item, outcome in outcomes(work, items, n_workers=4): ...      # a result, or Lost

Results come in the order in which they are finished; what was finished before an error has been
yielded, or lies where the work put it. Ray clusters: memtools.cluster, with the same `outcomes`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import importlib
import itertools
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, TypeVar

from memtools import progress
from memtools.errors import MemtoolsError

Item = TypeVar("Item")
Result = TypeVar("Result")

GRACE = 10.0
"""Seconds after the limit of an item when its worker is killed, if it has not ended itself."""
_PATIENCE = 5.0  # seconds for a worker to end
_place = (0, 1)


@dataclasses.dataclass(frozen=True)
class Lost:
    """An item without a result: what the work raised, or that its worker died."""

    error: Exception


Answers = Generator[tuple[Item, Result | Lost], None, None]
"""The results of an engine, as they come; closing it ends the work."""


def spread(
    work: Callable[[Item], Result], items: Iterable[Item], *, n_workers: int = 1
) -> Iterator[tuple[Item, Result]]:
    """(item, work(item)) for each item; with workers, `work` and items must pickle.

    n_workers: 1 works in this process. Raises what the work raises; MemtoolsError if a
    worker dies without a word.
    """
    return results(outcomes(work, items, n_workers=n_workers))


def results(found: Answers[Item, Result]) -> Iterator[tuple[Item, Result]]:
    """Yield the results of an engine, until the first that is Lost: its error is raised."""
    with contextlib.closing(found):
        for item, outcome in found:
            if isinstance(outcome, Lost):
                raise outcome.error
            yield item, outcome


def outcomes(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    n_workers: int = 1,
    limit: float | None = None,
) -> Answers[Item, Result]:
    """Yield (item, work(item) or Lost) for each item: one that fails does not end the others.

    When a worker dies, the item that it had is Lost, and a new one goes on. Closed early, it ends
    the workers in the middle of what they do.

    Args:
        work: What is done; with workers it must pickle.
        items: Taken as they are needed.
        n_workers: 1 without a limit works in this process.
        limit: Seconds for an item. After them its worker ends itself, whatever it hangs in; a
            worker that is stopped or frozen is killed GRACE seconds later. Only a worker can be
            ended: with a limit there is one, even for n_workers=1.
    """
    if n_workers == 1 and limit is None:
        return ((item, attempt(work, item)) for item in items)
    return _in_processes(Attempt(work, limit), iter(items), n_workers)


def attempt(work: Callable[[Item], Result], item: Item) -> Result | Lost:
    """Return the result of the work, or what it raised."""
    try:
        return work(item)
    except Exception as error:  # noqa: BLE001 - whoever asked decides what an error means
        return Lost(error)


@dataclasses.dataclass(frozen=True)
class Attempt(Generic[Item, Result]):
    """`attempt` of some work, to be sent to where it is done.

    limit: seconds, after which the process ends itself, whatever it hangs in; None: no limit. A
    process that is stopped does not end: whoever waits for it kills it. directory: where relative
    paths begin, if it is there, too; None: wherever the process is.
    """

    work: Callable[[Item], Result]
    limit: float | None = None
    directory: Path | None = None

    def __call__(self, item: Item) -> Result | Lost:
        """The result, or what was raised, as far as it can be sent back."""
        if self.directory is not None:
            with contextlib.suppress(OSError):
                os.chdir(self.directory)
        with _ending_after(self.limit):
            return _sendable(attempt(self.work, item))


@contextlib.contextmanager
def _ending_after(limit: float | None) -> Iterator[None]:
    """Kill this process after `limit` seconds.

    Uses faulthandler, since a Python timer cannot interrupt a hanging C call.
    """
    if limit is None:
        yield
        return
    with Path(os.devnull).open("w") as nowhere:
        faulthandler.dump_traceback_later(limit, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _sendable(outcome: Result | Lost) -> Result | Lost:
    """Replace an exception that cannot be pickled by a MemtoolsError with the same message."""
    if isinstance(outcome, Lost):
        try:
            pickle.loads(pickle.dumps(outcome))  # noqa: S301 - our own
        except Exception:  # noqa: BLE001 - whatever an error keeps
            error = outcome.error
            said = f"{type(error).__name__}: {error}"
            return Lost(MemtoolsError(said, hint=getattr(error, "hint", "")))
    return outcome


def _in_processes(
    work: Attempt[Item, Result], items: Iterator[Item], n_workers: int
) -> Answers[Item, Result]:
    workers = [_Worker(work, (number, n_workers)) for number in range(n_workers)]
    at_work: dict[Any, _Worker] = {}
    ended = False
    try:
        for worker, item in zip(workers, items, strict=False):
            at_work[worker.give(item)] = worker
        while at_work:
            for pipe in wait(list(at_work)):
                worker = at_work[pipe]
                outcome = worker.take()
                if isinstance(outcome, _Begun):
                    continue
                del at_work[pipe]
                yield worker.item, outcome
                for item in itertools.islice(items, 1):
                    at_work[worker.give(item)] = worker
        ended = True
    finally:
        for worker in workers:
            worker.leave(abruptly=not ended)
        end = time.monotonic() + _PATIENCE
        for worker in workers:
            worker.end(max(0.0, end - time.monotonic()))


class _Begun:
    """The message of a worker that begins with an item; until then it imports modules."""


class _Worker:
    """A process, and the item that it has: one at a time, so that a death costs no other.

    The process is a fresh one, since TensorFlow does not survive a fork.
    """

    def __init__(self, work: Attempt[Any, Any], place: tuple[int, int]) -> None:
        self._work, self._place = work, place
        self._process: Any = None
        self._begun, self._watch = math.inf, threading.Timer(0, lambda: None)
        self.item: Any = None

    def give(self, item: object) -> Connection[Any, Any]:
        """Begin with an item; where the answer will come from."""
        if self._process is None or not self._process.is_alive():  # somebody killed it meanwhile
            self._begin()
        self.item, self._begun = item, math.inf
        self._send(item)
        return self._pipe

    def take(self) -> Any:
        """Return the outcome, or that it has begun; Lost if the process has died or was killed."""
        try:
            message = self._pipe.recv()
        except (EOFError, OSError):
            self._watch.cancel()
            self.end(_PATIENCE)
            return Lost(self._error())
        self._watch.cancel()
        if isinstance(message, _Begun):
            self._begun = time.monotonic()
            if self._work.limit is not None:  # a frozen one says no more, and its pipe stays open
                self._watch = threading.Timer(self._work.limit + GRACE, self._process.kill)
                self._watch.daemon = True
                self._watch.start()
        return message

    def _error(self) -> MemtoolsError:
        limit = self._work.limit
        if limit is not None and time.monotonic() - self._begun >= limit:
            return over_limit(limit)
        return died()

    def leave(self, *, abruptly: bool) -> None:
        """Tell the worker that nothing more comes; abruptly: end what it is doing, too."""
        self._watch.cancel()
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

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        module = getattr(self._work.work, "func", self._work.work).__module__
        # A daemon ends with the interpreter, whoever still holds on to what it was to find.
        arguments = theirs, module, self._place
        process = context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        self._process = process
        theirs.close()
        self._send(self._work)

    def _send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # of a dead one, which is noticed when it should answer
            self._pipe.send(message)


def died() -> MemtoolsError:
    """Return the error for a worker that has died."""
    return MemtoolsError(
        "a worker process died without a word",
        hint="the system may have run out of memory: try fewer workers; running again goes on"
        " where it stopped",
    )


def over_limit(limit: float) -> MemtoolsError:
    """Return the error for an item that was not done in time."""
    return MemtoolsError(
        f"it was not done within its limit of {limit:g} seconds, and its worker was ended",
        hint="set a longer limit (--limit-minutes), or none",
    )


def place() -> tuple[int, int]:
    """(which worker this process is, 0-based, how many there are); (0, 1) outside of workers."""
    return _place


def _serve(pipe: Connection[Any, Any], module: str, place: tuple[int, int]) -> None:
    """A worker: the work comes first, then item after item, until there is nothing more."""
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
            pipe.send(_Begun())
            pipe.send(work(item))


def _end_with_parent() -> None:
    """A killed parent cannot say goodbye; its workers must not go on for hours."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
