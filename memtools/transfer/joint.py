"""Work of several threads that ends together: a change wakes all, a failure stops all.

joint.wait_until(lambda: joint.frontier > 100)   # StoppedError once the work has ended
joint.stop(failure)                              # from any thread
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class StoppedError(Exception):
    """Raised in a worker thread when the whole work has ended already."""


class Joint:
    """What threads at the same work share; everything here may be called from any of them.

    changed: notified after each change. interrupts: wake whoever waits for a network.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.interrupts: list[Callable[[], object]] = []
        self._stopped = False
        self._failure: BaseException | None = None

    def stop(self, failure: BaseException | None = None) -> None:
        """End all work; the first failure is kept for `check`."""
        with self.changed:
            self._failure = self._failure or failure
            self._stopped = True
            self.changed.notify_all()
            interrupts = list(self.interrupts)
        for interrupt in interrupts:
            interrupt()

    @property
    def failure(self) -> BaseException | None:
        """The first failure of any thread."""
        return self._failure

    def check(self) -> None:
        """Raise `StoppedError` if the work has ended."""
        if self._stopped:
            raise StoppedError

    def sleep(self, seconds: float) -> None:
        """Sleep, but wake at once (with `StoppedError`) when the work ends."""
        self.wait_until(lambda: False, seconds)

    def wait_until(self, ready: Callable[[], bool], seconds: float | None = None) -> None:
        """Sleep until `ready()`, which is asked after each change, or for so many seconds."""
        with self.changed:
            self.changed.wait_for(lambda: ready() or self._stopped, seconds)
            self.check()
