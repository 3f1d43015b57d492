"""Files and directories that appear whole or not at all.

    write_atomically(path, data)              # beside it, fsync, rename, fsync of the directory
    with appearing(path) as file: ...         # the same for what is written piece by piece
    with appearing_directory(path) as root: ...                    # and for many files at once
    with appearing_with_note(path, note, content) as file: ...     # and for a file and its note

A rename alone is not enough: after a power cut it can leave an empty file under
the final name. The order everywhere is fsync(file), rename, fsync(directory).
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from memtools.digests import CHUNK as CHUNK
from memtools.digests import Hash as Hash
from memtools.digests import digest_file as digest_file
from memtools.digests import new_hash as new_hash
from memtools.disks import disk_errors as disk_errors
from memtools.disks import human_size as human_size
from memtools.disks import require_free as require_free
from memtools.errors import DiskError
from memtools.locks import locked as locked
from memtools.outputs import output_file
from memtools.outputs import require_outside_store as require_outside_store
from memtools.temporary_files import create, orphans, shortened, temporary_name

log = logging.getLogger("memtools")

_RESERVED_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_MAX_NAME = 200  # bytes; a disk takes 255, and the temporary names are longer


def fsync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, final: Path) -> None:
    """Give a whole, fsynced file its final name, durably."""
    os.replace(temporary, final)
    fsync_directory(final.parent)


@contextlib.contextmanager
def appearing(path: Path, *, once: bool = False, ours: bool = False) -> Iterator[BinaryIO]:
    """Yield a file to write to, which appears under `path` when it is whole, or not at all.

    A reader finds the old content or the new, never a mixture; of two writers the last one wins.
    A link to a file is followed, and a note says so. What dead writers have left in the directory
    is removed.

    Args:
        path: The final name.
        once: Never replace: FileExistsError if the name is taken when the file is whole.
        ours: The name is not one that a user gave but one of our own, such as a receipt or a
            note in a store of runs: a link there is replaced, not followed.

    Raises:
        DiskError: The name is that of a device, a pipe or a directory, or in a store of runs.
        OSError: The disk fails.
    """
    ours = ours or once
    target = path if ours else output_file(path)
    permissions = _permissions(target)  # raises for a name too long before anything is written
    if not once:  # a directory of records is long, and whoever drives the store clears it
        remove_orphans(target.parent)
    temporary, descriptor = create(target)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            _set_permissions(descriptor, permissions)
            os.fsync(descriptor)
        if once:
            os.link(temporary, target)  # fails where a rename would replace
            temporary.unlink()
            fsync_directory(target.parent)
        else:
            publish(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _permissions(path: Path) -> int | None:
    """Return the permissions of a regular file; None if there is none. OSError for a bad path."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    return mode & 0o777 if stat.S_ISREG(mode) else None


def _set_permissions(descriptor: int, permissions: int | None) -> None:
    """Give a new file the permissions of the one that it replaces, where a disk has any."""
    if permissions not in (None, os.fstat(descriptor).st_mode & 0o777):
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, permissions)


def remove_orphans(directory: Path) -> None:
    """Remove the temporary files of dead processes from a directory, as far as that is allowed."""
    with contextlib.suppress(OSError):  # it is not ours to write to, or not there: that is said
        for path in orphans(directory):  # where the file itself is written
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a temporary file or directory of ours."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_directory(path: Path) -> Iterator[Path]:
    """Yield a new directory beside `path` for what only a library can write; it goes away."""
    directory = temporary_name(path)
    directory.mkdir()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def appearing_with_note(path: Path, note: Path, content: bytes) -> Iterator[BinaryIO]:
    """Yield a file as `appearing` does, for a result that has a note of `content` beside it.

    Of two writers at a time both files are of the last one. The note of an earlier result is
    removed right before the new result appears: a process that is killed there leaves a result
    without a note, never one with the note of another.
    """
    with (
        contextlib.ExitStack() as publishing,
        appearing(note, ours=True) as beside,
        appearing(path) as file,
    ):
        beside.write(content)
        yield file
        for each in (beside, file):  # on a full disk both old ones stay
            each.flush()
            os.fsync(each.fileno())
        publishing.enter_context(locked(_lock_of(path), wait=True, waiting=lambda: None))
        note.unlink(missing_ok=True)


def _lock_of(path: Path) -> Path:
    """Return the lock of those who publish `path`; `.X.lock` may be a user's own."""
    return path.with_name(f".{shortened(path.name)}.memtools.lock")


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
    target = Path(os.path.realpath(path))  # `.` has no name to appear under
    if path.is_symlink():
        log.warning("%s is a symbolic link; writing to %s", path, target)
        require_outside_store(target)
    with disk_errors(target):
        if target == Path.cwd():
            raise DiskError(f"{target} is the directory you are in", hint="name a new one in it")
        target.parent.mkdir(parents=True, exist_ok=True)
    with locked(_lock_of(target), wait=False, waiting=lambda: None), disk_errors(target):
        _restore(target)
        if not over:
            require_empty(target)
        temporary, old = temporary_name(target), temporary_name(target, "old")
        temporary.mkdir()
        try:
            yield temporary
            for directory, _, names in os.walk(temporary):
                for name in names:
                    with open(f"{directory}/{name}", "rb") as file:  # noqa: PTH123  # thousands
                        os.fsync(file.fileno())
            if over and target.exists():
                os.replace(target, old)
            publish(temporary, target)
        finally:
            _clear(target, temporary, old)


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


def write_atomically(path: Path, data: bytes, *, ours: bool = False) -> None:
    """Write a small file, whole or not at all; `ours` is that of `appearing`."""
    with appearing(path, ours=ours) as file:
        file.write(data)


def is_plain_name(name: str) -> bool:
    """Whether every disk takes this for the name of one file, and no shell for anything else."""
    return bool(
        name
        and name[0] not in ".-~"
        and name[-1] not in ". "
        and name.isprintable()
        and not set(name) & set('/\\:*?"<>|')
        and not _RESERVED_ON_WINDOWS.fullmatch(name)
        and len(os.fsencode(name)) <= _MAX_NAME
    )


def first_clash(names: Iterable[str]) -> str | None:
    """Words for the first name that an earlier one equals, letter case aside; None if none does."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(_folded(name))
        if other is not None:
            return (
                f"{name!r} stands there twice" if other == name else f"{name!r} and {other!r} clash"
            )
        seen[_folded(name)] = name
    return None


def _folded(name: str) -> str:
    """As a disk that folds letter case and composes accents would have it."""
    return unicodedata.normalize("NFC", name.casefold())
