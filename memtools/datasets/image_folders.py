"""How a folder of images is listed: by align, select, report and tfrecords build alike.

    listing = list_images(Path("/data/imagenet/train"))
    listing.names, listing.labels, listing.classes, listing.note

Images come in the order of torchvision's ImageFolder: class folders sorted, then paths. Files and
folders that are not part of a data set (hidden ones, Thumbs.db, lost+found, empty folders) are left
out, and shift neither positions nor labels. ImageFolder counts every directory as a class and lists
hidden images, too; the note says where its numbering differs.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from memtools.datasets.class_folders import Kind, claimed_labels, folder_kind
from memtools.datasets.identity import identify, synset_of
from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.files import disk_errors
from memtools.wording import list_first

IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Extensions of images, in any case: those of torchvision."""

_NOT_CLASSES = {
    *("lost+found", "__macosx", "@eadir", "#recycle", "$recycle.bin", "__pycache__"),
    "system volume information",
}
_NOT_IMAGES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("val", "validation", "valid", "test", "testing")
_KAGGLE = ("ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "CLS-LOC")


@dataclasses.dataclass(frozen=True, eq=False)
class FolderListing:
    """The images of a folder, in the order of torchvision's ImageFolder.

    Attributes:
        names: The path of each image, str [n].
        labels: int64 [n]: the rank of the class among the class folders, or the number that the
            folder is; None for a flat folder, and where folders of words hold images of ImageNet
            whose names do not tell the class.
        classes: The names of the class folders, in their order; empty for a flat folder.
        codes: The folder of each image, int64 [n], a position in `classes`; -1 in a flat folder.
        kind: How the class folders are named; None for a flat folder.
        note: What is left out, and where ImageFolder's own numbering differs; may be empty.
    """

    names: list[str]
    labels: Array | None
    classes: tuple[str, ...]
    codes: Array
    kind: Kind | None
    note: str


@dataclasses.dataclass(frozen=True)
class Layout:
    """The folders of a root that are classes.

    Attributes:
        root: The folder.
        classes: The names of the class folders, sorted; empty for a flat folder.
        skipped: The names of the directories that are not classes, sorted.
        n_beside: How many images lie beside the class folders; they belong to no class.
    """

    root: Path
    classes: tuple[str, ...]
    skipped: tuple[str, ...]
    n_beside: int


def list_images(root: Path, *, split: str = "", class_folders: str = "auto") -> FolderListing:
    """List the images of a folder of class folders, or of a flat folder.

    Args:
        root: The folder.
        split: `train` or `test`, if known: the split to propose if the root holds several.
        class_folders: How class folders are named: one of `class_folders.KINDS`.

    Raises:
        ConfigError: If the root holds splits instead of classes, or no images; or if the kind of
            the class folders does not fit.
        DiskError: If a folder cannot be read.
    """
    layout = read_layout(root, split=split)
    names: list[str] = []
    codes: list[int] = []
    n_hidden = n_bare = 0
    for code, name in enumerate(layout.classes or ("",)):
        for folder, files, hidden in walk_folder(root / name, deep=bool(layout.classes)):
            found = [f"{folder}/{file}" for file in files if is_image(file)]
            names += found
            codes += [code if layout.classes else -1] * len(found)
            n_hidden += hidden
            n_bare += sum("." not in name.rpartition("/")[2] for name in found)
    kind = folder_kind(layout.classes, class_folders) if layout.classes else None
    column = np.array(codes, np.int64)
    labels = None if kind is None else _labels(layout.classes, kind, names, column)
    note = "; ".join(_notes(layout, kind, n_hidden, n_bare))
    return FolderListing(names, labels, layout.classes, column, kind, note)


def read_layout(root: Path, *, split: str = "") -> Layout:
    """Return which folders of a root are classes: those that hold images, at any depth.

    Args:
        root: The folder.
        split: `train` or `test`, if known: the split to propose if the root holds several.

    Raises:
        ConfigError: As for `list_images`.
    """
    with disk_errors(root):
        directories, n_files = [], 0
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.is_dir():
                    directories.append(entry.name)
                else:
                    n_files += is_image(entry.name)
        _require_one_split(root, directories, split)
        classes = sorted(
            name for name in directories if not is_hidden(name) and _holds_images(root / name)
        )
    if not classes and not n_files:
        raise ConfigError(f"{root} holds no images", hint="give the folder of the images")
    skipped = sorted(set(directories) - set(classes))
    return Layout(root, tuple(classes), tuple(skipped), n_files if classes else 0)


def walk_folder(folder: Path, *, deep: bool = True) -> Iterator[tuple[str, list[str], int]]:
    """Yield (directory, its files, the number of hidden images), as ImageFolder orders them.

    Args:
        folder: The folder of one class.
        deep: Whether to go into the folders below.

    Yields:
        Directories sorted by path, and files sorted by name, without those that are hidden or are
        left by file managers. Symbolic links are followed, except to a folder above.
    """
    found = []
    todo: list[tuple[str, tuple[str, ...]]] = [(str(folder), ())]
    while todo:
        directory, above = todo.pop()
        above = (*above, os.path.realpath(directory))
        files, n_hidden = [], 0
        with disk_errors(Path(directory)), os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir():
                    if is_hidden(entry.name):
                        n_hidden += _count_images(entry.path) if deep else 0
                    elif deep and os.path.realpath(entry.path) not in above:
                        todo.append((entry.path, above))
                elif not is_junk(entry.name):
                    files.append(entry.name)
                else:
                    n_hidden += entry.name.lower().endswith(IMAGES)
        found.append((directory, sorted(files), n_hidden))
    yield from sorted(found)


def is_image(name: str) -> bool:
    """Return whether a file is an image by its name: its extension, or a bare name of ImageNet."""
    if is_junk(name):
        return False
    return name.lower().endswith(IMAGES) or ("." not in name and is_imagenet(name))


def is_imagenet(stem: str) -> bool:
    """Return whether a name without extension is that of an image of ImageNet."""
    stem = identify(stem)[0]
    return bool(synset_of(stem)) or stem.startswith("ILSVRC2012_")


def is_junk(name: str) -> bool:
    """Return whether a file is hidden, or is left by a file manager: never an image."""
    return name.startswith(".") or name.lower() in _NOT_IMAGES


def is_hidden(name: str) -> bool:
    """Return whether a directory is hidden, or is made by a system: never a class."""
    return name.startswith(".") or name.lower() in _NOT_CLASSES


def _holds_images(directory: Path, above: tuple[str, ...] = ()) -> bool:
    """Return whether there is an image in a directory or below; stops at the first."""
    above = (*above, os.path.realpath(directory))
    below = []
    with disk_errors(directory), os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir():
                if not is_hidden(entry.name) and os.path.realpath(entry.path) not in above:
                    below.append(Path(entry.path))
            elif is_image(entry.name):
                return True
    return any(_holds_images(each, above) for each in below)


def _count_images(directory: str) -> int:
    return sum(
        file.lower().endswith(IMAGES) for _, _, files in os.walk(directory) for file in files
    )


def _subfolders(directory: Path) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.is_dir()]


def _require_one_split(root: Path, directories: Sequence[str], split: str) -> None:
    """Raise ConfigError for a folder that holds splits: its folders are not classes."""
    base = next((root / each for each in _KAGGLE if (root / each).is_dir()), root)
    if base != root:
        directories = _subfolders(base)
    visible = {name.lower(): name for name in directories if not is_hidden(name)}
    trains = [visible[name] for name in TRAIN_FOLDERS if name in visible]
    tests = [visible[name] for name in TEST_FOLDERS if name in visible]
    if base == root and not (trains or tests):
        return
    only_splits = len(trains) + len(tests) == len(visible)
    # CIFAR-100 has a class "train": the folder of a split holds folders, that of a class images.
    nested = bool(trains and tests) and bool(_subfolders(base / trains[0]))
    if base == root and not (only_splits or nested):
        return
    wanted = {"train": trains, "test": tests}.get(split) or trains[:1] + tests[:1]
    proposed = " or ".join(str(base / name) for name in wanted[: 1 if split else 2])
    raise ConfigError(
        f"{root} holds {list_first([*trains, *tests]) or 'ImageNet as Kaggle packs it'}:"
        " its folders are not classes",
        hint=f"did you mean {proposed or base / 'train'}?",
    )


def _labels(classes: Sequence[str], kind: Kind, names: Sequence[str], codes: Array) -> Array | None:
    """Return the label of each image; for words that hold ImageNet, by the synsets in the names."""
    stems = (identify(name)[0] for name in names) if kind == "words" else ()
    synsets = [synset_of(stem) if is_imagenet(stem) else None for stem in stems]
    if not synsets or None in synsets:
        return claimed_labels(classes, kind)[codes]
    if "" in synsets:  # validation images: the index tells the class, alphabetic ranks do not
        return None
    known, labels = np.unique(np.array(synsets, "U"), return_inverse=True)
    home: dict[int, int] = {}
    for k, (label, code) in enumerate(zip(labels.tolist(), codes.tolist(), strict=True)):
        if home.setdefault(label, code) != code:
            raise ConfigError(
                f"images of {known[label]} stand in the folders {classes[home[label]]!r} and"
                f" {classes[code]!r}: {names[k]}",
                hint="put the images of one class into one folder",
            )
    return labels.astype(np.int64)


def _notes(layout: Layout, kind: Kind | None, n_hidden: int, n_bare: int) -> Iterator[str]:
    classes, skipped = layout.classes, layout.skipped
    if classes and skipped:
        yield (
            f"{len(skipped):,} folders without images or hidden are not classes"
            f" ({list_first(skipped)}); torchvision's ImageFolder counts them, or refuses empty"
            " ones"
        )
    if layout.n_beside:
        yield (
            f"{layout.n_beside:,} images lie beside the class folders and are left out, as by"
            " torchvision's ImageFolder"
        )
    numbers = [int(name) for name in classes] if kind == "index" else []
    if numbers != sorted(numbers):
        yield (
            "class folders are numbers, and label 10 is the folder 10; torchvision's ImageFolder"
            " sorts them as text, so that its label 2 is the folder 10"
        )
    if numbers and min(numbers) == 1:
        yield "the class folders count from 1, and labels of this project from 0"
    if n_hidden:
        yield (
            f"{n_hidden:,} hidden images are left out; torchvision's ImageFolder lists them, which"
            " shifts its positions"
        )
    if n_bare:
        yield f"{n_bare:,} images have no extension; torchvision's ImageFolder leaves them out"
