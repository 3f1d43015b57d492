"""Threads that wait for each other, and end together."""

import threading

import pytest

from memtools.transfer.joint import Joint, StoppedError


def test_a_change_wakes_whoever_waits_for_it():
    joint, done, met = Joint(), [], threading.Event()

    def wait():
        joint.wait_until(lambda: bool(done), 20)
        met.set()

    thread = threading.Thread(target=wait)
    thread.start()
    with joint.changed:
        done.append(1)
        joint.changed.notify_all()
    assert met.wait(20)
    thread.join()


def test_the_end_wakes_everybody_and_the_first_failure_is_kept():
    joint, woken, interrupted = Joint(), [], []
    joint.interrupts.append(lambda: interrupted.append(1))

    def sleep():
        with pytest.raises(StoppedError):
            joint.sleep(60)
        woken.append(1)

    threads = [threading.Thread(target=sleep) for _ in range(3)]
    for thread in threads:
        thread.start()
    first = ValueError("first")
    joint.stop(first)
    joint.stop(ValueError("second"))
    for thread in threads:
        thread.join(20)
    assert woken == [1, 1, 1] and interrupted == [1, 1]
    assert joint.failure is first
    with pytest.raises(StoppedError):
        joint.check()


def test_work_that_goes_on_may_wait_in_vain():
    joint = Joint()
    joint.wait_until(lambda: False, 0.01)
    joint.check()
    assert joint.failure is None
