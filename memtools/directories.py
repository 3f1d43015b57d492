"""Directories that appear whole or not at all.

    with appearing_directory(path) as root: ...      # written beside it, then renamed

A rename replaces a file at once, but not a directory that holds something: the previous one steps
aside first. A process that is killed right between the two renames leaves the name free; the next
writer of that name puts the previous directory back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from memtools.disks import disk_errors
from memtools.errors import DiskError
from memtools.files import fsync_directory, publish
from memtools.locks import locked
from memtools.outputs import require_outside_store
from memtools.temporary_files import lock_name, orphans, temporary_name

log = logging.getLogger("memtools")


@contextlib.contextmanager
def appearing_directory(path: Path, *, over: bool = False) -> Iterator[Path]:
    """Yield a directory to write into, which appears under `path` when it is whole, or not at all.

    A link to a directory is followed, and a note says so. What dead writers of this directory
    have left beside it is removed, and what one was replacing is restored.

    Args:
        path: The final name.
        over: Replace whatever directory is there.

    Raises:
        DiskError: The path is there and is not an empty directory, or is where the process works.
        BusyError: Another process is making it.
    """
    require_outside_store(path)
    with disk_errors(path):
        target = Path(os.path.realpath(path))  # `.` has no name to appear under
    if path.is_symlink():
        log.warning("%s is a symbolic link; writing to %s", path, target)
        require_outside_store(target)
    with disk_errors(target):
        if target == Path.cwd():
            raise DiskError(f"{target} is the directory you are in", hint="name a new one in it")
        target.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock_name(target), wait=False, waiting=lambda: None), disk_errors(target):
        _restore(target)
        if not over:
            require_empty(target)
        temporary, old = temporary_name(target), temporary_name(target, "old")
        temporary.mkdir()
        try:
            yield temporary
            _fsync_all(temporary)
            if over and target.exists():
                os.replace(target, old)
            publish(temporary, target)
        finally:
            _clear(target, temporary, old)


def _fsync_all(root: Path) -> None:
    """Make the files of a directory durable, and their names."""
    for directory, _, names in os.walk(root):
        for name in names:
            with open(f"{directory}/{name}", "rb") as file:  # noqa: PTH123  # thousands
                os.fsync(file.fileno())
        fsync_directory(Path(directory))


def _restore(path: Path) -> None:
    """Put a directory back that a killed process was replacing, and remove what it left."""
    for old in orphans(path.parent, kind="old", of=path):
        _clear(path, old=old)
    for temporary in orphans(path.parent, of=path):
        _clear(path, temporary)


def _clear(path: Path, temporary: Path | None = None, old: Path | None = None) -> None:
    """Restore the previous directory if nothing has replaced it, then delete the temporary ones."""
    if old is not None and old.exists() and not path.exists():
        os.replace(old, path)
    for leftover in filter(None, (temporary, old)):
        shutil.rmtree(leftover, ignore_errors=True)


def require_empty(path: Path) -> None:
    """Raise DiskError unless `path` is free: nothing, or an empty directory."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DiskError(
            f"{path} is there, and not empty", hint="choose another directory, or remove that one"
        )
