"""F32, F33: several processes want the same file, with a lock that holds and with one that lies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_server import FaultServer
from processes import LONG, end, wait_for
from worlds import artifact, noise, write_registry

import memtools
from memtools import temporary_files
from memtools.artifacts.fetcher import Terms
from memtools.errors import BusyError, RefusedError
from memtools.transfer import names as names_module
from memtools.transfer.names import Names

SCRIPT = Path(sys.executable).with_name("memtools")
SIZE = 4_000_000
DONE = [".thing.npz.receipt.json", "thing.npz"]
LYING_LOCK = """
import fcntl
fcntl.flock = lambda descriptor, operation: None
"""


class World:
    """One published file, and processes that want it in the same directory."""

    def __init__(self, tmp_path: Path, server: FaultServer) -> None:
        self.server = server
        self.data = noise(SIZE)
        (server.directory / "thing.bin").write_bytes(self.data)
        self.registry = write_registry(
            tmp_path / "registry.toml", artifact(["thing.bin"], [self.data])
        )
        self.to = tmp_path / "to"
        self.names = Names(self.to / "thing.npz")
        self.started: list[subprocess.Popen[str]] = []

    def mirror(self, *faults: str) -> str:
        return self.server.base + "".join(f"/f/{fault}" for fault in faults)

    def start(self, *faults: str, shim: str = "", options: tuple[str, ...] = ()) -> None:
        run = f"{shim}\nfrom memtools_cli.main import app\napp()"
        where = ["--registry", str(self.registry), "--to", str(self.to)]
        where += ["--mirror", self.mirror(*faults), *options]
        command = [sys.executable, "-c", run, "fetch", "thing", *where]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, start_new_session=True, **pipes)  # type: ignore[call-overload]
        self.started.append(process)

    def ends(self) -> list[tuple[int, str, str]]:
        """(exit code, stdout, stderr) of every process, when all have ended."""
        outputs = [process.communicate(timeout=LONG) for process in self.started]
        codes = [process.returncode for process in self.started]
        return [(code, *output) for code, output in zip(codes, outputs, strict=True)]

    def fetch(self, *faults: str, wait: bool = True) -> Path:
        where = {"registries": [self.registry], "mirror": self.mirror(*faults)}
        return memtools.fetch("thing", self.to, terms=Terms(wait=wait), **where)  # type: ignore[arg-type]

    def assert_done(self) -> None:
        assert (self.to / "thing.npz").read_bytes() == self.data
        assert sorted(os.listdir(self.to)) == DONE

    @property
    def n_sent(self) -> int:
        return int(self.server.stats()["total"]["bytes"])


@pytest.fixture
def world(tmp_path: Path, server: FaultServer) -> Iterator[World]:
    world = World(tmp_path, server)
    yield world
    for process in world.started:
        end(process)


# -- F32: the lock holds


@pytest.mark.parametrize("pause", [0.0, 0.15, 0.5])
def test_two_processes_bring_one_file_once(world: World, pause: float) -> None:
    world.start("slow/4000")
    time.sleep(pause)
    world.start("slow/4000")
    ends = world.ends()
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert {stdout for _, stdout, _ in ends} == {f"{world.to / 'thing.npz'}\n"}
    world.assert_done()
    assert world.n_sent <= 1.1 * SIZE


def test_whoever_waits_says_so(world: World) -> None:
    world.start("slow/1000")
    wait_for(lambda: world.n_sent > 100_000)
    world.start("slow/4000")
    first, second = world.ends()
    assert "waiting for another process" in second[2]
    assert "waiting" not in first[2]


def test_without_waiting_the_second_says_busy_and_the_first_goes_on(world: World) -> None:
    world.start("slow/1000")
    wait_for(lambda: world.n_sent > 100_000)
    n_requests = len(world.server.log())
    world.start("slow/4000", options=("--no-wait",))
    first, second = world.ends()
    assert first[0] == 0
    assert second[:2] == (7, "")
    assert len(second[2].splitlines()) == 2
    assert len(world.server.log()) == n_requests
    world.assert_done()


def test_many_processes_of_which_the_first_is_killed_bring_one_file_once(world: World) -> None:
    world.start("stall/1000000")
    wait_for(lambda: world.n_sent >= 1_000_000)
    for _ in range(3):
        world.start()
    time.sleep(0.3)  # some wait by now, and some have not begun
    world.started[0].kill()
    before = world.n_sent
    ends = world.ends()
    assert [code for code, _, _ in ends] == [-signal.SIGKILL, 0, 0, 0], ends
    world.assert_done()
    assert world.n_sent - before <= 1.1 * SIZE


def test_when_the_first_is_refused_the_second_goes_on_with_its_bytes(world: World) -> None:
    world.start("slow/4000", "truncate-at/2000000", "after/1", "status/403")
    wait_for(lambda: world.n_sent > 1_000_000)
    world.start()
    first, second = world.ends()
    assert (first[0], second[0]) == (4, 0)
    world.assert_done()
    assert world.n_sent <= 1.1 * SIZE


# -- F33: stale locks, dead owners


def test_the_lock_file_of_a_killed_process_stops_nobody(world: World) -> None:
    world.start("slow/4000")
    wait_for(lambda: world.n_sent > 1_000_000)
    world.started[0].kill()
    world.ends()
    assert world.names.lock.exists()
    world.fetch(wait=False)
    world.assert_done()


def test_fetch_leaves_alone_file_of_user_where_its_lock_goes(world: World) -> None:
    world.to.mkdir()
    world.names.lock.write_text("12345\n")
    world.fetch(wait=False)
    assert world.names.lock.read_text() == "12345\n"
    world.names.lock.unlink()
    world.assert_done()


def half_done(world: World) -> tuple[bytes, bytes]:
    """The bytes and the state of a download that ended half way."""
    with pytest.raises(RefusedError):
        world.fetch("truncate-at/3000000", "after/1", "status/403")
    state = names_module.state_of(world.names.part)
    bytes_and_state = world.names.part.read_bytes(), state.read_bytes()
    world.names.part.unlink()
    state.unlink()
    world.server.reset()
    return bytes_and_state


def leave(world: World, owner: str, bytes_and_state: tuple[bytes, bytes]) -> Path:
    """Put bytes and state into the hands of an owner."""
    part = world.to / f"thing.npz.part.{owner}"
    part.write_bytes(bytes_and_state[0])
    names_module.state_of(part).write_bytes(bytes_and_state[1])
    return part


def owner_of_this_process() -> list[str]:
    return temporary_files.new_owner().split("-")


def test_what_a_dead_owner_left_is_taken_over(world: World) -> None:
    host = owner_of_this_process()[0]
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    leave(world, f"{host}-{dead.pid}-1234-abcd", half_done(world))
    world.fetch()
    world.assert_done()
    assert world.n_sent == SIZE - 3_000_000


def test_a_process_id_used_again_does_not_keep_a_dead_owner_alive(world: World) -> None:
    host, pid, started, _ = owner_of_this_process()
    if started == "0":
        pytest.skip("this system does not tell when a process began")
    leave(world, f"{host}-{pid}-{int(started) - 1}-abcd", half_done(world))
    world.fetch()
    world.assert_done()
    assert world.n_sent == SIZE - 3_000_000


def test_what_a_live_owner_holds_is_left_alone(world: World) -> None:
    host, pid, started, _ = owner_of_this_process()
    bytes_and_state = half_done(world)
    part = leave(world, f"{host}-{pid}-{started}-abcd", bytes_and_state)
    world.fetch()
    assert world.n_sent == SIZE
    assert (world.to / "thing.npz").read_bytes() == world.data
    state = names_module.state_of(part)
    assert (part.read_bytes(), state.read_bytes()) == bytes_and_state
    assert sorted(os.listdir(world.to)) == [*DONE, part.name, state.name]


@pytest.mark.parametrize("beats", [True, False])
def test_an_owner_on_another_host_is_watched_for_a_heartbeat(world: World, beats: bool) -> None:
    part = leave(world, "0badf00d-1-1-abcd", half_done(world))
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if beats:
            names_module.state_of(part).write_bytes(b"{}" * len(waits))

    found = world.names.abandoned(sleep)
    assert found == ([] if beats else [part])
    assert waits == [3 * names_module.HEARTBEAT]


# -- F33: the lock lies


def writers(directory: Path) -> dict[int, set[int]]:
    """Which processes have each file (by inode) of a directory open for writing (Linux)."""
    found: dict[int, set[int]] = {}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            name = os.readlink(link)
            if not name.startswith(f"{directory}/thing.npz.part") or name.endswith(".lock"):
                continue
            info = (link.parent.parent / "fdinfo" / link.name).read_text()
            inode = link.stat().st_ino
        except OSError:  # closed, or ended, meanwhile
            continue
        flags = re.search(r"flags:\s*(\d+)", info)
        if flags and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY:
            found.setdefault(inode, set()).add(int(link.parts[2]))
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("pause", [0.0, 0.4])
def test_when_the_lock_lies_no_two_processes_write_to_one_file(world: World, pause: float) -> None:
    world.start("slow/1000", shim=LYING_LOCK)
    time.sleep(pause)
    world.start("slow/1000", shim=LYING_LOCK)
    seen: dict[int, set[int]] = {}
    while any(process.poll() is None for process in world.started):
        for inode, pids in writers(world.to).items():
            assert len(pids) == 1, "two writers on one file"
            seen.setdefault(inode, set()).update(pids)
    ends = world.ends()
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert len(seen) >= 2, "the lock did not lie"
    world.assert_done()
    assert world.n_sent <= 2 * SIZE


def test_when_the_lock_lies_one_takes_over_from_the_dead_and_all_are_right(world: World) -> None:
    world.start("slow/2000", shim=LYING_LOCK)
    wait_for(lambda: world.n_sent > 2_000_000)
    world.started[0].kill()
    for _ in range(3):
        world.start("slow/8000", shim=LYING_LOCK)
    ends = world.ends()
    assert [code for code, _, _ in ends] == [-signal.SIGKILL, 0, 0, 0], ends
    world.assert_done()


def test_when_the_lock_lies_the_failure_of_one_does_not_harm_the_other(world: World) -> None:
    world.start("slow/4000", "flip-byte/3999999", shim=LYING_LOCK)
    time.sleep(0.2)
    world.start("slow/2000", shim=LYING_LOCK)
    wrong, right = world.ends()
    assert wrong[:2] == (5, "")
    assert right[:2] == (0, f"{world.to / 'thing.npz'}\n"), right
    world.assert_done()


def test_when_the_lock_lies_an_interrupted_one_does_not_harm_the_other(world: World) -> None:
    world.start("slow/2000", shim=LYING_LOCK)
    wait_for(lambda: world.n_sent > 500_000)
    world.start("slow/4000", shim=LYING_LOCK)
    wait_for(lambda: world.n_sent > 2_000_000)
    world.started[0].send_signal(signal.SIGINT)
    first, second = world.ends()
    assert first[:2] == (130, "")
    assert second[0] == 0, second
    world.assert_done()


def test_whoever_lost_its_file_to_another_process_says_so_and_publishes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memtools.artifacts.assembly import Assembly

    gather = Assembly._gather

    def robbed(self: Assembly) -> dict[str, str]:
        digests = gather(self)
        self.partial._own.rename(self.partial._own.with_name("taken"))
        return digests

    monkeypatch.setattr(Assembly, "_gather", robbed)
    with pytest.raises(BusyError, match="taken over"):
        world.fetch()
    assert not (world.to / "thing.npz").exists()
    assert (world.to / "taken").read_bytes() == world.data
