"""Pixels of images that are compared bit by bit: decoded with Pillow, if it is installed.

decode_images([png_bytes, ...])          # uint8 [n, height, width, channels]
read_images(["cifar/train/airplane/0001.png", ...])
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.extras import needing
from memtools.file_kinds import require_regular
from memtools.files import disk_errors


def decode_images(encoded: Iterable[bytes]) -> Array | None:
    """Return the pixels of encoded images.

    Args:
        encoded: n images in a lossless format, all of one size.

    Returns:
        uint8 [n, height, width, 1 or 3]; None where Pillow is not installed, an image cannot be
        decoded, or sizes differ.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError:
        return None
    pixels = []
    for data in encoded:
        try:
            with Image.open(io.BytesIO(data)) as image:
                pixels.append(_pixels(image))
        except OSError:
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
        from PIL import Image
    pixels: list[Array] = []
    for path in paths:
        require_regular(path)
        try:
            with disk_errors(Path(path)):
                data = Path(path).read_bytes()
            with Image.open(io.BytesIO(data)) as image:
                if image.format == "JPEG":
                    raise ConfigError(
                        f"{path} is a JPEG: what it decodes to depends on the decoder",
                        hint="compare by names, or give lossless images",
                    )
                pixels.append(_pixels(image))
        except OSError as error:
            raise ConfigError(
                f"{path} is not an image: {error}", hint="remove it, or get it again"
            ) from error
        if pixels[-1].shape != pixels[0].shape:
            raise ConfigError(
                f"{path} is {_size(pixels[-1])}, and {paths[0]} is {_size(pixels[0])}",
                hint="pixels are compared only where all images have one size",
            )
    return np.stack(pixels)


def _pixels(image: Any) -> Array:
    """Return the pixels of a Pillow image, [height, width, 1 or 3]."""
    grey = image.mode in ("1", "L", "LA")
    pixels: Array = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels


def _size(pixels: Array) -> str:
    return " x ".join(map(str, pixels.shape))
