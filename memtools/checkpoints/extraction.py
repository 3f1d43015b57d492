"""Chosen models out of a released archive, as files; nothing else of it is kept.

    directories = extract(released, Path("models"), run_ids=[0, 17, 123])

models/cifar10-inception/0.7/17/aux_arrays.npz
models/cifar10-inception/0.7/17/checkpoints/ckpt-160.index, ...

A name out of an archive is a path only if each of its parts is a plain one, and nothing but regular
files is written. What was taken is provisional until the MD5 of the archive holds, as everywhere.
With the index of an earlier pass only the bytes around the chosen runs are read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from memtools.arguments import StrPath, checked
from memtools.checkpoints.harvest import PROVISIONAL, USUAL, Released, Terms, gather
from memtools.checkpoints.inflater import DamageError
from memtools.checkpoints.outcomes import require_found
from memtools.checkpoints.tar_stream import Member
from memtools.errors import ConfigError, DiskError
from memtools.files import (
    disk_errors,
    fsync_directory,
    is_plain_name,
    publish,
    require_free,
    require_outside_store,
)
from memtools.runs.run_ids import RunIds
from memtools.temporary_files import create

_OF_RUN = re.compile(
    r"(?P<run>(?:.*/)?(?P<ratio>\d+(?:\.\d+)?)/(?P<run_id>\d{1,12}))/.+", re.DOTALL
)
_UNPROVEN = ".unproven"  # in the provisional directory: what nobody has vouched for


@checked('extract(released, "models", run_ids=[0, 17])')
def extract(
    released: Released,
    root: StrPath,
    *,
    run_ids: Collection[int],
    ratios: Collection[float] = (),
    terms: Terms = USUAL,
) -> list[Path]:
    """The directories of the chosen runs, `root` / their place in the archive, ascending.

    ratios: only these; all without them. Raises what `gather` raises; ConfigError if the archive
    holds none of those runs, MemtoolsError if it lacks some; DamageError for a member whose name
    is no path below `root`; DiskError if another file stands where one should go.
    """
    root = Path(root)
    require_outside_store(root / PROVISIONAL)
    crop = _Runs(root, RunIds.of(run_ids), frozenset(ratios))
    places = gather(released, crop, root, terms)
    runs = {match["run"] for place in places if (match := _OF_RUN.fullmatch(place))}
    if not runs:
        raise ConfigError(
            f"{released.name} holds none of the runs that were chosen",
            hint="choose others with --runs or --ratio",
        )
    require_found(ratios, run_ids, runs, root)
    return sorted(root / run for run in runs)


class _Runs:
    """Every regular file of the chosen runs, but hidden ones: no run has left those."""

    def __init__(self, root: Path, run_ids: Collection[int], ratios: Collection[float]) -> None:
        self._root, self._run_ids, self._ratios = root, run_ids, ratios

    def place(self, member: Member) -> str | None:
        found = _OF_RUN.fullmatch(member.name)
        if (
            not member.regular
            or found is None
            or int(found["run_id"]) not in self._run_ids
            or (self._ratios and float(found["ratio"]) not in self._ratios)
            or PurePosixPath(member.name).name.startswith(".")
        ):
            return None
        return _checked(member.name.removeprefix("./"))

    def wants(self, member: Member) -> bool:
        place = self.place(member)
        if place is None or (self._provisional / place).exists():
            return False
        target = self._root / place
        if not target.exists():
            return True
        if not target.is_file() or target.stat().st_size != member.size:
            raise DiskError(
                f"{target} is there already, and not what the archive holds",
                hint="take it away, or choose another directory",
            )
        return False

    def open(self, member: Member) -> _File:
        require_free(self._root, member.size, member.name)
        return _File(self._unproven / (self.place(member) or ""))

    def vouch(self) -> None:
        _move(self._unproven, self._provisional)

    def keep(self, names: Collection[str]) -> None:
        known = {name.removeprefix("./") for name in names}
        with disk_errors(self._provisional):
            for path in _files(self._provisional):
                if path.relative_to(self._provisional).as_posix() not in known:
                    path.unlink()

    def publish(self) -> None:
        _move(self._provisional, self._root)

    @property
    def _provisional(self) -> Path:
        return self._root / PROVISIONAL

    @property
    def _unproven(self) -> Path:
        return self._provisional / _UNPROVEN


class _File:
    """One member on its way to the disk: it appears when it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary, descriptor = create(path)
        self._file: BinaryIO = os.fdopen(descriptor, "wb")

    def write(self, data: memoryview) -> None:
        with disk_errors(self._path):
            self._file.write(data)

    def close(self) -> None:
        with disk_errors(self._path):
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())
            publish(self._temporary, self._path)

    def drop(self) -> None:
        with disk_errors(self._path):
            self._file.close()
            self._temporary.unlink(missing_ok=True)


def _files(directory: Path) -> list[Path]:
    """The files of runs below a directory, whole ones and others."""
    return sorted(path for path in directory.glob("*/**/*") if path.is_file())


def _move(source: Path, target: Path) -> None:
    """Give whole files their place in another directory, durably."""
    for path in _files(source):
        place = path.relative_to(source)
        if any(part.startswith(".") for part in place.parts):
            continue
        with disk_errors(target / place):
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target / place)
            fsync_directory((target / place).parent)


def _checked(name: str) -> str:
    """A member's name, if it is a path below the target; DamageError if it could lead elsewhere."""
    parts = name.split("/")
    if not all(map(is_plain_name, parts)) or parts[0] == PROVISIONAL:
        raise DamageError(
            f"a member of the archive is called {name[:100]!r}, which is no path to write to",
            hint="this is not an archive of the released models",
        )
    return name
