"""Examples known by their pixels: a key for each, and the keys of all in the official order.

    reference = Reference.of(read_official(Path("cifar-100-binary"), "train"), dataset="cifar100")
    reference.save(Path("cifar100-keys.npz"))    # made once, from any copy in official order
    keys_of(images)                              # of uint8 [n, height, width, channels]

A key is a digest of shape and pixels: whatever decoded them, the same picture has the same key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

from memtools.errors import ConfigError, IntegrityError, SchemaError
from memtools.estimates.about import About, read_about, save
from memtools.estimates.listing import Listing
from memtools.estimates.npz import Array, Npz
from memtools.files import disk_errors

_KEY = 16  # bytes
_SIDE = 32  # pixels of a CIFAR image


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """keys: of each example, 16 bytes. labels: int64 [n]. about: data set and order."""

    about: About
    keys: list[bytes]
    labels: Array

    @classmethod
    def of(cls, listing: Listing, *, dataset: str, order: str = "official") -> Self:
        """The reference of images in a known order; ConfigError without images or labels."""
        if listing.images is None or listing.labels is None:
            raise ConfigError("a reference needs images and labels", hint="give both")
        about = About(dataset=dataset, order=order, definition="keys of pixels")
        return cls(about, keys_of(listing.images), listing.labels)

    def save(self, path: Path) -> None:
        """Write it as an npz, whole or not at all."""
        keys = np.frombuffer(b"".join(self.keys), np.uint8).reshape(-1, _KEY)
        save(path, {"keys": keys, "labels": self.labels}, self.about)

    @classmethod
    def open(cls, path: Path) -> Self:
        """What `save` wrote; SchemaError for anything else."""
        with Npz(path) as arrays:
            if "keys" not in arrays or "labels" not in arrays:
                raise SchemaError(
                    f"{path} holds no keys of pixels", hint="memtools align --reference makes it"
                )
            packed, labels, about = arrays["keys"], arrays["labels"], read_about(arrays, path)
        whole = packed.tobytes()
        keys = [whole[start : start + _KEY] for start in range(0, len(whole), _KEY)]
        return cls(about, keys, labels.astype(np.int64))


def keys_of(images: Array) -> list[bytes]:
    """A key for each image, uint8 [n, height, width, channels]."""
    shape = ",".join(map(str, images.shape[1:])).encode()
    start = hashlib.blake2b(shape, digest_size=_KEY)
    keys = []
    for image in np.ascontiguousarray(images):
        each = start.copy()
        each.update(image)
        keys.append(each.digest())
    return keys


def read_official(root: Path, split: str) -> tuple[str, Listing]:
    """(`cifar10` or `cifar100`, images and labels in the official order) of an official copy.

    root: `cifar-100-binary`, `cifar-10-batches-bin`, `cifar-100-python`, `cifar-10-batches-py`.
    Python's pickles are read by a reader that admits dicts, lists, numbers, text, bytes and uint8
    arrays, and runs nothing.

    Raises ConfigError if it is none of these; IntegrityError for a file that is damaged.
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
    raise ConfigError(
        f"{root} is no official copy of CIFAR",
        hint="give cifar-100-binary, cifar-10-batches-bin, or the folders of the python version",
    )


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
                f"{path} is cut: {len(data):,} bytes are no whole number of rows of {row:,}",
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
    except IntegrityError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise IntegrityError(
            f"{path} is no batch of CIFAR: {error}", hint="get that file again"
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
