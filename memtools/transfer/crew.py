"""Threads that work on one unfinished file, and the digests that trail behind them.

    crew = Crew(partial)
    trail = crew.trail("md5")
    crew.start(lambda: download(partial, piece, url, patience))
    crew.join()                       # raises the first failure of any thread
    trail.digest                      # hex

The threads are daemons: one that waits for a dead network must not keep the
process alive after an interrupt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from memtools.files import new_hash
from memtools.transfer.partial import Partial, StoppedError

TICK = 0.1  # seconds between two looks at the progress
STRIDE = 2 << 20  # bytes that a digest waits for: each waking costs


class Crew:
    """Starts threads for one `Partial`; a failure in any ends the work of all."""

    def __init__(self, partial: Partial) -> None:
        self._partial = partial
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], object]) -> threading.Thread:
        """Do some work in a thread of its own."""

        def run() -> None:
            try:
                work()
            except StoppedError:
                pass  # the failure that stopped it is with the partial already
            except BaseException as failure:  # noqa: BLE001 - raised again by join
                self._partial.stop(failure)

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def trail(self, algorithm: str) -> Trail:
        """Compute a digest of the whole file while its bytes arrive."""
        trail = Trail(self._partial, algorithm)
        self.start(trail.run)
        return trail

    def join(self, tick: Callable[[], object] = lambda: None) -> None:
        """Wait for all threads, calling `tick` now and then; raise the first failure."""
        while alive := [thread for thread in self._threads if thread.is_alive()]:
            if self._partial.failure is not None:
                raise self._partial.failure
            tick()
            alive[0].join(TICK)
        if self._partial.failure is not None:
            raise self._partial.failure
        tick()


class Trail:
    """A digest of a growing file, read from the page cache right behind the writer."""

    def __init__(self, partial: Partial, algorithm: str) -> None:
        self.algorithm = algorithm
        self.position = 0
        self.digest = ""
        self._partial = partial

    def run(self) -> None:
        """Follow the bytes to their end; then `digest` is there."""
        partial, running = self._partial, new_hash(self.algorithm)
        while self.position != partial.size:
            partial.wait_until(self._worth_reading)
            length = min(partial.frontier - self.position, 4 * STRIDE)
            with partial.window(self.position, length) as data:
                running.update(data)
            self.position += length
        self.digest = running.hexdigest()

    def _worth_reading(self) -> bool:
        """A stride is there, or the last bytes are, or nothing is left to come."""
        frontier = self._partial.frontier
        return frontier - self.position >= STRIDE or frontier == self._partial.size
