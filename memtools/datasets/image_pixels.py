"""Pixels of images that are compared bit by bit: decoded with Pillow, if it is installed.

decode_images([png_bytes, ...])          # uint8 [n, height, width, channels]
read_images(["cifar/train/airplane/0001.png", ...])
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools.documents import describe, parsing
from memtools.errors import ConfigError, SchemaError
from memtools.estimates.npz import Array
from memtools.extras import needing
from memtools.file_kinds import require_regular
from memtools.files import disk_errors

_MAX_PIXELS = 1 << 25  # of an image; ImageNet's largest has 40 million, and is not compared so


def decode_images(encoded: Iterable[bytes]) -> Array | None:
    """Return the pixels of encoded images.

    Args:
        encoded: n images in a lossless format, all of one size.

    Returns:
        uint8 [n, height, width, 1 or 3]; None where Pillow is not installed, an image cannot be
        decoded, or sizes differ.
    """
    try:
        import PIL.Image  # noqa: F401
    except ModuleNotFoundError:
        return None
    pixels = []
    for data in encoded:
        try:
            pixels.append(_decode(data)[1])
        except SchemaError:
            return None
        if pixels[-1].shape != pixels[0].shape:
            return None
    return np.stack(pixels) if pixels else None


def read_images(paths: Sequence[str]) -> Array:
    """Return the pixels of image files, such as a folder of CIFAR in PNG.

    Args:
        paths: n files in a lossless format, all of one size.

    Returns:
        uint8 [n, height, width, 1 or 3].

    Raises:
        MemtoolsError: Pillow is not installed.
        ConfigError: A file is not an image or is a JPEG, or sizes differ.
        DiskError: A file cannot be read.
    """
    with needing("datasets"):
        import PIL.Image  # noqa: F401
    pixels: list[Array] = []
    for path in paths:
        require_regular(path)
        with disk_errors(Path(path)):
            data = Path(path).read_bytes()
        try:
            kind, each = _decode(data)
        except SchemaError as error:
            raise ConfigError(f"{path}: {error}", hint="remove it, or get it again") from error
        if kind == "JPEG":
            raise ConfigError(
                f"{path} is a JPEG: what it decodes to depends on the decoder",
                hint="compare by names, or give lossless images",
            )
        pixels.append(each)
        if pixels[-1].shape != pixels[0].shape:
            raise ConfigError(
                f"{path} is {_size(pixels[-1])}, and {paths[0]} is {_size(pixels[0])}",
                hint="pixels are compared only where all images have one size",
            )
    return np.stack(pixels)


def _decode(data: bytes) -> tuple[str, Array]:
    """Return the format and the pixels of an encoded image; SchemaError if it is none."""
    from PIL import Image

    try:
        with (
            warnings.catch_warnings(action="ignore"),  # of damage that the error names, too
            parsing("it", "an image"),
            Image.open(io.BytesIO(data)) as image,
        ):
            if image.width * image.height > _MAX_PIXELS:
                raise SchemaError(
                    f"it is an image of {image.width:,} x {image.height:,} pixels",
                    hint="images of data sets are smaller",
                )
            return image.format or "", _pixels(image)
    except (OSError, Image.DecompressionBombError) as error:
        raise SchemaError(f"it is not an image: {describe(error)}", hint="get it again") from error


def _pixels(image: Any) -> Array:
    """Return the pixels of a Pillow image, [height, width, 1 or 3]."""
    grey = image.mode in ("1", "L", "LA")
    pixels: Array = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels


def _size(pixels: Array) -> str:
    return " x ".join(map(str, pixels.shape))
