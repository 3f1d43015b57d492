"""The order in which TensorFlow Datasets (TFDS) stores a data set, computed without the data.

    tfds_order("mnist", "train")        # int64 [60000]: 16399, 1680, 47917, 17307, 27051, ...
    official_to_tfds("mnist", "train")  # its inverse: the row of TFDS of each official position
    tfds_ids("cifar10", "test")         # test_04967, ...: the names that TFDS gives its rows

TFDS sorts the examples of a split by md5(split name + key). The key is what the builder yields
beside each example, as text; neither the name of the data set nor the number of shards plays a part
(`tensorflow_datasets.core.shuffle.Shuffler`; the same in TFDS 3.0 to 4.9.10). The builders named
here yield the position of an example in the official files, so that the order is known to the last
row. A row is counted shard by shard; `as_dataset(shuffle_files=False)` reads in that order only
with `tfds.ReadConfig(interleave_cycle_length=1)`.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
from numpy.typing import NDArray

from memtools.datasets.splits import Split, parse_split

_CIFAR = ("cifar10", "cifar100", "cifar10_h", "cifar10_n", "cifar100_n")
EMNIST_SIZES = {
    "byclass": (697_932, 116_323),
    "bymerge": (697_932, 116_323),
    "balanced": (112_800, 18_800),
    "letters": (88_800, 14_800),
    "digits": (240_000, 40_000),
    "mnist": (60_000, 10_000),
}
"""The configurations of `emnist`, the first of which TFDS takes where none is named."""

SIZES: dict[str, tuple[int, int]] = {
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
    "kmnist": (60_000, 10_000),
    **dict.fromkeys(_CIFAR, (50_000, 10_000)),
    "svhn_cropped": (73_257, 26_032),
    "stl10": (5_000, 8_000),
    "emnist": EMNIST_SIZES["byclass"],
    **{f"emnist/{config}": sizes for config, sizes in EMNIST_SIZES.items()},
}
"""The data sets whose keys are official positions, and their numbers of examples (train, test)."""

FIRST_LABELS = {
    ("mnist", "train"): (5, 0, 4, 1, 9, 2, 1, 3, 1, 4),
    ("mnist", "test"): (7, 2, 1, 0, 4, 1, 4, 9, 5, 9),
    ("fashion_mnist", "train"): (9, 0, 0, 3, 0, 2, 7, 2, 5, 5),
    ("fashion_mnist", "test"): (9, 2, 1, 1, 6, 1, 4, 6, 5, 7),
}
"""The labels of the first ten examples in the official order: another order fails this check."""

_DIGITS_OF_IDS = {**dict.fromkeys(_CIFAR, 5), "svhn_cropped": 6}


def known_size(dataset: str, split: str) -> int | None:
    """Return the number of examples of a split, None for a data set that is not in the table."""
    sizes = SIZES.get(_without_version(dataset))
    return None if sizes is None else sizes[0 if parse_split(split) == "train" else 1]


def tfds_order(dataset: str, split: str) -> NDArray[np.int64] | None:
    """Return the official position of each row of TFDS, in sequence, shard by shard.

    Args:
        dataset: The name that TFDS gives it, such as `mnist` or `emnist/balanced`; a version
            behind a colon is ignored.
        split: `train` or `test`; `val` and `validation` mean `test`.

    Returns:
        int64 [n], read-only; None for a data set that is not in the table.

    Raises:
        ConfigError: The split has another name.
    """
    n = known_size(dataset, split)
    return None if n is None else _order(parse_split(split), n)


def official_to_tfds(dataset: str, split: str) -> NDArray[np.int64] | None:
    """Return the row of TFDS of each official position: the inverse of `tfds_order`.

    Args:
        dataset: As for `tfds_order`.
        split: As for `tfds_order`.

    Returns:
        int64 [n], read-only; None for a data set that is not in the table.

    Raises:
        ConfigError: The split has another name.
    """
    n = known_size(dataset, split)
    return None if n is None else _inverse(parse_split(split), n)


def tfds_ids(dataset: str, split: str) -> list[str] | None:
    """Return the `id` of each row of TFDS, such as `train_16399`, in the sequence of the rows.

    Args:
        dataset: As for `tfds_order`.
        split: As for `tfds_order`.

    Returns:
        n texts; None for a data set without ids (MNIST) or one that is not in the table.

    Raises:
        ConfigError: The split has another name.
    """
    order = tfds_order(dataset, split)
    digits = _DIGITS_OF_IDS.get(_without_version(dataset))
    if order is None or digits is None:
        return None
    return [f"{parse_split(split)}_{position:0{digits}d}" for position in order.tolist()]


def _without_version(dataset: str) -> str:
    return dataset.partition(":")[0]


@functools.cache
def _order(split: Split, n: int) -> NDArray[np.int64]:
    """The positions 0 ... n - 1, sorted by the MD5 of the split's name and their digits."""
    salted = hashlib.md5(split.encode(), usedforsecurity=False)
    digests = bytearray()
    for position in range(n):
        md5 = salted.copy()
        md5.update(b"%d" % position)
        digests += md5.digest()
    halves = np.frombuffer(digests, ">u8").reshape(n, 2)
    return _read_only(np.lexsort((halves[:, 1], halves[:, 0])).astype(np.int64))


@functools.cache
def _inverse(split: Split, n: int) -> NDArray[np.int64]:
    order = _order(split, n)
    inverse = np.empty_like(order)
    inverse[order] = np.arange(n)
    return _read_only(inverse)


def _read_only(values: NDArray[np.int64]) -> NDArray[np.int64]:
    values.flags.writeable = False
    return values
