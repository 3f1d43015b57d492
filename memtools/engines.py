"""Work on many items: here and now, or in processes beside each other.

    for item, result in spread(work, items, n_workers=4): ...         # the first error ends it
    for item, outcome in outcomes(work, items, n_workers=4): ...      # a result, or Lost

Results come in the order in which they are finished; what was finished before an error has been
yielded, or lies where the work put it. Ray clusters: memtools.cluster, with the same `outcomes`.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from multiprocessing.connection import wait
from typing import Any, TypeVar

from memtools.attempts import Attempt as Attempt
from memtools.attempts import Lost as Lost
from memtools.attempts import attempt as attempt
from memtools.attempts import over_limit as over_limit
from memtools.workers import GRACE as GRACE
from memtools.workers import PATIENCE, Begun, Worker
from memtools.workers import place as place

Item = TypeVar("Item")
Result = TypeVar("Result")

Answers = Generator[tuple[Item, Result | Lost], None, None]
"""The results of an engine, as they come; closing it ends the work."""


def spread(
    work: Callable[[Item], Result], items: Iterable[Item], *, n_workers: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, work(item)) for each item; with workers, `work` and items must pickle.

    n_workers: 1 works in this process. Raises what the work raises; MemtoolsError if a worker
    dies.
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


def _in_processes(
    work: Attempt[Item, Result], items: Iterator[Item], n_workers: int
) -> Answers[Item, Result]:
    workers = [Worker(work, (number, n_workers)) for number in range(n_workers)]
    at_work: dict[Any, Worker] = {}
    ended = False
    try:
        for worker, item in zip(workers, items, strict=False):
            at_work[worker.give(item)] = worker
        while at_work:
            for worker in _wait(at_work):
                outcome = worker.take()
                if isinstance(outcome, Begun):
                    continue
                at_work = {pipe: each for pipe, each in at_work.items() if each is not worker}
                yield worker.item, outcome
                for item in itertools.islice(items, 1):
                    at_work[worker.give(item)] = worker
        ended = True
    finally:
        for worker in workers:
            worker.leave(abruptly=not ended)
        end = time.monotonic() + PATIENCE
        for worker in workers:
            worker.end(max(0.0, end - time.monotonic()))


def _wait(at_work: Mapping[Any, Worker]) -> list[Worker]:
    """Wait until workers have something to say, and return them; kill those that are late.

    One that has said something is never late: it may have waited for its reader.
    """
    time_left = min(worker.time_left for worker in at_work.values())
    said = wait(list(at_work), None if math.isinf(time_left) else max(0.0, time_left))
    for pipe, worker in at_work.items():
        if pipe not in said:
            worker.kill_if_late()
    return [at_work[pipe] for pipe in said]
