"""How far a sweep is: what is done, failed, missing; how fast; how accurate.

status = Status.of(store)
status.n_done, status.n_missing, status.hours_left
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np

from memtools.runs.store import Damaged, RunStore
from memtools.runs.sweep import ASKED, asked, driven, given_out


@dataclasses.dataclass(frozen=True)
class Spread:
    """The smallest, the median and the largest of some accuracies."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self | None:
        """Return that of the values that are finite; None if there are none."""
        known = np.array(values, np.float64)
        known = known[np.isfinite(known)]
        return cls(*np.quantile(known, [0, 0.5, 1]).tolist()) if len(known) else None


@dataclasses.dataclass(frozen=True)
class Status:
    """How far the runs of a store are.

    n_done, n_failed, n_missing: runs of those that were ever asked for; failed ones are missing.
    n_damaged: records that cannot be used; the next process that drives the store sets them aside.
    n_running: of the missing ones, those that are given out to be trained. driven: whether a
    process works on it now. runs_per_hour: since its driver was started; None before the first
    record. hours_left: at that pace. inside, outside, test: accuracies of the runs.
    """

    n_done: int
    n_failed: int
    n_missing: int
    n_damaged: int
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
        """Return the status of a store as it is now; it may be worked on meanwhile.

        Raises RecordError for notes that are damaged, or if most records are of another sweep.
        """
        done: set[int] = set()
        accuracies: list[tuple[float, float, float]] = []
        n_damaged = 0
        for each in store.scan():
            if isinstance(each, Damaged):
                n_damaged += 1
                continue
            done.add(each.spec.run_id)
            accuracies.append((each.accuracy_in, each.accuracy_out, each.test_accuracy))
        missing = asked(store).without(done)
        pace = _pace(store, done)
        failures = {run: why for run, why in store.failures().items() if run not in done}
        inside, outside, test = zip(*accuracies, strict=True) if accuracies else ((), (), ())
        return cls(
            n_done=len(done),
            n_failed=len(failures),
            n_missing=len(missing),
            n_damaged=n_damaged,
            n_running=sum(run_id in missing for run_id in given_out(store)),
            driven=driven(store),
            runs_per_hour=pace,
            hours_left=len(missing) / pace if pace else None,
            inside=Spread.of(inside),
            outside=Spread.of(outside),
            test=Spread.of(test),
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
