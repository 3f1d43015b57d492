"""Ids of TFDS: names such as train_01234, which are positions in the official order.

    official_positions(["train_00012", "train_00007"])     # ("train", int64 [2])

The TFDS versions of CIFAR and MNIST number their examples so. An id has neither folder nor
extension: test_0.JPEG is an image of another data set.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.npz import Array
from memtools.wording import list_first

_ID = re.compile(r"(train|test)_(\d{1,18})", re.ASCII)  # so many digits are an int64


def is_id(name: str) -> bool:
    """Return whether a name is an id of TFDS."""
    return _ID.fullmatch(name) is not None


def official_positions(names: Sequence[str]) -> tuple[str, NDArray[np.int64]] | None:
    """Return the split and the official positions that ids of TFDS name.

    Args:
        names: Names or ids, n.

    Returns:
        The split, `train` or `test`, and the positions, int64 [n]; None if the first name is not
        an id of TFDS.

    Raises:
        AlignmentError: The first name is such an id, and others are not, or are of another split.
    """
    first = _ID.fullmatch(names[0]) if len(names) else None
    if first is None:
        return None
    split = first[1]
    matches = [_ID.fullmatch(name) for name in names]
    wrong = [k for k, match in enumerate(matches) if match is None or match[1] != split]
    if wrong:
        raise AlignmentError(
            f"{len(wrong):,} are not ids of {split}: {list_first(names[k] for k in wrong)}",
            hint="give the ids of one split, and that split",
        )
    numbers = (int(match[2]) for match in matches if match is not None)
    return split, np.fromiter(numbers, np.int64, len(names))


def train_positions(names: Array) -> NDArray[np.int64] | None:
    """Return the positions that names of training examples are, int64 [n]; None for other names."""
    found = official_positions(names[:1].astype("U").tolist())
    if found is None or found[0] != "train":
        return None
    found = official_positions(names.astype("U").tolist())
    return None if found is None else found[1]


def require_official(where: str, declared: str) -> None:
    """Raise ConfigError if ids of TFDS were read, and another order is declared."""
    if declared not in ("", "official"):
        raise ConfigError(
            f"{where} holds ids of TFDS, which are positions in the official order, and the order"
            f" is declared as {declared!r}",
            hint="leave out --order (order=): the values are placed by the ids",
        )
