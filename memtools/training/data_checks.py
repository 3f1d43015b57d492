"""Checks of training data: labels and pixels that cannot be right are refused before any step.

    data = check_dataset(data, "mine.npz")
    check_pixels(images, "the images of mine.npz")

Pixels are uint8 from 0 to 255, or floating-point numbers from 0 to 1. Images are read in blocks,
so that a large set is not copied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memtools.errors import ConfigError, SchemaError
from memtools.estimates.npz import Array
from memtools.training.label_checks import check_labels

if TYPE_CHECKING:
    from memtools.training.datasets import Dataset, Examples

PIXEL_RULE = "pixels are uint8 from 0 to 255, or floating-point numbers from 0 to 1"
_FEW_CLASSES = 1000  # that a small part of a data set may have, too
_BLOCK = 64 << 20  # bytes of images that are looked at together


def check_dataset(data: Dataset, where: str) -> Dataset:
    """Return a data set whose arrays can be trained on.

    Grey images [n, height, width] get a channel axis, labels [n, 1] become [n]. A split without
    examples is left as it is: see `check_trainable`.

    Args:
        data: The data set, with arrays as the user has them.
        where: The source of the data, for messages.

    Returns:
        The data set with labels int64 [n] and images uint8 or float32 [n, height, width, channels]
        or [n, pixels].

    Raises:
        ConfigError: The arrays are of the wrong kind, shape or range.
        SchemaError: Pixels are NaN or infinite.
    """
    images, labels = [], []
    for split, pixels, column in (
        ("training", data.train_images, data.train_labels),
        ("test", data.test_images, data.test_labels),
    ):
        labels.append(check_labels(column, len(pixels), f"{where}: the {split} labels"))
        images.append(_checked_images(pixels, f"{where}: the {split} images"))
    return dataclasses.replace(
        data,
        train_labels=labels[0],
        test_labels=labels[1],
        train_images=images[0],
        test_images=images[1],
    )


def check_trainable(data: Examples, where: str) -> None:
    """Raise ConfigError for a data set that no classifier can be trained and tested on.

    Args:
        data: The data set, its arrays checked.
        where: The source of the data, for messages.

    Raises:
        ConfigError: A split is empty, there is one class only, labels count from 1 or are far above
            the number of examples, or test examples are of classes without training examples.
    """
    for split, labels in (("training", data.train_labels), ("test", data.test_labels)):
        if not len(labels):
            raise ConfigError(
                f"{where} has no {split} examples",
                hint="every run is evaluated on training and test examples: give some of both",
            )
    if data.train_labels.min() == data.train_labels.max():
        raise ConfigError(
            f"{where}: all training labels are {data.train_labels[0]}",
            hint="a classifier needs at least two classes",
        )
    _require_known_classes(data.train_labels, data.test_labels, where)


def check_same_shape(data: Dataset, where: str) -> None:
    """Raise ConfigError unless training and test images have one shape.

    Args:
        data: The data set, its arrays checked.
        where: The source of the data, for messages.
    """
    train, test = data.train_images, data.test_images
    if train.shape[1:] != test.shape[1:]:
        raise ConfigError(
            f"{where}: training images are {_shape(train)}, test images {_shape(test)}",
            hint="bring all images to one size and number of channels",
        )


def check_pixels(images: Array, what: str) -> None:
    """Raise an error unless images hold pixels as `PIXEL_RULE` says.

    Args:
        images: Any dtype, [n, ...].
        what: The images in words, for messages.

    Raises:
        ConfigError: The dtype or the range is another one.
        SchemaError: Some floating-point pixels are NaN or infinite; the first image is named.
    """
    check_pixel_dtype(images.dtype, what)
    if images.dtype == np.uint8 or not images.size:
        return
    low, high = _range(images)
    if images.dtype.kind == "f" and not np.isfinite(low + high):
        raise _not_finite(images, what)
    if images.dtype.kind == "f" and low >= 0 and high <= 1:
        return
    raise ConfigError(
        f"{what} are {images.dtype} from {low:g} to {high:g}, and not within 0 and 1",
        hint=f"{PIXEL_RULE}; {_conversion(images.dtype, low, high)}",
    )


def check_pixel_dtype(dtype: np.dtype[Any], what: str) -> None:
    """Raise ConfigError for a dtype that cannot hold pixels; `what`: the images in words."""
    if dtype.kind == "O":
        raise ConfigError(
            f"{what} are Python objects, as where images differ in size",
            hint="bring all images to one size, then np.stack them",
        )
    if dtype.kind == "b":
        raise ConfigError(f"{what} are bool", hint="images.astype('float32') makes 0 and 1 of them")
    if dtype.kind not in "iuf":
        raise ConfigError(f"{what} are {dtype}", hint=PIXEL_RULE)


def check_image_shape(shape: tuple[int, ...], what: str) -> None:
    """Raise ConfigError for a shape [n, ...] that images do not have; `what`: them in words."""
    if (
        len(shape) == 4
        and shape[1] in (1, 3)
        and (shape[3] > 4 or shape[2] == shape[3] != shape[1])
    ):
        raise ConfigError(
            f"{what} have the shape {shape}: channels come before height and width",
            hint="images.transpose(0, 2, 3, 1) puts them last",
        )
    if len(shape) not in (2, 3, 4) or 0 in shape[1:]:
        raise ConfigError(
            f"{what} have the shape {shape}",
            hint="images are [n, height, width, channels], [n, height, width] or [n, pixels]",
        )


def _checked_images(images: Array, what: str) -> Array:
    """Return images as uint8 or float32, with a channel axis."""
    check_pixel_dtype(images.dtype, what)
    check_image_shape(images.shape, what)
    check_pixels(images, what)
    if images.dtype.kind == "f":
        images = images.astype(np.float32, copy=False)
    return images[..., None] if images.ndim == 3 else images


def _require_known_classes(train: NDArray[np.int64], test: NDArray[np.int64], where: str) -> None:
    """Raise ConfigError unless classes count from 0 and tests are of classes that are trained."""
    least, most = int(train.min()), int(train.max())
    if least == 1 and test.min() >= 1:
        raise ConfigError(
            f"{where}: labels are from 1 to {most}, and none is 0",
            hint="labels count from 0: subtract 1",
        )
    if most >= max(_FEW_CLASSES, len(train)):
        k = int(np.argmax(train == most))
        raise ConfigError(
            f"{where}: training example {k} has the label {most:,}, and there are {len(train):,}"
            " training examples",
            hint="np.unique(labels, return_inverse=True)[1] numbers the classes that are there",
        )
    if test.max() > most:
        k = int(np.argmax(test > most))
        raise ConfigError(
            f"{where}: test example {k} has the label {test[k]}, and training labels end at {most}",
            hint="leave out test examples of classes without training examples",
        )


def _blocks(images: Array) -> Iterator[tuple[int, Array]]:
    """Yield (position of the first image, some images)."""
    size = max(1, _BLOCK * len(images) // max(images.nbytes, 1))
    for start in range(0, len(images), size):
        yield start, images[start : start + size]


def _range(images: Array) -> tuple[float, float]:
    """Return the least and the largest pixel; NaN where a pixel is."""
    extremes = [(block.min(), block.max()) for _, block in _blocks(images)]
    low, high = np.array(extremes, np.float64).T
    return float(low.min()), float(high.max())


def _not_finite(images: Array, what: str) -> SchemaError:
    bad = [
        start + np.flatnonzero(~np.isfinite(block).reshape(len(block), -1).all(1))
        for start, block in _blocks(images)
    ]
    found = np.concatenate(bad)
    return SchemaError(
        f"{what} hold pixels that are NaN or infinite: image {found[0]}"
        + (f" and {len(found) - 1:,} others" if len(found) > 1 else ""),
        hint="repair these images, or leave them out",
    )


def _conversion(dtype: np.dtype[Any], low: float, high: float) -> str:
    """Return what to do about pixels of this range."""
    if low < 0:
        return "give them as they were before normalisation"
    if high > 255:
        return "divide by the largest value that a pixel can have, such as 65535"
    return "images.astype('uint8') makes them so" if dtype.kind in "iu" else "divide by 255"


def _shape(images: Array) -> str:
    return " x ".join(map(str, images.shape[1:]))
