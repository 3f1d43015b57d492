"""From the order of TensorFlow Datasets to the official one: for runs, not for numbers.

    reorder(RunStore.open(Path("runs/0.7")), Path("official/0.7"))    # in the computed order
    ordering = Ordering.of(Path("train_ids.txt"), Path("test_ids.txt"))
    reorder(RunStore.open(Path("runs/0.7")), Path("official/0.7"), ordering)

The released CIFAR runs speak of their examples in the order in which a data set of TFDS lay on the
authors' disks. A hash gives that order (`memtools.datasets.tfds_order`). TFDS also gives each
example an id, such as train_01234, whose number is the official position; the ids in the order of
the runs, or the positions themselves, take precedence where they are given.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from memtools.arguments import StrPath
from memtools.datasets.data_sources import listing_of
from memtools.datasets.example_arrays import as_integers
from memtools.datasets.identity import official_position
from memtools.datasets.listing import Listing
from memtools.datasets.tfds_order import SIZES, tfds_order
from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.model import ExampleIndex
from memtools.estimates.npz import Array
from memtools.estimates.position_files import read_positions
from memtools.progress import bars
from memtools.runs.record import RunRecord, RunSpec
from memtools.runs.store import RunStore

_log = logging.getLogger("memtools.runs")

Run = TypeVar("Run", bound=Any)
"""A dataclass of columns train_..., test_... and mask: a RunRecord, or what becomes one."""

_HINT = "give the ids of all examples of that split, in the order of the runs"


@dataclasses.dataclass(frozen=True, eq=False)
class Ordering:
    """The official position of each example, int64 [n_train] and [n_test], in TFDS order."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]

    @classmethod
    def of(cls, train: Any, test: Any) -> Self:
        """From ids or positions: lists, or files (txt, csv, json, npy, npz, parquet).

        Raises AlignmentError unless every position is there once.
        """
        return cls(_positions(train, "train"), _positions(test, "test"))

    @classmethod
    def computed(cls, dataset: str) -> Self:
        """Return the order that the hash of TFDS gives; ConfigError for other data sets."""
        train, test = tfds_order(dataset, "train"), tfds_order(dataset, "test")
        if train is None or test is None:
            raise ConfigError(
                f"the order that TFDS gives to {dataset or 'a data set without a name'!r} cannot be"
                " computed",
                hint=f"give its ids with --ids; computed are {', '.join(SIZES)}",
            )
        return cls(train, test)

    def warn_if_not_computed(self, dataset: str) -> None:
        """Log a warning for each split whose order differs from the one that the hash gives."""
        for split, place in (("train", self.train), ("test", self.test)):
            computed = tfds_order(dataset, split)
            if computed is None or len(computed) != len(place):
                continue
            n = np.count_nonzero(computed != place)
            if n:
                _log.warning(
                    "%s of the %s ids of %s differ from the order computed for %s; the ids are"
                    " used",
                    f"{n:,}",
                    f"{len(place):,}",
                    split,
                    dataset,
                )

    @property
    def digest(self) -> str:
        """sha256 of both, hex."""
        return hashlib.sha256(self.train.tobytes() + self.test.tobytes()).hexdigest()

    def applied(self, run: Run) -> Run:
        """The same run in the official order; ConfigError if it has another number of examples."""
        moved = {}
        for field in dataclasses.fields(run):
            values, split = getattr(run, field.name), field.name.partition("_")[0]
            if values is not None and split in ("mask", "train", "test"):
                moved[field.name] = _moved(values, self.test if split == "test" else self.train)
        return dataclasses.replace(run, **moved)

    def applied_to_examples(self, examples: ExampleIndex) -> ExampleIndex:
        """Labels and names in the official order."""
        columns = {
            name: None if (values := getattr(examples, name)) is None else _moved(values, place)
            for names, place in (
                (("labels", "filenames"), self.train),
                (("test_labels", "test_filenames"), self.test),
            )
            for name in names
        }
        about = dataclasses.replace(examples.about, order="official")
        return ExampleIndex(about, **columns)


def reorder(store: RunStore, root: StrPath, ordering: Ordering | None = None) -> RunStore:
    """Write a store of the same runs in the official order; what is there already stays.

    Args:
        store: Runs in the order of TFDS.
        root: The directory of the new store.
        ordering: The official position of each example; computed without it. Where it differs
            from the computed order, it is used, with a warning.

    Returns:
        The new store.

    Raises:
        ConfigError: The runs are not in the order of TFDS, have another number of examples, or
            are of a data set whose order cannot be computed.
        BusyError: Other runs are there.
    """
    if store.sweep.order != "tfds":
        raise ConfigError(
            f"{store.root} is in the order {store.sweep.order or 'not known'!r}, not in TFDS's",
            hint="only runs of the released CIFAR archives need this",
        )
    if ordering is None:
        ordering = Ordering.computed(store.sweep.dataset)
    else:
        ordering.warn_if_not_computed(store.sweep.dataset)
    config = {**store.sweep.config, "ids": ordering.digest}
    sweep = dataclasses.replace(store.sweep, order="official", config=config)
    target = RunStore.create(root, sweep, ordering.applied_to_examples(store.examples))
    with bars("runs") as show:
        for count, record in enumerate(store, 1):
            target.add(_of_sweep(ordering.applied(record), sweep.digest))
            show(store.root.name, count, len(store))
    return target


def _of_sweep(record: RunRecord, config: str) -> RunRecord:
    spec = RunSpec(record.spec.run_id, config, record.spec.seed)
    return dataclasses.replace(record, spec=spec)


def _moved(values: Array, place: NDArray[np.int64]) -> Array:
    if len(values) != len(place):
        raise ConfigError(
            f"the order is that of {len(place):,} examples, and the runs have {len(values):,}",
            hint=_HINT,
        )
    moved = np.empty_like(values)
    moved[place] = values
    return moved


def _positions(source: Any, split: str) -> NDArray[np.int64]:
    bare = _bare_positions(source)
    listing = listing_of(source) if bare is None else Listing(index=bare)
    what = source if isinstance(source, (str, Path)) else listing.what or "the list"
    if listing.split not in ("", split):
        raise AlignmentError(f"{what} holds ids of {listing.split}, not of {split}", hint=_HINT)
    if listing.index is not None:
        found: Array | None = np.asarray(listing.index, np.int64)
    elif listing.names is None:
        found = None if listing.labels is None else np.asarray(listing.labels, np.int64)
    else:
        found = np.array([_position(name, split) for name in listing.names], np.int64)
    if found is None:
        raise ConfigError(f"no ids of {split} can be read from {what}", hint=_HINT)
    wrong = np.flatnonzero(np.sort(found) != np.arange(len(found)))
    if len(wrong):
        raise AlignmentError(
            f"of the {len(found):,} ids of {split} some are missing or there twice: position"
            f" {wrong[0]} is the first",
            hint=_HINT,
        )
    return found


def _bare_positions(source: Any) -> NDArray[np.int64] | None:
    """Return the integers of a list, npy or json, which are positions here; None for others.

    Elsewhere such a list may hold labels, so that `listing_of` refuses it.
    """
    if isinstance(source, (str, Path)):
        if Path(source).suffix.lower() not in (".npy", ".json"):
            return None
        try:
            found = read_positions(Path(source))
        except ConfigError:  # names
            return None
        return None if found.dtype == np.bool_ else found.astype(np.int64)
    integers = as_integers(source)
    return None if integers is None else integers.astype(np.int64)


def _position(name: str, split: str) -> int:
    if name.isdecimal():
        return int(name)
    found = official_position(name)
    if found is None or found[0] != split:
        raise AlignmentError(f"{name!r} is not an id of {split}", hint=_HINT)
    return found[1]
