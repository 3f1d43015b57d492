"""Lists of images as Kaggle and the ILSVRC development kit write them.

    read_text_list(Path("ImageSets/CLS-LOC/train_cls.txt")).names    # "n01440764/n01440764_10026"
    if is_kaggle_table(columns):
        names = kaggle_names(rows["ImageId"], rows["PredictionString"])

A name gets the synset that the list states for it as its folder, so that whatever joins by name
checks that claim as it checks a real folder.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from memtools.datasets.class_folders import SYNSET
from memtools.documents import read_utf8
from memtools.errors import ConfigError
from memtools.estimates.npz import Array

KAGGLE_COLUMNS = ("ImageId", "PredictionString")
"""The columns of LOC_train_solution.csv and LOC_val_solution.csv."""

_NAME_AND_NUMBER = re.compile(r"(\S+)[ \t]+([0-9]{1,18})")


@dataclasses.dataclass(frozen=True, eq=False)
class ImageList:
    """The images of a list, in its order.

    Attributes:
        names: str [n].
        labels: int64 [n]; None where the list has none.
    """

    names: list[str]
    labels: Array | None


def read_text_list(path: Path) -> ImageList:
    """Read a text file with a name in each line, and perhaps a number behind it.

    Numbers are labels (`n01440764/n01440764_10026.JPEG 0`, the form of Caffe), unless they count
    the lines from 1 on (`n01440764/n01440764_10026 1`, the form of ImageSets/CLS-LOC).

    Raises:
        ConfigError: If the file is not text in UTF-8.
        DiskError: If it cannot be read.
    """
    text = read_utf8(path, error=ConfigError, hint="write a name in each line, UTF-8")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    matches = [_NAME_AND_NUMBER.fullmatch(line) for line in lines]
    pairs = [(match[1], int(match[2])) for match in matches if match]
    if not pairs or len(pairs) < len(lines) or len({name for name, _ in pairs}) < len(pairs):
        return ImageList(lines, None)
    names = [name for name, _ in pairs]
    numbers = np.array([number for _, number in pairs], np.int64)
    counted = np.array_equal(numbers, np.arange(1, len(numbers) + 1))
    return ImageList(names, None if counted else numbers)


def is_kaggle_table(columns: Collection[str]) -> bool:
    """Return whether a table has the columns of Kaggle's LOC_*_solution.csv."""
    return set(KAGGLE_COLUMNS) <= set(columns)


def kaggle_names(ids: Sequence[str], predictions: Sequence[str]) -> list[str]:
    """Return the names of a table of Kaggle, with the synset that it states as the folder.

    Args:
        ids: The column `ImageId`, str [n], such as `ILSVRC2012_val_00048981`.
        predictions: The column `PredictionString`, str [n]: for each box a synset and four pixels.

    Returns:
        str [n], such as `n03995372/ILSVRC2012_val_00048981`; the bare id where the boxes of an
        image have several synsets, or none.
    """
    return [_with_synset(each, text) for each, text in zip(ids, predictions, strict=True)]


def _with_synset(name: str, prediction: str) -> str:
    synsets = {word for word in prediction.split() if SYNSET.fullmatch(word)}
    return f"{synsets.pop()}/{name}" if len(synsets) == 1 else name
