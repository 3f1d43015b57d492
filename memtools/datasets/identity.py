"""Which image a name stands for, however it is written.

    identify("train/n01440764/n01440764_10026.JPEG")     # ("n01440764_10026", "n01440764")
    identify("ILSVRC2012_val_00000293_n01440764.JPEG")   # ("ILSVRC2012_val_00000293", "n01440764")
    identify("train_01234")                              # ("train_01234", "")

One image has many names: the official base name, the path of an ImageFolder, the name that Hugging
Face gave it, with the synset behind; bytes or text, with or without an extension.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from memtools.datasets.names import as_text
from memtools.estimates.npz import Array

_EXTENSIONS = {"jpeg", "jpg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"}
_SYNSET = re.compile(r"n[0-9]{8}")
_TFDS = re.compile(r"(train|test)_([0-9]{1,18})")


def identify(name: str) -> tuple[str, str]:
    """Return what is common to all names of an image, and the synset that its folder claims.

    The claim is that of the suffix if the name has one, as those of Hugging Face; "" without both.
    For a column of names `memtools.datasets.image_stems.parse_names` does the same, faster.
    """
    if "\\" in name:
        name = name.replace("\\", "/")
    folder, _, base = name.rpartition("/")
    head, dot, extension = base.rpartition(".")
    if dot and head and extension.lower() in _EXTENSIONS:
        base = head
    claim = folder[-9:] if folder else ""
    if claim and (not _SYNSET.fullmatch(claim) or folder[-10:-9] not in ("", "/")):
        claim = ""
    if base[-10:-8] == "_n" and base.count("_") > 1 and _SYNSET.fullmatch(base[-9:]):
        base, claim = base[:-10], base[-9:]
    return base, claim


def synset_of(stem: str) -> str:
    """The synset in the name of a training image; "" if there is none."""
    return stem[:9] if _SYNSET.fullmatch(stem[:9]) and stem[9:10] == "_" else ""


def official_position(stem: str) -> tuple[str, int] | None:
    """(split, position) of an id of TFDS such as train_01234; None for other names."""
    match = _TFDS.fullmatch(stem)
    return (match[1], int(match[2])) if match else None


def as_names(names: Sequence[Any] | Array) -> list[str]:
    """Return names as text, from text, bytes or paths; ConfigError for anything else."""
    values = names.tolist() if isinstance(names, np.ndarray) else names
    return [name if type(name) is str else as_text(name) for name in values]
