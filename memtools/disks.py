"""Errors, room and sizes of a disk, in words.

with disk_errors(path): ...               # an OSError becomes a DiskError of two lines
with if_supported(): os.fsync(directory)  # some file systems cannot
require_free(directory, n_bytes, "cifar100.npz")
human_size(285_000_000)                   # "285.0 MB"
"""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from memtools.errors import DiskError

_DISK_WORDS = {
    errno.ENOSPC: ("the disk is full", "free some space, then run the same command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then run the same command again"),
    errno.EFBIG: (
        "the file would pass this system's limit on file sizes",
        "raise the limit (ulimit -f) or choose another disk, then run the same command again",
    ),
    errno.EROFS: ("the file system is read-only", "choose another directory"),
    errno.EACCES: ("permission denied", "choose another directory, or change its permissions"),
    errno.EPERM: ("not permitted", "choose another directory, or change its permissions"),
    errno.ENAMETOOLONG: ("the file name is too long for this disk", "choose a shorter path"),
    errno.ENOENT: ("no such file or directory", "check the path; make its directory first"),
    errno.EEXIST: ("a file stands where the directory should be", "choose another directory"),
    errno.ENOTDIR: ("a part of the path is a file, not a directory", "choose another directory"),
    errno.EISDIR: ("a directory stands where the file should go", "move it, or choose another"),
    errno.ENOTEMPTY: ("it is there, and not empty", "choose another directory, or remove it"),
    errno.ELOOP: ("a symbolic link stands where a file of memtools goes", "remove the link"),
    errno.EIO: ("the disk reports a read or write error", "check the disk; do not trust this copy"),
}

UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""The errors by which file systems (network, FUSE, exFAT) refuse what they do not have."""


@contextlib.contextmanager
def if_supported(*more: int) -> Iterator[None]:
    """Do without what the file system does not have: ignore UNSUPPORTED, and `more` of errno."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNSUPPORTED | {*more}:
            raise


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the `OSError` of a local file into a `DiskError` that names `path`."""
    try:
        yield
    except OSError as error:
        what, hint = _DISK_WORDS.get(error.errno or 0, (error.strerror or str(error), ""))
        raise DiskError(f"{path}: {what}", hint=hint or "see the path above") from error


def require_free(directory: Path, n_bytes: int, what: str) -> None:
    """Raise `DiskError` unless `n_bytes` more fit on the disk of `directory`."""
    free = shutil.disk_usage(directory).free
    if free < n_bytes:
        raise DiskError(
            f"{what} needs {human_size(n_bytes)} more on the disk of {directory},"
            f" which has {human_size(free)} free",
            hint="free some space or choose another directory, then run the same command again",
        )


def human_size(n_bytes: int) -> str:
    """A size in decimal units, as disks and download pages give it: `20,260 B`, `285.0 MB`."""
    if n_bytes < 100_000:
        return f"{n_bytes:,} B"
    size = float(n_bytes)
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"
