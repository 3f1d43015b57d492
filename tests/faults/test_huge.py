"""F36: beyond 2 and 4 GiB nothing wraps, and memory does not grow with the file.

Offsets are tested on sparse files, against a server whose file of 5 GiB needs no disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_server import FaultServer, virtual_bytes, virtual_md5
from worlds import write_registry

from memtools.transfer.answers import Wish, ask
from memtools.transfer.chain import MAX_BLOCKS, MIN_BLOCK, Chain
from memtools.transfer.downloader import download
from memtools.transfer.partial import Partial
from memtools.transfer.patience import Patience
from memtools.transfer.piece import Piece, describe, load

GIB = 1 << 30
HUGE = 5 * GIB
ONE_TRY = Patience(tries=1)
EDGES = [2 * GIB - 1, 2 * GIB, 4 * GIB - 1, 4 * GIB, 4 * GIB + 1]


@pytest.mark.parametrize("start", EDGES)
def test_a_range_at_two_and_four_gib_is_asked_for_and_judged_exactly(
    server: FaultServer, start: int
) -> None:
    wish = Wish(start=start, stop=start + 1000, size=HUGE)
    with ask(server.url(f"@{HUGE}"), wish, ONE_TRY) as answer:
        body = b"".join(map(bytes, answer.chunks()))
    assert (answer.start, answer.stop, answer.size) == (start, start + 1000, HUGE)
    assert body == virtual_bytes(start, start + 1000)
    assert server.log()[0]["range"] == f"bytes={start}-{start + 999}"


@pytest.mark.parametrize("limit", EDGES)
def test_a_chain_bridges_two_and_four_gib(limit: int) -> None:
    chain = Chain(("sha256",), HUGE)
    chain.position = limit - 10
    chain.extend(memoryview(bytes(20)))
    assert chain.position == limit + 10
    assert chain.gap() == (limit + 10, HUGE)
    claims = Chain.from_json(("sha256",), chain.to_json())
    assert limit + 10 in claims.claims
    assert claims.claims[limit + 10] == chain.links[limit + 10]


def test_the_state_of_367_gb_stays_small_and_is_read_back_exactly(tmp_path: Path) -> None:
    size = 367_000_000_000
    piece = Piece("a", size)
    assert piece.chain.block_size > MIN_BLOCK
    ends = range(piece.chain.block_size, size, piece.chain.block_size)
    assert len(ends) <= MAX_BLOCKS
    piece.chain.claims = dict.fromkeys(ends, "0" * 40)
    state = describe("it", [piece])
    assert len(state) < 1 << 20
    (tmp_path / "state").write_bytes(state)
    again = Piece("a", size)
    load(tmp_path / "state", "it", [again])
    assert again.chain.claims == piece.chain.claims


@pytest.fixture
def unfinished(tmp_path: Path) -> Iterator[Partial]:
    """Two pieces, the first of just over 4 GiB, on a disk that stores holes for free."""
    pieces = [Piece("a", 4 * GIB + 5_000_000), Piece("b", 3_000_000)]
    with Partial(tmp_path / "huge", pieces, identity="it") as partial:
        os.ftruncate(partial._fd, sum(piece.size or 0 for piece in pieces))
        if os.fstat(partial._fd).st_blocks * 512 > GIB:
            pytest.skip("needs a file system with sparse files")
        yield partial


def test_bytes_behind_four_gib_are_resumed_and_written_where_they_belong(
    unfinished: Partial, server: FaultServer
) -> None:
    first, second = unfinished.pieces
    first.chain.position = held = 4 * GIB - 3_000_000  # as if they had been proven
    url = server.url(f"@{first.size}", "first/1", "truncate-at/3500000")
    download(unfinished, first, url, Patience(first_delay=0.0))
    download(unfinished, second, server.url(f"@{second.size}"), ONE_TRY)
    assert unfinished.complete
    ranges = [entry["range"] for entry in server.log()]
    assert ranges == [f"bytes={held}-", f"bytes={held + 3_500_000}-", None]
    assert server.stats()["total"]["bytes"] == 8_000_000 + 3_000_000
    with unfinished._own.open("rb") as file:
        file.seek(held)
        assert file.read(8_000_000) == virtual_bytes(held, held + 8_000_000)
        assert file.read() == virtual_bytes(0, 3_000_000)
    with unfinished.window(4 * GIB - 10, 20) as data:
        assert bytes(data) == virtual_bytes(4 * GIB - 10, 4 * GIB + 10)


def test_claims_behind_four_gib_are_proven_by_reading_there(
    unfinished: Partial, server: FaultServer
) -> None:
    first, _ = unfinished.pieces
    first.chain.position = held = 4 * GIB + 10
    before = first.chain.branch()
    unfinished.write(first, held, memoryview(virtual_bytes(held, held + 1000)))
    links = first.chain.links
    first.chain = before  # forget what is held, and keep the claims
    first.chain.claims = {held + 1000: links[held + 1000]}
    first.chain.position = held
    unfinished.recheck(first)
    assert first.chain.position == held + 1000


# -- memory


PEAK = """
import atexit
from pathlib import Path
def tell():
    status = Path("/proc/self/status").read_text()
    print("peak", status.partition("VmHWM:")[2].split()[0])
atexit.register(tell)
"""


def peak(*arguments: object) -> int:
    """The largest resident size of a Python process, in bytes."""
    command = [sys.executable, "-c", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.rpartition("peak ")[2]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_300_mb_cost_less_than_64_mib_above_a_bare_interpreter(
    tmp_path: Path, server: FaultServer
) -> None:
    size = 300_000_000
    table = f"""
        [[artifact]]
        name = "huge"
        file = "huge.bin"
        dataset = "cifar100"
        kind = "checkpoints"
        order = "official"
        definition = "none"
        direction = "none"
        paper = "none"
        md5 = "{virtual_md5(size)}"
        [[artifact.parts]]
        url = "@{size}"
        size = {size}
    """
    registry = write_registry(tmp_path / "registry.toml", table)
    where = ["--registry", registry, "--to", tmp_path]
    app = f"{PEAK}from memtools_cli.main import app\napp()"
    bare = peak(PEAK)
    assert peak(app, "fetch", "huge", *where, "--mirror", server.base) - bare < 64 << 20
    assert (tmp_path / "huge.bin").stat().st_size == size
    assert peak(app, "verify", "huge", *where) - bare < 64 << 20
