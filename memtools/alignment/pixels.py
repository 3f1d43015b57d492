"""Examples known by their pixels: a key for each, and the keys of all in the official order.

    reference = Reference.of(read_official(Path("cifar-100-binary"), "train"), dataset="cifar100")
    reference.save(Path("cifar100-keys.npz"))    # made once, from any copy in official order
    keys_of(images)                              # of uint8 [n, height, width, channels]

A key is a digest of an image's shape and pixels. Files that store pixels (CIFAR, MNIST) and PNG
give the same key however they are read. A JPEG does not: PIL, OpenCV, torchvision, simplejpeg and
TensorFlow with `dct_method="INTEGER_ACCURATE"` agree to the last bit, but TensorFlow's default
differs in about 60 % of the values, by up to 7. A reference therefore records what decoded its
images.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Self

import numpy as np

from memtools.arguments import StrPath, checked
from memtools.datasets.listing import Listing
from memtools.datasets.official_copies import read_official
from memtools.datasets.splits import parse_split
from memtools.errors import ConfigError, SchemaError
from memtools.estimates.about import About, read_about, save
from memtools.estimates.npz import Array, Npz

__all__ = ["STORED", "Reference", "keys_of", "read_official"]

STORED = "stored uint8, no decoder"
"""The decoder of images that are stored as pixels, such as those of CIFAR and MNIST."""

_KEY = 16  # bytes
_DEFINITION = "keys of pixels"


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """keys: of each example, 16 bytes. labels: int64 [n]. about: data set and order."""

    about: About
    keys: list[bytes]
    labels: Array

    @classmethod
    def of(
        cls, listing: Listing, *, dataset: str, order: str = "official", decoder: str = ""
    ) -> Self:
        """Return the reference of images in a known order.

        Args:
            listing: The images, uint8 [n, height, width, channels], and labels, int64 [n].
            dataset: The name of the data set, such as `cifar100`.
            order: The order of the images.
            decoder: What decoded them, such as `PIL` or STORED; empty where it is not known.

        Returns:
            The reference, in the order of the listing.

        Raises:
            ConfigError: Images or labels are missing.
        """
        if listing.images is None or listing.labels is None:
            raise ConfigError("a reference needs images and labels", hint="give both")
        definition = f"{_DEFINITION}; decoder: {decoder}" if decoder else _DEFINITION
        about = About(dataset=dataset, order=order, definition=definition)
        return cls(about, keys_of(listing.images), listing.labels)

    @classmethod
    @checked('Reference.read("cifar-100-binary", "train")')
    def read(cls, root: StrPath, split: str) -> Self:
        """Return the reference of an official copy of CIFAR or MNIST.

        Args:
            root: The directory of the copy, as for `read_official`.
            split: `train` or `test`; `val` and `validation` mean `test`.

        Returns:
            The reference, in the official order.

        Raises:
            ConfigError: The directory is not an official copy.
            IntegrityError: A file of it is damaged.
        """
        dataset, listing = read_official(Path(root), parse_split(split))
        return cls.of(listing, dataset=dataset, decoder=STORED)

    @property
    def decoder(self) -> str:
        """The decoder of the images; empty where the reference does not record it."""
        return self.about.definition.partition("; decoder: ")[2]

    @property
    def mismatch_hint(self) -> str:
        """The hint for images that have no key in the reference."""
        advice = "give the stored pixels, without resizing, augmentation or normalisation"
        if self.decoder == STORED:
            return advice
        decoder = self.decoder or "a decoder that it does not record"
        return (
            f"the reference was decoded by {decoder}, and another decoder gives a JPEG other"
            ' pixels; use the same one, or PIL, or TensorFlow with dct_method="INTEGER_ACCURATE"'
        )

    @checked('reference.save("keys.npz")')
    def save(self, path: StrPath) -> None:
        """Write it as an npz, whole or not at all."""
        keys = np.frombuffer(b"".join(self.keys), np.uint8).reshape(-1, _KEY)
        save(path, {"keys": keys, "labels": self.labels}, self.about)

    @classmethod
    def of_path(cls, path: StrPath, split: str) -> Self:
        """Return the reference that a file holds, or that an official copy in a directory gives."""
        return cls.read(path, split) if Path(path).is_dir() else cls.open(path)

    @classmethod
    @checked('Reference.open("keys.npz")')
    def open(cls, path: StrPath) -> Self:
        """Read what `save` wrote; SchemaError for anything else."""
        path = Path(path)
        with Npz(path) as arrays:
            if "keys" not in arrays or "labels" not in arrays:
                raise SchemaError(
                    f"{path} holds no keys of pixels", hint="memtools align --reference makes it"
                )
            packed, labels, about = arrays["keys"], arrays["labels"], read_about(arrays, path)
        if packed.dtype != np.uint8 or packed.shape[1:] != (_KEY,) or labels.ndim != 1:
            raise SchemaError(
                f"{path}: keys are uint8 [n, {_KEY}] and labels [n], not {packed.dtype}"
                f" {list(packed.shape)} and {list(labels.shape)}",
                hint="memtools align --reference makes it",
            )
        if len(packed) != len(labels) or labels.dtype.kind not in "iu":
            raise SchemaError(
                f"{path}: {len(packed):,} keys and {len(labels):,} labels, {labels.dtype}",
                hint="memtools align --reference makes it",
            )
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
