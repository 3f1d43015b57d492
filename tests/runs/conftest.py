"""A small sweep of random runs."""

import functools

import numpy as np
import pytest
from runs.random_runs import N_TEST, N_TRAIN, random_run

from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.runs.store import RunStore, Sweep


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
    return functools.partial(random_run, sweep)
