"""Files that appear whole or not at all, their digests, and locks between processes.

    digest_file(path, ("md5", "sha256"))      # {"md5": "...", "sha256": "..."}, one pass
    write_atomically(path, data)              # beside it, fsync, rename, fsync of the directory
    with appearing(path) as file: ...         # the same for what is written piece by piece
    with appearing_directory(path) as root: ...                    # and for many files at once
    with locked(path, wait=False): ...        # BusyError if another process holds it

A rename alone is not enough: after a power cut it can leave an empty file under
the final name. The order everywhere is fsync(file), rename, fsync(directory).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from memtools.errors import BusyError, DiskError

CHUNK = 1 << 20

_RESERVED_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_MAX_NAME = 200  # bytes; a disk takes 255, and the temporary names are longer

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
    errno.EEXIST: ("a file stands where the directory should be", "choose another directory"),
    errno.ENOTDIR: ("a part of the path is a file, not a directory", "choose another directory"),
    errno.EISDIR: ("a directory stands where the file should go", "move it, or choose another"),
    errno.EIO: ("the disk reports a read or write error", "check the disk; do not trust this copy"),
}


class Hash(Protocol):
    """The part of a `hashlib` object that is used here."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Append bytes."""

    def hexdigest(self) -> str:
        """The digest so far, in hex."""

    def copy(self) -> Hash:
        """Another one, to go on from here."""


def new_hash(algorithm: str, size: int = 0) -> Hash:
    """A fresh hash object: any name of `hashlib`, or `git_blob`.

    `git_blob` is the name that git gives to a file's content: the SHA-1 of
    "blob", a space, the size in decimal, a zero byte, and the bytes. So it needs
    the size beforehand.
    """
    if algorithm == "git_blob":
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return hashlib.new(algorithm, usedforsecurity=False)


def digest_file(
    path: Path,
    algorithms: Iterable[str],
    *,
    start: int = 0,
    size: int | None = None,
    advance: Callable[[int], object] = lambda n_bytes: None,
) -> dict[str, str]:
    """Hex digests of `size` bytes of a file from `start` on, in one pass.

    `advance` is told the number of bytes of each read, for a progress bar.
    """
    with path.open("rb", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size - start if size is None else size
        hashes = {name: new_hash(name, left) for name in algorithms}
        file.seek(start)
        while left > 0 and (data := file.read(min(CHUNK, left))):
            for each in hashes.values():
                each.update(data)
            left -= len(data)
            advance(len(data))
    return {name: each.hexdigest() for name, each in hashes.items()}


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
def appearing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which appears under `path` when it is whole, or not at all.

    A reader finds the old content or the new, never a mixture.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    publish(temporary, path)


@contextlib.contextmanager
def appearing_directory(path: Path, *, over: bool = False) -> Iterator[Path]:
    """A directory to write into, which appears under `path` when it is whole, or not at all.

    over: in the place of whatever directory is there. What a killed process left beside it is
    removed. Raises DiskError if `path` is there and is no empty directory, or is where the process
    works; BusyError if another process is making it.
    """
    path = path.resolve()  # `.` has no name to appear under
    temporary, old = (path.with_name(f".{path.name}.{kind}") for kind in ("tmp", "old"))
    with disk_errors(path):
        if path == Path.cwd():
            raise DiskError(f"{path} is the directory you are in", hint="name a new one in it")
        path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with locked(lock, wait=False, waiting=lambda: None), disk_errors(path):
        _tidy(path, temporary, old)
        if not over:
            require_empty(path)
        temporary.mkdir()
        try:
            yield temporary
            for directory, _, names in os.walk(temporary):
                for name in names:
                    with open(f"{directory}/{name}", "rb") as file:  # noqa: PTH123  # thousands
                        os.fsync(file.fileno())
            if over and path.exists():
                os.replace(path, old)
            publish(temporary, path)
        finally:
            _tidy(path, temporary, old)


def _tidy(path: Path, temporary: Path, old: Path) -> None:
    """What was there is there again, unless something new is; beside it there is nothing left."""
    if old.exists() and not path.exists():
        os.replace(old, path)
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)


def require_empty(path: Path) -> None:
    """Raise DiskError unless `path` is free: nothing, or an empty directory."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DiskError(
            f"{path} is there, and not empty", hint="choose another directory, or remove that one"
        )


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file, whole or not at all."""
    with appearing(path) as file:
        file.write(data)


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


@contextlib.contextmanager
def locked(path: Path, *, wait: bool, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold an exclusive lock between processes; the lock file goes away afterwards.

    `waiting` is called once if another process holds the lock and `wait` is
    true; without `wait` that is a `BusyError`. Whoever relies on this must stay
    correct when the lock lies, as it does on some network file systems.
    """
    import filelock  # 80 ms: only those who lock pay for it

    lock = filelock.FileLock(path)
    with disk_errors(path):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            if not wait:
                raise BusyError(
                    f"another process holds {path}",
                    hint="wait until it has finished, then run the same command again",
                ) from error
            waiting()
            lock.acquire()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


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
