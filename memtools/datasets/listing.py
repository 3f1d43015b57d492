"""The examples of a data set, in its order: names, labels, pixels, positions.

`memtools.datasets.data_sources.listing_of` makes one from whatever the user has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from memtools.datasets.names import NameColumn
from memtools.datasets.names import concatenate as join_columns
from memtools.estimates.npz import Array


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """The examples of a data set, in its order.

    Attributes:
        names: The name of each example, str [n], or None.
        labels: int64 [n], or None.
        images: uint8 [n, height, width, channels], or None.
        index: The position of each example in the canonical order `order`, int64 [n], or None.
        order: The order in which `index` counts: `official` or `tfds`; empty where the user has to
            declare it.
        dataset: The name of the data set, such as `cifar100`; empty where it is not known.
        split: `train` or `test`; empty where it is not known.
        what: A short description for messages, such as `torchvision CIFAR100, Subset`.
        chosen: Whether somebody chose these examples out of a larger data set, as a `Subset` does:
            then numbers of the other examples are not missed.
    """

    names: Sequence[str] | None = None
    labels: Array | None = None
    images: Array | None = None
    index: Array | None = None
    order: str = ""
    dataset: str = ""
    split: str = ""
    what: str = ""
    chosen: bool = False

    def __len__(self) -> int:
        columns = (self.names, self.images, self.labels, self.index)
        return len(next(column for column in columns if column is not None))

    @property
    def lengths(self) -> set[int]:
        """The lengths of the columns that are there: one length, where they fit."""
        columns = (self.names, self.labels, self.images, self.index)
        return {len(column) for column in columns if column is not None}

    def take(self, chosen: Array) -> Listing:
        """Return some of the examples, in the order of `chosen`, int [m]."""
        names = self.names
        if isinstance(names, NameColumn):
            names = names.take(chosen)
        elif names is not None:
            names = [names[k] for k in chosen.tolist()]
        columns = (self.labels, self.images, self.index)
        labels, images, index = (None if each is None else each[chosen] for each in columns)
        return dataclasses.replace(
            self, names=names, labels=labels, images=images, index=index, chosen=True
        )


def concatenate(parts: Sequence[Listing]) -> Listing:
    """Return the examples of several listings, one after the other.

    A column that one of them lacks is left out. Positions are kept only where all parts count in
    one order of one data set and split: otherwise position 7 of one part and position 7 of another
    would be taken for the same example.

    Args:
        parts: At least one; images are kept where all have one shape.

    Returns:
        The listing of all examples, without a description.
    """
    names = [part.names for part in parts if part.names is not None]
    labels = [part.labels for part in parts if part.labels is not None]
    images = [part.images for part in parts if part.images is not None]
    index = [part.index for part in parts if part.index is not None]
    n, shapes = len(parts), {each.shape[1:] for each in images}
    first = parts[0]
    same_set = all((part.dataset, part.split) == (first.dataset, first.split) for part in parts)
    counted = same_set and len(index) == n and len({part.order for part in parts}) == 1
    return Listing(
        names=_joined_names(names) if len(names) == n else None,
        labels=np.concatenate(labels) if len(labels) == n else None,
        images=np.concatenate(images) if len(images) == n and len(shapes) == 1 else None,
        index=np.concatenate(index) if counted else None,
        order=first.order if counted else "",
        dataset=first.dataset if same_set else "",
        split=first.split if same_set else "",
        chosen=any(part.chosen for part in parts),
    )


def _joined_names(parts: Sequence[Sequence[str]]) -> Sequence[str]:
    columns = [part for part in parts if isinstance(part, NameColumn)]
    if len(columns) == len(parts):
        return join_columns(columns)
    return [name for part in parts for name in part]
