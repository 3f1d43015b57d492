"""Images of a data set that `listing_of` understands: a folder, a file, or an object of Python.

images = open_listed(Path("imagenet"), subject)              # folders `train` and `val`
images = open_listed(torchvision.datasets.CIFAR100(root), subject)
images = open_listed({"train": subset, "test": test_set}, subject)

Examples are joined as `memtools.align` joins them: by name, or in an order that the data set itself
tells. Where there are no names, labels must agree in the order of the numbers.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memtools.alignment.alignment import Alignment, align
from memtools.datasets.data_sources import listing_of
from memtools.datasets.image_folders import TEST_FOLDERS, TRAIN_FOLDERS
from memtools.datasets.listing import Listing
from memtools.errors import AlignmentError, ConfigError
from memtools.extras import needing
from memtools.report.array_images import array_pictures, image_of
from memtools.report.pictures import SIDE, Images, Pictures, opened, shrunk
from memtools.report.subject import Subject, class_names

with needing("report"):
    from PIL import Image

_PROBED = 16  # names of which one must be a file
_KEYS = ("image", "img", "picture")
_HINT = "give the data set without its transform: transform=None"

Show = Callable[[int], Image.Image | None]


def open_listed(source: Any, subject: Subject) -> Images:
    """Return the images of a data set, aligned with the subject; none is read yet.

    Args:
        source: What `memtools.datasets.data_sources.listing_of` takes. A folder of the folders
            `train` and `val`, and a mapping of splits, have training and test images; others have
            training images only, unless a file or an official copy has both.
        subject: The numbers.

    Raises:
        AlignmentError: Number, labels or names contradict, or there is nothing to join by.
        ConfigError: The source is not a data set, or has no images.
    """
    train_source, test_source = _splits_of(source)
    listing = listing_of(train_source)
    alignment = _place(listing, subject, "train")
    train = _pictures(train_source, listing, alignment)
    test = None
    if subject.test.n:
        test_listing = _test_listing(train_source, test_source, listing)
        if test_listing is not None:
            placed = _place(test_listing, subject, "test")
            test = _pictures(test_source or train_source, test_listing, placed)
    names = class_names(subject.index) or _class_words(train_source, listing, alignment, subject)
    return Images(train, test, _side_of(train), alignment.proof, names)


def _splits_of(source: Any) -> tuple[Any, Any]:
    """Return the training and the test part of a source; None where it has no test part."""
    if isinstance(source, Path) and source.is_dir():
        folders = {path.name.lower(): path for path in source.iterdir() if path.is_dir()}
        train = [folders[name] for name in TRAIN_FOLDERS if name in folders]
        tests = [folders[name] for name in TEST_FOLDERS if name in folders]
        return (train[0], next(iter(tests), None)) if train else (source, None)
    if isinstance(source, Mapping):
        parts = {str(name).lower(): part for name, part in source.items()}
        train = [parts[name] for name in TRAIN_FOLDERS if name in parts]
        tests = [parts[name] for name in ("test", *TEST_FOLDERS) if name in parts]
        if train and {*parts} <= {*TRAIN_FOLDERS, *TEST_FOLDERS}:
            return train[0], next(iter(tests), None)
    return source, None


def _test_listing(train_source: Any, test_source: Any, train: Listing) -> Listing | None:
    """Return the test examples; None where the source has none."""
    if test_source is not None:
        return listing_of(test_source, split="test")
    if not isinstance(train_source, Path) or not train.split:
        return None
    try:  # a file, or an official copy, of both splits
        return listing_of(train_source, split="test")
    except ConfigError:
        return None


def _place(listing: Listing, subject: Subject, split: str) -> Alignment:
    """Return which image is which example: by name, else by an order in which labels agree."""
    names = subject.train.names if split == "train" else subject.test.names
    if names is not None and listing.names is not None:
        return align(subject.index, to=listing, split=split, allow_missing=True)
    if listing.order:
        return align(subject.index, to=listing, split=split, allow_missing=True)
    labels = subject.index.labels if split == "train" else subject.index.test_labels
    if listing.labels is None or labels is None:
        raise AlignmentError(
            f"nothing tells which {split} image is which example: {_lacking(listing, labels)}",
            hint="give numbers with file names, or images and numbers with labels",
        )
    order = subject.about.order or "file"
    ours = dataclasses.replace(listing, names=None, images=None, index=None)
    return align(subject.index, to=ours, split=split, order=order)


def _lacking(listing: Listing, labels: Any) -> str:
    who = "the images have no labels" if listing.labels is None else "the numbers have no labels"
    return who + (" and no names" if listing.names is None or labels is None else "")


def _pictures(source: Any, listing: Listing, alignment: Alignment) -> Pictures:
    """Return the images in the order of the numbers."""
    there = alignment.inverse >= 0
    show = _reader(source, listing, np.flatnonzero(alignment.position >= 0))

    def look(k: int) -> Image.Image | None:
        return show(int(alignment.inverse[k])) if there[k] else None

    return Pictures(there, lambda _chosen: look)


def _reader(source: Any, listing: Listing, placed: Any) -> Show:
    """Return what shows the k-th image of a data set: its pixels, its file, or its element."""
    if listing.images is not None:
        return array_pictures(listing.images, f"the images of {listing.what}").gather([])
    base = source.parent if isinstance(source, Path) and source.is_file() else Path()
    names = listing.names
    some = placed[:: max(1, len(placed) // _PROBED)].tolist()
    if names is not None and any((base / names[k]).is_file() for k in some):
        return lambda k: opened(str(base / names[k]))
    if isinstance(source, Path) and source.suffix.lower() == ".parquet":
        return _parquet_reader(source)
    if not isinstance(source, (Path, str, list, np.ndarray)) and hasattr(source, "__getitem__"):
        _require_image(_picture_in(source[int(placed[0])]), source)
        return lambda k: _picture_in(source[k])
    if isinstance(source, list) and isinstance(source[0], Mapping):
        return lambda k: _picture_in(source[k])
    raise ConfigError(
        f"{listing.what or 'the data set'} has no images: it has"
        f" {'names, and none of them is a file here' if names is not None else 'labels only'}",
        hint="give the folder of the images, or the data set object",
    )


def _picture_in(item: Any) -> Image.Image | None:
    """Return the image of an element of a data set, small; None if there is none to be shown."""
    if isinstance(item, Image.Image):
        return shrunk(item, SIDE)
    if isinstance(item, (tuple, list)):
        return _picture_in(item[0]) if len(item) else None
    if isinstance(item, Mapping):
        if isinstance(item.get("bytes"), bytes):  # Hugging Face, decode=False
            return opened(io.BytesIO(item["bytes"]))
        if isinstance(item.get("path"), str):
            return opened(item["path"])
        return next((_picture_in(item[key]) for key in _KEYS if key in item), None)
    if isinstance(item, np.ndarray) and item.dtype == np.uint8 and item.ndim in (2, 3):
        return image_of(item)
    return None


def _require_image(picture: Image.Image | None, source: Any) -> None:
    if picture is None:
        raise ConfigError(
            f"the elements of {type(source).__name__} are not images that can be shown", hint=_HINT
        )


def _parquet_reader(path: Path) -> Show:
    """Return what shows the k-th image of a parquet file; one row group is held at a time."""
    with needing("parquet"):
        import pyarrow.parquet
    file = pyarrow.parquet.ParquetFile(path)
    sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
    ends = np.cumsum(sizes)
    column = next((name for name in file.schema_arrow.names if name.lower() in _KEYS), None)
    if column is None:
        raise ConfigError(
            f"{path} has no column of images", hint=f"it needs one called {' or '.join(_KEYS)}"
        )
    held: dict[int, Any] = {}

    def show(k: int) -> Image.Image | None:
        group = int(np.searchsorted(ends, k, side="right"))
        if group not in held:
            held.clear()
            held[group] = file.read_row_group(group, columns=[column])[column]
        return _picture_in(held[group][k - int(ends[group]) + sizes[group]].as_py())

    return show


# ---- names of classes, sizes


def _class_words(
    source: Any, listing: Listing, alignment: Alignment, subject: Subject
) -> dict[int, str]:
    """Return the words for each label: the folders of the images, or those of the object."""
    if subject.labels is None or listing.labels is None:
        return {}
    words = getattr(source, "classes", None)
    if isinstance(words, list) and len(words) == len(subject.labels):
        return dict(zip(subject.labels.tolist(), map(str, words), strict=True))
    if not isinstance(source, Path) or not source.is_dir() or not listing.names:
        return {}
    found = np.flatnonzero(alignment.position >= 0)
    shelves, first = np.unique(subject.train.shelf[alignment.position[found]], return_index=True)
    parts = [Path(listing.names[found[k]]).relative_to(source).parts for k in first.tolist()]
    return {
        int(subject.labels[shelf]): folders[0]
        for shelf, folders in zip(shelves, parts, strict=True)
        if len(folders) > 1
    }


def _side_of(pictures: Pictures) -> int:
    """Return the larger side of some images; SIDE where none can be read, or for larger ones."""
    there = np.flatnonzero(pictures.there)
    some = there[:: max(1, len(there) // 16)].tolist()
    look = pictures.gather(some)
    return min(SIDE, max((max(image.size) for k in some if (image := look(k))), default=SIDE))
