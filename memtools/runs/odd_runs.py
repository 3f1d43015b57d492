"""A few runs whose mask is inverted, or whose outcomes are shuffled, among runs that are right.

    require_alike(sample, "runs", name)      # RecordError that names the runs
    agreement = sample.compare()
    inverted_runs(agreement["mask"])         # positions of runs, int64; empty: none
    shuffled_runs(agreement["test"])

Each run is compared with the mean of the others. Runs that are odd for an honest reason are not
named: half-trained models have a lower accuracy, those that always name one class follow the
classes, and the mask of neither has the opposite of the usual effect.

What cannot be seen: half of the runs or more that are inverted, or nearly all shuffled, which the
counts over all runs show (memtools.runs.plausibility); fewer than 16 runs; runs with so few
examples or errors that chance makes as much; masks of other runs where they are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from memtools.errors import RecordError
from memtools.estimates.npz import Array
from memtools.runs.run_sample import Agreement, Aspect, RunSample
from memtools.wording import list_first

MIN_RUNS = 16
INVERTED_Z = -6.0  # of one run
SEVERAL, SEVERAL_Z = 3, -4.5  # as many runs; chance gives 2,000 fair runs that once in 10^7
WINDOW_Z = -6.0  # of runs that follow each other; there are many windows
INVERTED_EFFECT = -0.2  # of the typical effect; smaller ones are no danger to estimates
# Examples that the verdict of one run rests on, of the rarer kind: of few the tails are not normal.
MASK_EXAMPLES, OUTCOME_EXAMPLES = 8.0, 20.0
TYPICAL = 0.75  # quantile of agreement: up to three quarters of the runs may be shuffled
EXPECTED_Z, SHUFFLED_Z = 8.0, 4.0  # what a run like the others would have, and what chance has
NAMED_Z = 6.0  # the same, where another run is certain
USUAL_ACCURACY = 0.8  # of the median run's: a permutation leaves the accuracy as it was
CLASS_Z = 6.0  # outcomes that follow the classes are in order

Positions = NDArray[np.int64]
_NONE: Positions = np.zeros(0, np.int64)


def require_alike(sample: RunSample, where: str, name: Callable[[Iterable[int]], str]) -> None:
    """Raise RecordError for a few runs that are inverted or shuffled among others that are not.

    Args:
        sample: Of all runs.
        where: What the runs are called in the message.
        name: Returns the numbers of runs at some positions, in words.
    """
    if sample.n_runs < MIN_RUNS or not sample.sizes[0]:
        return
    agreement = sample.compare()

    def said(odd: Positions) -> str:
        share = f"{len(odd)} of {sample.n_runs} runs"
        return f"{where}: {share} are unlike the others: {name(odd.tolist())}:"

    if len(odd := inverted_runs(agreement["mask"])):
        raise RecordError(
            f"{said(odd)} they are less often right on an example with it than without, where the"
            " others are more often right: the mask seems inverted",
            hint="invert the masks of these runs, or take the runs out",
        )
    splits: tuple[Aspect, ...] = ("training", "test")
    for split in splits:
        if len(odd := shuffled_runs(agreement[split])):
            raise RecordError(
                f"{said(odd)} as accurate, but right on other {split} examples: outcomes are not in"
                " one order, or masks are those of other runs",
                hint="put each outcome of these runs at the place of its example, or take them out",
            )


def inverted_runs(mask: Agreement) -> Positions:
    """Return the runs whose mask does the opposite of what the masks of the others do.

    Looked for are single runs, several that are clear together, and runs in sequence, such as
    those of one file, none of which is clear alone.
    """
    known: Positions = np.flatnonzero(np.isfinite(mask.z))
    if len(known) < MIN_RUNS:
        return _NONE
    firm = mask.effective[known] >= MASK_EXAMPLES
    effect, z = mask.effect[known], np.where(firm, mask.z[known], 0.0)
    typical = np.median(effect)
    if typical <= 0:
        return _NONE
    opposite = effect < INVERTED_EFFECT * typical
    single = opposite & (z < INVERTED_Z)
    several = opposite & (z < SEVERAL_Z)
    if single.any() or several.sum() >= SEVERAL:
        found: Positions = known[several]
        return found
    window = _lowest_window(z)
    if _pooled(z[window]) < WINDOW_Z and effect[window].mean() < INVERTED_EFFECT * typical:
        return known[window]
    return _NONE


def shuffled_runs(correct: Agreement) -> Positions:
    """Return the runs of usual accuracy that are right on other examples than the others are.

    A run is named where one like the others would stand out by far, and it does not.
    """
    usual = correct.rate >= USUAL_ACCURACY * np.median(correct.rate)
    known: Positions = np.flatnonzero(np.isfinite(correct.z) & usual)
    if len(known) < MIN_RUNS:
        return _NONE
    z, error = correct.z[known], correct.error[known]
    typical = np.quantile(correct.effect[known], TYPICAL)
    variance = correct.rate[known] * (1 - correct.rate[known])
    # A better run has fewer errors, and its slope is smaller in proportion.
    expected = typical * np.minimum(1.0, variance / np.median(variance)) / error
    low = (np.abs(z) < SHUFFLED_Z) & (correct.class_z[known] < CLASS_Z)
    firm = low & (correct.effective[known] >= OUTCOME_EXAMPLES)
    if (firm & (expected > EXPECTED_Z) & (z < expected / 4)).any():
        # Where one is certain, others are named that are nearer to chance than to the rest.
        found: Positions = known[low & (expected > NAMED_Z) & (z < expected / 2)]
        return found
    window = _lowest_window(np.where(firm, z - expected, 0.0))
    pooled = abs(_pooled(z[window])), _pooled(expected[window])
    if firm[window].all() and pooled[0] < SHUFFLED_Z and pooled[1] > EXPECTED_Z + SHUFFLED_Z:
        return known[window]
    return _NONE


def _pooled(z: Array) -> float:
    return float(z.sum() / np.sqrt(len(z)))


def _lowest_window(z: Array) -> slice:
    """Return the runs in sequence, at most half of all, whose sum is lowest for their number."""
    total = np.concatenate([[0.0], np.cumsum(z)])
    lowest, window = np.inf, slice(0, 1)
    for length in range(1, len(z) // 2 + 1):
        sums = (total[length:] - total[:-length]) / np.sqrt(length)
        at = int(np.argmin(sums))
        if sums[at] < lowest:
            lowest, window = float(sums[at]), slice(at, at + length)
    return window


def list_runs(run_ids: Sequence[int]) -> str:
    """Return numbers of runs as text, "runs 3, 50-79": sequences as one, and the first of many."""
    if not run_ids:
        return ""
    parts: list[list[int]] = []
    for run_id in sorted(run_ids):
        if parts and run_id == parts[-1][1] + 1:
            parts[-1][1] = run_id
        else:
            parts.append([run_id, run_id])
    shown = list_first(f"{first}-{last}" if last > first else f"{first}" for first, last in parts)
    return f"run {shown}" if len(run_ids) == 1 else f"runs {shown}"
