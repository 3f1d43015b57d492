"""Checks of runs against what outcomes of real models look like: the mask, and one order.

    counts = OutcomeCounts(n_train, n_test, labels, test_labels)
    for record in counts.watch(store): ...
    require_plausible(counts, "runs")        # RecordError if the runs cannot be right
    doubt = missing_gap(counts)              # words, if nothing is memorized at all

Two mistakes leave files that look right and numbers that are wrong: a mask that says which
examples were held out in place of those that were trained on, and outcomes that were collected
in the order of a shuffled loader, another one in each run. The first turns the sign of
memorization; the second makes all of it 0.

Both are found by counts: of each example, in how many runs it was in the subset, and right; of
each run, how many examples it has, and got right, inside and outside. Every verdict is `ok`,
`refused`, or `no power` where there are too few runs, examples or errors to tell.

What these checks cannot see: outcomes of all runs in one and the same wrong order (compare the
labels, or the accuracy by class); fewer than 16 runs that are shuffled; masks that belong to other
runs, for which `missing_gap` is the only sign. A few runs that are inverted or shuffled among many
that are not are found one by one (memtools.runs.odd_runs).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from memtools.errors import RecordError
from memtools.estimates.npz import Array
from memtools.runs import dispersion
from memtools.runs.odd_runs import list_runs, require_alike
from memtools.runs.record import RunRecord
from memtools.runs.run_sample import RunSample

INVERTED_Z = -6.0  # of the store; a fair store reaches it once in 10^9
INVERTED_GAP = -0.005  # smaller differences are no danger to estimates
RECORD_Z, RECORD_GAP = -10.0, -0.2  # of one record: a subset may be easier than the rest
SEEN_GAP = 0.02  # a gap that should be seen before its absence is worth a word
MIN_RUNS, MIN_EXAMPLES = 16, 100  # for the spread: smaller stores give no verdict
SPREAD_Z = (-4.5, 3.0)  # where chance alone puts the spread
# The least correlation of two runs that is plausible, without and with a gap. Where errors are
# rare it is the share of errors, in proportion: difficulties that spread as widely as their mean.
CORRELATIONS = (0.05, 0.004)
POWER_Z, POWER_PAIRS = 6.0, 20.0  # standard errors, and common errors, that those would make
CLASS_RUNS, CLASS_Z = 16, 8.0  # runs whose accuracy by class is looked at; above it they follow it

Split = Literal["training", "test"]


class Outcomes(Protocol):
    """Subset and correctness of one run: bool [n_train], [n_train], [n_test]."""

    @property
    def mask(self) -> Array: ...  # noqa: D102
    @property
    def train_correct(self) -> Array: ...  # noqa: D102
    @property
    def test_correct(self) -> Array: ...  # noqa: D102


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The result of one check. z: standard errors; effect: accuracy, or correlation of runs."""

    result: Literal["ok", "refused", "no power"]
    z: float = float("nan")
    effect: float = float("nan")


class OutcomeCounts:
    """Counts by example and by run, of runs that are observed one after the other.

    run_ids: the number of each run, as messages name it. n_stored: how many of the first runs a
    store has, where others are to be added. Memory: 18 bytes for each training example, 9 for each
    test example, the labels, and at most 7.5 kB for each run.
    """

    def __init__(
        self,
        n_train: int,
        n_test: int,
        labels: Array | None = None,
        test_labels: Array | None = None,
    ) -> None:
        self._tallies = tuple(map(dispersion.Tally, (n_train, n_train, n_test)))
        self._rows: list[list[int]] = []
        self.sample = RunSample(n_train, n_test, labels, test_labels)
        self.run_ids: list[int] = []
        self.n_stored = 0
        self._classes: dict[Split, dispersion.ClassSpread | None] = {
            "training": None if labels is None else dispersion.ClassSpread(labels),
            "test": None if test_labels is None else dispersion.ClassSpread(test_labels),
        }

    def observe(self, run: Outcomes, run_id: int | None = None) -> None:
        """Count one run. run_id: its number; the next one if not given."""
        self.run_ids.append(self.n_runs if run_id is None else run_id)
        mask, correct, test = run.mask, run.train_correct, run.test_correct
        for tally, row in zip(self._tallies, (mask, correct, test), strict=True):
            tally.add(row)
        if len(self._rows) < CLASS_RUNS:
            for spread, outcomes in zip(self._classes.values(), (correct, test), strict=True):
                if spread is not None:
                    spread.observe(outcomes)
        self.sample.observe(mask, correct, test)
        self._rows.append([int(np.count_nonzero(x)) for x in (mask, correct, mask & correct, test)])

    def watch(self, records: Iterable[RunRecord]) -> Iterator[RunRecord]:
        """Yield the same records, each of them counted."""
        for record in records:
            self.observe(record, record.spec.run_id)
            yield record

    def of_runs(self, positions: Sequence[int]) -> OutcomeCounts:
        """Return the counts of some of the runs, over a sample of at most 20,000 examples.

        Args:
            positions: Of the runs, in the order in which they were observed.
        """
        sample = self.sample
        part = OutcomeCounts(*sample.sizes, sample.labels, sample.test_labels)
        run_ids = iter([self.run_ids[position] for position in positions])
        for block in sample.blocks(positions):
            for run in block:
                part.observe(run, next(run_ids))
        return part

    def name_runs(self, positions: Iterable[int]) -> str:
        """Return the numbers of runs in words; those of runs that a store does not have as new."""
        at = list(positions)
        old = list_runs([self.run_ids[k] for k in at if k < self.n_stored])
        new = list_runs([self.run_ids[k] for k in at if k >= self.n_stored])
        if new and self.n_stored:
            new = f"new {new}"
        return " and ".join(filter(None, (old, new)))

    @property
    def n_in(self) -> NDArray[np.int64]:
        """Runs with each training example, int64 [n_train]."""
        return self._tallies[0].total

    @property
    def train_correct(self) -> NDArray[np.int64]:
        """Runs that are right on each training example, int64 [n_train]."""
        return self._tallies[1].total

    @property
    def test_correct(self) -> NDArray[np.int64]:
        """Runs that are right on each test example, int64 [n_test]."""
        return self._tallies[2].total

    @property
    def n_runs(self) -> int:
        """The number of runs."""
        return len(self._rows)

    @property
    def runs(self) -> NDArray[np.int64]:
        """Return int64 [n_runs, 4]: examples inside, right, right inside, right of the test."""
        return np.array(self._rows, np.int64).reshape(-1, 4)

    @property
    def accuracies(self) -> tuple[float, float]:
        """The accuracy inside and outside the subsets, over all runs; NaN where there is none."""
        n_in, right, both, _ = self.runs.sum(0).tolist()
        n_out = self.n_runs * len(self.n_in) - n_in
        nan = float("nan")
        return both / n_in if n_in else nan, (right - both) / n_out if n_out else nan

    @property
    def ratio(self) -> float:
        """The share of the training examples in a subset, over all runs; NaN without runs."""
        size = self.n_runs * len(self.n_in)
        return int(self.runs[:, 0].sum()) / size if size else float("nan")

    def follows_classes(self, split: Split) -> bool:
        """Return whether accuracies by class differ more than a shuffled order lets them."""
        spread = self._classes[split]
        return spread is not None and spread.z > CLASS_Z


def require_plausible(counts: OutcomeCounts, where: str) -> None:
    """Raise RecordError if runs have an inverted mask, or outcomes that are not in one order.

    Args:
        counts: Of all runs of a store.
        where: What the runs are called in the message, such as the path of their store.
    """
    inside, outside = counts.accuracies
    if check_mask(counts).result == "refused":
        raise RecordError(
            f"{where}: accuracy is {inside:.3f} inside the subsets and {outside:.3f} outside,"
            f" over {counts.n_runs} runs: the mask seems inverted",
            hint="invert the mask: it is true where the model was trained on the example",
        )
    splits: tuple[Split, Split] = ("training", "test")
    for split in splits:
        if check_order(counts, split).result == "refused":
            raise RecordError(
                f"{where}: over {counts.n_runs} runs the {split} examples differ no more in"
                " accuracy than chance makes them: outcomes are not in one order: was the"
                " evaluation loader shuffled?",
                hint="evaluate without shuffling, or put each outcome at the place of its example",
            )
    require_alike(counts.sample, where, counts.name_runs)


def require_plausible_record(record: RunRecord, where: str) -> None:
    """Raise RecordError for a record that is far less accurate inside its subset than outside.

    One run alone shows it only where the difference is large, and the examples many.
    """
    n, n_in = len(record.mask), int(np.count_nonzero(record.mask))
    if n_in in (0, n):
        return
    right = np.count_nonzero(record.train_correct)
    both = np.count_nonzero(record.mask & record.train_correct)
    inside, outside = both / n_in, (right - both) / (n - n_in)
    if inside - outside > RECORD_GAP:
        return
    error = np.sqrt(right * (n - right) / n / n_in / (n - n_in))
    if inside - outside <= RECORD_Z * error:
        raise RecordError(
            f"{where}: run {record.spec.run_id} has accuracy {inside:.3f} inside its subset and"
            f" {outside:.3f} outside: the mask seems inverted",
            hint="invert the mask: it is true where the model was trained on the example",
        )


def check_mask(counts: OutcomeCounts) -> Verdict:
    """Compare accuracy inside and outside, within each example and each run.

    Refused is a difference that is negative, and by far more than chance makes it.
    """
    gap, error = dispersion.gap(counts.n_in, counts.train_correct, counts.runs)
    if not error > 0 or -INVERTED_Z * error > 0.5:
        return Verdict("no power")
    inside, outside = counts.accuracies
    refused = gap < INVERTED_Z * error and gap < INVERTED_GAP and inside < outside
    return Verdict("refused" if refused else "ok", gap / error, gap)


def check_order(counts: OutcomeCounts, split: Split) -> Verdict:
    """Compare the spread of accuracy over examples with that of shuffled outcomes.

    Examples of real data differ in difficulty, so that two runs are right on the same examples
    more often than their accuracies say; after a permutation in each run they are not. Refused is
    a spread within chance although the least correlation that is plausible would stand out. Runs
    whose training outcomes follow the mask may differ little beyond it, so less is asked of them;
    outcomes that follow the classes are in order.
    """
    if split == "test":
        found = dispersion.test_spread(counts.test_correct, counts.runs)
        least = CORRELATIONS[0]
    else:
        found = dispersion.training_spread(counts.n_in, counts.train_correct, counts.runs)
        gap, error = dispersion.gap(counts.n_in, counts.train_correct, counts.runs)
        least = CORRELATIONS[1] if error > 0 and gap > 4 * error else CORRELATIONS[0]
    right = counts.test_correct if split == "test" else counts.train_correct
    n = len(right)
    rate = right.sum() / max(n * counts.n_runs, 1)
    least *= min(1.0, min(rate, 1 - rate) / CORRELATIONS[0])
    weak = least * found.scale < max(POWER_Z * found.error, 2 * POWER_PAIRS)
    if not found.error > 0:
        return Verdict("no power")
    z, correlation = found.excess / found.error, found.excess / found.scale
    if z > POWER_Z or counts.follows_classes(split):
        return Verdict("ok", z, correlation)
    if counts.n_runs < MIN_RUNS or n < MIN_EXAMPLES or weak:
        return Verdict("no power", z, correlation)
    by_chance = SPREAD_Z[0] < z < SPREAD_Z[1]
    return Verdict("refused" if by_chance else "ok", z, correlation)


def missing_gap(counts: OutcomeCounts) -> str:
    """Return a caveat if accuracy inside the subsets is not above that outside; "" otherwise.

    Models that memorize nothing are legitimate; so are their estimates, which are all near 0.
    Without enough outcomes to see a gap of .02 there is no caveat.
    """
    gap, error = dispersion.gap(counts.n_in, counts.train_correct, counts.runs)
    if not error > 0 or 5 * error > SEEN_GAP or gap > 3 * error:
        return ""
    inside, outside = counts.accuracies
    return (
        f"accuracy inside the subsets ({inside:.4f}) is not above that outside ({outside:.4f})"
        f" over {counts.n_runs} runs: either nothing is memorized, or the masks are not those of"
        " these outcomes"
    )
