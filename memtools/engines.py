"""Work on many items: here and now, or in processes beside each other.

    for item, result in spread(work, items, n_workers=4): ...

Results come in the order in which they are finished. An error in any worker ends the
loop with that error, and nothing new is begun; what was finished by then has been
yielded, or lies where the work put it.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, TypeVar

from memtools import progress
from memtools.errors import MemtoolsError

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

Item = TypeVar("Item")
Result = TypeVar("Result")

_place = (0, 1)
AHEAD = 2  # items per worker that are given out at one time: what is not begun can be left


def spread(
    work: Callable[[Item], Result], items: Iterable[Item], *, n_workers: int = 1
) -> Iterator[tuple[Item, Result]]:
    """(item, work(item)) for each item; with workers, `work` and items must pickle.

    n_workers: 1 works in this process. Raises what the work raises; MemtoolsError if a
    worker dies without a word.
    """
    if n_workers == 1:
        return ((item, work(item)) for item in items)
    return _in_processes(work, iter(items), n_workers)


def _in_processes(
    work: Callable[[Item], Result], items: Iterator[Item], n_workers: int
) -> Iterator[tuple[Item, Result]]:
    """Fresh processes, since TensorFlow does not survive a fork."""
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(
        n_workers,
        context,
        initializer=_begin,
        initargs=(getattr(work, "func", work).__module__, context.Value("i", 0), n_workers),
    )
    try:
        given = {
            pool.submit(work, item): item for item in itertools.islice(items, AHEAD * n_workers)
        }
        while given:
            done, _ = concurrent.futures.wait(given, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                yield given.pop(future), future.result()
                given |= {pool.submit(work, item): item for item in itertools.islice(items, 1)}
    except BrokenProcessPool as error:
        raise MemtoolsError(
            "a worker process died without a word",
            hint="the system may have run out of memory: try fewer workers; running again"
            " goes on where it stopped",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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
