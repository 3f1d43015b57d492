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
from pathlib import Path
from typing import BinaryIO

from memtools.checkpoints.harvest import PROVISIONAL, USUAL, Released, Terms, gather
from memtools.checkpoints.tar_stream import Member
from memtools.errors import ConfigError, IntegrityError
from memtools.files import disk_errors, fsync_directory, is_plain_name, publish, require_free

_OF_RUN = re.compile(r"(?P<run>(?:.*/)?(?P<ratio>[0-9.]+)/(?P<run_id>\d+))/.+", re.DOTALL)


def extract(
    released: Released,
    root: Path,
    *,
    run_ids: Collection[int],
    ratios: Collection[str] = (),
    terms: Terms = USUAL,
) -> list[Path]:
    """The directories of the chosen runs, `root` / their place in the archive, ascending.

    ratios: only these; all without them. Raises what `gather` raises; ConfigError if the archive
    holds none of those runs; IntegrityError for a member whose name is no path below `root`.
    """
    crop = _Runs(root, run_ids, ratios)
    gather(released, crop, root, terms)
    if not crop.directories:
        raise ConfigError(
            f"{released.name} holds none of the runs that were chosen",
            hint="choose others with --runs or --ratio",
        )
    return sorted(crop.directories)


class _Runs:
    """Every regular file of the chosen runs. directories: of those runs that were seen."""

    def __init__(self, root: Path, run_ids: Collection[int], ratios: Collection[str]) -> None:
        self._root, self._run_ids, self._ratios = root, run_ids, ratios
        self.directories: set[Path] = set()

    def wants(self, member: Member) -> bool:
        found = _OF_RUN.fullmatch(member.name)
        if (
            not member.regular
            or found is None
            or int(found["run_id"]) not in self._run_ids
            or (self._ratios and found["ratio"] not in self._ratios)
        ):
            return False
        self.directories.add(self._root / _path(found["run"]))
        path = _path(member.name)
        return not any((root / path).exists() for root in (self._root, self._provisional))

    def open(self, member: Member) -> _File:
        require_free(self._root, member.size, member.name)
        return _File(self._provisional / _path(member.name))

    def keep(self, names: Collection[str]) -> None:
        known = {name.removeprefix("./") for name in names}
        with disk_errors(self._provisional):
            for path in self._files():
                if path.relative_to(self._provisional).as_posix() not in known:
                    path.unlink()

    def publish(self) -> None:
        for path in self._files():
            target = self._root / path.relative_to(self._provisional)
            with disk_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)
                fsync_directory(target.parent)

    def _files(self) -> list[Path]:
        return sorted(path for path in self._provisional.glob("*/**/*") if path.is_file())

    @property
    def _provisional(self) -> Path:
        return self._root / PROVISIONAL


class _File:
    """One member on its way to the disk: it appears when it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = path.with_name(path.name + ".tmp")
            self._file: BinaryIO = self._temporary.open("wb")

    def write(self, data: memoryview) -> None:
        with disk_errors(self._path):
            self._file.write(data)

    def close(self) -> None:
        with disk_errors(self._path), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        with disk_errors(self._path):
            publish(self._temporary, self._path)


def _path(name: str) -> Path:
    """A member's name as a relative path; IntegrityError if it could lead anywhere else."""
    parts = name.removeprefix("./").split("/")
    if not all(map(is_plain_name, parts)) or parts[0] == PROVISIONAL:
        raise IntegrityError(
            f"a member of the archive is called {name[:100]!r}, which is no path to write to",
            hint="this is not an archive of the released models",
        )
    return Path(*parts)
