"""Outcomes of made-up models on examples that differ in difficulty, and ways to spoil them."""

import numpy as np

from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.runs.plausibility import OutcomeCounts
from memtools.runs.record import RunRecord, RunSpec, write
from memtools.runs.store import RunStore, Sweep


def world(n_runs=40, n_train=400, n_test=200, *, kind="memorizing", ratio=0.7, seed=0):
    """mask, train_correct, test_correct: bool [n_runs, n]."""
    rng = np.random.default_rng(seed)
    mask = np.argsort(rng.random((n_runs, n_train)), axis=1) < ratio * n_train
    if kind == "complementary":
        mask = np.argsort(rng.random((n_runs // 2, n_train)), axis=1) < 0.5 * n_train
        mask = np.vstack([mask, ~mask])
    train_error, test_error = (rng.beta(0.4, 1.2, n) for n in (n_train, n_test))
    inside = np.full(n_train, 0.995)
    if kind == "simple":  # it is wrong inside, too, only less often
        inside = 1 - 0.9 * train_error
    if kind == "perfect":
        inside, train_error, test_error = np.ones(n_train), 1e-4 * train_error, 1e-4 * test_error
    if kind == "random labels":  # all memorized, all equally hard
        train_error, inside = np.full(n_train, 0.9), np.ones(n_train)
    skill = np.exp(rng.normal(0, 0.1, (n_runs, 1)))  # of a run: its errors are more, or fewer
    train = rng.random(mask.shape) >= np.where(mask, 1 - inside, train_error) * skill
    test = rng.random((n_runs, n_test)) >= test_error * skill
    return mask, train, test


def shuffled(rows, seed=0):
    """Another permutation in each run."""
    return np.random.default_rng(seed).permuted(rows, axis=1)


def spoiled(bits, how):
    """The same outcomes after a mistake of their owner."""
    mask, train, test = bits
    return {
        "right": bits,
        "inverted": (~mask, train, test),
        "train shuffled": (mask, shuffled(train), test),
        "test shuffled": (mask, train, shuffled(test)),
        "masks of other runs": (np.roll(mask, 1, axis=0), train, test),
    }[how]


def records(bits, config=""):
    return [
        RunRecord(RunSpec(run, config), *each) for run, each in enumerate(zip(*bits, strict=True))
    ]


def counted(bits, labels=None, test_labels=None):
    counts = OutcomeCounts(bits[0].shape[1], bits[2].shape[1], labels, test_labels)
    for record in records(bits):
        counts.observe(record)
    return counts


def stored(root, bits, *, n_classes=4, ratio=0.7, config=None, first=0):
    """A store of these runs, without the check of each record, as an older one may be."""
    sizes = bits[0].shape[1], bits[2].shape[1]
    sweep = Sweep("made-up", "file", ratio, *sizes, "none", config or {})
    train, test = (np.arange(n) % n_classes for n in sizes)
    store = RunStore.create(root, sweep, ExampleIndex(About(), train, None, test, None))
    for run, each in enumerate(zip(*bits, strict=True), first):
        write(RunRecord(RunSpec(run, sweep.digest), *each), store.path(run))
    return store


def stacked(path, bits):
    keys = ("trainset_mask", "trainset_correctness", "testset_correctness")
    np.savez(path, **dict(zip(keys, bits, strict=True)))
    return path
