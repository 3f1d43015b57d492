"""Data sets of torchvision, timm and medmnist, recognised by their classes and attributes.

Nothing is imported: a class of the module `torchvision.datasets` is known by its name, and so is a
subclass of it. Such a class alone vouches for the official order; of any other object with the same
attributes only names, labels and images are taken. Such an object may have been shuffled or
relabelled in place, so that its labels are compared with those of the official files.
"""

from __future__ import annotations

import hashlib
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

OFFICIAL_LABELS: dict[tuple[str, str], tuple[str, str]] = {
    ("cifar10", "train"): (
        "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "0609040506070506090901020104040305030506020107050400040109040701",
    ),
    ("cifar10", "test"): (
        "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
        "0302010905030600060909000809000100010100000200080500030700050307",
    ),
    ("cifar100", "train"): (
        "9f11b9f97aad759ba6df0a33e3218b01d8deaf4ed3a14aa1185d69b9ad7ebcb3",
        "131e1d08362a3b1e3c431113145159632c224f250d303430620f325d0f111749",
    ),
    ("cifar100", "test"): (
        "4dad7d09c7c97d33f6cb928d705cf4196221316fd6e31bdd978a08ed9103ee0b",
        "312052344f1845395801390939453a272d1b413b4e34273919155763492b3a46",
    ),
    ("mnist", "train"): (
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "0503050906000004060705050307080908050904010100040803050508050208",
    ),
    ("mnist", "test"): (
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
        "0709050103030709060107030006000605000906080204010406050107040906",
    ),
    ("fashion_mnist", "train"): (
        "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
        "0906030208050409010402070400030001090003090100090308090602010005",
    ),
    ("fashion_mnist", "test"): (
        "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
        "0906010405030508060206060800020205040205010703090505090300050705",
    ),
}
"""The marks (`mark_of_labels`) of the labels in the official order, by (data set, split).

CIFAR's training labels are those of the published C-scores; its test labels and those of MNIST's
test split are those of cleanlab/label-errors; the others are the idx files themselves.
"""

_N_MARKED = 32  # labels that are kept one by one: a shuffle of ten classes leaves about three

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
    what = f"{what} of {len(listing):,}"
    dataset, split, index = "", "", None
    if library == "medmnist":
        dataset, split = str(getattr(source, "flag", "")), _split(source)
        split = "" if getattr(source, "split", "") == "val" else split  # a split of its own
    elif name in OFFICIAL:
        dataset, split = OFFICIAL[name][0], _split(source)
        if _is_whole(listing, name, split):
            if _has_official_labels(listing, dataset, split, what):
                index = np.arange(len(listing))
            else:
                what += ", whose labels are not the official ones"
    elif name in _NAMED:
        dataset, split = _NAMED[name], _split(source)
        if name == "EMNIST":
            dataset = f"emnist-{getattr(source, 'split', '')}"
    elif name == "ImageNet":
        dataset, split = "imagenet", _split(source)
    columns = listing.names, listing.labels, listing.images
    order = "" if index is None else "official"
    return Listing(*columns, index, order, dataset, split, what)


def _split(source: Any) -> str:
    train = getattr(source, "train", None)
    if isinstance(train, (bool, np.bool_)):
        return "train" if train else "test"
    return _SPLITS.get(str(getattr(source, "split", "")), "")


def _is_whole(listing: Listing, name: str, split: str) -> bool:
    """Return whether all examples are there: the arrays of a set may have been filtered."""
    sizes = {"train": OFFICIAL[name][1], "test": OFFICIAL[name][2]}
    return sizes.get(split) == len(listing)


def mark_of_labels(labels: Array) -> tuple[str, str]:
    """Return what labels are recognised by.

    Args:
        labels: int [n], from 0 to 255.

    Returns:
        The SHA-256 of the labels as uint8; and 32 of them, evenly spread, in hexadecimal.
    """
    whole = np.asarray(labels).astype(np.uint8)
    chosen = np.linspace(0, len(whole) - 1, _N_MARKED).astype(int)
    return hashlib.sha256(whole.tobytes()).hexdigest(), whole[chosen].tobytes().hex()


def _has_official_labels(listing: Listing, dataset: str, split: str, what: str) -> bool:
    """Return whether labels are the official ones, where those are known.

    Raises:
        ConfigError: Most of them differ: the object was shuffled or relabelled in place, so that
            neither its class nor a declared order tells which example is which.
    """
    official = OFFICIAL_LABELS.get((dataset, split))
    if official is None or listing.labels is None:
        return True
    digest, some = mark_of_labels(listing.labels)
    if digest == official[0] and listing.labels.min() >= 0 and listing.labels.max() <= 255:
        return True
    pairs = zip(bytes.fromhex(some), bytes.fromhex(official[1]), strict=True)
    agreeing = sum(a == b for a, b in pairs)
    if 2 * agreeing < _N_MARKED:
        raise ConfigError(
            f"the {what} does not have the official labels in their order: of {_N_MARKED} of its"
            f" {split} labels {agreeing} agree, so that it was shuffled or relabelled",
            hint="give it as it is loaded, or a Subset of it that permutes; or its images and"
            " labels, (data.data, data.targets), to be joined by pixels",
        )
    return False
