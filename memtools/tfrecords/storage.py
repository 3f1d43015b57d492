"""Where a set of records lies: a directory of this machine, or a bucket.

    store = open_store("/data/imagenet")       # Disk
    store = open_store("gs://mine/imagenet")   # Bucket, through TensorFlow

Both write a shard to a local file first and let it appear under its name when it is whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from memtools.file_kinds import require_regular
from memtools.files import (
    digest_file,
    disk_errors,
    locked,
    publish,
    remove_orphans,
    require_free,
    require_outside_store,
    write_atomically,
)
from memtools.temporary_files import create

LOCK = ".building"


class Store(Protocol):
    """A directory of named files, wherever it is."""

    def path(self, name: str = "") -> str:
        """The file of that name, for people and for TensorFlow."""

    def names(self) -> set[str]:
        """The files that are there; none if the directory is not."""

    def read(self, name: str) -> bytes:
        """A small file."""

    def head(self, name: str, n_bytes: int) -> bytes:
        """Return the first bytes of a file, fewer if it has fewer."""

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Return the size in bytes of those of the files that are there, by name."""

    def write(self, name: str, data: bytes) -> None:
        """A small file, whole or not at all."""

    def scratch(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """A local path to write a file to; what stands there in the end appears as `name`."""

    def size_and_sha256(self, name: str) -> tuple[int, str]:
        """Of a file, read to its end."""

    def building(self) -> contextlib.AbstractContextManager[None]:
        """To be held while files are written; makes the directory. BusyError, DiskError."""

    def require_free(self, n_bytes: int, what: str) -> None:
        """DiskError unless so many bytes fit."""


@dataclasses.dataclass(frozen=True)
class Disk:
    """A local directory."""

    root: Path

    def path(self, name: str = "") -> str:
        """The file of that name."""
        return str(self.root / name)

    def names(self) -> set[str]:
        """The files that are there."""
        with disk_errors(self.root):
            return {entry.name for entry in os.scandir(self.root)} if self.root.exists() else set()

    def read(self, name: str) -> bytes:
        """Return the content of a small file."""
        require_regular(self.root / name)
        with disk_errors(self.root / name):
            return (self.root / name).read_bytes()

    def head(self, name: str, n_bytes: int) -> bytes:
        """Return the first bytes of a file."""
        require_regular(self.root / name)
        with disk_errors(self.root / name), (self.root / name).open("rb") as file:
            return file.read(n_bytes)

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Return the sizes of those of the files that are there."""
        found = {}
        for name in names:
            with disk_errors(self.root / name), contextlib.suppress(FileNotFoundError):
                found[name] = (self.root / name).stat().st_size
        return found

    def write(self, name: str, data: bytes) -> None:
        """A small file, durable, whole or not at all."""
        with disk_errors(self.root / name):
            write_atomically(self.root / name, data, ours=True)

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Beside the final name; fsync and rename in the end, nothing left after an error."""
        final = self.root / name
        with disk_errors(final):
            remove_orphans(self.root)
            temporary, descriptor = create(final)
            os.close(descriptor)
            try:
                yield temporary
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
                publish(temporary, final)
            finally:
                temporary.unlink(missing_ok=True)

    def size_and_sha256(self, name: str) -> tuple[int, str]:
        """Of a file, read to its end."""
        path = self.root / name
        with disk_errors(path):
            return path.stat().st_size, digest_file(path, ("sha256",))["sha256"]

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Make the directory; one process at a time."""
        require_outside_store(self.root / LOCK)
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with locked(self.root / LOCK, wait=False, waiting=lambda: None):
            yield

    def require_free(self, n_bytes: int, what: str) -> None:
        """DiskError unless so many bytes fit."""
        require_free(self.root, n_bytes, what)


def open_store(where: Path | str) -> Store:
    """The store of a path, or of a URL such as `gs://bucket/imagenet`."""
    if "://" not in str(where):
        return Disk(Path(where))
    from memtools.tfrecords.bucket import Bucket  # needs TensorFlow

    return Bucket(str(where).rstrip("/"))
