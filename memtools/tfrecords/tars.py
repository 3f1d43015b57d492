"""A tar of images, read in place: the official ones, and those that were packed again.

tar = Tar(Path("ILSVRC2012_img_train.tar"))
listing = tar.listing()
tar.read(listing.names[0], b"", listing.places[0])
"""

from __future__ import annotations

import dataclasses
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from memtools.datasets.class_folders import classes_of_paths
from memtools.datasets.image_folders import is_hidden, is_junk
from memtools.errors import ConfigError, RecordError
from memtools.estimates.npz import Array
from memtools.files import disk_errors
from memtools.tfrecords.source_listing import Listing

BLOCK = 512  # bytes, of a tar
_CUT = "the tar is cut or damaged: get it again, and compare its md5 (--verify-source)"
_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
}
_ARCHIVES = {
    b"PK\x03\x04": ("a zip archive", "unpack it (unzip), and give the folder of the images"),
    b"PAR1": ("a parquet file", "write its images to files, and give their folder"),
}


@dataclasses.dataclass(frozen=True)
class Tar:
    """A tar of images, in folders or not, or a tar of one tar for each class."""

    path: Path

    def listing(self) -> Listing:
        """Every image; RecordError if the tar is cut, or holds anything but files."""
        with disk_errors(self.path), self.path.open("rb") as file:
            return Listing.of(self._found(file), classes_of_paths)

    def read(self, name: bytes, folder: bytes, place: Array) -> bytes:
        """The bytes of one image; RecordError if the file ends before they do."""
        offset, size = (int(each) for each in place)
        with disk_errors(self.path), self.path.open("rb", buffering=0) as file:
            data = os.pread(file.fileno(), size, offset)
        if len(data) != size:
            raise RecordError(
                f"{self.path} ends within {name.decode()} {folder.decode()}", hint=_CUT
            )
        return data

    def _found(self, file: BinaryIO) -> Iterator[tuple[bytes, bytes, int, int]]:
        end = file.seek(0, os.SEEK_END)
        for folder, name, offset, size in self._members(file, 0, end):
            if name.endswith(".tar"):
                synset = os.fsencode(name.removesuffix(".tar"))
                for _, inner, start, length in self._members(file, offset, size):
                    yield os.fsencode(inner), synset, offset + start, length
            else:
                yield os.fsencode(name), os.fsencode(folder), offset, size

    def _members(
        self, file: BinaryIO, start: int, size: int
    ) -> Iterator[tuple[str, str, int, int]]:
        """Yield (folder, name, offset, size) of each file of the tar at `start`, which is whole."""
        window = _Window(file, start, size)
        end = 0
        try:
            with tarfile.open(fileobj=window, mode="r:") as tar:
                while member := tar.next():
                    tar.members.clear()  # type: ignore[attr-defined]  # a kilobyte each, needed no more
                    if not (member.isreg() or member.isdir()) or member.issparse():
                        raise RecordError(
                            f"{self.path}: {member.name} is not a plain file", hint=_CUT
                        )
                    length = member.size if member.isreg() else 0
                    end = member.offset_data + -(-length // BLOCK) * BLOCK
                    if end > size:
                        raise RecordError(f"{self.path} ends within {member.name}", hint=_CUT)
                    folder, name = _split(member.name)
                    if member.isreg() and not _is_left_out(folder, name):
                        yield folder, name, member.offset_data, length
        except tarfile.TarError as error:
            raise RecordError(f"{self.path}: {error}", hint=_CUT) from error
        window.seek(end)
        if window.read(2 * BLOCK) != bytes(
            2 * BLOCK
        ):  # a cut between two members shows nowhere else
            raise RecordError(
                f"{self.path}: a tar in it has no end, at byte {start + end}", hint=_CUT
            )


def open_tar(path: Path) -> Tar:
    """Return the tar of a path; ConfigError for a compressed one, and for other archives."""
    with disk_errors(path), path.open("rb") as file:
        start = file.read(8)
    for magic, (name, command) in _COMPRESSED.items():
        if start.startswith(magic):
            raise ConfigError(
                f"{path} is compressed ({name}), and images are read at their offsets in a tar",
                hint=f"run {command} {path}, and give the tar",
            )
    for magic, (what, hint) in _ARCHIVES.items():
        if start.startswith(magic):
            raise ConfigError(f"{path} is {what}, not a tar", hint=hint)
    with disk_errors(path):
        if not tarfile.is_tarfile(path):
            raise ConfigError(f"{path} is not a tar", hint="give a directory or one of the tars")
    return Tar(path)


def _split(member: str) -> tuple[str, str]:
    """Return (folder, base name) of a member, without `.` as a part of its path."""
    *folders, name = member.replace("\\", "/").split("/")
    return "/".join(part for part in folders if part not in ("", ".")), name


def _is_left_out(folder: str, name: str) -> bool:
    return is_junk(name) or any(is_hidden(part) for part in folder.split("/") if part)


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
