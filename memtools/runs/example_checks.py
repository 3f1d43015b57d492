"""Checks of the examples that a store's runs are about: their labels, and that they are the same.

check_examples(examples, n_train, n_test, "runs")
check_same_examples(ours, theirs, "runs")
examples = common_examples(stores)
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np

from memtools.errors import ConfigError
from memtools.estimates.checked_arrays import MOST_CLASSES
from memtools.estimates.model import ExampleIndex, as_text
from memtools.estimates.npz import Array

_WORDS = {
    "tr_labels": "training labels",
    "tr_filenames": "names of the training examples",
    "tt_labels": "test labels",
    "tt_filenames": "names of the test examples",
}


def check_examples(examples: ExampleIndex, n_train: int, n_test: int, where: str) -> None:
    """Raise ConfigError unless labels are integers from 0 on, one for each example.

    Args:
        examples: What is known of the examples; nothing may be.
        n_train: Number of training examples of the runs.
        n_test: Number of test examples of the runs.
        where: What holds the labels, for the message.
    """
    for name, column in examples.arrays.items():
        what, n = _WORDS[name], n_train if name.startswith("tr_") else n_test
        hint = "give one for each example, in the order of the runs"
        if column.shape != (n,):
            count = f"{len(column)}" if column.ndim == 1 else f"the shape {column.shape} of"
            raise ConfigError(
                f"{where}: {count} {what}, where the runs have {n} examples", hint=hint
            )
        if name.endswith("labels"):
            _check_labels(column, f"{where}: the {what}")


def _check_labels(labels: Array, what: str) -> None:
    hint = f"labels are whole numbers from 0 to {MOST_CLASSES - 1:,}, one for each class"
    if labels.dtype.kind not in "iu":
        raise ConfigError(f"{what} are {labels.dtype}, not integers", hint=hint)
    if labels.min(initial=0) < 0:
        raise ConfigError(f"{what} hold {labels.min()}, which is below 0", hint=hint)
    if labels.max(initial=0) >= MOST_CLASSES:
        raise ConfigError(
            f"{what} hold {labels.max()}, which is not the label of a class", hint=hint
        )


def check_same_examples(ours: ExampleIndex, theirs: ExampleIndex, where: str) -> None:
    """Raise ConfigError if labels or names differ where both are known.

    Args:
        ours: The examples of a store.
        theirs: Those that runs are given with, or those of another store.
        where: The store, for the message.
    """
    for name in ours.arrays.keys() & theirs.arrays.keys():
        one, other = _comparable(ours.arrays[name]), _comparable(theirs.arrays[name])
        if np.array_equal(one, other):
            continue
        if one.shape == other.shape:
            at = int(np.flatnonzero(one != other)[0])
            how = f"first of example {at}: {one[at]} there, {other[at]} here"
        else:
            how = f"{len(one)} there, {len(other)} here"
        raise ConfigError(
            f"{where} has other {_WORDS[name]} ({how})",
            hint="runs that belong together are about the same examples, in one order",
        )


def common_examples(examples: Iterable[ExampleIndex]) -> ExampleIndex:
    """Return the first, with what others know and it does not."""

    def completed(known: ExampleIndex, more: ExampleIndex) -> ExampleIndex:
        columns = ("labels", "filenames", "test_labels", "test_filenames")
        values = (
            getattr(more if getattr(known, name) is None else known, name) for name in columns
        )
        return ExampleIndex(known.about, *values)

    return functools.reduce(completed, examples)


def _comparable(column: Array) -> Array:
    """Return names as text; labels as they are."""
    text = as_text(column) if column.dtype.kind in "SU" else column
    return column if text is None else text
