"""The examples of numbers, as the numbers know them: how many, names, labels, and the order.

KnownExamples.of(memtools.load("imagenet-index"), "train")
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Self

import numpy as np

from memtools.alignment import orders
from memtools.alignment.name_join import class_synsets
from memtools.datasets.listing import Listing
from memtools.datasets.splits import Split
from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates, ExampleIndex
from memtools.estimates.npz import Array
from memtools.estimates.scores import Scores


@dataclasses.dataclass(frozen=True, eq=False)
class KnownExamples:
    """The examples of one split, in the order of the numbers.

    Attributes:
        n: How many there are; at least as many if `partial`.
        names: str or bytes [n], or None.
        labels: int [n], 0-based, or None.
        synsets: The label of each synset, where the names of training images tell it: of the test
            examples, whose own names do not; None for training examples.
        about: Their data set and their order.
        split: `train` or `test`.
        partial: Whether the numbers may end before the last example of the data set.
    """

    n: int
    names: Array | None
    labels: Array | None
    synsets: Mapping[str, int] | None
    about: About
    split: Split
    partial: bool

    @classmethod
    def of(cls, numbers: Estimates | Scores | ExampleIndex, split: Split) -> Self:
        """Return the examples of some numbers; ConfigError if the numbers do not tell them."""
        index = numbers if isinstance(numbers, ExampleIndex) else _index_of(numbers)
        names = index.filenames if split == "train" else index.test_filenames
        labels = index.labels if split == "train" else index.test_labels
        known = (len(column) for column in (names, labels) if column is not None)
        n = next(known, _count(numbers, split))
        if n is None:
            raise ConfigError(
                f"the numbers do not say which {split} examples they are of",
                hint="load the group (imagenet, cifar100), or a file with labels or names",
            )
        partial = isinstance(numbers, Scores) and numbers.partial
        # The join reads synsets of training names itself, and only where a folder claims one.
        synsets = _synsets(index) if split == "test" else None
        return cls(n, names, labels, synsets, index.about, split, partial)

    def describe(self, position: int) -> str:
        """Return the name of an example for a message, or its position."""
        if self.names is None:
            return f"number {position}"
        name = self.names[position]
        return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def require_same_data(ours: KnownExamples, theirs: Listing) -> None:
    """Raise AlignmentError if both sides name a data set or a split, and not the same."""
    known, other = ours.about.dataset, theirs.dataset
    if known and other and not orders.same_dataset(known, other):
        raise AlignmentError(
            f"the numbers are of {known}, and the data set is {theirs.what or other}",
            hint="align numbers and examples of one data set",
        )
    if theirs.split and theirs.split != ours.split:
        raise AlignmentError(
            f"{theirs.what or 'the data set'} holds the {theirs.split} split, and the numbers of"
            f" the {ours.split} split were asked for",
            hint=f'give the other split, or say split="{theirs.split}" (--split {theirs.split})',
        )


def _index_of(numbers: Estimates | Scores) -> ExampleIndex:
    if isinstance(numbers, Estimates):
        return numbers.index
    return ExampleIndex(numbers.about, numbers.labels, numbers.filenames, None, None)


def _synsets(index: ExampleIndex) -> Mapping[str, int] | None:
    """Return the label of each synset, from one training image of each class."""
    if index.filenames is None or index.labels is None:
        return None
    labels, first = np.unique(index.labels, return_index=True)
    return class_synsets(index.filenames[first], labels)


def _count(numbers: Estimates | Scores | ExampleIndex, split: Split) -> int | None:
    """Return the number of training examples where neither names nor labels tell it."""
    if isinstance(numbers, Scores) and split == "train":
        return len(numbers)
    if isinstance(numbers, Estimates) and split == "train" and "tr_mem" in numbers.arrays:
        return len(numbers.memorization)
    return None
