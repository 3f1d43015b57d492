"""Random runs, and the definition of everything in exact fractions."""

from fractions import Fraction

import numpy as np

from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.estimation.bits import Outcomes, RunBits
from memtools.runs.record import RunRecord, RunSpec
from memtools.runs.store import RunStore, Sweep


def random_bits(rng, n_runs, n_train, n_test, ratio=0.7):
    """mask, train_correct, test_correct: bool [n_runs, n]; masks of any size."""
    return (
        rng.random((n_runs, n_train)) < ratio,
        rng.random((n_runs, n_train)) < 0.8,
        rng.random((n_runs, n_test)) < 0.6,
    )


def packed(bits):
    return Outcomes(*(RunBits.pack(each, each.shape[1]) for each in bits))


def labelled(n_train, n_test, n_classes):
    return ExampleIndex(
        About(dataset="random", order="file"),
        np.arange(n_train) % n_classes,
        None,
        np.arange(n_test)[::-1] % n_classes,
        None,
    )


def stored(root, bits, runs=None, n_classes=3, **changes):
    """A store of these runs."""
    mask, train, test = bits
    sweep = Sweep("random", "file", 0.7, mask.shape[1], test.shape[1], "none", {})
    sweep = Sweep(**{**vars(sweep), **changes})
    examples = labelled(mask.shape[1], test.shape[1], n_classes)
    store = RunStore.create(root, sweep, examples)
    for run in range(len(mask)) if runs is None else runs:
        store.add(RunRecord(RunSpec(run, sweep.digest), mask[run], train[run], test[run]))
    return store


def exact(mask, correct):
    """Of one training and one test example: the difference of two shares; None if undefined."""
    inside, outside = correct[mask], correct[~mask]
    if not len(inside) or not len(outside):
        return None
    return Fraction(int(inside.sum()), len(inside)) - Fraction(int(outside.sum()), len(outside))


def rounded(fraction):
    """To float64, then to float32, as the estimates are."""
    return np.float32(np.nan if fraction is None else float(fraction))
