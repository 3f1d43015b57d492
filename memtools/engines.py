"""Work on many items: here and now, or in processes beside each other.

    for item, result in spread(work, items, n_workers=4): ...         # the first error ends it
    for item, outcome in outcomes(work, items, n_workers=4): ...      # a result, or Lost

Results come in the order in which they are finished; what was finished before an error has been
yielded, or lies where the work put it. Ray clusters: memtools.cluster, with the same `outcomes`.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import importlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Generic, TypeVar

from memtools import progress
from memtools.errors import MemtoolsError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext
    from multiprocessing.sharedctypes import Synchronized

Item = TypeVar("Item")
Result = TypeVar("Result")

_place = (0, 1)
AHEAD = 2  # items per worker that are given out at one time: what is not begun can be left


@dataclasses.dataclass(frozen=True)
class Lost:
    """An item without a result: what the work raised, or that its worker died."""

    error: Exception


def spread(
    work: Callable[[Item], Result], items: Iterable[Item], *, n_workers: int = 1
) -> Iterator[tuple[Item, Result]]:
    """(item, work(item)) for each item; with workers, `work` and items must pickle.

    n_workers: 1 works in this process. Raises what the work raises; MemtoolsError if a
    worker dies without a word.
    """
    return results(outcomes(work, items, n_workers=n_workers))


def results(
    found: Iterator[tuple[Item, Result | Lost]],
) -> Iterator[tuple[Item, Result]]:
    """What an engine finds, until the first that is Lost: its error is raised."""
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
) -> Iterator[tuple[Item, Result | Lost]]:
    """(item, work(item) or Lost) for each item: one that fails does not end the others.

    When a worker dies, all that was given out by then is Lost, and new workers go on. limit:
    seconds for an item, after which its worker ends itself, whatever it hangs in.
    """
    if n_workers == 1 and limit is None:
        return ((item, attempt(work, item)) for item in items)
    return _in_processes(Attempt(work, limit), iter(items), n_workers)


def attempt(work: Callable[[Item], Result], item: Item) -> Result | Lost:
    """What the work gives, or what it raised."""
    try:
        return work(item)
    except Exception as error:  # noqa: BLE001 - whoever asked decides what an error means
        return Lost(error)


@dataclasses.dataclass(frozen=True)
class Attempt(Generic[Item, Result]):
    """`attempt` of some work, to be sent to where it is done.

    limit: seconds, after which the process ends itself, whatever it hangs in; None: no limit.
    """

    work: Callable[[Item], Result]
    limit: float | None = None

    def __call__(self, item: Item) -> Result | Lost:
        """The result, or what was raised."""
        if self.limit is None:
            return attempt(self.work, item)
        alarm = threading.Timer(self.limit, os._exit, (1,))
        alarm.daemon = True
        alarm.start()
        try:
            return attempt(self.work, item)
        finally:
            alarm.cancel()


def _in_processes(
    work: Attempt[Item, Result], items: Iterator[Item], n_workers: int
) -> Iterator[tuple[Item, Result | Lost]]:
    """Fresh processes, since TensorFlow does not survive a fork."""
    for head in items:  # again, with new workers, if one of them died
        yield from _in_one_pool(work, itertools.chain([head], items), n_workers)


def _in_one_pool(
    work: Attempt[Item, Result], items: Iterator[Item], n_workers: int
) -> Iterator[tuple[Item, Result | Lost]]:
    """Until the items are through, or a worker dies."""
    context = multiprocessing.get_context("spawn")
    pool = _pool(work, context, n_workers)
    given: dict[concurrent.futures.Future[Result | Lost], Item] = {}
    lost: list[Item] = []

    def give(n: int) -> None:
        for item in itertools.islice(items, n):
            lost.append(item)  # unless it is taken
            given[pool.submit(work, item)] = lost.pop()

    try:
        give(AHEAD * n_workers)
        while given:
            done, _ = concurrent.futures.wait(given, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                outcome = future.result()
                yield given.pop(future), outcome
                give(1)
    except BrokenProcessPool:
        for item in [*given.values(), *lost]:
            yield item, Lost(died())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def died() -> MemtoolsError:
    """The error for a worker that is no more."""
    return MemtoolsError(
        "a worker process died without a word",
        hint="the system may have run out of memory: try fewer workers; running again goes on"
        " where it stopped",
    )


def _pool(
    work: Attempt[Item, Result], context: SpawnContext, n_workers: int
) -> concurrent.futures.ProcessPoolExecutor:
    module = getattr(work.work, "func", work.work).__module__
    return concurrent.futures.ProcessPoolExecutor(
        n_workers,
        context,
        initializer=_begin,
        initargs=(module, context.Value("i", 0), n_workers),
    )


def place() -> tuple[int, int]:
    """(which worker this process is, 0-based, how many there are); (0, 1) outside of workers."""
    return _place


def _begin(module: str, counter: Synchronized[int], n_workers: int) -> None:
    """Of a worker: the parent decides when it ends, and TensorFlow's greetings are not heard."""
    global _place
    with counter.get_lock():
        _place = (counter.value, n_workers)
        counter.value += 1
    progress.hush()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt reaches all of a terminal
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if module != "__main__":
        with progress.silence():
            importlib.import_module(module)


def _end_with_parent() -> None:
    """A killed parent cannot say goodbye; its workers must not go on for hours."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
