"""What the tests of faults share: offers of a faulty server, and what memtools notes meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from fault_server import FaultServer
from offers import Offer
from worlds import noise

WHOLE = noise(300_000)


@pytest.fixture
def offer(server: FaultServer, tmp_path: Path) -> Callable[..., Offer]:
    """offer("truncate-at/5000"): an artifact of 300 kB, or of `contents`, behind faults."""

    def make(
        *faults: str, contents: Sequence[bytes] = (WHOLE,), query: str = "", **facts: object
    ) -> Offer:
        made = Offer(server, tmp_path / "kept", contents, **facts)
        made.publish(*faults, query=query)
        return made

    return make


@pytest.fixture
def notes() -> Iterator[list[str]]:
    """What memtools notes while it goes on: one string each."""
    taken: list[str] = []

    class Taker(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            taken.append(record.getMessage())

    log, taker = logging.getLogger("memtools"), Taker()
    log.addHandler(taker)
    yield taken
    log.removeHandler(taker)
