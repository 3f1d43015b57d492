"""One worker: what is sent is not lost, whoever is late, and a kill hits nothing but its item."""

import os
import signal
import time
from multiprocessing.connection import wait

import pytest
from processes import wait_for

from memtools import engines, workers
from memtools.attempts import Attempt, Lost
from memtools.workers import Begun, Worker

LARGE = 8 << 20  # bytes: far more than a pipe holds, so that sending waits for the reader


@pytest.fixture
def begin():
    """A function that makes a worker, and waits until it has begun with an item."""
    made = []

    def begin(work, item, limit=100.0):
        worker = Worker(Attempt(work, limit), (0, 1))
        made.append(worker)
        worker.give(item)
        assert isinstance(worker.take(), Begun)
        return worker

    yield begin
    for worker in made:
        worker.leave(abruptly=True)
        worker.end(0.0)


def large(n):
    return bytes(n)


def test_a_worker_that_waits_for_its_reader_is_not_late(begin):
    worker = begin(large, LARGE)
    wait([worker._pipe])
    worker._deadline = 0.0  # the driver was away for long, perhaps because its disk hung
    assert engines._wait({worker._pipe: worker}) == [worker]
    assert worker.take() == bytes(LARGE)


def square(n):
    return n * n


def test_a_kill_that_comes_when_an_item_is_done_costs_neither_it_nor_the_next(begin):
    worker = begin(square, 3)
    for n in range(3, 6):
        wait([worker._pipe])
        worker._kill()
        assert worker.take() == n * n
        worker.give(n + 1)
        assert isinstance(worker.take(), Begun)


def pid(n):
    return (os.getpid(), bytes(n))


def test_a_worker_that_freezes_while_it_sends_is_killed_and_its_item_lost(begin, monkeypatch):
    monkeypatch.setattr(workers, "GRACE", 0.5)
    worker = begin(pid, LARGE)
    wait([worker._pipe])  # it has begun to send, and cannot end before somebody reads
    os.kill(worker._process.pid, signal.SIGSTOP)
    outcome = worker.take()
    assert isinstance(outcome, Lost) and "died" in str(outcome.error)
    worker.give(1)
    assert isinstance(worker.take(), Begun)
    assert worker.take()[1] == bytes(1)


def test_an_item_over_its_limit_is_said_to_be_that_however_late_the_driver_looks(monkeypatch):
    worker = Worker(Attempt(time.sleep, 0.5), (0, 1))
    worker.give(600)
    try:
        wait_for(lambda: not worker._process.is_alive())
        assert isinstance(worker.take(), Begun)
        assert "limit of 0.5 seconds" in str(worker.take().error)
    finally:
        worker.leave(abruptly=True)
        worker.end(0.0)
