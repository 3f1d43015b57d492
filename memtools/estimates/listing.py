"""What a data set says of its examples: names, labels, pixels, positions, in its order.

`memtools.estimates.data_sources.listing_of` makes one from whatever the user has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from memtools.estimates.names import NameColumn
from memtools.estimates.npz import Array


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """The examples of a data set, in its order.

    Attributes:
        names: The name of each example, str [n], or None.
        labels: int64 [n], or None.
        images: uint8 [n, height, width, channels], or None.
        index: The position of each example in the canonical order `order`, int64 [n], or None.
        order: The order in which `index` counts: `official`, `tfds` or empty.
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
