"""Locks between processes.

with locked(path, wait=False, waiting=...): ...       # BusyError if another process holds it
is_locked(path)                                       # for those who only look
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from memtools.disks import UNSUPPORTED, disk_errors
from memtools.errors import BusyError, DiskError


@contextlib.contextmanager
def locked(path: Path, *, wait: bool, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold an exclusive lock between processes; the lock file goes away afterwards.

    `waiting` is called once if another process holds the lock and `wait` is
    true; without `wait` that is a `BusyError`. Code that relies on this must stay
    correct where the lock excludes no one, as on some network file systems.

    A lock file is empty. A user's own file of that name is locked, but neither written to nor
    removed; a link is not followed.
    """
    with disk_errors(path):
        descriptor = _lock(path, wait=wait, waiting=waiting)
    try:
        yield
    finally:
        try:
            if _is_at(path, descriptor) and os.fstat(descriptor).st_size == 0:
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)  # this releases the lock


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock; writes nothing, and works on a read-only disk.

    The lock is shared for an instant, so that others who look are not in the way.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # it is not there, or not a lock of ours
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # the file system knows no locks
        return False
    finally:
        os.close(descriptor)
    return False


def _lock(path: Path, *, wait: bool, waiting: Callable[[], object]) -> int:
    """Return a descriptor that holds the lock on the file which has the name `path` then."""
    told = False
    while True:
        descriptor = _open_lock(path)
        try:
            if not _try_lock(descriptor):
                if not wait:
                    raise BusyError(
                        f"another process holds {path}",
                        hint="wait until it has finished, then run the same command again",
                    )
                if not told:
                    waiting()
                    told = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the holder has removed the file: a newcomer would lock another


def _open_lock(path: Path) -> int:
    """Open a lock file, or make one."""
    flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DiskError(f"{path} is not a file, and a lock has to be", hint="remove it")
    return descriptor


def _try_lock(descriptor: int) -> bool:
    """Return whether no other process holds the lock; some file systems know none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in UNSUPPORTED | {errno.ENOLCK}:
            raise
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether an open file still has the name `path`."""
    with contextlib.suppress(OSError):
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    return False
