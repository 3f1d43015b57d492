"""How long to wait for a network, and how often to try again.

budget = Budget(USUAL_PATIENCE)
budget.spend(fault, received=n_bytes)     # sleeps, or raises NetworkError
"""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable

from memtools.errors import NetworkError

REFILL = 64 * 1024  # bytes: a connection that brings this much was worth opening


@dataclasses.dataclass(frozen=True)
class Patience:
    """Limits of every wait, in seconds unless the name says otherwise.

    connect: for a connection. read: without a single byte, and the span over
    which `min_speed` (bytes per second) is measured. tries, total: how many
    faults in a row, and how much waiting between them, without progress.
    longest_wait: the longest `Retry-After` that is honoured.
    """

    connect: float = 10.0
    read: float = 30.0
    min_speed: float = 1024.0
    tries: int = 6
    total: float = 120.0
    longest_wait: float = 120.0
    first_delay: float = 0.5


USUAL_PATIENCE = Patience()


class TransientError(Exception):
    """A fault that may be gone next time; `wait` is what the server asked for, in seconds."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class Budget:
    """Counts faults in a row, and waits between them: exponential, with jitter.

    It refills whenever `REFILL` new bytes were kept since it was last full, so
    that a bad line costs many short connections, but a dead one ends.
    """

    def __init__(self, patience: Patience, sleep: Callable[[float], object] = time.sleep) -> None:
        self._patience = patience
        self._sleep = sleep
        self._faults = 0
        self._waited = 0.0
        self._received = 0

    def spend(self, fault: TransientError, url: str, received: int) -> None:
        """Wait as one fault deserves; `NetworkError` when the budget is used up.

        received: all new bytes kept so far, of which only the growth counts.
        """
        patience = self._patience
        if received - self._received >= REFILL:
            self._faults, self._waited, self._received = 0, 0.0, received
        self._faults += 1
        if fault.wait is not None and fault.wait > patience.longest_wait:
            raise NetworkError(
                f"{url}: {fault}: the server asks to wait {fault.wait:.0f} s",
                url=url,
                hint=f"run the same command again in {fault.wait / 60:.0f} minutes: it resumes",
            )
        if self._faults >= patience.tries or self._waited >= patience.total:
            raise NetworkError(
                f"{url}: {fault}: gave up after {self._faults} tries"
                f" and {self._waited:.0f} s of waiting without progress",
                url=url,
            )
        if fault.wait is None:
            delay = patience.first_delay * 2 ** (self._faults - 2) if self._faults > 1 else 0.0
            delay *= random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        else:
            delay = fault.wait
        delay = min(delay, max(patience.total - self._waited, 0.0))
        self._waited += delay
        self._sleep(delay)
