"""Scores in the order of a data set that they were aligned with.

aligned = take_scores(scores, align(scores, to=names))
"""

from __future__ import annotations

import dataclasses

import numpy as np

from memtools.alignment.alignment import Alignment
from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.estimates.scores import Scores


def take_scores(scores: Scores, alignment: Alignment) -> Scores:
    """Return scores, and what is known of their examples, in the order of a data set.

    Args:
        scores: Those that were aligned.
        alignment: Their alignment.

    Returns:
        Scores [n_theirs]: NaN for an example without a number, whose label is -1. File names are
        kept only where every example has one. Their order is that of the data set, if it has one.

    Raises:
        ConfigError: The alignment is of test examples, which have no scores.
    """
    if alignment.split != "train":
        raise ConfigError(
            "the alignment is of test examples, and scores are of training examples",
            hint="align the training examples",
        )
    position, found = alignment.position, alignment.found

    def take(column: Array | None, gap: int) -> Array | None:
        if column is None or found.all():
            return None if column is None else np.asarray(column)[position]
        taken = np.full(len(position), gap, np.int64)
        taken[found] = np.asarray(column)[position[found]]
        return taken

    about = scores.about
    doubts = [about.doubt] if about.doubt else []
    doubt = "; ".join([*doubts, f"aligned {alignment.proof}"])
    errors = scores.standard_error
    return dataclasses.replace(
        scores,
        about=dataclasses.replace(about, order=alignment.order, doubt=doubt),
        values=alignment.take(scores.values),
        labels=take(scores.labels, -1),
        filenames=take(scores.filenames, 0) if found.all() else None,
        standard_error=None if errors is None else alignment.take(errors),
        n_in=take(scores.n_in, 0),
        n_out=take(scores.n_out, 0),
        partial=False,
    )
