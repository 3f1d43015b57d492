"""A set of records in a bucket (`gs://...`), through TensorFlow's file systems.

An object of a bucket appears when its upload has ended, so nothing is renamed there. A
shard is written to a temporary file of this machine first: that needs the room of one shard
for each worker. There are no locks: two builds of one set do twice the work, and write the
same bytes.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from memtools.errors import DiskError
from memtools.extras import needing
from memtools.files import CHUNK
from memtools.temporary_files import temporary_name

with needing("tf"):
    import tensorflow as tf

_REQUESTS = 32  # at a time: a set has a thousand files, and each question takes 50 ms


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A directory under a URL."""

    root: str

    def path(self, name: str = "") -> str:
        """The URL of a file."""
        return f"{self.root}/{name}" if name else self.root

    def names(self) -> set[str]:
        """The files that are there; none if the directory is not."""
        with _bucket_errors(self.root):
            if not tf.io.gfile.exists(self.root):
                return set()
            return {name.rstrip("/") for name in tf.io.gfile.listdir(self.root)}

    def read(self, name: str) -> bytes:
        """A small file."""
        with _bucket_errors(self.path(name)), tf.io.gfile.GFile(self.path(name), "rb") as file:
            return bytes(file.read())

    def head(self, name: str, n_bytes: int) -> bytes:
        """Return the first bytes of a file."""
        with _bucket_errors(self.path(name)), tf.io.gfile.GFile(self.path(name), "rb") as file:
            return bytes(file.read(n_bytes))

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Return the sizes of those of the files that are there; asks for many at a time."""
        names = list(names)
        with concurrent.futures.ThreadPoolExecutor(_REQUESTS) as pool:
            sizes = pool.map(self._size, names)
            return {name: size for name, size in zip(names, sizes, strict=True) if size is not None}

    def _size(self, name: str) -> int | None:
        with _bucket_errors(self.path(name)):
            try:
                return int(tf.io.gfile.stat(self.path(name)).length)
            except tf.errors.NotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        """A small file, under another name first: not every file system replaces as it writes."""
        temporary = self.path(temporary_name(Path(name)).name)
        with _bucket_errors(self.path(name)):
            try:
                with tf.io.gfile.GFile(temporary, "wb") as file:
                    file.write(data)
                tf.io.gfile.rename(temporary, self.path(name), overwrite=True)
            except BaseException:
                with contextlib.suppress(tf.errors.OpError):  # the first error is the one to tell
                    tf.io.gfile.remove(temporary)
                raise

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """A temporary file of this machine, uploaded in the end."""
        with tempfile.TemporaryDirectory(prefix="memtools-") as directory:
            temporary = Path(directory) / name
            yield temporary
            with _bucket_errors(self.path(name)):
                tf.io.gfile.copy(str(temporary), self.path(name), overwrite=True)

    def size_and_sha256(self, name: str) -> tuple[int, str]:
        """Of a file, read to its end."""
        sha256, size = hashlib.sha256(), 0
        with _bucket_errors(self.path(name)), tf.io.gfile.GFile(self.path(name), "rb") as file:
            while data := file.read(CHUNK):
                sha256.update(data)
                size += len(data)
        return size, sha256.hexdigest()

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Make the directory; there are no locks."""
        with _bucket_errors(self.root):
            tf.io.gfile.makedirs(self.root)
        yield

    def require_free(self, n_bytes: int, what: str) -> None:
        """Buckets have no end."""


@contextlib.contextmanager
def _bucket_errors(path: str) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        raise DiskError(
            f"{path}: {error.message}",
            hint="check the address and your right to write there, then run the same command again",
        ) from error
