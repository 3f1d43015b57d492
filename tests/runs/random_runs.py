"""Random runs, which any process can make."""

import os
import signal
import time

import numpy as np

from memtools.runs.record import RunRecord, RunSpec

N_TRAIN, N_TEST = 60, 30


def random_run(sweep, run_id, seed=None, of=None):
    """A run whose bits are those of its number."""
    rng = np.random.default_rng(run_id if seed is None else seed)
    bits = (rng.random(n) < 0.7 for n in (N_TRAIN, N_TRAIN, N_TEST))
    return RunRecord(RunSpec(run_id, (of or sweep).digest), *bits)


def fatal(sweep, poisonous, run_ids):
    """Runs, unless the one that kills is among them."""
    if poisonous in run_ids:
        os._exit(1)
    time.sleep(0.01)
    return [random_run(sweep, run_id) for run_id in run_ids]


def frozen(sweep, last, run_ids):
    """Runs, unless the one that stops its process is among them."""
    if last in run_ids:
        os.kill(os.getpid(), signal.SIGSTOP)
    return [random_run(sweep, run_id) for run_id in run_ids]
