"""How far a sweep is: what is done, failed, missing; how fast; how accurate.

status = Status.of(store)
status.n_done, status.n_missing, status.hours_left
"""

from __future__ import annotations

import dataclasses
import time
from typing import Self

import numpy as np

from memtools.files import disk_errors
from memtools.runs.store import RunStore
from memtools.runs.sweep import asked, driven

_RECENT = 3600.0  # seconds over which the pace is taken


@dataclasses.dataclass(frozen=True)
class Spread:
    """The smallest, the median and the largest of some accuracies."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Self | None:
        """None of nothing."""
        known = np.array(values)[np.isfinite(values)] if values else np.zeros(0)
        return cls(*np.quantile(known, [0, 0.5, 1]).tolist()) if len(known) else None


@dataclasses.dataclass(frozen=True)
class Status:
    """n_done, n_failed, n_missing: runs of those that were ever asked for; failed ones are missing.

    driven: whether a process works on it now. runs_per_hour: of the last hour, from when the
    records were written; None with fewer than two. hours_left: at that pace. inside, outside, test:
    accuracies of the runs.
    """

    n_done: int
    n_failed: int
    n_missing: int
    driven: bool
    runs_per_hour: float | None
    hours_left: float | None
    inside: Spread | None
    outside: Spread | None
    test: Spread | None
    failures: dict[int, str]

    @classmethod
    def of(cls, store: RunStore) -> Self:
        """Of a store as it is now; it may be worked on meanwhile."""
        done = set(store.run_ids())
        missing = asked(store) - done
        records = list(store)
        pace = _pace(store, sorted(done))
        failures = {run: why for run, why in store.failures().items() if run not in done}
        return cls(
            n_done=len(done),
            n_failed=len(failures),
            n_missing=len(missing),
            driven=driven(store),
            runs_per_hour=pace,
            hours_left=len(missing) / pace if pace else None,
            inside=Spread.of([record.accuracy_in for record in records]),
            outside=Spread.of([record.accuracy_out for record in records]),
            test=Spread.of([record.test_accuracy for record in records]),
            failures=failures,
        )


def _pace(store: RunStore, run_ids: list[int]) -> float | None:
    """Runs per hour."""
    with disk_errors(store.root):
        written = sorted(store.path(run_id).stat().st_mtime for run_id in run_ids)
    recent = [each for each in written if each > time.time() - _RECENT]
    if len(recent) < 2 or recent[-1] == recent[0]:
        return None
    return (len(recent) - 1) / (recent[-1] - recent[0]) * 3600
