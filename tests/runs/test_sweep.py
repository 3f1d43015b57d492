"""The runs that a store lacks, and nothing twice."""

import functools
import itertools
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from memtools_cli.main import app
from runs.random_runs import fatal, frozen
from typer.testing import CliRunner

from memtools import workers
from memtools.engines import outcomes
from memtools.errors import BusyError, ConfigError, DiskError
from memtools.files import locked
from memtools.runs.record import Failure
from memtools.runs.run_ids import RunIds
from memtools.runs.status import Status
from memtools.runs.store import RunStore
from memtools.runs.sweep import (
    ASKED,
    asked,
    note_asked,
    parse_runs,
    remove_checkpoints,
    run_missing,
)
from memtools.temporary_files import temporary_name


def test_only_what_is_missing_is_trained_in_groups(store, run):
    asked = []

    def train(run_ids):
        asked.append(list(run_ids))
        return [run(run_id) for run_id in run_ids]

    store.add(run(2))
    assert run_missing(store, range(6), train, group=2) == {}
    assert asked == [[0, 1], [3, 4], [5]] and store.run_ids() == list(range(6))
    assert run_missing(store, range(8), train, group=4) == {} and asked[3:] == [[6, 7]]


def test_a_run_that_fails_is_noted_and_the_others_go_on(store, run):
    def train(run_ids):
        return [Failure(r, "the loss is not finite", 7) if r == 1 else run(r) for r in run_ids]

    assert run_missing(store, range(3), train) == {1: "the loss is not finite"}
    assert store.run_ids() == [0, 2] and store.failures() == {1: "the loss is not finite"}


def test_what_was_finished_before_an_error_is_kept(store, run):
    def train(run_ids):
        if 2 in run_ids:
            raise KeyError
        return [run(r) for r in run_ids]

    with pytest.raises(KeyError):
        run_missing(store, range(4), train)
    assert store.run_ids() == [0, 1]


def test_a_second_driver_is_told_so(store, run):
    driving = locked(store.root / ".driving", wait=False, waiting=lambda: None)
    with driving, pytest.raises(BusyError):
        run_missing(store, [0], lambda run_ids: [run(0)])
    assert len(store) == 0


@pytest.mark.parametrize(
    ("text", "runs"),
    [("7", [7]), ("0:3", [0, 1, 2]), (":2", [0, 1]), ("9,0:2,1", [0, 1, 9])],
)
def test_ranges_of_runs(text, runs):
    assert parse_runs(text) == runs


@pytest.mark.parametrize("text", ["", "a", "3:1", "-1", "1,,2", "0:x"])
def test_what_names_no_runs_is_refused(text):
    with pytest.raises(ConfigError, match="names no runs"):
        parse_runs(text)


def test_ids_beyond_what_a_store_can_number_are_refused():
    with pytest.raises(ConfigError, match="1000000000000 is not the number of a run"):
        parse_runs("0:1000000000001")


def test_run_ids_are_sets_of_numbers_kept_as_ranges():
    for seed in range(200):
        draw = random.Random(seed)
        one, two = ({draw.randrange(30) for _ in range(draw.randrange(25))} for _ in range(2))
        ids = RunIds.of(draw.sample(sorted(one), len(one)))
        assert list(ids) == sorted(one) == [ids[k] for k in range(len(one))]
        assert [n for n in range(-1, 31) if n in ids] == sorted(one)
        assert [n for n in np.arange(31) if n in ids] == sorted(one) and "1" not in ids
        assert list(ids.without(two)) == sorted(one - two)
        assert list(ids | RunIds.of(two)) == sorted(one | two)
        assert RunIds.from_list(ids.to_list()) == ids == RunIds.from_list(sorted(one))
        assert [n for group in ids.groups(4) for n in group] == sorted(one)
        ends = [end for each in ids.ranges for end in each]
        assert all(a < b for a, b in itertools.pairwise(ends))


class EnoughError(Exception):
    """Ends a sweep that would be endless."""


def test_a_trillion_runs_are_asked_for_and_told_of_in_no_time_and_memory(store, run):
    def train(run_ids):
        if run_ids[0] >= 20:
            raise EnoughError
        return [run(run_id) for run_id in run_ids]

    store.add(run(5))
    tracemalloc.start()
    with pytest.raises(EnoughError):
        run_missing(store, parse_runs("0:1000000000000"), train, group=4)
    status = Status.of(store)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    assert (status.n_done, status.n_missing) == (21, 10**12 - 21)
    assert json.loads((store.root / ASKED).read_text()) == [[0, 10**12]]


def test_what_earlier_versions_noted_as_asked_is_read(store):
    (store.root / ASKED).write_text("[0, 1, 2, 7]")
    note_asked(store, range(3, 5))
    assert asked(store) == [0, 1, 2, 3, 4, 7]


def test_a_damaged_record_is_set_aside_and_its_run_trained_again(store, run, caplog):
    trained = []

    def train(run_ids):
        trained.extend(run_ids)
        return [run(run_id) for run_id in run_ids]

    run_missing(store, range(4), train)
    store.path(2).write_bytes(store.path(2).read_bytes()[:-100])
    run_missing(store, range(4), train)
    assert trained == [0, 1, 2, 3, 2] and len(list(store)) == 4
    assert "run 2 is set aside" in caplog.text
    assert [path.name for path in (store.root / "quarantine").iterdir()] == ["000002.npz"]


def test_what_dead_writers_left_among_the_records_is_cleared_away(store, run):
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    orphan = temporary_name(store.path(3))
    orphan = orphan.with_name(orphan.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
    mine = temporary_name(store.path(4))
    for path in (orphan, mine):
        path.write_bytes(b"half")
    run_missing(store, range(2), lambda run_ids: [run(n) for n in run_ids])
    assert not orphan.exists() and mine.exists()


def test_a_frozen_worker_costs_its_run_and_no_other(store, sweep, monkeypatch):
    monkeypatch.setattr(workers, "GRACE", 1.0)
    engine = functools.partial(outcomes, n_workers=2, limit=2.0)
    train = functools.partial(frozen, sweep, 3)
    failed = run_missing(store, range(8), train, engine=engine, attempts=1)
    assert list(failed) == [3] and "not done within its limit" in store.failures()[3]
    assert store.run_ids() == [n for n in range(8) if n != 3]


def test_a_group_that_fails_is_tried_again_and_the_others_go_on(store, run):
    tries = {0: 0, 2: 0}

    def train(run_ids):
        (run_id,) = run_ids
        if run_id in tries:
            tries[run_id] += 1
            if run_id == 0 or tries[run_id] < 3:
                raise OSError(f"no luck with {run_id}")
        return [run(run_id)]

    failed = run_missing(store, range(4), train, attempts=3)
    assert failed == {0: "no luck with 0"} and tries == {0: 3, 2: 3}
    assert store.run_ids() == [1, 2, 3] and store.failures() == failed
    tries[0] = -10
    with pytest.raises(OSError, match="no luck with 0"):
        run_missing(store, range(4), train)
    assert asked(store) == {0, 1, 2, 3}


def test_a_run_that_kills_its_worker_is_listed_and_takes_no_other_with_it(store, sweep):
    engine = functools.partial(outcomes, n_workers=2)
    train = functools.partial(fatal, sweep, 3)
    failed = run_missing(store, range(12), train, engine=engine, attempts=3)
    assert list(failed) == [3] and "died without a word" in failed[3]
    assert store.run_ids() == [n for n in range(12) if n != 3]


@pytest.mark.parametrize("error", [ConfigError("a bad setting"), DiskError("full")])
def test_what_trying_again_cannot_mend_ends_the_sweep(store, run, error):
    def train(run_ids):
        if 1 in run_ids:
            raise error
        return [run(r) for r in run_ids]

    with pytest.raises(type(error)):
        run_missing(store, range(3), train, attempts=5)
    assert store.run_ids() == [0]


def fake_records(make, run_ids):
    return [make(run_id) for run_id in run_ids]


def drive(root, make, start, results):
    store = RunStore.open(root)
    try:
        train = functools.partial(fake_records, make)
        run_missing(store, range(start, start + 300), train, wait=True)
        results.put("done")
    except Exception as error:  # noqa: BLE001 - it is what the test looks at
        results.put(repr(error))


def test_two_drivers_at_once_lose_nothing_and_double_nothing(store, run):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    drivers = [context.Process(target=drive, args=(store.root, run, 0, results)) for _ in range(2)]
    for driver in drivers:
        driver.start()
    assert [results.get(timeout=60) for _ in drivers] == ["done", "done"]
    for driver in drivers:
        driver.join()
    assert store.run_ids() == list(range(300)) and len(list(store)) == 300


def test_the_status_says_what_is_done_failed_and_missing(store, run):
    def train(run_ids):
        return [Failure(r, "not finite", 7) if r == 3 else run(r) for r in run_ids]

    empty = Status.of(store)
    assert (empty.n_done, empty.n_missing, empty.inside) == (0, 0, None)
    run_missing(store, range(6), train)
    status = Status.of(store)
    assert (status.n_done, status.n_failed, status.n_missing) == (5, 1, 1)
    assert status.failures == {3: "not finite"} and not status.driven
    assert 0 <= status.test.least <= status.test.median <= status.test.most <= 1
    with locked(store.root / ".driving", wait=False, waiting=lambda: None):
        assert Status.of(store).driven


def test_the_status_says_what_is_given_out(store, run):
    seen = []

    def train(run_ids):
        seen.append(Status.of(store))
        return [run(run_id) for run_id in run_ids]

    run_missing(store, range(6), train, group=2)
    assert [(s.n_running, s.n_done, s.n_missing, s.driven) for s in seen] == [
        (2, 0, 6, True),
        (2, 2, 4, True),
        (2, 4, 2, True),
    ]
    assert Status.of(store).n_running == 0
    (store.root / ".out.json").write_text("[6, 7]")  # of a driver that was killed
    assert Status.of(store).n_running == 0


def test_where_it_cannot_say_what_is_given_out_the_runs_are_kept_all_the_same(store, run):
    (store.root / ".out.json").mkdir()
    assert run_missing(store, range(3), lambda run_ids: [run(r) for r in run_ids]) == {}
    assert store.run_ids() == [0, 1, 2]


def test_the_pace_is_that_of_whole_stacks_by_the_clock_of_the_disk(store, run):
    run_missing(store, range(4), lambda run_ids: [run(run_id) for run_id in run_ids])
    note_asked(store, range(4000))
    start = (store.root / ASKED).stat().st_mtime + 1e9  # this machine's clock may be wrong
    os.utime(store.root / ASKED, (start, start))
    assert Status.of(store).runs_per_hour is None  # of earlier drivers
    for run_id in range(4, 20):  # two stacks of 8, two hours each
        store.add(run(run_id))
        at = start + 7200 * (1 if run_id < 12 else 2) + run_id / 1000
        os.utime(store.path(run_id), (at, at))
    status = Status.of(store)
    assert status.runs_per_hour == pytest.approx(4, rel=1e-3)
    assert status.hours_left == pytest.approx(3980 / 4, rel=1e-3)


def test_a_damaged_record_does_not_end_the_status(store, run):
    run_missing(store, range(4), lambda run_ids: [run(run_id) for run_id in run_ids])
    store.path(2).write_bytes(store.path(2).read_bytes()[:-100])
    status = Status.of(store)
    assert (status.n_done, status.n_missing, status.n_damaged) == (3, 1, 1)
    shown = CliRunner().invoke(app, ["sweep", "status", str(store.root)])
    assert shown.exit_code == 0 and "\n1 damaged and left out; memtools sweep run" in shown.stdout
    assert "000002.npz is not a whole record" in shown.stderr


def test_only_checkpoints_of_groups_are_removed_in_the_end(tmp_path):
    unfinished = tmp_path / "unfinished"
    for name in ("000012-0123abcd", "my thesis"):
        (unfinished / name).mkdir(parents=True)
        (unfinished / name / "file").touch()
    remove_checkpoints(unfinished)
    assert [path.name for path in unfinished.iterdir()] == ["my thesis"]
    (unfinished / "my thesis").rename(unfinished / "1234567-0123abcd")
    remove_checkpoints(unfinished)
    remove_checkpoints(unfinished)
    assert list(tmp_path.iterdir()) == []
