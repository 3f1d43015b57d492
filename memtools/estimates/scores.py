"""One number for each training example, whatever it measures.

scores = memtools.load("cifar10-cscores")
scores.values, scores.labels, scores.about.direction
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from memtools.arguments import StrPath, checked
from memtools.estimates.about import About, save
from memtools.estimates.npz import Array


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """One number for each training example: memorization, a C-score, or the user's own.

    quantity: what it is. values: float [n_train]. labels: int [n_train], -1 where not known, and
    filenames: str [n_train], where known. standard_error: float [n_train]; n_in, n_out: int
    [n_train], how many runs trained on the example and how many did not, where known. partial:
    whether the values were placed by explicit positions, so that examples may be missing at the
    end; joins by position need an equal length otherwise. notes: how a file was read, a sentence
    each, where more than one way was thinkable.
    """

    about: About
    quantity: str
    values: Array
    labels: Array | None = None
    filenames: Array | None = None
    standard_error: Array | None = None
    n_in: Array | None = None
    n_out: Array | None = None
    partial: bool = False
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The known arrays, by the names of published C-scores and of this class."""
        known = {
            "scores": self.values,
            "labels": self.labels,
            "filenames": self.filenames,
            "standard_error": self.standard_error,
            "n_in": self.n_in,
            "n_out": self.n_out,
        }
        return {name: array for name, array in known.items() if array is not None}

    @checked('scores.save("scores.npz")')
    def save(self, path: StrPath) -> None:
        """Write everything that is known as an npz, whole or not at all."""
        extra = {"quantity": np.array(self.quantity)}
        if self.partial:
            extra["partial"] = np.array(True)
        save(path, {**self.arrays, **extra}, self.about)

    def __repr__(self) -> str:
        lines = [f"Scores: {self.quantity} of {len(self):,} examples", *self.about.lines()]
        if not self.about.direction:
            lines.append("direction:  not recorded")
        return "\n".join(lines)
