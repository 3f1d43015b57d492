"""Checks of the ratio: the share of the training examples that each run was trained on.

require_ratio(counts, 0.7, "runs")       # RecordError if the masks hold another share
doubt = uneven_ratio(counts, 0.7)        # words, if some runs do and the others make up for it
"""

from __future__ import annotations

import numpy as np

from memtools.errors import RecordError
from memtools.runs.odd_runs import list_runs
from memtools.runs.plausibility import OutcomeCounts

TOLERANCE = 0.02


def require_ratio(counts: OutcomeCounts, ratio: float, where: str) -> None:
    """Raise RecordError if the subsets hold another share of the examples than they should.

    Args:
        counts: Of all runs.
        ratio: The share that the sweep, or the name of a directory, gives.
        where: What the runs are called in the message.
    """
    found = counts.ratio
    if abs(found - ratio) > _tolerance(found, ratio, len(counts.n_in)):
        raise RecordError(
            f"{where}: the masks hold {found:.1%} of the training examples, the ratio is {ratio:g}",
            hint="put the runs under the ratio that their subsets have",
        )


def uneven_ratio(counts: OutcomeCounts, ratio: float) -> str:
    """Return a caveat if the subsets of some runs are of another ratio; "" otherwise.

    Their mean may be right all the same: half of the runs at .5 and half at .9 make .7.
    """
    n = len(counts.n_in)
    shares = counts.runs[:, 0] / max(n, 1)
    other = [
        position
        for position, share in enumerate(shares.tolist())
        if abs(share - ratio) > _tolerance(share, ratio, n)
    ]
    if not other:
        return ""
    return (
        f"the ratio is {ratio:g}, and the masks of {list_runs([counts.run_ids[k] for k in other])}"
        f" hold from {shares[other].min():.1%} to {shares[other].max():.1%} of the examples"
    )


def _tolerance(found: float, ratio: float, n: int) -> float:
    """Return by how much shares may differ: independent draws do, and a wrong ratio does more."""
    widest = max(found * (1 - found), ratio * (1 - ratio))
    return TOLERANCE + 5 * float(np.sqrt(widest / max(n, 1)))
