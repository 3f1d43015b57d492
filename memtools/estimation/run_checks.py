"""Checks of runs that estimates are made of: converged, plausible, of the ratio that they claim.

gate = Gate(stores, share=0.95)
for record in gate.watch(unique_runs(stores)): ...
doubt = gate.close(strict=False)         # RecordError if the runs cannot be right
gate.require_contrast()                  # ConfigError if nothing is both in and out
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from memtools.errors import ConfigError, RecordError, SweepError
from memtools.estimates.model import ExampleIndex
from memtools.runs.example_checks import check_examples, common_examples
from memtools.runs.plausibility import (
    OutcomeCounts,
    missing_gap,
    require_plausible,
)
from memtools.runs.ratios import require_ratio, uneven_ratio
from memtools.runs.record import RunRecord
from memtools.runs.store import RunStore, Sweep

CONVERGED = 0.95  # of the median run's training accuracy inside its subset
_SHOWN = 20
_log = logging.getLogger("memtools.estimation")


def one_sweep(stores: Sequence[RunStore]) -> Sweep:
    """Return the sweep that all stores are of; ConfigError if they differ, or in their labels."""
    if not stores:
        raise ConfigError("there is no store to estimate from", hint="name one or more")
    for store in stores[1:]:
        stores[0].require_same(store)
    return stores[0].sweep


def examples_of(stores: Sequence[RunStore]) -> ExampleIndex:
    """Return the examples of stores of one sweep; ConfigError for labels that cannot be right."""
    for store in stores:
        sizes = store.sweep.n_train, store.sweep.n_test
        check_examples(store.examples, *sizes, str(store.root / "examples.npz"))
    return common_examples([store.examples for store in stores])


def unique_runs(stores: Sequence[RunStore]) -> Iterator[RunRecord]:
    """Yield the records of several stores, each run once.

    Raises ConfigError for a run that is in two stores with different results. A run that is there
    under two numbers, with all arrays equal, counts once, with a warning.
    """
    seen: dict[int, str] = {}
    digests: set[str] = set()
    for store in stores:
        for record in store:
            run_id, digest = record.spec.run_id, record.digest
            if run_id in seen:
                if seen[run_id] != digest:
                    raise ConfigError(
                        f"run {run_id} of {store.root} is not that of another store",
                        hint="stores of one sweep have one record for each run: which is right?",
                    )
                continue
            seen[run_id] = digest
            if digest in digests:
                _log.warning("run %d of %s equals another run; it counts once", run_id, store.root)
                continue
            digests.add(digest)
            yield record


class Gate:
    """Watches the runs of one sweep as they pass, and says at the end what is wrong with them.

    stores: of one sweep. share: runs whose training accuracy is below this share of the median
    run's are named.
    """

    def __init__(self, stores: Sequence[RunStore], share: float = CONVERGED) -> None:
        sweep = one_sweep(stores)
        self.examples = examples_of(stores)
        self._share, self._ratio = share, sweep.ratio
        self._where = ", ".join(str(store.root) for store in stores)
        labels = self.examples.labels, self.examples.test_labels
        self.counts = OutcomeCounts(sweep.n_train, sweep.n_test, *labels)
        self._run_ids: list[int] = []

    def watch(self, records: Iterable[RunRecord]) -> Iterator[RunRecord]:
        """Yield the same records."""
        for record in self.counts.watch(records):
            self._run_ids.append(record.spec.run_id)
            yield record

    def close(self, *, strict: bool = False) -> str:
        """Judge the runs.

        Args:
            strict: Refuse runs that have not converged, or that memorize nothing.

        Returns:
            Caveats for the file, "" if there are none; each is logged as a warning.

        Raises:
            ConfigError: There is no run.
            RecordError: A mask is empty, masks are inverted or of another ratio, or outcomes are
                not in one order; with `strict`, nothing is memorized.
            SweepError: With `strict`, a run has not converged.
        """
        if not self._run_ids:
            raise ConfigError("there is no run to estimate from", hint="train some, or import them")
        self._require_subsets()
        require_plausible(self.counts, self._where)
        require_ratio(self.counts, self._ratio, self._where)
        doubts = [self._unconverged(strict=strict)]
        if uneven := uneven_ratio(self.counts, self._ratio):
            _log.warning("%s: %s", self._where, uneven)
            doubts.append(uneven)
        if gap := missing_gap(self.counts):
            if strict:
                raise RecordError(
                    f"{self._where}: {gap}", hint="estimate without --strict if that is right"
                )
            _log.warning("%s", gap)
            doubts.append(gap)
        return "; ".join(filter(None, doubts))

    def require_contrast(self) -> None:
        """Raise ConfigError if no example is in the subset of one run and held out by another."""
        n_in, n_runs = self.counts.n_in, self.counts.n_runs
        if ((n_in > 0) & (n_in < n_runs)).any():
            return
        runs = "the only run" if n_runs == 1 else f"all {n_runs} runs"
        raise ConfigError(
            f"{self._where}: {runs} trained on the same subset, so that no example is both"
            " in and out",
            hint="memorization compares runs with an example and runs without: train more runs",
        )

    def _require_subsets(self) -> None:
        empty = np.flatnonzero(self.counts.runs[:, 0] == 0)
        if len(empty):
            raise RecordError(
                f"{self._where}: the mask of run {self._run_ids[empty[0]]} is empty"
                f" ({len(empty)} of {len(self._run_ids)} runs)",
                hint="a mask is true where the model was trained on the example",
            )

    def _unconverged(self, *, strict: bool) -> str:
        """Return words about the runs below the bar, after a warning."""
        size, _, both, _ = self.counts.runs.T
        accuracies = dict(zip(self._run_ids, (both / size).tolist(), strict=True))
        bar = self._share * float(np.median(list(accuracies.values())))
        low = sorted(run for run, accuracy in accuracies.items() if accuracy < bar)
        if not low:
            return ""
        shown = ", ".join(f"{run} ({accuracies[run]:.3f})" for run in low[:_SHOWN])
        rest = f" and {len(low) - _SHOWN} more" if len(low) > _SHOWN else ""
        what = (
            f"{len(low)} of {len(accuracies)} runs have a training accuracy below"
            f" {bar:.3f}: {shown}{rest}"
        )
        if strict:
            raise SweepError(
                what, failed_run_ids=low, hint="train them longer, or take them out of the store"
            )
        _log.warning("%s; scores of half-trained models are no estimates", what)
        return what
