"""The orders in which the examples of one data set are counted, and how one leads to another.

    convert(index, order="official", to="tfds", dataset="mnist", split="train")

`official` is the order of the publisher's own files, `tfds` that in which TensorFlow Datasets keeps
them, `published` that of the estimates' authors, `file` that of one file alone. Only the order of
TFDS can be computed, for the data sets of memtools.datasets.tfds_order.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from memtools.datasets.tfds_order import SIZES, known_size, official_to_tfds, tfds_order
from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.about import ORDERS, canonical_dataset
from memtools.estimates.npz import Array


def require_order(order: str) -> None:
    """Raise ConfigError unless `order` is one that can be declared."""
    if order not in ORDERS:
        raise ConfigError(f"{order!r} is not an order", hint=f"use one of {', '.join(ORDERS)}")


def same_dataset(first: str, second: str) -> bool:
    """Return whether two names, such as `cifar-100` and `CIFAR100`, stand for one data set."""
    return _plain(canonical_dataset(first)) == _plain(canonical_dataset(second))


def n_examples(dataset: str, split: str) -> int | None:
    """Return how many examples a split of a known data set has; None for other data sets."""
    return known_size(_known_name(dataset), split)


def convert(index: Array, *, order: str, to: str, dataset: str, split: str) -> NDArray[np.int64]:
    """Return the positions of examples in another order of their data set.

    Args:
        index: int [n], positions in `order`.
        order: The order in which `index` counts.
        to: The order that is wanted.
        dataset: The name of the data set.
        split: `train` or `test`.

    Returns:
        int64 [n], positions in the order `to`.

    Raises:
        AlignmentError: The one order does not lead to the other.
    """
    index = np.asarray(index, np.int64)
    if order == to:
        return index
    read = {("tfds", "official"): tfds_order, ("official", "tfds"): official_to_tfds}
    table = read[order, to](_known_name(dataset), split) if (order, to) in read else None
    if table is None:
        raise AlignmentError(
            f"the numbers are in the order {to!r}, and the examples in the order {order!r}",
            hint="join by names, ids or pixels instead of by position",
        )
    if index.size and not (index.min() >= 0 and index.max() < len(table)):
        raise AlignmentError(
            f"position {int(index.max()):,} is beyond the {len(table):,} {split} examples of"
            f" {dataset}",
            hint="check that it is this data set and this split",
        )
    return table[index]


def _plain(dataset: str) -> str:
    """Return a data set's name without version, case, and what separates its parts."""
    return re.sub(r"[-_/]", "", dataset.partition(":")[0].casefold())


def _known_name(dataset: str) -> str:
    """Return the name under which TFDS knows a data set; the name itself if TFDS does not."""
    return {_plain(name): name for name in SIZES}.get(_plain(dataset), dataset)
