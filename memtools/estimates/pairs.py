"""Pairs of a memorized training example and a test example that it helps on.

pairs = memtools.load("cifar100-pairs")
pairs.pairs(min_mem=0.5).n_test          # distinct test examples
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from memtools.arguments import StrPath, checked
from memtools.errors import ConfigError
from memtools.estimates.about import About, save
from memtools.estimates.npz import Array

MIN_MEM = 0.25  # of a high-influence pair (Feldman & Zhang 2020, sec. 3)
MIN_INFL = 0.15


@dataclasses.dataclass(frozen=True, eq=False)
class HighInfluencePairs:
    """Pairs of a memorized training example and a test example that it helps on.

    train_index, test_index: int64 [n_pairs]. memorization: of the training example,
    float [n_pairs]. influence: float [n_pairs]. min_mem, min_infl: the thresholds above
    which the list is complete.
    """

    about: About
    train_index: NDArray[np.int64]
    test_index: NDArray[np.int64]
    memorization: Array
    influence: Array
    min_mem: float = MIN_MEM
    min_infl: float = MIN_INFL

    def __len__(self) -> int:
        return len(self.train_index)

    @property
    def n_train(self) -> int:
        """How many distinct training examples there are."""
        return len(np.unique(self.train_index))

    @property
    def n_test(self) -> int:
        """How many distinct test examples there are."""
        return len(np.unique(self.test_index))

    @checked("pairs.pairs(min_mem=0.5)")
    def pairs(self, min_mem: float = MIN_MEM, min_infl: float = MIN_INFL) -> HighInfluencePairs:
        """Those at or above both thresholds; ConfigError for lower ones than the list knows."""
        if min_mem < self.min_mem or min_infl < self.min_infl:
            raise ConfigError(
                f"these pairs are complete only from memorization {self.min_mem:g}"
                f" and influence {self.min_infl:g} on",
                hint="lower thresholds need the influence matrices: use the influence file",
            )
        keep = (self.memorization >= min_mem) & (self.influence >= min_infl)
        return dataclasses.replace(
            self,
            train_index=self.train_index[keep],
            test_index=self.test_index[keep],
            memorization=self.memorization[keep],
            influence=self.influence[keep],
            min_mem=min_mem,
            min_infl=min_infl,
        )

    @property
    def arrays(self) -> Mapping[str, Array]:
        """By their published names, and the thresholds where they are not the published ones."""
        arrays = {
            "tr_idx": self.train_index,
            "tt_idx": self.test_index,
            "infl": self.influence,
            "mem": self.memorization,
        }
        if (self.min_mem, self.min_infl) == (MIN_MEM, MIN_INFL):
            return arrays
        return arrays | {"min_mem": np.array(self.min_mem), "min_infl": np.array(self.min_infl)}

    @checked('pairs.save("pairs.npz")')
    def save(self, path: StrPath) -> None:
        """Write the pairs as an npz of the published schema, whole or not at all."""
        save(path, self.arrays, self.about)

    def __repr__(self) -> str:
        title = (
            f"HighInfluencePairs: {len(self)} pairs of {self.n_train} training and {self.n_test}"
            f" test examples, memorization >= {self.min_mem:g}, influence >= {self.min_infl:g}"
        )
        return "\n".join([title, *self.about.lines()])
