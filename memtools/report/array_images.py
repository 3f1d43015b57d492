"""Images of a report out of arrays: of a data set in memory, joined by order and labels.

images = open_arrays(data, subject, {0: "apple"})
array_pictures(images, "the images of x.npz").gather([7])(7)      # a PIL image
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from memtools.alignment.alignment import align
from memtools.datasets.listing import Listing
from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.extras import needing
from memtools.report.pictures import SIDE, Images, Pictures
from memtools.report.subject import Subject
from memtools.training.data_checks import check_pixels
from memtools.training.datasets import Dataset

with needing("report"):
    from PIL import Image


def open_arrays(data: Dataset, subject: Subject, names: Mapping[int, str]) -> Images:
    """Return the images of arrays, aligned with the subject.

    Args:
        data: Images and labels; the test split may be empty.
        subject: The numbers.
        names: The name of each class, by label.

    Raises:
        AlignmentError: Number, labels or orders contradict.
        ConfigError: The arrays do not hold images.
        SchemaError: Pixels are NaN or infinite.
    """
    train = array_pictures(data.train_images, "the training images")
    proof = _compare(subject, "train", data.train_labels, data.order)
    test = None
    if subject.index.test_labels is not None and len(data.test_images):
        test = array_pictures(data.test_images, "the test images")
        _compare(subject, "test", data.test_labels, data.order)
    side = min(SIDE, max(_pixels(data.train_images[0]).shape[:2]))
    return Images(train, test, side, proof, names)


def array_pictures(images: Array, what: str) -> Pictures:
    """Return the images of an array.

    Args:
        images: uint8, or float within [0, 1]: [n, height, width], [n, height, width, 1, 3 or 4],
            or [n, pixels] of square grey images.
        what: The images in words, for messages.

    Raises:
        ConfigError: The array has another shape, dtype or range.
        SchemaError: Pixels are NaN or infinite.
    """
    shape = images.shape[1:]
    if len(shape) == 1:  # flat, as an MLP may have them
        shape = (math.isqrt(shape[0]),) * 2
    whole = len(shape) in (2, 3) and 0 < math.prod(shape) == math.prod(images.shape[1:])
    if not whole or shape[2:] not in ((), (1,), (3,), (4,)):
        raise ConfigError(
            f"{what} are an array of the shape {images.shape}",
            hint="images are [n, height, width] or [n, height, width, 1, 3 or 4]",
        )
    check_pixels(images, what)

    def look(k: int) -> Image.Image:
        return image_of(images[k])

    return Pictures(np.ones(len(images), np.bool_), lambda _chosen: look)


def image_of(pixels: Array) -> Image.Image:
    """Return the image of pixels: uint8, or float within [0, 1]."""
    return Image.fromarray(_pixels(pixels))


def _compare(subject: Subject, split: str, labels: Array, order: str) -> str:
    """Return the proof that labels agree; an npz is in the order that its labels show."""
    declared = order if order in ("official", "tfds") else subject.about.order or "file"
    return align(subject.index, to=Listing(labels=labels), split=split, order=declared).proof


def _pixels(image: Array) -> Array:
    """Return uint8 [height, width] or [height, width, 3] of an image."""
    if image.dtype != np.uint8:
        image = (image * 255).round().astype(np.uint8)
    if image.ndim == 1:
        image = image.reshape(math.isqrt(len(image)), -1)
    if image.ndim == 3:
        image = image[..., :3] if image.shape[-1] >= 3 else image[..., 0]
    return image
