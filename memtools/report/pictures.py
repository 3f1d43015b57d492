"""Images as a report takes them: small, in RGB, one at a time.

images.train.there                     # bool [n], which examples have an image
look = images.train.gather([17, 3])    # says which will be wanted
look(17)                               # a PIL image, or None where it is missing or damaged
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memtools.extras import needing
from memtools.file_kinds import require_regular

with needing("report"):
    from PIL import Image

SIDE = 128  # pixels of a thumbnail
SMALL = 64  # images up to this size are kept as they are, pixel by pixel
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises

Look = Callable[[int], Image.Image | None]
Gather = Callable[[Sequence[int]], Look]
Mask = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures:
    """The images of one split. there: bool [n], which examples have one. gather: as above."""

    there: Mask
    gather: Gather


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """train, test: the images of each split; None where the source has none.

    side: pixels of the largest image that is kept, in height or width. proof: how images and
    numbers were brought together, in words. class_names: by label, where the source says them.
    """

    train: Pictures
    test: Pictures | None
    side: int
    proof: str
    class_names: Mapping[int, str]

    @property
    def small(self) -> bool:
        """Whether images are kept pixel by pixel."""
        return self.side <= SMALL


def opened(source: str | io.BytesIO) -> Image.Image | None:
    """Return the thumbnail of an image file; None if it is missing, damaged, or not an image.

    Raises DiskError for a pipe, a socket, a device or a directory in its place.
    """
    if isinstance(source, str) and Path(source).exists():
        require_regular(source)
    try:
        with Image.open(source) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG is decoded at a fraction of its size
            return shrunk(image, SIDE)
    except _UNREADABLE:
        return None


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """The image in RGB, no side longer than `side` pixels."""
    image = image.convert("RGB")
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image
