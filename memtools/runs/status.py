"""How far a sweep is: what is done, failed, missing; how fast; how accurate.

status = Status.of(store)
status.n_done, status.n_missing, status.hours_left
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Self

import numpy as np

from memtools.runs.store import RunStore
from memtools.runs.sweep import ASKED, asked, driven, given_out


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

    n_running: of the missing ones, those that are given out to be trained. driven: whether a
    process works on it now. runs_per_hour: since its driver was started; None before the first
    record. hours_left: at that pace. inside, outside, test: accuracies of the runs.
    """

    n_done: int
    n_failed: int
    n_missing: int
    n_running: int
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
        records = list(store)  # first, for one that is damaged does not stay
        done = {record.spec.run_id for record in records}
        missing = asked(store) - done
        pace = _pace(store, done)
        failures = {run: why for run, why in store.failures().items() if run not in done}
        return cls(
            n_done=len(done),
            n_failed=len(failures),
            n_missing=len(missing),
            n_running=len(given_out(store) & missing),
            driven=driven(store),
            runs_per_hour=pace,
            hours_left=len(missing) / pace if pace else None,
            inside=Spread.of([record.accuracy_in for record in records]),
            outside=Spread.of([record.accuracy_out for record in records]),
            test=Spread.of([record.test_accuracy for record in records]),
            failures=failures,
        )


def _pace(store: RunStore, run_ids: set[int]) -> float | None:
    """Runs per hour, since a driver said last what the store is to have.

    By the clock of the disk alone. Records come in bursts, a whole stack at a time: between the
    first and the last of them is not the time that they took.
    """
    times = []
    with contextlib.suppress(FileNotFoundError):  # nothing was ever asked of an imported store
        since = (store.root / ASKED).stat().st_mtime
        for run_id in run_ids:
            with contextlib.suppress(FileNotFoundError):  # somebody may put it into quarantine
                times.append(store.path(run_id).stat().st_mtime)
        new = [each for each in times if each > since]
        if new:
            return 3600 * len(new) / (max(new) - since)
    return None
