"""Threads that work on one unfinished file, and the digests that trail behind them.

    crew = Crew(partial)
    trail = crew.trail("md5", "sha256")
    crew.start(lambda: download(partial, piece, url, patience))
    crew.join()                       # raises the first failure of any thread
    trail.digests                     # {"md5": "...", "sha256": "..."}

The threads are daemons: one that waits for a dead network must not keep the
process alive after an interrupt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from memtools.files import CHUNK, new_hash
from memtools.transfer.joint import StoppedError
from memtools.transfer.partial import Partial

TICK = 0.1  # seconds between two looks at the progress
STRIDE = 2 << 20  # bytes that a trail waits for: each waking costs


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

    def trail(self, *algorithms: str) -> Trail:
        """Compute digests of the whole file while its bytes arrive."""
        trail = Trail(self._partial, algorithms)
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
    """Digests of a growing file, read from the page cache right behind the writer.

    One thread for all of them: what the first has read is in the processor's cache
    for the next, and on two cores that beats a thread for each.
    """

    def __init__(self, partial: Partial, algorithms: Sequence[str]) -> None:
        self.position = 0
        self.digests: dict[str, str] = {}
        self._partial = partial
        self._hashes = {name: new_hash(name) for name in algorithms}

    def run(self) -> None:
        """Follow the bytes to their end; then `digests` are there."""
        partial = self._partial
        if not self._hashes:
            return
        while self.position != partial.size:
            partial.wait_until(self._worth_reading)
            length = min(partial.frontier - self.position, 4 * STRIDE)
            if length:  # an empty file cannot be mapped
                with partial.window(self.position, length) as data:
                    self._update(data)
            self.position += length
        self.digests = {name: each.hexdigest() for name, each in self._hashes.items()}

    def _update(self, data: memoryview) -> None:
        for start in range(0, len(data), CHUNK):
            with data[start : start + CHUNK] as chunk:
                for each in self._hashes.values():
                    each.update(chunk)

    def _worth_reading(self) -> bool:
        """A stride is there, or the last bytes are, or nothing is left to come."""
        frontier = self._partial.frontier
        return frontier - self.position >= STRIDE or frontier == self._partial.size
