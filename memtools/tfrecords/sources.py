"""Sources of images: a folder by class, a flat folder, a list of files, or a tar as it is.

    source = open_source(Path("ILSVRC2012_img_train.tar"))
    source = open_source(torchvision.datasets.ImageFolder("train"))
    listing = source.listing()             # names, classes, places: no image is read
    source.read(listing.names[0], listing.folders[listing.codes[0]], listing.places[0])

Nothing is unpacked: a tar is walked once, and an image is read at its offset. Sources
hold no open file, so they can be sent to worker processes.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memtools.datasets.class_folders import classes_of_paths
from memtools.datasets.data_sources import listing_of
from memtools.datasets.image_folders import read_layout, walk_folder
from memtools.errors import ChecksumError, ConfigError
from memtools.estimates.npz import Array
from memtools.file_kinds import require_regular
from memtools.files import digest_file, disk_errors
from memtools.progress import bars
from memtools.tfrecords.ledger import stored_split
from memtools.tfrecords.source_listing import Listing
from memtools.tfrecords.tars import Tar, open_tar
from memtools.wording import list_first

TAR_MD5 = {  # of ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, as torchvision lists them
    "train": "1d675b47d978889d74fa0da5fadfb00e",
    "validation": "29b22e2961454d5413ddabcf34fc5622",
}
_ARCHIVES = (".tar", ".parquet", ".zip", ".gz", ".tgz")


@dataclasses.dataclass(frozen=True)
class Folder:
    """One directory for each class, as ImageFolder wants it, at any depth."""

    root: Path

    def listing(self) -> Listing:
        """Every file of every class folder, but not what file managers leave there."""
        return Listing.of(self._found())

    def read(self, name: bytes, folder: bytes, place: Array) -> bytes:  # noqa: ARG002
        """The bytes of one image."""
        return _read_image(self.root / os.fsdecode(folder) / os.fsdecode(name))

    def _found(self) -> Iterator[tuple[bytes, bytes, int, int]]:
        for name in read_layout(self.root).classes:
            for directory, files, _ in walk_folder(self.root / name):
                folder = os.fsencode(os.path.relpath(directory, self.root))
                for file in files:
                    yield os.fsencode(file), folder, 0, 0


@dataclasses.dataclass(frozen=True)
class FlatFolder:
    """All images in one directory, as the official validation set: the index has the labels."""

    root: Path

    def listing(self) -> Listing:
        """Every file of the directory, but not what file managers leave there."""
        ((_, files, _),) = walk_folder(self.root, deep=False)
        return Listing.of((os.fsencode(name), b"", 0, 0) for name in files)

    def read(self, name: bytes, folder: bytes, place: Array) -> bytes:  # noqa: ARG002
        """The bytes of one image."""
        return _read_image(self.root / os.fsdecode(name))


@dataclasses.dataclass(frozen=True)
class Files:
    """Image files that a data set object or a list names."""

    paths: tuple[str, ...]

    def listing(self) -> Listing:
        """Every file, in the order of the list."""
        parts = (os.path.split(path) for path in self.paths)
        rows = ((os.fsencode(name), os.fsencode(folder), 0, 0) for folder, name in parts)
        return Listing.of(rows, classes_of_paths)

    def read(self, name: bytes, folder: bytes, place: Array) -> bytes:  # noqa: ARG002
        """The bytes of one image."""
        return _read_image(Path(os.fsdecode(folder)) / os.fsdecode(name))


Source = Folder | FlatFolder | Files | Tar
_LISTS = (".txt", ".csv", ".tsv", ".json")


def open_source(what: Any, *, split: str = "") -> Source:
    """Return the source that a path holds, told by its content, or that an object names.

    Args:
        what: A folder of class folders, a flat folder, a tar, a list of image files (txt, csv, tsv
            or json), or a data set object that names its files, such as an ImageFolder.
        split: One of `train`, `test`, `val` and `validation`, if known: the folder to propose if
            the path holds the folders of several splits.

    Raises:
        ConfigError: If it holds something else; DiskError if it cannot be read.
    """
    if not isinstance(what, (str, Path)):
        return _open_list(what, f"the {type(what).__name__}")
    path = Path(what)
    if path.is_file():
        return _open_list(path, str(path)) if path.suffix in _LISTS else open_tar(path)
    if not path.exists():
        raise ConfigError(f"{path} is not there", hint="give a directory or one of the tars")
    if not path.is_dir():
        require_regular(path)
    _require_unpacked(path)
    wanted = {"train": "train", "validation": "test"}[stored_split(split)] if split else ""
    layout = read_layout(path, split=wanted)
    return Folder(path) if layout.classes else FlatFolder(path)


def _read_image(path: Path) -> bytes:
    require_regular(path)
    with disk_errors(path):
        return path.read_bytes()


def _open_list(what: Any, where: str) -> Files:
    """Return the files that a list or an object names; ConfigError unless all of them are there."""
    names = listing_of(what).names
    if names is None:
        raise ConfigError(
            f"{where} names no image files",
            hint="give a folder, a tar, or a list of the paths of images",
        )
    lacking = [name for name in names if not os.path.isfile(name)]  # noqa: PTH113  # millions
    if lacking:
        raise ConfigError(
            f"{where} names {len(lacking):,} files that are not there: {list_first(lacking)}",
            hint="give paths that lead to the images from here, or absolute ones",
        )
    return Files(tuple(names))


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
    expected = TAR_MD5[stored_split(split)]
    if actual != expected:
        raise ChecksumError(
            f"{source.path} has the md5 {actual}, not {expected}",
            path=source.path,
            expected=expected,
            actual=actual,
            hint="get the tar again; or leave out --verify-source if it is meant to be another",
        )
    return actual


def _require_unpacked(directory: Path) -> None:
    """Raise ConfigError for a folder that holds only archives: they must be given one by one."""
    with disk_errors(directory), os.scandir(directory) as entries:
        files = [entry.name for entry in entries if not entry.name.startswith(".")]
    archives = sorted(name for name in files if name.endswith(_ARCHIVES))
    if archives and len(archives) == len(files):
        raise ConfigError(
            f"{directory} holds {len(archives):,} archives, {archives[0]} the first, and no images",
            hint="give a tar itself (of all classes), or a folder of unpacked images",
        )
