"""Files that appear whole or not at all.

    write_atomically(path, data)              # beside it, fsync, rename, fsync of the directory
    with appearing(path) as file: ...         # the same for what is written piece by piece
    with appearing_with_note(path, note, content) as file: ...     # and for a file and its note

A rename alone is not enough: after a power cut it can leave an empty file under
the final name. The order everywhere is fsync(file), rename, fsync(directory).
For many files at once: memtools.directories.
"""

from __future__ import annotations

import contextlib
import errno
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
from memtools.disks import UNSUPPORTED, if_supported
from memtools.disks import disk_errors as disk_errors
from memtools.disks import human_size as human_size
from memtools.disks import require_free as require_free
from memtools.locks import locked as locked
from memtools.outputs import output_file
from memtools.outputs import require_outside_store as require_outside_store
from memtools.temporary_files import create, lock_name, orphans, temporary_name

_RESERVED_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_MAX_NAME = 200  # bytes; a disk takes 255, and the temporary names are longer
_NO_LINKS = UNSUPPORTED | {errno.EPERM, errno.EMLINK, errno.EXDEV}
_ENTRIES = 100  # of a directory that are looked at for each file written to it
_unlisted: dict[Path, int] = {}  # files to write to a directory before it is looked at again


def fsync_directory(directory: Path) -> None:
    """Make the names in a directory durable, where the file system has a way to."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with if_supported():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, final: Path) -> None:
    """Give a whole, fsynced file its final name, durably."""
    os.replace(temporary, final)
    fsync_directory(final.parent)


def publish_once(temporary: Path, final: Path) -> None:
    """Give a whole, fsynced file its final name, durably; FileExistsError if the name is taken.

    A link fails where a rename would replace. Some file systems have none (exFAT, SMB, several
    under FUSE), and directories none anywhere: then the name is looked at, under a lock.
    """
    try:
        os.link(temporary, final, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with locked(lock_name(final), wait=True, waiting=lambda: None):
            if os.path.lexists(final):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final)) from None
            os.rename(temporary, final)
    else:
        temporary.unlink()
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
        _remove_orphans_now_and_then(target.parent)
    temporary, descriptor = create(target)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            _set_permissions(descriptor, permissions)
            os.fsync(descriptor)
        (publish_once if once else publish)(temporary, target)
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
        with if_supported(errno.EPERM):
            os.fchmod(descriptor, permissions)


def remove_orphans(directory: Path) -> None:
    """Remove the temporary files of dead processes from a directory, as far as that is allowed."""
    with contextlib.suppress(OSError):  # it is not ours to read, or not there: that is said
        for path in orphans(directory):  # where the file itself is written
            with contextlib.suppress(OSError):  # another user's, in a directory like /tmp
                _remove(path)


def _remove_orphans_now_and_then(directory: Path) -> None:
    """Remove orphans before a file is written; one listing of a long directory serves many files.

    Otherwise the time to write n files, one after the other, would grow with the square of n.
    """
    if (left := _unlisted.get(directory, 0)) > 0:
        _unlisted[directory] = left - 1
        return
    remove_orphans(directory)
    with contextlib.suppress(OSError):
        _unlisted[directory] = len(list(directory.iterdir())) // _ENTRIES


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
        publishing.enter_context(locked(lock_name(path), wait=True, waiting=lambda: None))
        note.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes, *, ours: bool = False) -> None:
    """Write a small file, whole or not at all; `ours` is that of `appearing`."""
    with appearing(path, ours=ours) as file:
        file.write(data)


def is_plain_name(name: str) -> bool:
    """Return whether every disk takes this for a file's name, and no shell for anything else."""
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
    """Describe the first name that an earlier one equals, letter case aside; None if none does."""
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
    """Return a name as a disk that folds letter case and composes accents would have it."""
    return unicodedata.normalize("NFC", name.casefold())
