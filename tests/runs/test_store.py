"""A directory of runs: write-once, of one sweep, and nothing damaged is averaged."""

import dataclasses
import logging
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from memtools.errors import BusyError, ConfigError, RecordError
from memtools.runs.store import RunStore, open_stores


def test_records_come_back_in_order(store, run):
    for run_id in (5, 0, 12):
        store.add(run(run_id))
    assert store.run_ids() == [0, 5, 12] and len(store) == 3
    assert [record.digest for record in store] == [run(n).digest for n in (0, 5, 12)]


def test_a_store_is_opened_with_what_it_was_made_of(store, sweep, examples):
    again = RunStore.open(store.root)
    assert again.sweep == sweep
    assert np.array_equal(again.examples.labels, examples.labels)
    assert again.examples.filenames is None


def test_another_configuration_is_refused_and_the_difference_named(store, sweep, examples):
    assert RunStore.create(store.root, sweep, examples).sweep == sweep
    for change, words in (
        ({"config": {"epochs": 4, "lr": 0.1}}, "epochs is 3 there, 4 here"),
        ({"ratio": 0.5}, "ratio is 0.7 there, 0.5 here"),
    ):
        with pytest.raises(ConfigError, match=words):
            RunStore.create(store.root, dataclasses.replace(sweep, **change), examples)


def test_the_same_run_again_is_nothing_and_another_result_is_refused(store, run):
    store.add(run(1))
    before = store.path(1).read_bytes()
    store.add(run(1))
    with pytest.raises(BusyError, match="another result of run 1"):
        store.add(run(1, seed=99))
    assert store.path(1).read_bytes() == before
    assert [path.name for path in (store.root / "records").iterdir()] == ["000001.npz"]


def test_a_run_of_another_sweep_is_refused(store, run, sweep):
    with pytest.raises(RecordError, match="another sweep"):
        store.add(run(1, of=dataclasses.replace(sweep, ratio=0.5)))
    assert len(store) == 0


def test_what_is_damaged_or_misnamed_is_set_aside_and_said(store, run, caplog):
    for run_id in range(4):
        store.add(run(run_id))
    store.path(1).write_bytes(store.path(1).read_bytes()[:-50])
    os.rename(store.path(2), store.path(9))
    with caplog.at_level(logging.WARNING, logger="memtools.runs"):
        assert [record.spec.run_id for record in store] == [0, 3]
    assert "run 1 is set aside" in caplog.text and "is the record of run 2" in caplog.text
    assert {path.name for path in (store.root / "quarantine").iterdir()} == {
        "000001.npz",
        "000009.npz",
    }
    store.add(run(1))
    assert store.run_ids() == [0, 1, 3]


def test_a_failure_is_kept_apart_until_the_run_succeeds(store, run):
    store.fail(3, "the loss is not finite", step=120)
    assert store.failures() == {3: "the loss is not finite"} and len(store) == 0
    store.add(run(3))
    assert store.failures() == {}


def test_stores_of_one_sweep_merge_and_doubles_are_recognised(
    store, run, sweep, examples, tmp_path
):
    other = RunStore.create(tmp_path / "other", sweep, examples)
    for run_id in (0, 1):
        store.add(run(run_id))
    for run_id in (1, 2):
        other.add(run(run_id))
    assert store.merge(other) == 1 and store.run_ids() == [0, 1, 2]
    assert store.merge(other) == 0
    another = dataclasses.replace(sweep, dataset="else")
    foreign = RunStore.create(tmp_path / "foreign", another, examples)
    with pytest.raises(ConfigError, match="another sweep: dataset"):
        store.merge(foreign)
    rival = RunStore.create(tmp_path / "rival", sweep, examples)
    rival.add(run(0, seed=7))
    with pytest.raises(BusyError):
        store.merge(rival)


def test_what_is_no_store_is_called_that(tmp_path, store):
    with pytest.raises(ConfigError, match=r"holds no sweep\.toml"):
        RunStore.open(tmp_path)
    (store.root / "sweep.toml").write_text("format = 2\n")
    with pytest.raises(ConfigError, match="later format"):
        RunStore.open(store.root)
    (store.root / "sweep.toml").write_text("format = [")
    with pytest.raises(ConfigError, match="damaged"):
        RunStore.open(store.root)


def test_a_directory_of_stores_stands_for_all_of_them(sweep, examples, tmp_path):
    for ratio in (0.5, 0.7):
        of_ratio = dataclasses.replace(sweep, ratio=ratio)
        RunStore.create(tmp_path / "all" / str(ratio), of_ratio, examples)
    assert [store.sweep.ratio for store in open_stores([tmp_path / "all"])] == [0.5, 0.7]


WRITER = """
import sys, pathlib, numpy as np
from memtools.runs.store import RunStore
from memtools.runs.record import RunRecord, RunSpec
store = RunStore.open(pathlib.Path(sys.argv[1]))
n, m = store.sweep.n_train, store.sweep.n_test
print("go", flush=True)
for run_id in range(100000):
    rng = np.random.default_rng(run_id)
    bits = (rng.random(k) < 0.7 for k in (n, n, m))
    store.add(RunRecord(RunSpec(run_id, store.sweep.digest), *bits))
"""


def test_killed_at_any_instant_every_visible_record_is_whole(store, run):
    draw = random.Random(0)
    command = [sys.executable, "-c", WRITER, str(store.root)]
    for _ in range(5):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            child.stdout.read(2)
            time.sleep(draw.uniform(0.02, 0.2))
            os.kill(child.pid, signal.SIGKILL)
    found = list(store)
    assert len(found) > 5
    assert all(record.digest == run(record.spec.run_id).digest for record in found)
    assert not list((store.root / "quarantine").iterdir())


def test_two_writers_of_one_store_lose_and_double_nothing(store, run):
    command = [sys.executable, "-c", WRITER.replace("100000", "60"), str(store.root)]
    children = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    assert store.run_ids() == list(range(60))
    assert all(record.digest == run(record.spec.run_id).digest for record in store)
