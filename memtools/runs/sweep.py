"""The runs that a store lacks, trained and put into it.

    failed = run_missing(store, parse_runs("0:64"), train, group=32)

The function that trains is an argument: nothing here knows what training is. Runs are handed
out in groups that fill a device; only this process writes to the store. What is there
already is skipped, so stopping and starting, or a larger range, is the same command.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from memtools.engines import spread
from memtools.errors import ConfigError
from memtools.files import locked
from memtools.progress import bars
from memtools.runs.record import Failure, RunRecord
from memtools.runs.store import RunStore

Train = Callable[[Sequence[int]], Sequence[RunRecord | Failure]]
_LOCK = ".driving"


def run_missing(
    store: RunStore,
    run_ids: Sequence[int],
    train: Train,
    *,
    group: int = 1,
    n_workers: int = 1,
) -> dict[int, str]:
    """Train the runs that are not there; why each of those failed that did.

    train: from run ids to their records or failures; with workers it must pickle. group: runs
    that are trained at a time.

    Raises BusyError if another process drives the store; whatever training raises, with every
    finished run kept.
    """
    there = set(store.run_ids())
    missing = [run_id for run_id in run_ids if run_id not in there]
    groups = [missing[start : start + group] for start in range(0, len(missing), group)]
    failed: dict[int, str] = {}
    done, note = len(run_ids) - len(missing), ""
    with locked(store.root / _LOCK, wait=False, waiting=lambda: None), bars("runs") as show:
        show("training", done, len(run_ids))
        for _, results in spread(train, groups, n_workers=n_workers):
            for result in results:
                if isinstance(result, Failure):
                    failed[result.run_id] = result.reason
                    store.fail(result.run_id, result.reason, step=result.step, time=time.time())
                else:
                    store.add(result)
                    note = f"accuracy {result.accuracy_in:.3f} in, {result.test_accuracy:.3f} test"
            done += len(results)
            show("training", done, len(run_ids), note)
    return failed


def parse_runs(text: str) -> list[int]:
    """`7`, `0:64`, `0,17,123` and their mixtures, ascending; ConfigError for anything else."""
    found: set[int] = set()
    try:
        for part in text.split(","):
            start, colon, stop = part.partition(":")
            if colon:
                found |= set(range(int(start or 0), int(stop)))
            else:
                found.add(int(part))
    except ValueError:
        found = set()
    if not found or min(found) < 0:
        raise ConfigError(f"{text!r} names no runs", hint="write 7, or 0:64, or 0,17,123")
    return sorted(found)
