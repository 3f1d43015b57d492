"""The runs that a store lacks, and nothing twice."""

import pytest

from memtools.errors import BusyError, ConfigError
from memtools.files import locked
from memtools.runs.record import Failure
from memtools.runs.sweep import parse_runs, run_missing


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
