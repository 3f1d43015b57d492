"""What estimates need of a released archive: which examples each model saw, and got right.

    stores = collect(released, Path("runs"))             # a store for each ratio: runs/0.7, ...

Of 367 GB the outcomes are kept, 0.65 GB, in one pass that can be interrupted at any instant. They
stand under `provisional/` until the MD5 of all bytes of the archive holds; then they move up. If it
does not hold, they are withdrawn.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from memtools.arguments import StrPath, checked
from memtools.checkpoints.harvest import PROVISIONAL, USUAL, Released, Terms, gather
from memtools.checkpoints.tar_stream import Member
from memtools.errors import BusyError, ConfigError, MemtoolsError, RecordError
from memtools.estimates.model import ExampleIndex
from memtools.files import disk_errors, fsync_directory
from memtools.runs.imported_runs import Outcome, check_store
from memtools.runs.importers import MAX_AUX, AuxImporter, read_aux, run_of
from memtools.runs.ordering import Ordering
from memtools.runs.run_ids import RunIds
from memtools.runs.store import RunStore
from memtools.runs.sweep import driving

_log = logging.getLogger("memtools.checkpoints")


@checked('collect(released, "runs")')
def collect(
    released: Released,
    root: StrPath,
    *,
    ratios: Collection[float] = (),
    run_ids: Collection[int] = (),
    examples: ExampleIndex | None = None,
    ordering: Ordering | None = None,
    terms: Terms = USUAL,
) -> list[RunStore]:
    """The outcomes of an archive's runs, as stores `root/<ratio>`, of which all bytes are right.

    ratios, run_ids: only these; all without them. examples: labels and names of the examples, in
    the order of the stores. ordering: from the order of TFDS into the official one.

    Raises what `gather` raises; ConfigError if the archive holds none of those runs, or if there
    are stores of another kind; MemtoolsError if some could not be taken: the others are there;
    RecordError if the runs that are there cannot be right (memtools.runs.plausibility).
    """
    root = Path(root)
    if ordering and released.order != "tfds":
        raise ConfigError(
            f"the runs are in the order {released.order!r}, and ids bring them out of that of TFDS",
            hint="leave out --ids and --official, or say --order tfds",
        )
    if ordering:
        ordering.warn_if_not_computed(released.dataset)
    importer = AuxImporter(root / PROVISIONAL, released.dataset, released.order, examples, ordering)
    for store in [*_stores(root), *_stores(root / PROVISIONAL)]:
        _require_same(importer, store, examples)
    crop = _Outcomes(root, importer, ratios, run_ids)
    places = gather(released, crop, root, terms)
    _require_all(released, root, crop, places)
    for store in _stores(root):
        check_store(store)
    return _stores(root)


class _Outcomes:
    """Every aux_arrays.npz that was chosen. damaged: why, of those that are none."""

    def __init__(
        self,
        root: Path,
        importer: AuxImporter,
        ratios: Collection[float],
        run_ids: Collection[int],
    ) -> None:
        self._root, self._importer = root, importer
        self.ratios, self.run_ids = frozenset(ratios), RunIds.of(run_ids)
        self.damaged: dict[str, RecordError] = {}
        self._taken: list[tuple[str, Outcome]] = []  # that nobody has vouched for yet

    def place(self, member: Member) -> str | None:
        found = run_of(member.name) if member.regular else None
        if found is None:
            return None
        ratio, run_id = found
        if (self.ratios and float(ratio) not in self.ratios) or (
            self.run_ids and run_id not in self.run_ids
        ):
            return None
        return f"{ratio}/{run_id}"

    def wants(self, member: Member) -> bool:
        if self.place(member) is None:
            return False
        ratio, run_id = run_of(member.name) or ("", -1)
        file = Path(ratio, "records", f"{run_id:06d}.npz")
        return not any((root / file).exists() for root in (self._root, self._provisional))

    def open(self, member: Member) -> _Aux:
        return _Aux(self, member)

    def add(self, name: str, data: bytes) -> None:
        """One aux_arrays.npz; one that is none is told of in the end."""
        ratio, run_id = run_of(name) or ("", -1)
        try:
            self._taken.append((ratio, read_aux(name, run_id, data)))
        except RecordError as error:
            self._refuse(name, error)

    def vouch(self) -> None:
        taken, self._taken = self._taken, []
        for ratio, outcome in taken:
            try:
                self._importer.put(ratio, outcome)
            except BusyError:
                continue  # of two members that go to one place, which is said in the end
            except RecordError as error:
                self._refuse(f"{ratio}/{outcome.run_id}", error)

    def keep(self, names: Collection[str]) -> None:
        self._taken.clear()
        known = {run_of(name) for name in names}
        for store in _stores(self._provisional):
            ratio = store.root.name
            with disk_errors(store.root):
                for path in (store.root / "records").iterdir():
                    if path.suffix != ".npz" or (ratio, int(path.stem)) not in known:
                        path.unlink()

    def publish(self) -> None:
        for store in _stores(self._provisional):
            target = self._root / store.root.name
            if target.exists():
                known = RunStore.open(target)
                with driving(
                    known
                ):  # which sets damaged records aside, so that these take their place
                    known.merge(store)
            else:
                with disk_errors(target):
                    os.rename(store.root, target)
                    fsync_directory(self._root)

    def _refuse(self, name: str, error: RecordError) -> None:
        _log.warning("%s", error)
        self.damaged[name] = error

    @property
    def _provisional(self) -> Path:
        return self._root / PROVISIONAL


class _Aux:
    """Gathers one aux_arrays.npz."""

    def __init__(self, crop: _Outcomes, member: Member) -> None:
        self._crop, self._member = crop, member
        self._data = bytearray()

    def write(self, data: memoryview) -> None:
        if len(self._data) <= MAX_AUX:  # of a larger one it is enough to know that
            self._data += data

    def close(self) -> None:
        self._crop.add(self._member.name, bytes(self._data))

    def drop(self) -> None:
        self._data.clear()


def _require_same(importer: AuxImporter, store: RunStore, examples: ExampleIndex | None) -> None:
    """Raise ConfigError if a store is of other data, in another order, or of other labels."""
    sweep = store.sweep
    if (sweep.dataset, sweep.order, dict(sweep.config)) != importer.kind:
        raise ConfigError(
            f"{store.root} holds runs of {sweep.dataset} in the order {sweep.order!r}, and those"
            f" of {importer.kind[0]} in the order {importer.kind[1]!r} are asked for",
            hint="choose another directory, or the options of the first time",
        )
    ours, theirs = (each.arrays if each else {} for each in (examples, store.examples))
    if ours and not all(
        np.array_equal(values, theirs.get(key, ())) for key, values in ours.items()
    ):
        raise ConfigError(
            f"{store.root} has other labels than those given",
            hint="choose another directory, or the labels of the first time",
        )


def _require_all(released: Released, root: Path, crop: _Outcomes, places: list[str]) -> None:
    """Raise unless all that was asked for is there."""
    if not places:
        raise ConfigError(
            f"{released.name} holds no runs that were chosen",
            hint="choose others with --runs and --ratio; is it an archive of the released models?",
        )
    if crop.damaged:
        first = next(iter(crop.damaged.values()))
        raise MemtoolsError(
            f"{len(crop.damaged)} of {len(places)} runs could not be taken, first {first}",
            hint=f"the others are in {root}",
        )
    require_found(crop.ratios, crop.run_ids, places, root)


def require_found(
    ratios: Collection[float], run_ids: Collection[int], places: Iterable[str], root: Path
) -> None:
    """Raise MemtoolsError if none of the places, `.../<ratio>/<run>`, is of a ratio or a run."""
    found = [place.split("/")[-2:] for place in places]
    absent = sorted({*ratios} - {float(ratio) for ratio, _ in found})
    missing = RunIds.of(run_ids).without(int(run) for _, run in found)
    if absent or missing:
        first = f"ratio {absent[0]:g}" if absent else f"run {missing[0]}"
        raise MemtoolsError(
            f"the archive lacks {len(absent) + len(missing)} of what was asked for, first {first}",
            hint=f"what it has is in {root}",
        )


def _stores(root: Path) -> list[RunStore]:
    found: Iterable[Path] = sorted(path.parent for path in root.glob("*/sweep.toml"))
    return [RunStore.open(path) for path in found]
