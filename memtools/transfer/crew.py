"""Threads that work on one unfinished file, and the digests that trail behind them.

    crew = Crew(partial)
    trail = crew.trail(("md5",))
    crew.start(lambda: download(partial, piece, url, patience))
    crew.join()                       # raises the first failure of any thread
    trail.digests                     # {"md5": "..."}

The threads are daemons: one that waits for a dead network must not keep the
process alive after an interrupt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from memtools.files import CHUNK, new_hash
from memtools.transfer.partial import Partial, Piece, StoppedError

TICK = 0.1  # seconds between two looks at the progress


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
            except BaseException as failure:
                self._partial.stop(failure)

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def trail(self, algorithms: Sequence[str], piece: Piece | None = None) -> Trail:
        """Compute digests of the file, or of one piece, while its bytes arrive."""
        trail = Trail(self._partial, algorithms, piece)
        trail.thread = self.start(trail.run)
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
    """Digests of a growing file or piece, read from the page cache right behind the writer."""

    thread: threading.Thread

    def __init__(self, partial: Partial, algorithms: Sequence[str], piece: Piece | None) -> None:
        self._partial = partial
        self._piece = piece
        self._algorithms = algorithms
        self.position = 0
        self.digests: dict[str, str] = {}

    def run(self) -> None:
        """Follow the bytes to their end; then `digests` is filled."""
        partial, piece = self._partial, self._piece
        base = 0
        if piece is not None:  # git_blob needs the size before the first byte
            partial.wait_until(lambda: partial.offset(piece) is not None and piece.size is not None)
            base = partial.offset(piece) or 0
        hashes = {name: new_hash(name, self._size or 0) for name in self._algorithms}
        while self.position != self._size:
            partial.wait_until(self._worth_reading)
            data = partial.read(base + self.position, min(CHUNK, self._ahead))
            for each in hashes.values():
                each.update(data)
            self.position += len(data)
        self.digests = {name: each.hexdigest() for name, each in hashes.items()}

    @property
    def _size(self) -> int | None:
        return self._partial.size if self._piece is None else self._piece.size

    @property
    def _ahead(self) -> int:
        """How many bytes are held and not yet read here."""
        source = self._partial if self._piece is None else self._piece.coverage
        return source.frontier - self.position

    def _worth_reading(self) -> bool:
        """A chunk is there, or the last bytes are, or nothing is left to come."""
        ahead = self._ahead
        return ahead >= CHUNK or (
            self._size is not None and self.position + ahead >= self._size
        )
