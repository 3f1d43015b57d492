"""What estimates need of runs: sums, and nothing else.

    statistics = Statistics.empty(examples, n_train, n_test).add(outcomes)
    statistics = statistics.add(more).merge(others)

Integers are added, so no order of runs, no split into stores and no restart can change a
result; adding 100 runs costs what 100 runs cost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from memtools.errors import AlignmentError
from memtools.estimates.model import ExampleIndex
from memtools.estimates.npz import Array
from memtools.estimation.bits import Outcomes
from memtools.estimation.counts import joint

Classes = Mapping[int, tuple[Array, Array]]
"""By label: the positions of its training and of its test examples, int64."""


@dataclasses.dataclass(frozen=True, eq=False)
class Statistics:
    """Counts of runs.

    n_in: int64 [n_train], runs with each example. train_correct: int64 [n_train], runs that are
    right on it; train_both: with it and right. test_correct: int64 [n_test]. joint: by label,
    int32 [n_train_k, n_test_k], runs with the training example that are right on the test example.
    """

    classes: Classes
    n_runs: int
    n_in: NDArray[np.int64]
    train_correct: NDArray[np.int64]
    train_both: NDArray[np.int64]
    test_correct: NDArray[np.int64]
    joint: Mapping[int, NDArray[np.int32]]

    @classmethod
    def empty(cls, examples: ExampleIndex, n_train: int, n_test: int) -> Self:
        """Of no run. Without labels of both splits there are no classes, and no influence."""
        classes = classes_of(examples)
        blocks = {
            label: np.zeros(tuple(map(len, positions)), np.int32)
            for label, positions in classes.items()
        }
        train, test = np.zeros(n_train, np.int64), np.zeros(n_test, np.int64)
        return cls(classes, 0, train, train, train, test, blocks)

    def add(self, outcomes: Outcomes) -> Statistics:
        """With these runs, too."""
        blocks = {
            label: self.joint[label]
            + joint(outcomes.mask.columns(train), outcomes.test_correct.columns(test))
            for label, (train, test) in self.classes.items()
        }
        return Statistics(
            self.classes,
            self.n_runs + outcomes.n_runs,
            self.n_in + outcomes.mask.totals(),
            self.train_correct + outcomes.train_correct.totals(),
            self.train_both + outcomes.mask.both(outcomes.train_correct),
            self.test_correct + outcomes.test_correct.totals(),
            blocks,
        )

    def merge(self, other: Statistics) -> Statistics:
        """Of the runs of both; AlignmentError if they speak of other examples."""
        if not _same(self.classes, other.classes) or len(self.n_in) != len(other.n_in):
            raise AlignmentError(
                "these statistics are of different examples", hint="merge runs of one data set"
            )
        return Statistics(
            self.classes,
            self.n_runs + other.n_runs,
            self.n_in + other.n_in,
            self.train_correct + other.train_correct,
            self.train_both + other.train_both,
            self.test_correct + other.test_correct,
            {label: block + other.joint[label] for label, block in self.joint.items()},
        )

    @property
    def n_out(self) -> NDArray[np.int64]:
        """Runs without each training example, int64 [n_train]."""
        return self.n_runs - self.n_in


def classes_of(examples: ExampleIndex) -> dict[int, tuple[Array, Array]]:
    """The positions of each class; none unless both splits have labels."""
    labels, test_labels = examples.labels, examples.test_labels
    if labels is None or test_labels is None:
        return {}
    train, test = _positions(labels), _positions(test_labels)
    none = np.zeros(0, np.int64)
    return {k: (train.get(k, none), test.get(k, none)) for k in sorted(train.keys() | test.keys())}


def _positions(labels: Array) -> dict[int, Array]:
    order = np.argsort(labels, kind="stable")
    values, starts = np.unique(labels[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:]), strict=True))


def _same(a: Classes, b: Classes) -> bool:
    return a.keys() == b.keys() and all(
        np.array_equal(a[k][side], b[k][side]) for k in a for side in (0, 1)
    )
