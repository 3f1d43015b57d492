"""Thumbnails on sheets: a hundred small images in one file, of which the page shows one.

    sheets = Sheets(directory, images)
    sheets.gather(train=[...], test=[...])           # all that will be wanted
    sizes = sheets.draw("level/7", [("train", 17), ("train", 3)])

Image k of a sheet stands in column k % 10 of row k // 10; after every hundred a new sheet begins:
`level/7-0.png`, `level/7-1.png`. Small images are PNGs, pixel by pixel, others JPEGs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memtools.extras import needing
from memtools.files import disk_errors
from memtools.report.pictures import Images, Look, shrunk

with needing("report"):
    from PIL import Image

COLUMNS, ON_SHEET = 10, 100
_QUALITY = 82
_GREY = (128, 128, 128)  # beside an image that is no square

Example = tuple[str, int]
"""A split and a position in it."""


@dataclasses.dataclass(eq=False)
class Sheets:
    """Draws thumbnails into files under `root`; several threads may draw at a time."""

    root: Path
    images: Images
    _looks: dict[str, Look] = dataclasses.field(default_factory=dict)

    @property
    def ending(self) -> str:
        """Of the files."""
        return "png" if self.images.small else "jpg"

    def gather(self, *, train: Sequence[int], test: Sequence[int]) -> None:
        """Make ready what will be drawn."""
        self._looks = {"train": self.images.train.gather(train)}
        if self.images.test is not None:
            self._looks["test"] = self.images.test.gather(test)

    def draw(self, name: str, examples: Sequence[Example]) -> NDArray[np.uint8]:
        """Draw them; uint8 [n, 2], width and height of each, zeros where an image is missing."""
        sizes = np.zeros((len(examples), 2), np.uint8)
        for start in range(0, len(examples), ON_SHEET):
            on_sheet = slice(start, start + ON_SHEET)
            sheet, sizes[on_sheet] = self._sheet(examples[on_sheet])
            self._save(sheet, self.root / f"{name}-{start // ON_SHEET}.{self.ending}")
        return sizes

    def _sheet(self, examples: Sequence[Example]) -> tuple[Image.Image, NDArray[np.uint8]]:
        side = self.images.side
        n_rows = -(-len(examples) // COLUMNS)
        sheet = Image.new("RGB", (COLUMNS * side, n_rows * side), _GREY)
        sizes = np.zeros((len(examples), 2), np.uint8)
        for cell, example in enumerate(examples):
            image = self.image(example)
            if image is not None:
                sheet.paste(image, (cell % COLUMNS * side, cell // COLUMNS * side))
                sizes[cell] = image.size
        return sheet, sizes

    def knows(self, example: Example) -> bool:
        """Whether the source has an image of it."""
        split, k = example
        pictures = self.images.train if split == "train" else self.images.test
        return pictures is not None and k >= 0 and bool(pictures.there[k])

    def image(self, example: Example) -> Image.Image | None:
        """The thumbnail of an example that was asked for; None if it is missing, or no position."""
        split, k = example
        image = self._looks[split](k) if self.knows(example) else None
        return None if image is None else shrunk(image, self.images.side)

    def _save(self, sheet: Image.Image, path: Path) -> None:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.images.small:
                sheet.save(path)
            else:
                sheet.save(path, quality=_QUALITY)
