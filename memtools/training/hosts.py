"""Several hosts on one model: the chief says which run comes next, the others train it with it.

    with leading(trainer) as train: run_missing(store, run_ids, train)   # on the chief
    follow(trainer)                                                      # on all others

Only the chief looks into the store, so hosts cannot disagree about what is missing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from memtools.training.trainer import Result, Trainer

_OVER = np.array([-1])


@contextlib.contextmanager
def leading(trainer: Trainer) -> Iterator[Callable[[Sequence[int]], list[Result]]]:
    """What trains a group of runs, here and on all hosts that follow; they end after it."""

    def train(run_ids: Sequence[int]) -> list[Result]:
        trainer.devices.from_chief(np.array(run_ids[:1]))
        return list(trainer.train(run_ids))

    yield train
    trainer.devices.from_chief(_OVER)


def follow(trainer: Trainer) -> None:
    """Train what the chief says, and forget the results."""
    while (said := trainer.devices.from_chief(_OVER)) != _OVER:
        list(trainer.train([int(said[0])]))
