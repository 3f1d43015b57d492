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
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from memtools.documents import read_json
from memtools.engines import Answers, Lost, outcomes
from memtools.errors import ConfigError, DiskError, RecordError
from memtools.files import disk_errors, locked, remove_orphans, write_atomically
from memtools.locks import is_locked
from memtools.progress import bars
from memtools.runs.record import Failure, RunRecord
from memtools.runs.run_ids import RunIds
from memtools.runs.run_ids import parse_runs as parse_runs
from memtools.runs.store import RunStore

_log = logging.getLogger("memtools.runs")
Train = Callable[[Sequence[int]], Sequence[RunRecord | Failure]]
Trained = Answers[Sequence[int], Sequence[RunRecord | Failure]]
Engine = Callable[[Train, Iterable[Sequence[int]]], Trained]
"""`memtools.engines.outcomes`, or that of `memtools.cluster`, with its options given."""

_LOCK = ".driving"
_CHECKPOINTS = re.compile(r"\d{6,}-[0-9a-f]{8}")  # of a group: its first run, and a digest
ASKED, _OUT = "asked.json", ".out.json"


def run_missing(
    store: RunStore,
    run_ids: Iterable[int],
    train: Train,
    *,
    group: int = 1,
    engine: Engine = outcomes,
    attempts: int | None = None,
    wait: bool = False,
) -> dict[int, str]:
    """Train the runs that are not there; return why each of those failed that did.

    Records that are damaged are set aside first, and their runs trained again.

    Args:
        store: Where the runs go; nobody else drives it meanwhile.
        run_ids: Which runs it is to have: RunIds, a range, or any others.
        train: From run ids to their records or failures; with workers it must pickle.
        group: Runs that are trained at a time.
        engine: Where groups are trained.
        attempts: How often a group is tried whose training raises or whose worker dies, before
            its runs have failed and the others go on; None: the first error ends it.
        wait: Wait for another process that drives the store, instead of raising.

    Raises:
        BusyError: Another process drives the store.
        RecordError: Most records are not of the sweep in sweep.toml, or a note is damaged.
        ConfigError, DiskError: From training, always; without `attempts`, whatever it raises.
            Every finished run is kept.
    """
    wanted = RunIds.of(run_ids)
    with driving(store, wait=wait), bars("runs") as show:
        note_asked(store, wanted)
        missing = wanted.without(store.run_ids())
        n_done, note = len(wanted) - len(missing), ""
        show("training", n_done, len(wanted))
        failed: dict[int, str] = {}
        left: Iterable[Sequence[int]] = missing.groups(group)
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
                    n_done += len(results)
                    show("training", n_done, len(wanted), note)
            if not (left := again):
                return failed
    raise AssertionError  # pragma: no cover - the loop has no other end


@contextlib.contextmanager
def driving(store: RunStore, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a store, and first clear away what dead or faulty writers have left.

    Raises:
        BusyError: Another process drives the store, and `wait` is false.
        RecordError: Most records are not of the sweep in sweep.toml.
    """
    with locked(store.root / _LOCK, wait=wait, waiting=lambda: _log.warning(_WAITING)):
        remove_orphans(store.root / "records")
        store.set_damaged_aside()
        yield


def _kept(store: RunStore, result: RunRecord | Failure, failed: dict[int, str]) -> str:
    """Save the result; return a short note for the progress bar."""
    if isinstance(result, Failure):
        failed[result.run_id] = result.reason
        store.fail(result.run_id, result.reason, step=result.step, time=time.time())
        return ""
    store.add(result)
    return f"accuracy {result.accuracy_in:.3f} in, {result.test_accuracy:.3f} test"


def _trained(
    store: RunStore, train: Train, groups: Iterable[Sequence[int]], engine: Engine
) -> Trained:
    """Yield what the engine finds; meanwhile a note in the store tells which runs are given out."""
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
    """Write which runs are given out; where that fails it is not there, and nothing relies on it.

    Written whole, so that a reader finds the old content or the new.
    """
    with contextlib.suppress(OSError, DiskError):
        write_atomically(
            store.root / _OUT, json.dumps(RunIds.of(run_ids).to_list()).encode(), ours=True
        )


def given_out(store: RunStore) -> RunIds:
    """Return the runs that are being trained now, or wait for that where they will be."""
    if driven(store) and os.path.lexists(path := store.root / _OUT):
        with contextlib.suppress(DiskError):  # its driver has just finished
            return _read_runs(path, hint="remove it: the process that drives the store writes it")
    return RunIds()


def note_asked(store: RunStore, run_ids: Iterable[int]) -> None:
    """Remember which runs the store is to have: those of before, and these."""
    path = store.root / ASKED
    document = json.dumps((RunIds.of(run_ids) | asked(store)).to_list())
    with disk_errors(path):
        write_atomically(path, document.encode(), ours=True)


def asked(store: RunStore) -> RunIds:
    """Return the runs that were ever asked of the store; RecordError if its note is damaged."""
    path = store.root / ASKED
    if not os.path.lexists(path):
        return RunIds()
    return _read_runs(path, hint="remove it: memtools train and sweep run note anew what is asked")


def _read_runs(path: Path, *, hint: str) -> RunIds:
    """Return the runs of a JSON file: ranges, or the numbers that earlier versions wrote."""
    document = read_json(path, error=RecordError, hint=hint)
    try:
        return RunIds.from_list(document)
    except ValueError as error:
        raise RecordError(f"{path} is damaged: {error}", hint=hint) from error


def driven(store: RunStore) -> bool:
    """Return whether a process drives the store now; its lock may be left over from a dead one."""
    return is_locked(store.root / _LOCK)


def _require_survivable(error: Exception, attempts: int | None) -> None:
    """Raise an error that trying again cannot mend, or that is not to be tried again."""
    if attempts is None or isinstance(error, (ConfigError, DiskError)):
        raise error


_WAITING = "another process drives this store; waiting until it has finished"


def remove_checkpoints(directory: Path) -> None:
    """Remove the checkpoints of groups of runs, and their directory if nothing else is in it."""
    for path in directory.glob("*"):
        if _CHECKPOINTS.fullmatch(path.name) and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):  # it is not there, or holds files of the user's own
        directory.rmdir()
