"""Where images come from: a folder by class, a flat folder, or the official tars as they are.

    source = open_source(Path("ILSVRC2012_img_train.tar"))
    listing = source.listing()             # names, classes, places: no image is read
    source.read(listing.names[0], listing.synsets[0], listing.places[0])

Nothing is unpacked: a tar is walked once, and an image is read at its offset. Sources
hold no open file, so they can be sent to worker processes.
"""

from __future__ import annotations

import dataclasses
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from memtools.errors import ChecksumError, ConfigError, RecordError
from memtools.estimates.npz import Array
from memtools.files import digest_file, disk_errors
from memtools.progress import bars

BLOCK = 512  # bytes, of a tar
TAR_MD5 = {  # of ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, as torchvision lists them
    "train": "1d675b47d978889d74fa0da5fadfb00e",
    "validation": "29b22e2961454d5413ddabcf34fc5622",
}
_CUT = "the tar is cut or damaged: get it again, and compare its md5 (--verify-source)"


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a source holds, by position.

    names: base names, bytes [n]. synsets: bytes [n], empty where the source does not say.
    places: int64 [n, 2], offset and size in the file; zeros for folders.
    """

    names: Array
    synsets: Array
    places: Array

    @classmethod
    def of(cls, found: Iterator[tuple[bytes, bytes, int, int]]) -> Listing:
        """From (name, synset, offset, size); a name that is too long for an image is refused."""
        table = np.fromiter(map(_narrow, found), _ROW)  # a tenth of what objects would take
        places = np.stack([table["offset"], table["size"]], axis=1)
        return cls(table["name"].copy(), table["synset"].copy(), places)


_ROW = np.dtype([("name", "S64"), ("synset", "S16"), ("offset", np.int64), ("size", np.int64)])


def _narrow(row: tuple[bytes, bytes, int, int]) -> tuple[bytes, bytes, int, int]:
    name, synset, _, _ = row
    if len(name) > _ROW["name"].itemsize or len(synset) > _ROW["synset"].itemsize:
        shown = b"/".join(filter(None, (synset, name))).decode("utf-8", "replace")
        raise RecordError(f"{shown!r} is no name of an image", hint="give the folder of the images")
    return row


@dataclasses.dataclass(frozen=True)
class Folder:
    """One directory for each class, named by its synset, as ImageFolder wants it."""

    root: Path

    def listing(self) -> Listing:
        """Every file one level down."""
        return Listing.of(self._found())

    def read(self, name: bytes, synset: bytes, place: Array) -> bytes:  # noqa: ARG002
        """The bytes of one image."""
        path = self.root / os.fsdecode(synset) / os.fsdecode(name)
        with disk_errors(path):
            return path.read_bytes()

    def _found(self) -> Iterator[tuple[bytes, bytes, int, int]]:
        with disk_errors(self.root):
            for entry in _scan(self.root):
                if entry.is_dir():
                    for file in _scan(Path(entry.path)):
                        yield os.fsencode(file.name), os.fsencode(entry.name), 0, 0


@dataclasses.dataclass(frozen=True)
class FlatFolder:
    """All images in one directory, as the official validation set: the index has the labels."""

    root: Path

    def listing(self) -> Listing:
        """Every file of the directory."""
        with disk_errors(self.root):
            return Listing.of((os.fsencode(entry.name), b"", 0, 0) for entry in _scan(self.root))

    def read(self, name: bytes, synset: bytes, place: Array) -> bytes:  # noqa: ARG002
        """The bytes of one image."""
        path = self.root / os.fsdecode(name)
        with disk_errors(path):
            return path.read_bytes()


@dataclasses.dataclass(frozen=True)
class Tar:
    """A tar of images, or a tar of one tar for each class, read in place."""

    path: Path

    def listing(self) -> Listing:
        """Every image; RecordError if the tar is cut, or holds anything but files."""
        with disk_errors(self.path), self.path.open("rb") as file:
            return Listing.of(self._found(file))

    def read(self, name: bytes, synset: bytes, place: Array) -> bytes:
        """The bytes of one image; RecordError if the file ends before they do."""
        offset, size = (int(each) for each in place)
        with disk_errors(self.path), self.path.open("rb", buffering=0) as file:
            data = os.pread(file.fileno(), size, offset)
        if len(data) != size:
            raise RecordError(
                f"{self.path} ends within {name.decode()} {synset.decode()}", hint=_CUT
            )
        return data

    def _found(self, file: BinaryIO) -> Iterator[tuple[bytes, bytes, int, int]]:
        end = file.seek(0, os.SEEK_END)
        for name, offset, size in self._members(file, 0, end):
            if name.endswith(".tar"):
                synset = os.fsencode(name.removesuffix(".tar"))
                for inner, start, length in self._members(file, offset, size):
                    yield os.fsencode(inner), synset, offset + start, length
            else:
                yield os.fsencode(name), b"", offset, size

    def _members(self, file: BinaryIO, start: int, size: int) -> Iterator[tuple[str, int, int]]:
        """(base name, offset, size) of each file of the tar at `start`, which must be whole."""
        window = _Window(file, start, size)
        end = 0
        try:
            with tarfile.open(fileobj=window, mode="r:") as tar:
                while member := tar.next():
                    tar.members.clear()  # type: ignore[attr-defined]  # a kilobyte each, needed no more
                    if not member.isreg():
                        raise RecordError(f"{self.path}: {member.name} is no plain file", hint=_CUT)
                    end = member.offset_data + -(-member.size // BLOCK) * BLOCK
                    if end > size:
                        raise RecordError(f"{self.path} ends within {member.name}", hint=_CUT)
                    yield member.name.rpartition("/")[2], member.offset_data, member.size
        except tarfile.TarError as error:
            raise RecordError(f"{self.path}: {error}", hint=_CUT) from error
        window.seek(end)
        if window.read(2 * BLOCK) != bytes(
            2 * BLOCK
        ):  # a cut between two members shows nowhere else
            raise RecordError(
                f"{self.path}: a tar in it has no end, at byte {start + end}", hint=_CUT
            )


Source = Folder | FlatFolder | Tar


def open_source(path: Path) -> Source:
    """The source that a path holds, told by its content."""
    if path.is_file():
        if not tarfile.is_tarfile(path):
            raise ConfigError(f"{path} is no tar", hint="give a directory or one of the tars")
        return Tar(path)
    if not path.is_dir():
        raise ConfigError(f"{path} is not there", hint="give a directory or one of the tars")
    with disk_errors(path):
        entries = _scan(path)
    return Folder(path) if any(entry.is_dir() for entry in entries) else FlatFolder(path)


def verify_tar(source: Source, split: str) -> str:
    """The md5 of an official tar, read to its end; ChecksumError if it is another."""
    if not isinstance(source, Tar):
        raise ConfigError(
            "only the official tars have a published digest, folders have none",
            hint="give the tar itself, or leave out --verify-source",
        )
    size = source.path.stat().st_size
    done = 0
    with disk_errors(source.path), bars() as show:

        def advance(n_bytes: int) -> None:
            nonlocal done
            done += n_bytes
            show("verifying", done, size)

        actual = digest_file(source.path, ("md5",), advance=advance)["md5"]
    if actual != TAR_MD5[split]:
        raise ChecksumError(
            f"{source.path} has the md5 {actual}, not {TAR_MD5[split]}",
            path=source.path,
            expected=TAR_MD5[split],
            actual=actual,
            hint="get the tar again; or leave out --verify-source if it is meant to be another",
        )
    return actual


def _scan(directory: Path) -> list[os.DirEntry[str]]:
    """The entries of a directory, but not what file managers leave there."""
    with os.scandir(directory) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]


class _Window(io.RawIOBase):
    """A part of a file, as a file of its own."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._position = file, start, size, 0

    def read(self, size: int = -1) -> bytes:
        """Bytes from the present position, none of them beyond the window."""
        left = self._size - self._position
        data = os.pread(
            self._file.fileno(), left if size < 0 else min(size, left), self._start + self._position
        )
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position within the window."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The present position."""
        return self._position
