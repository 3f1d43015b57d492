"""F29, F30: killed at any instant, or asked to stop; the next run finishes, and pays little.

The real command runs in a process of its own, against a server slow enough to be
interrupted. What was sent twice is counted by the server, what was kept by the state file.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import processes
import pytest
from fault_server import FaultServer
from processes import LONG, wait_for
from worlds import artifact, noise, write_registry

from memtools import fetch
from memtools.transfer.names import Names

SCRIPT = Path(sys.executable).with_name("memtools")
MIB = 1 << 20
BLOCK = 16 * MIB
ENDINGS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
PLAIN = "redirect/0"  # no fault, but a URL of its own


@pytest.fixture(autouse=True)
def hangups_are_heard() -> Iterator[None]:
    """Whoever runs the tests under nohup ignores them, and so would every process begun here."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


STARTED = contextlib.ExitStack()


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """Start processes that end with the test."""
    yield
    STARTED.close()


class World:
    """A published file in parts, its server, and a directory to bring it to."""

    def __init__(self, tmp_path: Path, server: FaultServer, sizes: list[int]) -> None:
        self.server = server
        # Small buffers: what the kernel takes over and nobody receives counts as served.
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        self.contents = [noise(size, seed) for seed, size in enumerate(sizes)]
        self.names = [f"thing_a{'abcd'[n]}.bin" for n in range(len(sizes))]
        for name, data in zip(self.names, self.contents, strict=True):
            (server.directory / name).write_bytes(data)
        table = artifact(self.names, self.contents)
        self.registry = write_registry(tmp_path / "registry.toml", table)
        self.whole = b"".join(self.contents)
        self.to = tmp_path / "to"

    def command(self, *faults: str, shim: str = "", to: Path | None = None) -> list[str]:
        """`memtools fetch` through some faults, perhaps with something patched first."""
        run = "from memtools_cli.main import app\napp()"
        start = [sys.executable, "-c", f"{shim}\n{run}"] if shim else [str(SCRIPT)]
        where = ["--registry", str(self.registry), "--to", str(to or self.to)]
        return [*start, "fetch", "thing", *where, "--mirror", self.mirror(*faults)]

    def mirror(self, *faults: str) -> str:
        return self.server.base + "".join(f"/f/{fault}" for fault in faults)

    def start(self, *faults: str, **options: object) -> subprocess.Popen[str]:
        command = self.command(*faults, **options)  # type: ignore[arg-type]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return STARTED.enter_context(processes.group(command, **pipes))

    def finish(self, *faults: str, to: Path | None = None) -> None:
        """Run again, undisturbed: the right bytes and nothing beside them."""
        to = to or self.to
        path = fetch("thing", to, registries=[self.registry], mirror=self.mirror(*faults))
        assert path.read_bytes() == self.whole
        assert sorted(os.listdir(to)) == [".thing.npz.receipt.json", "thing.npz"]

    def served(self) -> dict[str, int]:
        """Body bytes sent, by part."""
        sent = dict.fromkeys(self.names, 0)
        for entry in self.server.log():
            name = entry["url"].rpartition("/")[2]
            sent[name] += entry["bytes"] if entry["status"] in (200, 206) else 0
        return sent

    def sent_to_finish(self, to: Path | None = None) -> int:
        """Finish, and count what that alone took.

        The server may answer a request of a killed process long after its death: by the clock
        that would count, too.
        """
        self.server.reset()
        self.finish(PLAIN, to=to)
        return sum(each["bytes"] for each in self.server.log() if f"/{PLAIN}/" in each["url"])


def claimed(directory: Path) -> int:
    """How many bytes the best state file in a directory claims."""
    sums = [0]
    for path in directory.glob("*.part*.json"):
        pieces = json.loads(path.read_text())["pieces"]
        sums.append(sum(max(map(int, each["links"]), default=0) for each in pieces))
    return max(sums)


# -- F29: SIGKILL

IN_FLIGHT = 11 * MIB  # what buffers of the kernel hold, served but not received


@pytest.mark.parametrize("group", range(4))
def test_killed_at_random_instants_the_next_run_sends_little_twice(
    tmp_path: Path, server: FaultServer, group: int
) -> None:
    size = 40_000_000
    world = World(tmp_path, server, [size] * 3)
    instants, n_halves = random.Random(group), 0
    for n in range(5):
        to = tmp_path / str(n)
        server.reset()
        process = world.start("slow/50000", to=to)
        if n % 2:  # on a busy machine the start alone takes long
            wait_for(lambda: sum(world.served().values()))
            time.sleep(instants.uniform(0.0, 0.4))
        else:
            time.sleep(instants.uniform(0.05, 0.95))
        process.kill()
        process.communicate()
        n_halves += bool(list(to.glob("*.part.*-*")))
        world.finish(to=to)
        for name, sent in world.served().items():
            assert sent <= size + BLOCK + IN_FLIGHT, name
    assert n_halves >= 1, "none was killed at work"


def killed_when_served(world: World, n_bytes: int) -> bool:
    """Run until so many bytes have been sent in all, then kill it; False if it ended before.

    Bytes, not seconds: who has received more than a block has saved its state, however
    busy the machine is.
    """
    process = world.start("slow/40000")
    wait_for(lambda: process.poll() is not None or sum(world.served().values()) >= n_bytes)
    process.kill()
    process.communicate()
    return process.returncode != 0


def test_killed_again_and_again_it_ends_and_each_time_is_cheap(
    tmp_path: Path, server: FaultServer
) -> None:
    world = World(tmp_path, server, [40_000_000])
    instants, n_kills = random.Random(5), 0
    while not (world.to / "thing.npz").exists():
        limit = sum(world.served().values()) + instants.randint(6_000_000, 30_000_000)
        n_kills += killed_when_served(world, limit)
        assert n_kills < 12, "no progress"
    world.finish()
    assert n_kills >= 1
    assert sum(world.served().values()) <= 40_000_000 + n_kills * (BLOCK + IN_FLIGHT)


KILL_AT_STEP = """
import os, signal, threading
from memtools.transfer import chain
chain.MIN_BLOCK = 1 << 18
steps, lock = 0, threading.Lock()
def mortal(name):
    real = getattr(os, name)
    def call(*args, **options):
        global steps
        with lock:
            steps += 1
            if steps == {step}:
                os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)
    setattr(os, name, call)
for name in ("rename", "replace", "fsync", "unlink", "ftruncate"):
    mortal(name)
"""


def kill_at_every_step(world: World, tmp_path: Path, first: int) -> None:
    """Die before the first, the third, ... system call that changes names or makes durable."""
    for step in range(first, 200, 2):
        to = tmp_path / f"step{step}"
        process = world.start(shim=KILL_AT_STEP.format(step=step), to=to)
        process.communicate()
        published = (to / "thing.npz").exists()
        held = claimed(to) if to.exists() and not published else 0
        sent = world.sent_to_finish(to)
        assert sent <= (0 if published else len(world.whole) - held), f"step {step}"
        if process.returncode != -signal.SIGKILL:
            assert step > 4, "the shim did not work"  # how often a state is saved depends on time
            return
    raise AssertionError("it never ended")


@pytest.mark.parametrize("first", [1, 2])
def test_killed_before_any_step_of_a_fetch_nothing_claimed_is_lost_and_nothing_left_over(
    tmp_path: Path, server: FaultServer, first: int
) -> None:
    world = World(tmp_path, server, [600_000, 600_000])
    kill_at_every_step(world, tmp_path, first)


@pytest.mark.parametrize("first", [1, 2])
def test_killed_before_any_step_of_giving_up_nothing_claimed_is_lost_and_nothing_left_over(
    tmp_path: Path, server: FaultServer, first: int
) -> None:
    world = World(tmp_path, server, [900_000])
    for step in range(first, 40, 2):
        to = tmp_path / f"step{step}"
        refuse = ["truncate-at/500000", "after/1", "status/403"]
        world.server.reset()
        process = world.start(*refuse, shim=KILL_AT_STEP.format(step=step), to=to)
        process.communicate()
        held = claimed(to) if to.exists() else 0
        assert world.sent_to_finish(to) <= 900_000 - held, f"step {step}"
        if process.returncode == 4:
            assert held == 500_000
            assert step > 4, "the shim did not work"
            return
    raise AssertionError("it never ended")


def test_killed_while_taking_over_from_a_killed_one_nothing_claimed_is_lost(
    tmp_path: Path, server: FaultServer
) -> None:
    world = World(tmp_path, server, [3_000_000])
    process = world.start("slow/2000", shim=KILL_AT_STEP.format(step=0))
    wait_for(lambda: claimed(world.to) > 1_000_000)
    process.kill()
    process.communicate()
    for step in range(1, 9):
        to = tmp_path / f"step{step}"
        shutil.copytree(world.to, to)
        held = claimed(to)
        second = world.start("status/403", shim=KILL_AT_STEP.format(step=step), to=to)
        second.communicate()
        assert second.returncode in (4, -signal.SIGKILL)
        assert step > 1 or second.returncode == -signal.SIGKILL
        assert world.sent_to_finish(to) <= 3_000_000 - held, f"step {step}"


def test_a_half_written_state_of_a_killed_process_goes_away(
    tmp_path: Path, server: FaultServer
) -> None:
    world = World(tmp_path, server, [300_000])
    process = world.start("slow/200")
    wait_for(lambda: world.to.exists() and list(world.to.glob("*.part.*-*")))
    [own] = Names(world.to / "thing.npz").parts()
    process.kill()
    process.communicate()
    own.with_name(own.name + ".json.tmp").write_text('{"identity": "thi')
    world.finish()


# -- F30: asked to stop


def stop(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Send a signal; the process must end soon, with the right code and without a traceback."""
    assert process.poll() is None, process.communicate()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=LONG)
    assert process.returncode == ENDINGS[number]
    assert "Traceback" not in stderr
    assert stdout == ""
    return stderr


@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_in_the_body_keeps_every_byte(
    tmp_path: Path, server: FaultServer, number: signal.Signals
) -> None:
    world = World(tmp_path, server, [6_000_000] * 2)
    process = world.start("slow/3000")
    wait_for(lambda: min(world.served().values()) > 1_000_000)
    stop(process, number)
    names = sorted(os.listdir(world.to))
    assert names == ["thing.npz.part", "thing.npz.part.json"]
    world.finish()
    assert sum(world.served().values()) <= 12_000_000 + 4 * MIB


@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_while_waiting_to_try_again_ends_the_wait(
    tmp_path: Path, server: FaultServer, number: signal.Signals
) -> None:
    world = World(tmp_path, server, [3_000_000])
    process = world.start("truncate-at/2000000", "after/1", "500-always")
    wait_for(lambda: len(server.log()) >= 4)  # now it waits, or is about to
    stop(process, number)
    assert claimed(world.to) == 2_000_000
    world.finish()
    assert sum(world.served().values()) == 3_000_000


SLOW_HASH = """
import time
from memtools.transfer.chain import Chain
real = Chain.extend
def extend(self, data):
    print("hashing", flush=True)
    time.sleep(10)
    real(self, data)
Chain.extend = extend
"""


@pytest.mark.parametrize("number", [*ENDINGS, signal.SIGKILL])
def test_a_signal_while_old_bytes_are_proven_loses_none_of_them(
    tmp_path: Path, server: FaultServer, number: signal.Signals
) -> None:
    world = World(tmp_path, server, [9_000_000])
    refused = world.start("truncate-at/8000000", "after/1", "status/403")
    refused.communicate()
    assert refused.returncode == 4
    server.reset()
    process = world.start(shim=SLOW_HASH)
    assert process.stdout is not None
    assert process.stdout.readline() == "hashing\n"
    process.send_signal(number)
    _, stderr = process.communicate(timeout=LONG)
    assert process.returncode == ENDINGS.get(number, -number)
    assert "Traceback" not in stderr
    assert server.log() == []  # it was still reading its own bytes
    world.finish()
    assert sum(world.served().values()) == 1_000_000


def test_a_second_ctrl_c_does_no_harm(tmp_path: Path, server: FaultServer) -> None:
    world = World(tmp_path, server, [6_000_000])
    process = world.start("slow/3000")
    wait_for(lambda: min(world.served().values()) > 1_000_000)
    process.send_signal(signal.SIGINT)
    time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=LONG)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in stderr
    world.finish()


def test_under_nohup_a_hangup_ends_nothing(tmp_path: Path, server: FaultServer) -> None:
    nohup = shutil.which("nohup")
    if nohup is None:
        pytest.skip("needs nohup")
    world = World(tmp_path, server, [2_000_000])
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with processes.group([nohup, *world.command("slow/2000")], text=True, **pipes) as process:
        wait_for(lambda: sum(world.served().values()) > 200_000)
        process.send_signal(signal.SIGHUP)
        _, stderr = process.communicate(timeout=LONG)
        assert process.returncode == 0, stderr
    world.finish()
