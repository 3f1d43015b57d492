"""A directory of runs of one configuration: a file for each, and the file is the completion.

store = RunStore.create(Path("runs"), sweep, examples)
store.add(record)                        # write-once
for record in store: ...                 # what is damaged or foreign is set aside, and said

runs/
sweep.toml          the resolved configuration; another one is refused
examples.npz        labels and file names in the order of the records
records/000017.npz  one finished run
failed/17.json      one that failed: why, and at which step
quarantine/         records that were damaged or of another sweep; never averaged
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import tomli_w

from memtools.errors import BusyError, ConfigError, RecordError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex, as_text
from memtools.estimates.npz import Npz, write_npz
from memtools.files import disk_errors, fsync_directory, write_atomically
from memtools.runs.example_checks import check_examples, check_same_examples
from memtools.runs.plausibility import require_plausible_record
from memtools.runs.record import RunRecord, read, write

_log = logging.getLogger("memtools.runs")
_EXAMPLES = {  # in examples.npz, under their published names
    "labels": "tr_labels",
    "filenames": "tr_filenames",
    "test_labels": "tt_labels",
    "test_filenames": "tt_filenames",
}


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What all runs of a store have in common.

    dataset, order: as in About. ratio: share of the training examples in a subset. n_train,
    n_test: examples. definition: the architecture and recipe in a few words. config: the
    resolved configuration, TOML values; whatever decides a run's result belongs into it.
    """

    dataset: str
    order: str
    ratio: float
    n_train: int
    n_test: int
    definition: str = ""
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def digest(self) -> str:
        """sha256 of all of it, hex: records carry it."""
        return hashlib.sha256(json.dumps(self._facts(), sort_keys=True).encode()).hexdigest()

    def without_ratio(self) -> Sweep:
        """Return the same recipe with a ratio of 0, also in the configuration."""
        config = {key: value for key, value in self.config.items() if key != "ratio"}
        return dataclasses.replace(self, ratio=0.0, config=config)

    def _facts(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "config": dict(self.config)}

    def to_toml(self) -> str:
        """The content of sweep.toml."""
        return tomli_w.dumps({"format": 1, **self._facts()})

    @classmethod
    def from_toml(cls, text: str, path: Path) -> Self:
        """From the content of sweep.toml; ConfigError if it is no such file."""
        try:
            document = tomllib.loads(text)
            if document.pop("format") != 1:
                raise ConfigError(f"{path} is of a later format", hint="update memtools")
            return cls(**document)
        except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} is damaged: {error}", hint="restore it") from error


@dataclasses.dataclass(frozen=True, eq=False)
class RunStore:
    """Runs of one sweep, and the examples that they speak of."""

    root: Path
    sweep: Sweep
    examples: ExampleIndex

    @classmethod
    def create(cls, root: Path, sweep: Sweep, examples: ExampleIndex) -> Self:
        """The store of a directory, begun if it is new.

        Raises ConfigError if it holds another sweep, or other labels or names than those given.
        """
        check_examples(examples, sweep.n_train, sweep.n_test, str(root))
        if (root / "sweep.toml").exists():
            store = cls.open(root)
            if store.sweep != sweep:
                raise ConfigError(
                    f"{root} holds runs of another sweep: {_difference(store.sweep, sweep)}",
                    hint="choose another directory, or the configuration in its sweep.toml",
                )
            store.require_examples(examples)
            return store
        with disk_errors(root):
            for directory in ("records", "failed", "quarantine"):
                (root / directory).mkdir(parents=True, exist_ok=True)
            write_npz(root / "examples.npz", examples.arrays)
            write_atomically(root / "sweep.toml", sweep.to_toml().encode())
        return cls.open(root)

    @classmethod
    def open(cls, root: Path) -> Self:
        """The store of a directory; ConfigError if there is none."""
        path = root / "sweep.toml"
        if not path.is_file():
            raise ConfigError(
                f"{root} holds no sweep.toml: it is no store of runs",
                hint="memtools train or memtools import makes one",
            )
        with disk_errors(path):
            sweep = Sweep.from_toml(path.read_text("utf-8"), path)
        with Npz(root / "examples.npz") as arrays:
            columns = {field: arrays.get(name) for field, name in _EXAMPLES.items()}
        columns["filenames"] = as_text(columns["filenames"])
        columns["test_filenames"] = as_text(columns["test_filenames"])
        about = About(dataset=sweep.dataset, order=sweep.order, source=str(root))
        return cls(root, sweep, ExampleIndex(about, **columns))

    def path(self, run_id: int) -> Path:
        """Where the record of a run is, or will be."""
        return self.root / "records" / f"{run_id:06d}.npz"

    def run_ids(self) -> list[int]:
        """The finished runs, ascending."""
        with disk_errors(self.root):
            found = list((self.root / "records").glob("*.npz"))
        return sorted(int(path.stem) for path in found if path.stem.isdigit())

    def add(self, record: RunRecord) -> None:
        """Publish a record. Once: the same again is nothing, another one is refused.

        Raises RecordError for a record of another sweep or another size, or one whose mask seems
        inverted; BusyError if a different record of this run is there, as when two drivers work
        on one store.
        """
        self._require_ours(record)
        require_plausible_record(record, str(self.root))
        path = self.path(record.spec.run_id)
        temporary = path.with_name(f"{path.stem}.{os.getpid()}.part")
        with disk_errors(path):
            try:
                write(record, temporary)
                os.link(temporary, path)  # fails where a rename would replace
                fsync_directory(path.parent)
            except FileExistsError:
                if self.read(record.spec.run_id).digest != record.digest:
                    raise BusyError(
                        f"{path} holds another result of run {record.spec.run_id}",
                        hint="two drivers write to this store: stop one of them",
                    ) from None
            finally:
                temporary.unlink(missing_ok=True)
        (self.root / "failed" / f"{record.spec.run_id}.json").unlink(missing_ok=True)

    def fail(self, run_id: int, reason: str, **facts: Any) -> None:
        """Note that a run failed, and why; it counts nowhere."""
        content = json.dumps({"run_id": run_id, "reason": reason, **facts}, indent=1)
        path = self.root / "failed" / f"{run_id}.json"
        with disk_errors(path):
            write_atomically(path, content.encode())

    def failures(self) -> dict[int, str]:
        """Why each failed run failed."""
        with disk_errors(self.root):
            found = [json.loads(path.read_text()) for path in (self.root / "failed").glob("*.json")]
        return {each["run_id"]: each["reason"] for each in found}

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

    def __iter__(self) -> Iterator[RunRecord]:
        """All whole records, ascending; others go to quarantine, with a warning."""
        for run_id in self.run_ids():
            try:
                yield self.read(run_id)
            except RecordError as error:
                self._set_aside(run_id, error)

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
                f"{other.root} holds runs of another sweep: {_difference(ours, theirs)}",
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
            raise RecordError(f"{run} is of another sweep than {self.root}", hint="see sweep.toml")
        sizes, wanted = (
            (len(record.mask), len(record.test_correct)),
            (self.sweep.n_train, self.sweep.n_test),
        )
        if sizes != wanted:
            raise RecordError(
                f"{run} speaks of {sizes} training and test examples, the store of {wanted}",
                hint="records of one store are of one data set",
            )

    def _set_aside(self, run_id: int, error: RecordError) -> None:
        path = self.path(run_id)
        with disk_errors(path):
            os.replace(path, self.root / "quarantine" / path.name)
        _log.warning("run %d is set aside in %s: %s", run_id, self.root / "quarantine", error)


def _difference(here: Sweep, there: Sweep) -> str:
    """The first thing that differs, in words."""
    ours, theirs = ({**s._facts(), **s.config} for s in (here, there))
    for key in sorted(ours.keys() | theirs.keys()):
        if key != "config" and ours.get(key) != theirs.get(key):
            return f"{key} is {ours.get(key)!r} there, {theirs.get(key)!r} here"
    return "its configuration"


def open_stores(directories: Sequence[Path]) -> list[RunStore]:
    """The stores of some directories; one that is none itself stands for the stores in it."""
    stores = []
    for root in directories:
        inside = sorted(path.parent for path in root.glob("*/sweep.toml"))
        one = (root / "sweep.toml").exists() or not inside
        stores += [RunStore.open(root)] if one else [RunStore.open(each) for each in inside]
    return stores
