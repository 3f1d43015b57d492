"""Runs that were trained elsewhere, on their way into a store.

    importer = Importer(root, "cifar10", "file", {"source": "stacked"}, examples)
    for outcome in outcomes: importer.hold(outcome)
    importer.check()                     # RecordError, and nothing is written
    store = importer.publish()

Bits are held packed, 13.75 kB for a run of CIFAR-100, so that all runs are seen before the first
is written.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from memtools.errors import ConfigError, RecordError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.estimates.npz import Array
from memtools.runs.example_checks import check_examples
from memtools.runs.plausibility import (
    MIN_RUNS,
    OutcomeCounts,
    require_plausible,
)
from memtools.runs.ratios import require_ratio
from memtools.runs.record import RunRecord, RunSpec
from memtools.runs.store import RunStore, Sweep
from memtools.runs.sweep import driving

_log = logging.getLogger("memtools.runs")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One run as it was found: bool [n_train], [n_train], [n_test]; margins where known."""

    run_id: int
    mask: Array
    train_correct: Array
    test_correct: Array
    train_margin: Array | None = None
    test_margin: Array | None = None

    def to_record(self, source: str, run_id: int = 0, config: str = "") -> RunRecord:
        """Return the record of a store. source: how it was imported; config: of the sweep."""
        return RunRecord(
            RunSpec(run_id, config),
            self.mask,
            self.train_correct,
            self.test_correct,
            train_margin=self.train_margin,
            test_margin=self.test_margin,
            facts={"imported": source},
        )


class Importer:
    """Puts outcomes into one store.

    ratio: of the subsets; None: that of the masks. numbered: whether the numbers of runs are only
    their order, so that a run whose number is taken gets the next free one.
    """

    def __init__(
        self,
        root: Path,
        dataset: str,
        order: str,
        config: Mapping[str, str],
        examples: ExampleIndex | None,
        ratio: float | None = None,
        *,
        numbered: bool = False,
    ) -> None:
        self.store: RunStore | None = None
        self._root, self._dataset, self._order, self._config = root, dataset, order, config
        self._examples = examples or ExampleIndex(About(), None, None, None, None)
        self._ratio, self._numbered = ratio, numbered
        self._counts: OutcomeCounts | None = None
        self._held: dict[str, tuple[int, Callable[[], Outcome]]] = {}
        self._known: dict[str, int] = {}  # runs of the store by digest
        self._digests: dict[int, str] = {}  # of the store's runs and the new ones, by run id
        self._sources: dict[str, list[int]] = {}  # positions of the counted runs of each file
        self._sizes = (0, 0)
        self._n_double = 0

    def add(self, outcome: Outcome) -> None:
        """Write one run at once; RecordError if it is of other examples than the first.

        ConfigError if the labels are of another number of examples.
        """
        if self.store is None:
            ratio = float(outcome.mask.mean()) if self._ratio is None else self._ratio
            sizes = len(outcome.mask), len(outcome.test_correct)
            self.store = RunStore.create(self._root, self._sweep(ratio, sizes), self._examples)
        digest = self.store.sweep.digest
        self.store.add(outcome.to_record(self._config["source"], outcome.run_id, digest))

    def hold(
        self, outcome: Outcome, again: Callable[[], Outcome] | None = None, source: str = ""
    ) -> None:
        """Count one run and remember it; the same outcome twice is one run.

        Args:
            outcome: The run.
            again: Reads it once more when it is written; without it, its bits are held in memory.
            source: The file that it is from, for messages.

        Raises:
            RecordError: The run is of other examples than the first, or another result of a run
                that is there.
            ConfigError: The labels are of another number of examples.
        """
        if self._counts is None:
            self._counts = self._begin(outcome)
        if (len(outcome.mask), len(outcome.test_correct)) != self._sizes:
            raise RecordError(
                f"run {outcome.run_id} speaks of"
                f" {(len(outcome.mask), len(outcome.test_correct))} training and test examples,"
                f" the others of {self._sizes}",
                hint="records of one store are of one data set",
            )
        digest = outcome.to_record(self._config["source"]).digest
        if not self._numbered and self._digests.setdefault(outcome.run_id, digest) != digest:
            raise RecordError(
                f"there are two different results of run {outcome.run_id} for {self._root}",
                hint="which is right? take the other one away, or import it into another directory",
            )
        if digest in self._held or self._known.get(digest, outcome.run_id) != outcome.run_id:
            self._n_double += 1
        if digest not in self._held and digest not in self._known:
            self._sources.setdefault(source, []).append(self._counts.n_runs)
            self._counts.observe(outcome, outcome.run_id)
            self._held[digest] = outcome.run_id, again or _packed(outcome)

    def check(self) -> None:
        """Raise RecordError if the runs cannot be right: alone, by file, or with the store's.

        ConfigError if the store holds another sweep or other labels.
        """
        if self._counts is None:
            return
        self._check_parts(self._counts)
        require_plausible(self._counts, str(self._root))
        ratio = self._ratio
        if ratio is None and self.store is not None:
            ratio = self.store.sweep.ratio
        if ratio is not None:
            require_ratio(self._counts, ratio, str(self._root))
            new = [position for positions in self._sources.values() for position in positions]
            if new:
                require_ratio(self._counts.of_runs(new), ratio, f"{self._root}, the new runs")

    def _check_parts(self, counts: OutcomeCounts) -> None:
        """Raise RecordError if the new runs, or those of a file of many, cannot be right alone.

        Among the runs of a store, or of other files, some that are wrong may not stand out.
        """
        new = [position for positions in self._sources.values() for position in positions]
        parts = {source: at for source, at in self._sources.items() if source}
        parts[f"{self._root}, the new runs alone"] = new
        for where, positions in parts.items():
            if MIN_RUNS <= len(positions) < counts.n_runs:
                require_plausible(counts.of_runs(positions), where)

    def publish(self) -> RunStore | None:
        """Write the runs that were held, and return their store; None without any run.

        Raises BusyError if another process drives the store.
        """
        if self._counts is None:
            return None
        if self._n_double:
            _log.warning(
                "%d runs were given twice, or are in %s under another number: each is taken once",
                self._n_double,
                self._root,
            )
        if self.store is None:
            ratio = self._counts.ratio if self._ratio is None else self._ratio
            sweep = self._sweep(ratio, self._sizes)
            self.store = RunStore.create(self._root, sweep, self._examples)
        with driving(self.store):
            for run_id, again in self._numbers(self.store):
                digest = self.store.sweep.digest
                self.store.add(again().to_record(self._config["source"], run_id, digest))
        return self.store

    def _begin(self, outcome: Outcome) -> OutcomeCounts:
        """Return the counts of the store's own runs, if there are any."""
        self._sizes = len(outcome.mask), len(outcome.test_correct)
        own = self._sweep(self._ratio or 0.0, self._sizes)
        check_examples(self._examples, *self._sizes, str(self._root))
        counts = OutcomeCounts(*self._sizes, self._examples.labels, self._examples.test_labels)
        if (self._root / "sweep.toml").exists():
            there = RunStore.open(self._root)
            ratio = there.sweep.ratio if self._ratio is None else self._ratio
            own = dataclasses.replace(own, ratio=ratio)
            self.store = RunStore.create(self._root, own, self._examples)
            for record in counts.watch(self.store):
                self._known[record.digest] = record.spec.run_id
                self._digests[record.spec.run_id] = record.digest
            counts.n_stored = counts.n_runs
        return counts

    def _numbers(self, store: RunStore) -> Iterator[tuple[int, Callable[[], Outcome]]]:
        """Yield each run that is held with the number that it gets."""
        taken = set(store.run_ids()) if self._numbered else set()
        free = (number for number in itertools.count() if number not in taken)
        for run_id, again in self._held.values():
            number = next(free) if self._numbered and run_id in taken else run_id
            taken.add(number)
            yield number, again

    def _sweep(self, ratio: float, sizes: tuple[int, int]) -> Sweep:
        for what, column, n in (
            ("training", self._examples.labels, sizes[0]),
            ("test", self._examples.test_labels, sizes[1]),
        ):
            if column is not None and len(column) != n:
                raise ConfigError(
                    f"the runs speak of {n} {what} examples, the labels of {len(column)}",
                    hint="give the labels of this data set, in the order of the runs",
                )
        if self._ratio is None:
            ratio = round(ratio, 3)
        return Sweep(self._dataset, self._order, ratio, *sizes, "imported", self._config)


def finished(importer: Importer, sources: Iterable[Path]) -> RunStore:
    """Check what an importer holds, write it, and return the store.

    Raises RecordError if there was no run, or if the runs cannot be right.
    """
    importer.check()
    store = importer.publish()
    if store is None:
        raise RecordError(
            f"{next(iter(sources), '')} holds no run", hint="get the file again, then import it"
        )
    return store


def _packed(outcome: Outcome) -> Callable[[], Outcome]:
    """Return a function that returns the same outcome, kept as packed bits."""
    bits = [
        np.packbits(column)
        for column in (outcome.mask, outcome.train_correct, outcome.test_correct)
    ]
    sizes = len(outcome.mask), len(outcome.test_correct)
    margins = outcome.train_margin, outcome.test_margin
    return functools.partial(_unpacked, outcome.run_id, bits, sizes, margins)


def _unpacked(
    run_id: int,
    bits: list[Array],
    sizes: tuple[int, int],
    margins: tuple[Array | None, Array | None],
) -> Outcome:
    mask, train, test = (
        np.unpackbits(each, count=n).view(np.bool_)
        for each, n in zip(bits, (sizes[0], *sizes), strict=True)
    )
    return Outcome(run_id, mask, train, test, *margins)


def check_store(store: RunStore) -> None:
    """Raise RecordError if the runs of a store cannot be right: mask, order, or ratio."""
    sweep, examples = store.sweep, store.examples
    labels = examples.labels, examples.test_labels
    counts = OutcomeCounts(sweep.n_train, sweep.n_test, *labels)
    for record in store:
        counts.observe(record, record.spec.run_id)
    require_plausible(counts, str(store.root))
    if counts.n_runs:
        require_ratio(counts, sweep.ratio, str(store.root))
