"""The runs that a store lacks, trained and put into it.

    failed = run_missing(store, parse_runs("0:64"), train, group=32)

The function that trains is an argument, and so is the engine that hands out work: nothing here
knows what training is, or where. Runs are handed out in groups that fill a device; only this
process writes to the store. What is there already is skipped, so stopping and starting, or a
larger range, is the same command.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from memtools.engines import Answers, Lost, outcomes
from memtools.errors import BusyError, ConfigError, DiskError
from memtools.files import disk_errors, locked, write_atomically
from memtools.progress import bars
from memtools.runs.record import Failure, RunRecord
from memtools.runs.store import RunStore

_log = logging.getLogger("memtools.runs")
Train = Callable[[Sequence[int]], Sequence[RunRecord | Failure]]
Trained = Answers[Sequence[int], Sequence[RunRecord | Failure]]
Engine = Callable[[Train, Iterable[Sequence[int]]], Trained]
"""`memtools.engines.outcomes`, or that of `memtools.cluster`, with its options given."""

_LOCK = ".driving"
ASKED, _OUT = "asked.json", ".out.json"


def run_missing(
    store: RunStore,
    run_ids: Sequence[int],
    train: Train,
    *,
    group: int = 1,
    engine: Engine = outcomes,
    attempts: int | None = None,
    wait: bool = False,
) -> dict[int, str]:
    """Train the runs that are not there; why each of those failed that did.

    train: from run ids to their records or failures; with workers it must pickle. group: runs
    that are trained at a time. attempts: how often a group is tried whose training raises or whose
    worker dies, before its runs have failed and the others go on; None: the first error ends it.
    wait: for another process that drives the store, instead of raising.

    Raises BusyError if another process drives the store; whatever training raises, without
    `attempts`; ConfigError and DiskError always. Every finished run is kept.
    """
    with (
        locked(store.root / _LOCK, wait=wait, waiting=lambda: _log.warning(_WAITING)),
        bars("runs") as show,
    ):
        note_asked(store, run_ids)
        there = set(store.run_ids())
        missing = [run_id for run_id in run_ids if run_id not in there]
        done, note = len(run_ids) - len(missing), ""
        show("training", done, len(run_ids))
        failed: dict[int, str] = {}
        left = [tuple(missing[start : start + group]) for start in range(0, len(missing), group)]
        for tries in itertools.count(1):
            again = []
            with contextlib.closing(_trained(store, train, left, engine)) as found:
                for run_group, results in found:
                    if isinstance(results, Lost):
                        _require_survivable(results.error, attempts)
                        if tries < (attempts or 1):
                            _log.warning("runs %s: %s; tried again later", run_group, results.error)
                            again.append(tuple(run_group))
                            continue
                        results = [Failure(run_id, str(results.error), -1) for run_id in run_group]
                    for result in results:
                        note = _kept(store, result, failed) or note
                    done += len(results)
                    show("training", done, len(run_ids), note)
            if not (left := again):
                return failed
    raise AssertionError  # pragma: no cover - the loop has no other end


def _kept(store: RunStore, result: RunRecord | Failure, failed: dict[int, str]) -> str:
    """Into the store with it; what to show of it."""
    if isinstance(result, Failure):
        failed[result.run_id] = result.reason
        store.fail(result.run_id, result.reason, step=result.step, time=time.time())
        return ""
    store.add(result)
    return f"accuracy {result.accuracy_in:.3f} in, {result.test_accuracy:.3f} test"


def _trained(
    store: RunStore, train: Train, groups: Iterable[Sequence[int]], engine: Engine
) -> Trained:
    """What the engine finds; meanwhile the store says which runs are given out."""
    out: set[int] = set()

    def given() -> Iterator[Sequence[int]]:
        for group in groups:
            out.update(group)
            _note_out(store, out)
            yield group

    try:
        with contextlib.closing(engine(train, given())) as found:
            for group, results in found:
                out.difference_update(group)
                _note_out(store, out)
                yield group, results
    finally:
        with contextlib.suppress(OSError):
            (store.root / _OUT).unlink()


def _note_out(store: RunStore, run_ids: set[int]) -> None:
    """Whole at any instant, but not durable, and perhaps not there: nothing relies on it."""
    path = store.root / _OUT
    temporary = path.with_suffix(".tmp")
    with contextlib.suppress(OSError):
        temporary.write_text(json.dumps(sorted(run_ids)), "utf-8")
        os.replace(temporary, path)


def given_out(store: RunStore) -> set[int]:
    """The runs that are being trained now, or wait for that where they will be."""
    with contextlib.suppress(OSError):
        if driven(store):
            return set(json.loads((store.root / _OUT).read_text("utf-8")))
    return set()


def note_asked(store: RunStore, run_ids: Sequence[int]) -> None:
    """Remember which runs the store is to have: those of before, and these."""
    path = store.root / ASKED
    document = json.dumps(sorted(set(run_ids) | asked(store)))
    with disk_errors(path):
        write_atomically(path, document.encode())


def asked(store: RunStore) -> set[int]:
    """The runs that were ever asked of the store."""
    path = store.root / ASKED
    if not path.exists():
        return set()
    with disk_errors(path):
        return set(json.loads(path.read_text("utf-8")))


def driven(store: RunStore) -> bool:
    """Whether a process drives the store now."""
    if not (store.root / _LOCK).exists():
        return False
    try:  # it may be left over from one that was killed
        with locked(store.root / _LOCK, wait=False, waiting=lambda: None):
            return False
    except BusyError:
        return True


def _require_survivable(error: Exception, attempts: int | None) -> None:
    """Raise what trying again cannot mend, or nobody wants to try again."""
    if attempts is None or isinstance(error, (ConfigError, DiskError)):
        raise error


_WAITING = "another process drives this store; waiting until it has finished"


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
