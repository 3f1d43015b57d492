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

from memtools.checkpoints.harvest import PROVISIONAL, USUAL, Released, Terms, gather
from memtools.checkpoints.tar_stream import Member
from memtools.errors import BusyError, RecordError
from memtools.estimates.model import ExampleIndex
from memtools.files import disk_errors, fsync_directory
from memtools.runs.importers import AuxImporter, run_of
from memtools.runs.ordering import Ordering
from memtools.runs.store import RunStore

_log = logging.getLogger("memtools.checkpoints")
_MAX_AUX = 256 << 20  # bytes of one aux_arrays.npz; ImageNet's has 19 MB


def collect(
    released: Released,
    root: Path,
    *,
    ratios: Collection[str] = (),
    run_ids: Collection[int] = (),
    examples: ExampleIndex | None = None,
    ordering: Ordering | None = None,
    terms: Terms = USUAL,
) -> list[RunStore]:
    """The outcomes of an archive's runs, as stores `root/<ratio>`, of which all bytes are right.

    ratios, run_ids: only these; all without them. examples: labels and names of the examples, in
    the order of the stores. ordering: into which order they are brought.

    Raises what `gather` raises; RecordError if runs are damaged: the others are there.
    """
    importer = AuxImporter(root / PROVISIONAL, released.dataset, released.order, examples, ordering)
    crop = _Outcomes(root, importer, ratios, run_ids)
    gather(released, crop, root, terms)
    if crop.damaged:
        first = next(iter(crop.damaged.values()))
        raise RecordError(
            f"{len(crop.damaged)} runs could not be taken, first {first}",
            hint=f"the others are in {root}",
        )
    return _stores(root)


class _Outcomes:
    """Every aux_arrays.npz that was chosen. damaged: why, of those that are none."""

    def __init__(
        self,
        root: Path,
        importer: AuxImporter,
        ratios: Collection[str],
        run_ids: Collection[int],
    ) -> None:
        self._root, self._importer = root, importer
        self._ratios, self._run_ids = ratios, run_ids
        self.damaged: dict[str, RecordError] = {}

    def wants(self, member: Member) -> bool:
        found = run_of(member.name)
        if found is None or not member.regular:
            return False
        ratio, run_id = found
        chosen = (not self._ratios or ratio in self._ratios) and (
            not self._run_ids or run_id in self._run_ids
        )
        return chosen and not any(
            _record(root, ratio, run_id).exists() for root in (self._root, self._provisional)
        )

    def open(self, member: Member) -> _Aux:
        return _Aux(self, member)

    def add(self, name: str, data: bytes) -> None:
        """Put a run into its store; one that is none is told of in the end."""
        try:
            if len(data) > _MAX_AUX:
                raise RecordError(f"{name} has more than {_MAX_AUX} bytes", hint="it is no run")
            self._importer.add(name, data)
        except BusyError:
            self.damaged[name] = RecordError(f"{name} is there twice, with different outcomes")
        except RecordError as error:
            _log.warning("%s", error)
            self.damaged[name] = error

    def keep(self, names: Collection[str]) -> None:
        known = {run_of(name) for name in names}
        for store in _stores(self._provisional):
            for run_id in store.run_ids():
                if (store.root.name, run_id) not in known:
                    with disk_errors(store.root):
                        store.path(run_id).unlink()

    def publish(self) -> None:
        for store in _stores(self._provisional):
            target = self._root / store.root.name
            if target.exists():
                RunStore.open(target).merge(store)
            else:
                with disk_errors(target):
                    os.rename(store.root, target)
        with disk_errors(self._root):
            fsync_directory(self._root)

    @property
    def _provisional(self) -> Path:
        return self._root / PROVISIONAL


class _Aux:
    """Gathers one aux_arrays.npz."""

    def __init__(self, crop: _Outcomes, member: Member) -> None:
        self._crop, self._member = crop, member
        self._data = bytearray()

    def write(self, data: memoryview) -> None:
        if len(self._data) <= _MAX_AUX:  # of a larger one it is enough to know that
            self._data += data

    def close(self) -> None:
        self._crop.add(self._member.name, bytes(self._data))


def _record(root: Path, ratio: str, run_id: int) -> Path:
    return root / ratio / "records" / f"{run_id:06d}.npz"


def _stores(root: Path) -> list[RunStore]:
    found: Iterable[Path] = sorted(path.parent for path in root.glob("*/sweep.toml"))
    return [RunStore.open(path) for path in found]
