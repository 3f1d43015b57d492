"""A small sweep of random runs."""

import numpy as np
import pytest

from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.runs.record import RunRecord, RunSpec
from memtools.runs.store import RunStore, Sweep

N_TRAIN, N_TEST = 60, 30


@pytest.fixture
def sweep():
    return Sweep("random", "official", 0.7, N_TRAIN, N_TEST, "none", {"epochs": 3, "lr": 0.1})


@pytest.fixture
def examples():
    return ExampleIndex(About(), np.arange(N_TRAIN) % 3, None, np.arange(N_TEST) % 3, None)


@pytest.fixture
def store(sweep, examples, tmp_path):
    return RunStore.create(tmp_path / "runs", sweep, examples)


@pytest.fixture
def run(sweep):
    def make(run_id, seed=None, of=sweep):
        rng = np.random.default_rng(run_id if seed is None else seed)
        bits = (rng.random(n) < 0.7 for n in (N_TRAIN, N_TRAIN, N_TEST))
        return RunRecord(RunSpec(run_id, of.digest), *bits)

    return make
