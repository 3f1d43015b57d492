"""What estimates need of a released archive: which examples each model saw, and got right.

    stores = collect(source, Path("runs"), about)        # a store for each ratio: runs/0.7, ...

Of 367 GB the outcomes are kept, 0.65 GB, in one pass that can be interrupted at any instant. They
stand under `provisional/` until the MD5 of all bytes of the archive holds; then they move up. If it
does not hold, they are withdrawn.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from memtools.checkpoints.archive import read
from memtools.checkpoints.inflater import CutError
from memtools.checkpoints.journal import Journal
from memtools.checkpoints.source import opened
from memtools.checkpoints.tar_stream import Member
from memtools.errors import ChecksumError, IntegrityError, MemtoolsError, RecordError
from memtools.files import disk_errors, fsync_directory, locked
from memtools.runs.importers import AuxImporter, run_of
from memtools.runs.store import RunStore
from memtools.transfer.patience import USUAL_PATIENCE, Patience

_log = logging.getLogger("memtools.checkpoints")
_MAX_AUX = 256 << 20  # bytes of one aux_arrays.npz; ImageNet's has 19 MB
PROVISIONAL = "provisional"
JOURNAL = "archive.journal"
_DONE = "archive.md5"


@dataclasses.dataclass(frozen=True)
class Released:
    """What is known of an archive. md5: of all of it, hex; size: in bytes; None: not known."""

    dataset: str
    order: str
    md5: str | None = None
    size: int | None = None


def collect(
    source: str,
    root: Path,
    released: Released,
    *,
    ratios: Collection[str] = (),
    run_ids: Collection[int] = (),
    unverified: bool = False,
    patience: Patience = USUAL_PATIENCE,
) -> list[RunStore]:
    """The outcomes of an archive's runs, as stores `root/<ratio>`, of which all bytes are right.

    source: a URL, a path, or `-` for standard input. ratios, run_ids: only these; all without
    them. unverified: take the runs although no MD5 is known, or it could not be computed.
    patience: with the network.

    Raises ChecksumError if the MD5 does not hold: the runs of this archive are then withdrawn;
    MemtoolsError if it could not be checked: they stay provisional.
    """
    chosen = sorted(ratios), sorted(run_ids)
    identity = f"outcomes of {source}: {released}, {chosen}"
    with locked(root / ".collecting", wait=False, waiting=lambda: None):
        if _done(root, identity):
            return _stores(root)
        importer = AuxImporter(root / PROVISIONAL, released.dataset, released.order)
        take = functools.partial(_sink, importer, ratios, run_ids)
        with Journal(root / JOURNAL, identity) as journal:
            if journal.latest() is None:  # of another archive, or from before its first halt
                _withdraw(root, journal)
            try:
                md5 = read(
                    functools.partial(opened, source, size=released.size, patience=patience),
                    journal,
                    take,
                    label=Path(source).name,
                    size=released.size,
                )
            except CutError:
                raise
            except IntegrityError as error:
                _withdraw(root, journal)
                error.hint += "; its runs were withdrawn"
                raise
            if md5 and released.md5 and md5 != released.md5:
                _withdraw(root, journal)
                raise ChecksumError(
                    f"{source}: its md5 is {md5}, not {released.md5}",
                    path=Path(source),
                    expected=released.md5,
                    actual=md5,
                    hint="it is not the archive that was published: its runs were withdrawn",
                )
        if not (md5 and released.md5) and not unverified:
            raise _unverifiable(root, md5)
        _publish(root)
        (root / _DONE).write_text(f"{md5}\n{identity}\n")
        return _stores(root)


class _Aux:
    """Gathers one aux_arrays.npz."""

    def __init__(self, importer: AuxImporter, name: str) -> None:
        self._importer, self._name = importer, name
        self._data = bytearray()

    def write(self, data: memoryview) -> None:
        self._data += data

    def close(self) -> None:
        self._importer.add(self._name, bytes(self._data))


def _sink(
    importer: AuxImporter, ratios: Collection[str], run_ids: Collection[int], member: Member
) -> _Aux | None:
    found = run_of(member.name)
    if found is None or not member.regular:
        return None
    if (ratios and found[0] not in ratios) or (run_ids and found[1] not in run_ids):
        return None
    if member.size > _MAX_AUX:
        raise RecordError(
            f"{member.name} has {member.size} bytes",
            hint="this is no archive of the released models",
        )
    return _Aux(importer, member.name)


def _publish(root: Path) -> None:
    """What was provisional is final."""
    for store in _stores(root / PROVISIONAL):
        target = root / store.root.name
        with disk_errors(target):
            if target.exists():
                RunStore.open(target).merge(store)
                shutil.rmtree(store.root)
            else:
                store.root.rename(target)
    with disk_errors(root):
        shutil.rmtree(root / PROVISIONAL, ignore_errors=True)
        fsync_directory(root)


def _withdraw(root: Path, journal: Journal) -> None:
    """What was provisional was wrong."""
    journal.clear()
    with disk_errors(root):
        shutil.rmtree(root / PROVISIONAL, ignore_errors=True)


def _stores(root: Path) -> list[RunStore]:
    found: Iterable[Path] = sorted(path.parent for path in root.glob("*/sweep.toml"))
    return [RunStore.open(path) for path in found]


def _done(root: Path, identity: str) -> bool:
    path = root / _DONE
    return path.exists() and path.read_text().partition("\n")[2].strip() == identity


def _unverifiable(root: Path, md5: str | None) -> MemtoolsError:
    what = (
        f"its md5 is {md5}, and none is known" if md5 else "the md5 of an interrupted pass is lost"
    )
    return MemtoolsError(
        f"the archive could not be verified: {what}",
        hint=f"the runs stay in {root / PROVISIONAL}; --md5 HEX, or --unverified to take them",
    )
