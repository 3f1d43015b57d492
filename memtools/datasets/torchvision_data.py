"""Data sets of torchvision, timm and medmnist, recognised by their classes and attributes.

Nothing is imported: a class of the module `torchvision.datasets` is known by its name, and so is a
subclass of it. Such a class alone vouches for the official order; of any other object with the same
attributes only names, labels and images are taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from memtools.datasets.example_arrays import as_images, as_labels, as_texts, to_array
from memtools.datasets.example_columns import is_text
from memtools.datasets.listing import Listing
from memtools.errors import ConfigError
from memtools.estimates.npz import Array

OFFICIAL: dict[str, tuple[str, int, int]] = {
    "CIFAR10": ("cifar10", 50_000, 10_000),
    "CIFAR100": ("cifar100", 50_000, 10_000),
    "MNIST": ("mnist", 60_000, 10_000),
    "FashionMNIST": ("fashion_mnist", 60_000, 10_000),
    "KMNIST": ("kmnist", 60_000, 10_000),
}
"""Classes that keep the examples of the official files in their order: (name, n_train, n_test)."""

_NAMED = {"EMNIST": "emnist", "QMNIST": "qmnist", "SVHN": "svhn_cropped", "STL10": "stl10"}
_CHANNELS_FIRST = {"SVHN", "STL10"}
_MODULE = re.compile(r"(torchvision\.datasets|medmnist)(\.|$)")
_SPLITS = {"train": "train", "test": "test", "val": "test"}
_SAMPLES = ("samples", "imgs", "_samples")
_LABELS = ("targets", "labels", "_labels")
_FILES = (
    *("_image_files", "_images", "image_files", "image_paths", "img_paths", "filenames", "files"),
    *("paths", "names"),
)


def library_class(source: Any) -> tuple[str, str]:
    """Return (library, class) of the class that an object is, or is derived from; or two "".

    The library is `torchvision` or `medmnist`.
    """
    for kind in type(source).__mro__:
        match = _MODULE.match(kind.__module__)
        if match and not kind.__name__.startswith("_"):
            return match[1].partition(".")[0], kind.__name__
    return "", ""


def read_attributes(source: Any) -> Listing | None:
    """Return what the attributes of a data set object say; None if it has none that we know.

    Args:
        source: An object with `.samples` (ImageFolder), `.data` and `.targets` (CIFAR, MNIST),
            `.imgs` and `.labels` (medmnist), a list of files, or `.targets` alone.

    Returns:
        The listing, in the order of the object.

    Raises:
        ConfigError: The attributes are not of the known kinds, or of the length of the object.
    """
    listing = _read_samples(source)
    if listing is None:
        listing = _read_arrays(source)
    if listing is None:
        return None
    _require_length(source, listing)
    return _with_origin(source, listing)


def _read_samples(source: Any) -> Listing | None:
    """Read pairs of a path and a label; or paths, and perhaps labels beside them."""
    for attribute in _SAMPLES:
        samples = getattr(source, attribute, None)
        if isinstance(samples, (list, tuple)) and samples and isinstance(samples[0], (list, tuple)):
            return read_samples(samples)
    labels = _first(source, _LABELS)
    for attribute in _FILES:
        files = getattr(source, attribute, None)
        if is_text(files) and not isinstance(files, (str, bytes)):
            return Listing(as_texts(files), None if labels is None else as_labels(labels))
    return None


def read_samples(samples: Sequence[Sequence[Any]]) -> Listing:
    """Return the listing of pairs of a path and a label, as ImageFolder has them."""
    names, labels = [each[0] for each in samples], [each[1] for each in samples]
    return Listing(as_texts(names), as_labels(labels))


def _read_arrays(source: Any) -> Listing | None:
    images, labels = _first(source, ("data", "imgs")), _first(source, _LABELS)
    if labels is None or callable(labels) or callable(images):
        return None
    if images is None:
        return Listing(labels=as_labels(labels))
    name = library_class(source)[1]
    if name == "QMNIST":  # the class is the first of eight columns
        labels = to_array(labels)[:, 0]
    pixels = to_array(images)
    if name in _CHANNELS_FIRST:
        pixels = pixels.transpose(0, 2, 3, 1)
    return Listing(labels=as_labels(labels), images=as_images(pixels))


def _first(source: Any, attributes: Sequence[str]) -> Any:
    values = (getattr(source, attribute, None) for attribute in attributes)
    return next((value for value in values if value is not None), None)


def _require_length(source: Any, listing: Listing) -> None:
    """Refuse attributes that belong to another object, such as the one that a wrapper holds."""
    try:
        n = len(source)
    except (TypeError, AttributeError, NotImplementedError, AssertionError):
        return
    if listing.lengths != {n}:
        lengths = " and ".join(f"{each:,}" for each in sorted(listing.lengths))
        raise ConfigError(
            f"{type(source).__name__} has {n:,} examples, and its attributes are of {lengths}",
            hint="give the names or labels of just these examples, or a Subset with its indices",
        )


def _with_origin(source: Any, listing: Listing) -> Listing:
    """Add data set, split and official positions where the class vouches for them."""
    library, name = library_class(source)
    what = f"{library} {name}".strip() if library else type(source).__name__
    dataset, split, index = "", "", None
    if library == "medmnist":
        dataset, split = str(getattr(source, "flag", "")), _split(source)
        split = "" if getattr(source, "split", "") == "val" else split  # a split of its own
    elif name in OFFICIAL:
        dataset, split = OFFICIAL[name][0], _split(source)
        index = _official_index(listing, name, split)
    elif name in _NAMED:
        dataset, split = _NAMED[name], _split(source)
        if name == "EMNIST":
            dataset = f"emnist-{getattr(source, 'split', '')}"
    elif name == "ImageNet":
        dataset, split = "imagenet", _split(source)
    columns = listing.names, listing.labels, listing.images
    order = "" if index is None else "official"
    return Listing(*columns, index, order, dataset, split, f"{what} of {len(listing):,}")


def _split(source: Any) -> str:
    train = getattr(source, "train", None)
    if isinstance(train, (bool, np.bool_)):
        return "train" if train else "test"
    return _SPLITS.get(str(getattr(source, "split", "")), "")


def _official_index(listing: Listing, name: str, split: str) -> Array | None:
    """Return 0 ... n - 1 if all examples are there; None for a set whose arrays were filtered."""
    sizes = {"train": OFFICIAL[name][1], "test": OFFICIAL[name][2]}
    return np.arange(len(listing)) if sizes.get(split) == len(listing) else None
