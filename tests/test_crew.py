"""Threads that work on one file, and the digests that trail behind them."""

import hashlib
import threading

import pytest
from worlds import noise

from memtools.transfer import crew as module
from memtools.transfer.crew import Crew
from memtools.transfer.partial import Partial
from memtools.transfer.piece import Piece

A, B = noise(300_000, 1), noise(200_000, 2)


@pytest.fixture
def work(tmp_path):
    """Makes a file of some pieces, open; closes it in the end."""
    opened = []

    def work(*sizes):
        pieces = [Piece(name, size) for name, size in zip("abc", sizes, strict=False)]
        partial = Partial(tmp_path / "thing", pieces, identity="x")
        opened.append(partial)
        return partial.__enter__(), pieces

    yield work
    for partial in opened:
        partial.__exit__(None, None, None)


def put(partial, piece, data, step=70_000):
    for at in range(0, len(data), step):
        partial.write(piece, at, memoryview(data[at : at + step]))


def of(data):
    return {"md5": hashlib.md5(data).hexdigest(), "sha256": hashlib.sha256(data).hexdigest()}


def test_the_crew_has_done_all_its_work_when_it_is_joined(work):
    partial, (a, b) = work(len(A), len(B))
    crew = Crew(partial)
    crew.start(lambda: put(partial, a, A))
    crew.start(lambda: put(partial, b, B))
    crew.join()
    assert partial.complete


def test_a_trail_has_the_digests_of_the_whole_whatever_arrives_first(work):
    partial, (a, b) = work(len(A), len(B))
    crew = Crew(partial)
    trail = crew.trail("md5", "sha256")
    crew.start(lambda: (put(partial, b, B), put(partial, a, A)))
    crew.join()
    assert trail.digests == of(A + B)
    assert trail.position == len(A + B)


def test_a_trail_longer_than_its_stride_is_right_too(work, monkeypatch):
    monkeypatch.setattr(module, "STRIDE", 10_000)
    partial, (a,) = work(len(A))
    crew = Crew(partial)
    trail = crew.trail("md5", "sha256")
    crew.start(lambda: put(partial, a, A, step=7_001))
    crew.join()
    assert trail.digests == of(A)


def test_a_trail_can_begin_when_everything_is_there(work):
    partial, (a,) = work(len(A))
    put(partial, a, A)
    crew = Crew(partial)
    trail = crew.trail("md5", "sha256")
    crew.join()
    assert trail.digests == of(A)


def test_a_trail_waits_for_a_size_that_is_not_known_yet(work):
    partial, (a,) = work(None)
    crew = Crew(partial)
    trail = crew.trail("md5", "sha256")
    crew.start(lambda: (put(partial, a, A), partial.learn_size(a, len(A))))
    crew.join()
    assert trail.digests == of(A)


def test_the_trail_of_an_empty_file_has_the_digests_of_nothing(work):
    partial, (a,) = work(None)
    crew = Crew(partial)
    trail = crew.trail("md5", "sha256")
    crew.start(lambda: partial.learn_size(a, 0))
    crew.join()
    assert trail.digests == of(b"")


def test_the_first_failure_of_any_thread_is_raised_as_it_is(work):
    partial, _ = work(10)
    failure = KeyError("mine")

    def fail():
        raise failure

    crew = Crew(partial)
    crew.start(lambda: partial.sleep(60))
    crew.start(fail)
    with pytest.raises(KeyError) as caught:
        crew.join()
    assert caught.value is failure
    assert partial.failure is failure


def test_a_failure_ends_the_work_of_all_others(work):
    partial, _ = work(10)
    crew, ended = Crew(partial), threading.Event()

    def wait():
        try:
            partial.wait_until(lambda: False)
        finally:
            ended.set()

    threads = [crew.start(wait), crew.start(lambda: 1 / 0)]
    with pytest.raises(ZeroDivisionError):
        crew.join()
    assert ended.wait(20)
    for each in threads:
        each.join(20)
        assert not each.is_alive()
    assert isinstance(partial.failure, ZeroDivisionError)  # nobody's ending took its place


def test_an_interrupt_inside_a_thread_is_not_lost(work):
    partial, _ = work(10)

    def interrupted():
        raise KeyboardInterrupt

    crew = Crew(partial)
    crew.start(interrupted)
    with pytest.raises(KeyboardInterrupt):
        crew.join()


def test_threads_do_not_keep_a_process_alive(work):
    partial, _ = work(10)
    thread = Crew(partial).start(lambda: partial.sleep(60))
    assert thread.daemon
    partial.stop()
    thread.join(20)


def test_whoever_joins_is_told_now_and_then_and_at_the_end(work):
    partial, (a,) = work(len(A))
    crew, seen = Crew(partial), []
    crew.start(lambda: put(partial, a, A))
    crew.join(lambda: seen.append(a.chain.position))
    assert seen[-1] == len(A)


def test_joining_a_crew_without_work_returns(work):
    partial, _ = work(10)
    seen = []
    Crew(partial).join(lambda: seen.append(1))
    assert seen == [1]
