"""A directory of runs of one configuration: a file for each, and the file is the completion.

store = RunStore.create(Path("runs"), sweep, examples)
store.add(record)                        # write-once
for record in store: ...                 # one that is damaged is left out, with a warning
store.set_damaged_aside()                # only by a process that holds the lock of the store

runs/
sweep.toml          the resolved configuration; another one is refused
examples.npz        labels and file names in the order of the records
records/000017.npz  one finished run
failed/17.json      one that failed: why, and at which step
quarantine/         records that were damaged or of another sweep; never averaged
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from memtools.arguments import StrPath, checked, checked_class
from memtools.errors import BusyError, ConfigError, DiskError, RecordError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.files import disk_errors, locked, write_atomically
from memtools.progress import bars
from memtools.runs.example_checks import check_examples, check_same_examples
from memtools.runs.examples_file import read_examples, write_examples
from memtools.runs.failures import read_failures, remove_failure, write_failure
from memtools.runs.plausibility import require_plausible_record
from memtools.runs.quarantine import move_aside
from memtools.runs.record import RunRecord, read, write
from memtools.runs.sweep_file import Sweep as Sweep
from memtools.runs.sweep_file import read_sweep

_log = logging.getLogger("memtools.runs")
_RECORD = re.compile(r"(?:\d{6}|[1-9]\d{6,11})\.npz", re.ASCII)
_warned: set[tuple[Path, str]] = set()  # records of which a warning has been given


@dataclasses.dataclass(frozen=True)
class Damaged:
    """A record that cannot be used: of which run, and why."""

    run_id: int
    error: RecordError


class _ForeignError(RecordError):
    """A record of another sweep, or of other sizes, than sweep.toml says."""


@checked_class('RunStore.open("runs")')
@dataclasses.dataclass(frozen=True, eq=False)
class RunStore:
    """Runs of one sweep, and the examples that they speak of."""

    root: Path
    sweep: Sweep
    examples: ExampleIndex

    @classmethod
    @checked('RunStore.create("runs", sweep, examples)')
    def create(cls, root: StrPath, sweep: Sweep, examples: ExampleIndex) -> Self:
        """Return the store of a directory, begun if it is new.

        Raises ConfigError if it holds another sweep, or other labels or names than those given.
        """
        root = Path(root)
        check_examples(examples, sweep.n_train, sweep.n_test, str(root))
        with disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(root / "sweep.toml"):
            return cls._reopen(root, sweep, examples)
        with locked(root / ".beginning", wait=True, waiting=lambda: None), disk_errors(root):
            if os.path.lexists(root / "sweep.toml"):  # another process was faster
                return cls._reopen(root, sweep, examples)
            for directory in ("records", "failed", "quarantine"):
                (root / directory).mkdir(exist_ok=True)
            write_examples(root / "examples.npz", examples)
            write_atomically(root / "sweep.toml", sweep.to_toml().encode(), ours=True)
        return cls.open(root)

    @classmethod
    def _reopen(cls, root: Path, sweep: Sweep, examples: ExampleIndex) -> Self:
        """Return the store of a directory that has one, if it is that of a sweep and examples."""
        there = read_sweep(root / "sweep.toml")
        if there != sweep:
            raise ConfigError(
                f"{root} holds runs of another sweep: {there.difference(sweep)}",
                hint="choose another directory, or the configuration in its sweep.toml",
            )
        if not os.path.lexists(root / "examples.npz"):
            _log.warning("%s was missing, and is written anew", root / "examples.npz")
            write_examples(root / "examples.npz", examples)
        store = cls.open(root)
        store.require_examples(examples)
        return store

    @classmethod
    @checked('RunStore.open("runs")')
    def open(cls, root: StrPath) -> Self:
        """Return the store of a directory.

        Raises:
            ConfigError: There is none, or its sweep.toml is damaged.
            RecordError: Its examples.npz is missing or damaged.
        """
        root = Path(root)
        if not os.path.lexists(root / "sweep.toml"):
            raise ConfigError(
                f"{root} holds no sweep.toml: it is not a store of runs",
                hint="memtools train or memtools import makes one",
            )
        sweep = read_sweep(root / "sweep.toml")
        about = About(dataset=sweep.dataset, order=sweep.order, source=str(root))
        examples = read_examples(root / "examples.npz", about)
        check_examples(examples, sweep.n_train, sweep.n_test, str(root / "examples.npz"))
        return cls(root, sweep, examples)

    def path(self, run_id: int) -> Path:
        """Return where the record of a run is, or will be."""
        return self.root / "records" / f"{run_id:06d}.npz"

    def run_ids(self) -> list[int]:
        """Return the finished runs, ascending."""
        with disk_errors(self.root / "records"), contextlib.suppress(FileNotFoundError):
            names = [path.name for path in (self.root / "records").iterdir()]
            return sorted(int(name[:-4]) for name in names if _RECORD.fullmatch(name))
        return []

    @checked("store.add(RunRecord(...))")
    def add(self, record: RunRecord) -> None:
        """Publish a record. Once: the same again is nothing, another one is refused.

        Raises RecordError for a record of another sweep or another size, or one whose mask seems
        inverted; BusyError if a different record of this run is there, as when two drivers work
        on one store.
        """
        self._require_ours(record)
        require_plausible_record(record, str(self.root))
        run_id = record.spec.run_id
        path = self.path(run_id)
        try:
            write(record, path, once=True)
        except DiskError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
            if self.read(run_id).digest != record.digest:
                raise BusyError(
                    f"{path} holds another result of run {run_id}",
                    hint="two drivers write to this store: stop one of them",
                ) from None
        remove_failure(self.root / "failed", run_id)

    def fail(self, run_id: int, reason: str, **facts: Any) -> None:
        """Note that a run failed, and why; it counts nowhere."""
        write_failure(self.root / "failed", run_id, reason, **facts)

    def failures(self) -> dict[int, str]:
        """Return why each failed run failed; RecordError for a note that is damaged."""
        return read_failures(self.root / "failed")

    def read(self, run_id: int) -> RunRecord:
        """The record of a run; RecordError if it is damaged or of another sweep."""
        record = read(self.path(run_id))
        self._require_ours(record)
        if record.spec.run_id != run_id:
            raise RecordError(
                f"{self.path(run_id)} is the record of run {record.spec.run_id}",
                hint="take it away and run that run again",
            )
        return record

    def scan(self) -> Iterator[RunRecord | Damaged]:
        """Yield each record, ascending, or why it cannot be used; nothing is moved.

        Raises RecordError if most records are not of the sweep in sweep.toml: then that file is
        the suspect.
        """
        run_ids, n_foreign = self.run_ids(), 0
        for run_id in run_ids:
            try:
                yield self.read(run_id)
            except RecordError as error:
                n_foreign += isinstance(error, _ForeignError)
                if n_foreign > max(1, len(run_ids) / 2):
                    raise RecordError(
                        f"most records in {self.root} do not agree with its sweep.toml: {error}",
                        hint="sweep.toml was edited, or is that of another store: restore it;"
                        " no record was moved",
                    ) from error
                yield Damaged(run_id, error)
            except DiskError:
                if os.path.lexists(self.path(run_id)):
                    raise  # else a driver has set it aside meanwhile

    def __iter__(self) -> Iterator[RunRecord]:
        """Yield all whole records, ascending; one that is damaged is left out, with a warning.

        Raises what `scan` raises.
        """
        for each in self.scan():
            if isinstance(each, RunRecord):
                yield each
            elif (key := (self.path(each.run_id), str(each.error))) not in _warned:
                _warned.add(key)
                _log.warning("run %d of %s is left out: %s", each.run_id, self.root, each.error)

    def set_damaged_aside(self) -> int:
        """Move records that cannot be used to quarantine/, with a warning; return how many.

        Only for a process that holds the lock of the store, and trains those runs again. Nothing
        is moved if `scan` raises, and nothing in quarantine/ is replaced.
        """
        damaged, n_runs = [], len(self)
        with bars("runs") as show:  # thousands of records take a while to read
            for n_read, each in enumerate(self.scan(), 1):
                show("checking records", n_read, n_runs)
                if isinstance(each, Damaged):
                    damaged.append(each)
        for each in damaged:
            path = self.path(each.run_id)
            place = move_aside(path, self.root / "quarantine")
            _log.warning("run %d is set aside as %s: %s", each.run_id, place, each.error)
        return len(damaged)

    def __len__(self) -> int:
        return len(self.run_ids())

    def merge(self, other: RunStore) -> int:
        """Take over the records of another store of this sweep; how many were new.

        Runs that both have must be equal. Raises ConfigError for another sweep, BusyError for
        a run that differs.
        """
        self.require_same(other)
        before = set(self.run_ids())
        for record in other:
            self.add(record)
        return len(set(self.run_ids()) - before)

    def require_same(self, other: RunStore, *, ratio: bool = True) -> None:
        """Raise ConfigError unless both stores are of one sweep and the same examples.

        ratio: whether the share of examples in a subset must be the same, too.
        """
        ours, theirs = (
            store.sweep if ratio else store.sweep.without_ratio() for store in (self, other)
        )
        if ours != theirs:
            raise ConfigError(
                f"{other.root} holds runs of another sweep: {ours.difference(theirs)}",
                hint="only runs of one configuration belong together",
            )
        check_same_examples(self.examples, other.examples, str(self.root))

    def require_examples(self, examples: ExampleIndex) -> None:
        """Raise ConfigError unless labels and names that are given are those of the store."""
        check_same_examples(self.examples, examples, str(self.root))
        if lacking := sorted(examples.arrays.keys() - self.examples.arrays.keys()):
            raise ConfigError(
                f"{self.root} was begun without {', '.join(lacking)}",
                hint="import all runs into another directory, with labels from the beginning",
            )

    def _require_ours(self, record: RunRecord) -> None:
        run = f"run {record.spec.run_id}"
        if record.spec.config != self.sweep.digest:
            raise _ForeignError(
                f"{run} is of another sweep than {self.root}", hint="see sweep.toml"
            )
        sizes, wanted = (
            (len(record.mask), len(record.test_correct)),
            (self.sweep.n_train, self.sweep.n_test),
        )
        if sizes != wanted:
            raise _ForeignError(
                f"{run} speaks of {sizes} training and test examples, the store of {wanted}",
                hint="records of one store are of one data set",
            )
