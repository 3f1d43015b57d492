"""Work in this process and in others: the same results, and errors that are not lost."""

import functools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from processes import group, lives, run, wait_for

from memtools import workers
from memtools.engines import Lost, outcomes, spread
from memtools.errors import MemtoolsError, NetworkError, RecordError


def square(n):
    return n * n


def where(n):
    return os.getpid()


def fail_at_three(n):
    time.sleep(600 if n > 20 else 0)  # a worker that is late has not missed hundreds
    if n == 3:
        raise RecordError("three is wrong", hint="leave it out")
    return n


def die(n):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_every_item_is_worked_on_once(n_workers):
    found = list(spread(square, range(20), n_workers=n_workers))
    assert sorted(found) == [(n, n * n) for n in range(20)]


def test_one_worker_is_this_process_and_more_are_others():
    assert {pid for _, pid in spread(where, range(3))} == {os.getpid()}
    others = {pid for _, pid in spread(where, range(6), n_workers=2)}
    assert others and os.getpid() not in others


@pytest.mark.parametrize("n_workers", [1, 2])
def test_an_error_ends_the_work_and_comes_as_it_was(n_workers):
    begun = []

    def items():
        for n in range(1000):
            begun.append(n)
            yield n

    with pytest.raises(RecordError, match="three is wrong") as caught:
        list(spread(fail_at_three, items(), n_workers=n_workers))
    assert caught.value.hint == "leave it out"
    assert len(begun) < 50


def test_a_worker_that_dies_without_a_word_is_noticed():
    with pytest.raises(MemtoolsError, match="died without a word"):
        list(spread(die, range(3), n_workers=2))


def test_items_are_taken_as_they_are_needed():
    taken = []

    def items():
        for n in range(100):
            taken.append(n)
            yield n

    first = next(iter(spread(square, items(), n_workers=2)))
    assert first[1] == first[0] ** 2
    assert len(taken) <= 6


ABANDONED = """
import time
from memtools.engines import spread
if __name__ == "__main__":
    for item, _ in spread(time.sleep, [0, 0, 0, 0, *[600] * 8], n_workers=2):
        print(item, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_workers_end_when_their_parent_is_killed():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with group([sys.executable, "-c", ABANDONED], **pipes) as parent:
        assert [parent.stdout.readline() for _ in range(4)] == [b"0\n"] * 4
        parent.kill()
        parent.wait()
        wait_for(lambda: not lives(parent))


def die_at_three(n):
    if n == 3:
        die(n)
    return n


def hang_at_three(n):
    if n == 3:
        time.sleep(600)
    return n


@pytest.mark.parametrize("n_workers", [1, 2])
def test_an_item_that_fails_does_not_end_the_others(n_workers):
    found = dict(outcomes(fail_at_three, range(8), n_workers=n_workers))
    assert isinstance(found[3], Lost) and isinstance(found[3].error, RecordError)
    assert {n for n, each in found.items() if each == n} == {0, 1, 2, 4, 5, 6, 7}


@pytest.mark.parametrize("n_workers", [2, 3])
def test_a_death_costs_the_item_that_it_was_of_and_no_other(n_workers):
    found = list(outcomes(die_at_three, range(20), n_workers=n_workers))
    assert sorted(n for n, _ in found) == list(range(20))
    assert [n for n, each in found if isinstance(each, Lost)] == [3]
    assert all(each == n for n, each in found if n != 3)


class WantsMoreError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def raise_at(n):
    if n == 1:
        raise NetworkError("no line", url="http://here", hint="wait")
    if n == 2:
        raise WantsMoreError("of", "both")
    if n == 3:
        error = ValueError("with a lock")
        error.lock = threading.Lock()
        raise error
    return n


def test_errors_come_back_whatever_they_are_made_of():
    found = dict(outcomes(raise_at, range(5), n_workers=2))
    assert (found[0], found[4]) == (0, 4)
    line = found[1].error
    assert (type(line), str(line), line.url, line.hint) == (
        NetworkError,
        "no line",
        "http://here",
        "wait",
    )
    assert str(found[2].error) == "WantsMoreError: of both"
    assert str(found[3].error) == "ValueError: with a lock"


def backtrack(n):
    """Never gives the interpreter away: one call into C that takes for ever."""
    if n == 3:
        re.match(r"(a+)+$", "a" * 60 + "b")
    return n


@pytest.mark.parametrize("work", [hang_at_three, backtrack])
def test_what_hangs_beyond_its_limit_ends_itself(work):
    found = dict(outcomes(work, range(6), n_workers=2, limit=3.0))
    assert [n for n, each in found.items() if isinstance(each, Lost)] == [3]
    assert "not done within its limit of 3 seconds" in str(found[3].error)
    assert found[0] == 0 and len(found) == 6


def freeze_at_three(n):
    if n == 3:
        os.kill(os.getpid(), signal.SIGSTOP)  # as `kill -STOP`, or a swapped machine, does
    return n


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_worker_that_is_frozen_is_killed_by_the_driver(n_workers, monkeypatch):
    monkeypatch.setattr(workers, "GRACE", 1.0)
    found = dict(outcomes(freeze_at_three, range(6), n_workers=n_workers, limit=0.5))
    assert [n for n, each in found.items() if isinstance(each, Lost)] == [3]
    assert "not done within its limit of 0.5 seconds" in str(found[3].error)
    assert found[0] == 0 and len(found) == 6


def test_an_interrupt_while_workers_start_ends_those_that_have(monkeypatch):
    process, n_started = multiprocessing.get_context("spawn").Process, []
    real = process.start

    def start(self):
        if n_started:
            raise KeyboardInterrupt
        n_started.append(self)
        real(self)

    monkeypatch.setattr(process, "start", start)
    with pytest.raises(KeyboardInterrupt):
        list(outcomes(time.sleep, [600, 600], n_workers=2))
    assert not n_started[0].is_alive()


HELD = """
import time
from memtools.engines import outcomes
if __name__ == "__main__":
    found = outcomes(time.sleep, [0, 600, 600], n_workers=2)
    print(next(found))
"""


def test_what_is_never_read_to_its_end_does_not_keep_the_interpreter():
    done = run([sys.executable, "-c", HELD], text=True)
    assert (done.returncode, done.stdout) == (0, "(0, None)\n"), done.stderr


def sleep_unless_first(directory, n):
    if n:
        (directory / f"begun-{n}").touch()
        try:
            time.sleep(600)
        finally:
            (directory / f"tidied-{n}").touch()
    return n


def test_whoever_stops_early_does_not_wait_for_what_is_under_way(tmp_path):
    found = outcomes(functools.partial(sleep_unless_first, tmp_path), range(9), n_workers=2)
    assert next(found) == (0, 0)
    while not (tmp_path / "begun-1").exists():
        time.sleep(0.01)
    since = time.monotonic()
    found.close()
    assert time.monotonic() - since < 60  # what is under way takes ten minutes
    assert {path.name for path in tmp_path.iterdir()} == {"begun-1", "tidied-1"}
