"""Where the images of a report come from, brought together with its numbers before any is read.

    images = open_images("tfds:cifar100", subject)

digits, tfds:NAME, FILE.npz   arrays, as memtools.training.datasets has them
CONFIG.toml                   what a configuration trains on, flipped labels and all
DIR                           images in a folder for each class; or such folders, or flat ones, in
                              `train` and in `val`, `validation` or `test`
tfrecords:DIR                 a set that `memtools tfrecords build` made

Only images that are shown are read: a folder one by one, TFRecords in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from memtools.errors import ConfigError
from memtools.estimates.alignment import Alignment, align
from memtools.estimates.data_sources import listing_of
from memtools.estimates.listing import Listing
from memtools.estimates.npz import Array
from memtools.report.pictures import SIDE, Images, Pictures, opened
from memtools.report.record_images import open_records
from memtools.report.subject import Subject, class_names
from memtools.training.config import load_config
from memtools.training.datasets import Dataset, load_arrays, read_arrays

_TEST = ("val", "validation", "test")
_HINT = "digits, tfds:NAME, a folder, tfrecords:DIR, FILE.npz, or the TOML of a configuration"


def open_images(source: str | Path | Dataset, subject: Subject) -> Images:
    """The images of a source, aligned with the subject; none is read yet.

    Raises AlignmentError where number, labels or names contradict; ConfigError for what is no
    source of images.
    """
    if isinstance(source, Dataset):
        return _of_arrays(source, subject, {})
    path, config = Path(source), None
    if path.is_dir():
        return _of_folder(path, subject)
    if path.suffix == ".toml":
        config = load_config(str(path))
    scheme, _, rest = (config.dataset if config else str(source)).partition(":")
    if scheme == "tfrecords":
        return open_records(Path(rest), subject)
    if scheme not in ("digits", "tfds") and path.suffix not in (".npz", ".toml"):
        raise ConfigError(f"{str(source)!r} is no source of images", hint=_HINT)
    data = load_arrays(config) if config else read_arrays(str(source))
    names = {}
    if scheme == "tfds":
        from memtools.training.tfds_arrays import class_names as of_tfds  # needs TensorFlow

        names = of_tfds(rest)
    return _of_arrays(data, subject, names)


# ---- arrays


def _of_arrays(data: Dataset, subject: Subject, names: Mapping[int, str]) -> Images:
    train = _of_array(data.train_images, "training")
    proof = _by_position(subject, "train", data.train_labels, data.order)
    test = None
    if subject.index.test_labels is not None and len(data.test_images):
        test = _of_array(data.test_images, "test")
        _by_position(subject, "test", data.test_labels, data.order)
    side = min(SIDE, max(_pixels(data.train_images[0]).shape[:2]))
    return Images(train, test, side, proof, names)


def _by_position(subject: Subject, split: str, labels: Array, order: str) -> str:
    """The proof that the labels of both agree; an npz is in the order that its labels show."""
    declared = order if order in ("official", "tfds") else subject.about.order or "file"
    return align(subject.index, to=Listing(labels=labels), split=split, order=declared).proof


def _of_array(images: Array, split: str) -> Pictures:
    """ConfigError where pixels are none, or would be shown in other places."""
    shape = images.shape[1:]
    if len(shape) == 1:  # flat, as an MLP may have them
        shape = (math.isqrt(shape[0]),) * 2
    whole = len(shape) in (2, 3) and 0 < math.prod(shape) == math.prod(images.shape[1:])
    if not whole or shape[2:] not in ((), (1,), (3,), (4,)):
        raise ConfigError(
            f"the {split} images are an array of the shape {images.shape}",
            hint="images are [n, height, width] or [n, height, width, 1, 3 or 4]",
        )
    if images.dtype != np.uint8 and ((images < 0) | (images > 1)).any():
        raise ConfigError(
            f"the {split} images are {images.dtype}, and not within 0 and 1",
            hint="pixels are uint8 from 0 to 255, or floating-point numbers from 0 to 1",
        )

    def look(k: int) -> Image.Image:
        return Image.fromarray(_pixels(images[k]))

    return Pictures(np.ones(len(images), np.bool_), lambda _chosen: look)


def _pixels(image: Array) -> Array:
    """uint8 [height, width] or [height, width, 3] of an image; floats are within [0, 1]."""
    if image.dtype != np.uint8:
        image = (np.clip(np.nan_to_num(image), 0, 1) * 255).round().astype(np.uint8)
    if image.ndim == 1:
        image = image.reshape(math.isqrt(len(image)), -1)
    if image.ndim == 3:
        image = image[..., :3] if image.shape[-1] >= 3 else image[..., 0]
    return image


# ---- folders


def _of_folder(root: Path, subject: Subject) -> Images:
    train_root = root / "train" if (root / "train").is_dir() else root
    listing = listing_of(train_root)
    alignment = _place(listing, subject, "train")
    train = _of_files(listing, alignment)
    test = None
    beside = [root / name for name in _TEST if (root / name).is_dir()]
    if train_root != root and beside and subject.test.n:
        test_listing = listing_of(beside[0])
        test = _of_files(test_listing, _place(test_listing, subject, "test"))
    names = class_names(subject.index) or _folders(train_root, listing, alignment, subject)
    return Images(train, test, _side_of(train), alignment.proof, names)


def _place(listing: Listing, subject: Subject, split: str) -> Alignment:
    """Which file is which example: by name; by order and labels where there are no names."""
    names = subject.train.names if split == "train" else subject.test.names
    if names is not None:
        return align(subject.index, to=listing, split=split, allow_missing=True)
    order = subject.about.order or "file"
    return align(subject.index, to=Listing(labels=listing.labels), split=split, order=order)


def _of_files(listing: Listing, alignment: Alignment) -> Pictures:
    names, there = listing.names or [], alignment.inverse >= 0

    def look(k: int) -> Image.Image | None:
        return opened(names[int(alignment.inverse[k])]) if there[k] else None

    return Pictures(there, lambda _chosen: look)


def _folders(
    root: Path, listing: Listing, alignment: Alignment, subject: Subject
) -> dict[int, str]:
    """The folder of each label."""
    if subject.labels is None or listing.labels is None or not listing.names:
        return {}
    found = np.flatnonzero(alignment.position >= 0)
    shelves, first = np.unique(subject.train.shelf[alignment.position[found]], return_index=True)
    return {
        int(subject.labels[shelf]): Path(listing.names[found[k]]).relative_to(root).parts[0]
        for shelf, k in zip(shelves, first.tolist(), strict=True)
    }


def _side_of(pictures: Pictures) -> int:
    """The larger side of some images; SIDE where none can be read, or where they are larger."""
    there = np.flatnonzero(pictures.there)
    some = there[:: max(1, len(there) // 16)].tolist()
    look = pictures.gather(some)
    return min(SIDE, max((max(image.size) for k in some if (image := look(k))), default=SIDE))
