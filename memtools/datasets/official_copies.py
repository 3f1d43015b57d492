"""Official copies of CIFAR, MNIST, FashionMNIST and KMNIST, in the order of their files.

dataset, listing = read_official(Path("cifar-100-binary"), "train")
dataset, listing = read_official(Path("data/MNIST/raw"), "test")
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from memtools.datasets.listing import Listing
from memtools.errors import ConfigError, IntegrityError, SchemaError
from memtools.estimates.npz import Array
from memtools.estimates.pickles import as_pixels, describe_pickle
from memtools.files import disk_errors

_MAX_UNPACKED = 256 << 20  # bytes: the largest of these files has 47 MB
_N_CLASSES = 100
_SIDE = 32  # pixels of a CIFAR image
_IDX_UINT8 = 8  # the code of the format for unsigned bytes
_IDX_DATASETS = {"mnist": "mnist", "fashionmnist": "fashion_mnist", "kmnist": "kmnist"}


def read_official(root: Path, split: str) -> tuple[str, Listing]:
    """Return the name of the data set of an official copy, and its examples in the official order.

    Python's pickles are read by a reader that admits dicts, lists, numbers, text, bytes and uint8
    arrays, and runs nothing (memtools.estimates.pickles).

    Args:
        root: The directory: `cifar-100-binary`, `cifar-10-batches-bin`, `cifar-100-python`,
            `cifar-10-batches-py`; or one with the idx files of MNIST, FashionMNIST or KMNIST,
            packed by gzip or not, with the name of the data set in its path, such as `MNIST/raw`.
        split: `train` or `test`.

    Returns:
        `cifar10`, `cifar100`, `mnist`, `fashion_mnist` or `kmnist`, and its images, uint8
        [n, height, width, channels], and labels, int64 [n].

    Raises:
        ConfigError: The directory is not an official copy, or its data set is not known.
        IntegrityError: A file is damaged.
    """
    fives = [f"data_batch_{k}" for k in range(1, 6)] if split == "train" else ["test_batch"]
    copies: tuple[tuple[str, list[str], Callable[[Path], Listing]], ...] = (
        ("cifar100", [f"{split}.bin"], _binary(2)),
        ("cifar10", [f"{name}.bin" for name in fives], _binary(1)),
        ("cifar100", [split], _pickled),
        ("cifar10", fives, _pickled),
    )
    for dataset, names, read in copies:
        if all((root / name).is_file() for name in names):
            return dataset, _joined([read(root / name) for name in names])
    if (files := _idx_files(root, split)) is not None:
        images, labels = (_idx(path, n_dims) for path, n_dims in zip(files, (3, 1), strict=True))
        if len(images) != len(labels):
            raise IntegrityError(
                f"{root} has {len(images):,} {split} images and {len(labels):,} labels",
                hint="get both files again",
            )
        listing = Listing(images=images[..., None], labels=labels.astype(np.int64))
        return _dataset_of_idx(root), listing
    raise ConfigError(
        f"{root} is not an official copy of the {split} examples of CIFAR or MNIST",
        hint="give cifar-100-binary, cifar-10-batches-bin, the folders of the python version,"
        " or MNIST/raw",
    )


# ---- MNIST and its kin


def _idx_files(root: Path, split: str) -> tuple[Path, Path] | None:
    """Return the files of images and labels, packed or not; None if one of them is missing."""
    stem = "train" if split == "train" else "t10k"
    found = []
    for name in ("images{}idx3-ubyte", "labels{}idx1-ubyte"):
        names = [f"{stem}-{name.format(mark)}{end}" for mark in "-." for end in ("", ".gz")]
        found += [root / each for each in names if (root / each).is_file()][:1]
    return (found[0], found[1]) if len(found) == 2 else None


def _dataset_of_idx(root: Path) -> str:
    """Return the data set that the path names: the files of all of them look the same."""
    for part in reversed(root.resolve().parts):
        if name := _IDX_DATASETS.get(part.casefold().replace("-", "").replace("_", "")):
            return name
    raise ConfigError(
        f"{root} holds MNIST, FashionMNIST or KMNIST, and its path does not say which",
        hint="name the directory after the data set, such as MNIST or FashionMNIST/raw",
    )


def _idx(path: Path, n_dims: int) -> Array:
    """Return the array of an idx file: a big-endian header, then bytes."""
    with disk_errors(path):
        data = path.read_bytes()
    try:
        if path.suffix == ".gz":
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(_MAX_UNPACKED)
    except (EOFError, OSError, zlib.error) as error:
        raise IntegrityError(f"{path} is damaged: {error}", hint="get that file again") from error
    start = 4 + 4 * n_dims
    shape = np.frombuffer(data[4:start], ">u4").tolist() if len(data) >= start else []
    if data[:4] != bytes([0, 0, _IDX_UINT8, n_dims]) or len(data) != start + math.prod(shape):
        raise IntegrityError(
            f"{path} is not an idx file of {n_dims} dimensions, or it is cut: {len(data):,} bytes",
            hint="get that file again",
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


# ---- CIFAR


def _joined(parts: list[Listing]) -> Listing:
    images = [part.images for part in parts if part.images is not None]
    labels = [part.labels for part in parts if part.labels is not None]
    return Listing(images=np.concatenate(images), labels=np.concatenate(labels))


def _binary(n_labels: int) -> Callable[[Path], Listing]:
    """Rows of labels (the last is the fine one), then red, green and blue planes."""

    def read(path: Path) -> Listing:
        row = n_labels + 3 * _SIDE * _SIDE
        with disk_errors(path):
            data = np.fromfile(path, np.uint8)
        if not len(data) or len(data) % row:
            raise IntegrityError(
                f"{path} is cut: {len(data):,} bytes are not a whole number of rows of {row:,}",
                hint="get that file again",
            )
        rows = data.reshape(-1, row)
        return Listing(
            images=_planes(rows[:, n_labels:]), labels=rows[:, n_labels - 1].astype(np.int64)
        )

    return read


def _pickled(path: Path) -> Listing:
    with disk_errors(path):
        payload = path.read_bytes()
    try:
        document = describe_pickle(payload)
        if not isinstance(document, dict):
            raise SchemaError("it is not a dict", hint="get that file again")
        rows = as_pixels(document.get(b"data"))
        labels = document.get(b"fine_labels", document.get(b"labels"))
        if not isinstance(labels, list) or rows.shape != (len(labels), 3 * _SIDE * _SIDE):
            raise SchemaError("it has not one label for each image", hint="get that file again")
        if not all(type(each) is int and 0 <= each < _N_CLASSES for each in labels):
            raise SchemaError("a label in it is not one of CIFAR", hint="get that file again")
    except SchemaError as error:
        raise IntegrityError(
            f"{path} is not a batch of CIFAR: {error}", hint="get that file again"
        ) from error
    return Listing(images=_planes(rows), labels=np.array(labels, np.int64))


def _planes(rows: Array) -> Array:
    planes = rows.reshape(-1, 3, _SIDE, _SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
