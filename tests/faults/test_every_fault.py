"""Every fault that the server knows, met in every way: what must hold whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fault_server import FAULTS, FaultServer
from offers import MIB, Offer, Watch
from worlds import noise

from memtools.errors import MemtoolsError

SIZE = 180_000
WHOLES = {1: [noise(SIZE)], 3: [noise(SIZE // 3, seed) for seed in range(3)]}
ENDLESS = 10**9

# How each fault is asked for, and the exit codes that it ends in: met by every request, and
# met by every request but the first, which is cut.
OK, NETWORK, REFUSED, INTEGRITY = 0, 3, 4, 5
ARGUMENTS: dict[str, tuple[str, int, int]] = {
    "status": ("status/403", REFUSED, REFUSED),
    "500-always": ("500-always", NETWORK, NETWORK),
    "503-then-ok": ("503-then-ok/2", OK, OK),
    "429-then-ok": ("429-then-ok/2", OK, OK),
    "429": ("429", NETWORK, NETWORK),
    "416": ("416", OK, OK),
    "html-200": ("html-200", REFUSED, REFUSED),
    "html-302": ("html-302", REFUSED, REFUSED),
    "redirect": ("redirect/2", OK, OK),
    "redirect-loop": ("redirect-loop", REFUSED, REFUSED),
    "redirect-to": ("redirect-to", REFUSED, REFUSED),  # to /, where nothing is
    "redirect-to-file-scheme": ("redirect-to-file-scheme", REFUSED, REFUSED),
    "ignore-range": ("ignore-range", OK, OK),
    "cap-range": ("cap-range/9000", OK, OK),
    "wrong-206": ("wrong-206", OK, OK),
    "lying-206": ("lying-206", OK, OK),
    "no-content-range": ("no-content-range", OK, OK),
    "200-with-content-range": ("200-with-content-range", OK, OK),
    "wrong-total": ("wrong-total", OK, OK),
    "206-always": ("206-always", OK, OK),
    "etag-changes": ("etag-changes", OK, OK),
    "content-changes": ("content-changes", OK, INTEGRITY),  # wrong from the second answer on
    "ignore-if-range": ("ignore-if-range", OK, OK),
    "weak-etag": ("weak-etag", OK, OK),
    "no-validators": ("no-validators", OK, OK),
    "head-405": ("head-405", OK, OK),
    "head-lies": ("head-lies", OK, OK),
    "no-length": ("no-length", OK, OK),
    "close-delimited": ("close-delimited", OK, OK),
    "length": ("length/50", INTEGRITY, NETWORK),
    "gzip-encoding": ("gzip-encoding", REFUSED, REFUSED),
    "gzip-if-accepted": ("gzip-if-accepted", OK, OK),
    "gzip-bad-length": ("gzip-bad-length", REFUSED, REFUSED),
    "label-gzip": ("label-gzip", REFUSED, REFUSED),
    "evil-disposition": ("evil-disposition", OK, OK),
    "flip-byte": ("flip-byte/30000", INTEGRITY, INTEGRITY),
    "zero-block": ("zero-block/30000/500", INTEGRITY, INTEGRITY),
    "silent-truncate": ("silent-truncate/40000", INTEGRITY, INTEGRITY),
    "silent-extend": ("silent-extend/5", INTEGRITY, INTEGRITY),
    "empty": ("empty", INTEGRITY, INTEGRITY),
    "swap-with": ("swap-with/registry.toml", INTEGRITY, INTEGRITY),
    "truncate-at": ("truncate-at/40000", OK, OK),
    "reset-at": ("reset-at/40000", OK, OK),
    "wall-at": ("wall-at/40000", NETWORK, NETWORK),
    "stall": ("stall/40000", OK, OK),
    "stall-headers": ("stall-headers", NETWORK, NETWORK),
    "drip": ("drip/40000/0.05", OK, OK),
    "slow": ("slow/1000", OK, OK),
    "overrun": ("overrun/500", OK, OK),
    "bad-chunk": ("bad-chunk", NETWORK, NETWORK),
    "close-early": ("close-early", NETWORK, NETWORK),
    "bad-status-line": ("bad-status-line", NETWORK, NETWORK),
    "stale-keepalive": ("stale-keepalive", OK, OK),
}
WAYS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "always": lambda fault: (fault,),
    "once": lambda fault: ("first/1", fault),
    "after a cut": lambda fault: ("truncate-at/20000", "after/1", f"truncate-at/{ENDLESS}", fault),
}


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    """One server for all: to start and stop so many takes longer than the tests."""
    with FaultServer(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def server(standing: FaultServer) -> FaultServer:
    standing.reset()
    return standing


def test_no_fault_of_the_server_is_left_out() -> None:
    assert set(ARGUMENTS) == set(FAULTS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n_parts", [1, 3])
@pytest.mark.parametrize("fault", ARGUMENTS)
def test_whatever_goes_wrong_the_bytes_are_right_or_not_there(
    offer: Callable[..., Offer], fault: str, n_parts: int, way: str
) -> None:
    path, *codes = ARGUMENTS[fault]
    thing = offer(*WAYS[way](path), contents=WHOLES[n_parts], query="retry-after=0")
    code = OK
    with Watch() as watch:
        try:
            thing.fetch(read=0.3, tries=4)
        except MemtoolsError as error:
            code = error.exit_code
            thing.is_clean()
            assert str(error).strip()
            assert error.hint.strip()
        else:
            thing.is_right()
    assert watch.seconds < 40  # a silent server is silent for a minute
    if way != "once":
        assert code == codes[way == "after a cut"]
    assert thing.served() <= 2 * SIZE + MIB * len(thing.requests())

    # And once nothing goes wrong any more, what was left behind stands in nobody's way.
    thing.publish()
    thing.succeeds()
