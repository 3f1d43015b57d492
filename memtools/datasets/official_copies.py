"""Official copies of CIFAR, MNIST, FashionMNIST and KMNIST, in the order of their files.

dataset, listing = read_official(Path("cifar-100-binary"), "train")
dataset, listing = read_official(Path("data/MNIST/raw"), "test")
"""

from __future__ import annotations

import gzip
import math
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from memtools.datasets.listing import Listing
from memtools.errors import ConfigError, IntegrityError, MemtoolsError
from memtools.estimates.npz import Array
from memtools.files import disk_errors

_SIDE = 32  # pixels of a CIFAR image
_IDX_UINT8 = 8  # the code of the format for unsigned bytes
_IDX_DATASETS = {"mnist": "mnist", "fashionmnist": "fashion_mnist", "kmnist": "kmnist"}


def read_official(root: Path, split: str) -> tuple[str, Listing]:
    """Return the name of the data set of an official copy, and its examples in the official order.

    Python's pickles are read by a reader that admits dicts, lists, numbers, text, bytes and uint8
    arrays, and runs nothing.

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
            data = gzip.decompress(data)
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
    try:
        with disk_errors(path), path.open("rb") as file:
            document = _Plain(file, encoding="bytes").load()
        data = document[b"data"]
        labels = document.get(b"fine_labels", document.get(b"labels"))
        return Listing(images=_planes(data), labels=np.array(labels, np.int64))
    except MemtoolsError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise IntegrityError(
            f"{path} is not a batch of CIFAR: {error}", hint="get that file again"
        ) from error


def _planes(rows: Array) -> Array:
    planes = rows.reshape(-1, 3, _SIDE, _SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


class _Plain(pickle.Unpickler):
    """Dicts, lists, numbers, text, bytes, and uint8 arrays; everything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        admitted = {
            ("numpy.core.multiarray", "_reconstruct"): _empty,
            ("numpy._core.multiarray", "_reconstruct"): _empty,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): _uint8,
            ("_codecs", "encode"): _latin,
        }
        if (module, name) not in admitted:
            raise IntegrityError(
                f"the pickle wants to call {module}.{name}", hint="this file is not official"
            )
        return admitted[module, name]


def _empty(kind: Any, _shape: Any, _code: Any) -> Array:
    if kind is not np.ndarray:
        raise IntegrityError("the pickle makes something else than an array", hint="not official")
    return np.ndarray.__new__(np.ndarray, (0,), np.uint8)


def _uint8(code: Any, *_rest: Any) -> np.dtype[Any]:
    if code not in ("u1", b"u1"):
        raise IntegrityError(f"the pickle holds an array of {code!r}", hint="not official")
    return np.dtype("u1", align=False, copy=True)  # its state is set next: not that of all


def _latin(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise IntegrityError(f"the pickle encodes as {encoding!r}", hint="not official")
    return text.encode("latin1")
