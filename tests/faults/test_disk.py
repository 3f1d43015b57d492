"""F28, F31, F34, F35, F37, F39: the local disk is full, forgetful, in the way, or was lied to.

What needs a disk of its own is done in a mount namespace, which an ordinary user may
have, too, on most systems; where it may not, those tests are skipped.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_server import FaultServer
from processes import LONG, group
from worlds import artifact, noise, write_registry

import memtools
from memtools.artifacts.fetcher import Terms
from memtools.errors import ChecksumError, DiskError, RefusedError

SCRIPT = Path(sys.executable).with_name("memtools")
RUN_APP = "from memtools_cli.main import app\napp()"
DONE = [".thing.npz.receipt.json", "thing.npz"]
IN_A_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


class World:
    """One published file of one part, a registry that promises it, and where it shall go."""

    def __init__(self, tmp_path: Path, server: FaultServer) -> None:
        self.server = server
        self.registry = tmp_path / "registry.toml"
        self.to = tmp_path / "to"
        self.data = b""

    def publish(self, n_bytes: int, name: str = "thing.npz", **facts: Any) -> bytes:
        self.data = noise(n_bytes)
        (self.server.directory / "thing.bin").write_bytes(self.data)
        table = artifact(["thing.bin"], [self.data], file=name, **facts)
        write_registry(self.registry, table)
        return self.data

    def mirror(self, *faults: str) -> str:
        return self.server.base + "".join(f"/f/{fault}" for fault in faults)

    def arguments(self, *faults: str, to: Path | None = None) -> list[str]:
        where = ["--registry", str(self.registry), "--to", str(to or self.to)]
        return ["fetch", "thing", *where, "--mirror", self.mirror(*faults)]

    def run(
        self, *faults: str, shim: str = "", to: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`memtools fetch thing` as a process, perhaps with something patched first."""
        start = [sys.executable, "-c", f"{shim}\n{RUN_APP}"] if shim else [str(SCRIPT)]
        command = [*start, *self.arguments(*faults, to=to)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def fetch(self, *faults: str, to: Path | None = None, **terms: Any) -> Path:
        """The same within this process."""
        return memtools.fetch(
            "thing",
            to or self.to,
            registries=[self.registry],
            mirror=self.mirror(*faults),
            terms=Terms(**terms),
        )

    def finish(self, *faults: str) -> None:
        assert self.fetch(*faults).read_bytes() == self.data
        assert sorted(os.listdir(self.to)) == DONE

    @property
    def n_requests(self) -> int:
        return int(self.server.stats()["total"]["requests"])

    @property
    def n_sent(self) -> int:
        return int(self.server.stats()["total"]["bytes"])


@pytest.fixture
def world(tmp_path: Path, server: FaultServer) -> World:
    return World(tmp_path, server)


@pytest.fixture
def namespace(tmp_path: Path) -> Callable[..., str]:
    """Runs a shell script in which `mount` is allowed; skips where that is not."""
    probe = 'mkdir -p "$1" && mount -t tmpfs -o size=1m tmpfs "$1"'

    def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [*IN_A_NAMESPACE, "sh", "-uc", script, "sh", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=100)

    if shutil.which("unshare") is None or run(probe, tmp_path / "probe").returncode:
        pytest.skip("needs `unshare --user --mount`, and tmpfs mounted in it")

    def output(script: str, *arguments: object) -> str:
        done = run(script, *arguments)
        return done.stdout + done.stderr

    return output


def two_lines(stderr: str) -> list[str]:
    """The two lines of an error, without the notes before them."""
    assert "Traceback" not in stderr
    lines = stderr.splitlines()
    [start] = [n for n, line in enumerate(lines) if line.startswith("error: ")]
    assert len(lines) == start + 2
    return lines[start:]


# -- F28: full


LIMIT = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))\n"


def test_a_full_disk_ends_it_at_once_and_what_fitted_is_not_sent_again(world: World) -> None:
    data = world.publish(3_000_000)
    full = world.run(shim=LIMIT.format(2_000_000))
    assert full.returncode == 6
    assert "ulimit" in two_lines(full.stderr)[1]
    assert world.n_requests == 1
    assert (world.to / "thing.npz.part").read_bytes() == data[:2_000_000]
    world.server.reset()
    world.finish()
    assert world.n_sent <= 1_000_000 + (1 << 20)


def test_a_full_disk_is_an_error_again_while_it_stays_full_and_costs_no_bytes(
    world: World,
) -> None:
    world.publish(3_000_000)
    world.run(shim=LIMIT.format(2_000_000))
    world.server.reset()
    again = world.run(shim=LIMIT.format(2_000_000))
    assert again.returncode == 6
    held = [entry["range"] for entry in world.server.log()]
    start = int(held[0].removeprefix("bytes=").removesuffix("-"))
    assert start >= 1_000_000
    world.finish()


def test_a_disk_too_small_for_a_known_size_is_an_error_before_any_request(
    world: World, namespace: Callable[..., str]
) -> None:
    world.publish(3_000_000)
    world.to.mkdir()
    script = 'mount -t tmpfs -o size=2m tmpfs "$1" && shift && "$@"; echo "exit $?"'
    output = namespace(script, world.to, SCRIPT, *world.arguments())
    assert "exit 6" in output
    assert "thing.npz needs 3.0 MB more" in output
    assert "free some space" in output
    assert world.n_requests == 0


def test_on_a_full_disk_of_its_own_what_was_claimed_is_kept_and_nothing_else_left(
    world: World, namespace: Callable[..., str]
) -> None:
    data = world.publish(40_000_000, sizes=False)  # and the server will not tell the size either
    world.to.mkdir()
    copy = world.to.with_name("copy")
    script = """
        export LC_ALL=C
        mount -t tmpfs -o size=24m tmpfs "$1"
        to=$1 copy=$2 && shift 2
        "$@"; echo "exit $?"
        ls -A "$to" | sed 's/^/left: /'
        mount -o remount,size=100m "$to"
        "$@"; echo "exit $?"
        ls -A "$to" | sed 's/^/then: /'
        cp "$to/thing.npz" "$copy"
    """
    output = namespace(script, world.to, copy, SCRIPT, *world.arguments("no-length"))
    assert re.findall(r"exit (\d+)", output) == ["6", "0"]
    assert "the disk is full" in output
    assert re.findall("left: (.*)", output) == ["thing.npz.part", "thing.npz.part.json"]
    assert re.findall("then: (.*)", output) == DONE
    assert copy.read_bytes() == data
    last = world.server.log()[-1]
    assert last["range"] is not None, "nothing was kept"
    assert int(last["range"][len("bytes=") : -1]) >= 24_000_000 - 17 * (1 << 20)


def test_a_disk_that_is_full_while_joining_leaves_the_parts_alone(
    world: World, tmp_path: Path
) -> None:
    data = world.publish(3_000_000)
    shutil.copytree(world.server.directory, tmp_path / "parts")
    where = ["--registry", str(world.registry), "--to", str(world.to)]
    command = ["join", "thing", "--from", str(tmp_path / "parts"), *where]
    shim = [sys.executable, "-c", LIMIT.format(2_000_000) + RUN_APP]
    full = subprocess.run([*shim, *command], capture_output=True, text=True)
    assert full.returncode == 6
    two_lines(full.stderr)
    assert not (world.to / "thing.npz").exists()
    assert (tmp_path / "parts" / "thing.bin").read_bytes() == data
    again = subprocess.run([SCRIPT, *command], capture_output=True, text=True)
    assert again.returncode == 0
    assert (world.to / "thing.npz").read_bytes() == data
    assert (tmp_path / "parts" / "thing.bin").read_bytes() == data
    assert sorted(os.listdir(world.to)) == DONE


def test_too_little_free_space_names_both_numbers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(300_000)
    with monkeypatch.context() as patch:
        usage = type(shutil.disk_usage("/"))
        patch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
        with pytest.raises(DiskError, match=r"needs 300\.0 kB more .* has 1,000 B free"):
            world.fetch()
    assert world.n_requests == 0
    world.finish()


FAILING_FSYNC = """
import errno, os, sys
real, n_calls = os.fsync, 0
def fsync(descriptor):
    global n_calls
    if os.fstat(descriptor).st_size > 100_000:  # the bytes, not the state, not a directory
        n_calls += 1
        print("fsync of the bytes", file=sys.stderr)
        if n_calls == {failing}:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
    return real(descriptor)
os.fsync = fsync
"""


def test_a_failing_fsync_is_final_and_nothing_is_published(world: World) -> None:
    world.publish(3_000_000)
    failed = world.run(shim=FAILING_FSYNC.format(failing=1))
    assert failed.returncode == 6
    assert "the disk reports a read or write error" in failed.stderr
    assert failed.stderr.count("fsync of the bytes") == 1  # the kernel would say yes this time
    assert not (world.to / "thing.npz").exists()
    world.finish()


def test_an_fsync_that_fails_on_the_way_ends_the_download_at_once(world: World) -> None:
    world.publish(40_000_000)
    failed = world.run("slow/40000", shim=FAILING_FSYNC.format(failing=2))
    assert failed.returncode == 6
    assert failed.stderr.count("fsync of the bytes") == 2
    assert world.n_sent < 40_000_000
    world.server.reset()
    world.finish()
    assert world.n_sent <= 40_000_000 - (8 << 20)  # what the first fsync made durable


# -- F31: power


CALLS = re.compile(
    r"(?P<call>fsync|rename|pwrite64)\((?:\d+<(?P<file>[^>]*)>)?(?P<rest>.*)\) += (?P<result>\d+)"
)


def strace_events(log: str) -> Iterator[tuple[str, str, str]]:
    """(call, file, target of a rename) of calls that succeeded, in the order of their ends."""
    begun: dict[str, str] = {}
    for line in log.splitlines():
        pid, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            begun[pid] = text.removesuffix("<unfinished ...>").rstrip()
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", text):
            text = begun.pop(pid) + resumed[1]
        if found := CALLS.match(text):
            names = re.findall(r'"([^"]*)"', found["rest"])
            yield found["call"], found["file"] or names[0], names[1] if not found["file"] else ""


def test_the_system_calls_of_the_real_process_survive_a_power_cut(
    world: World, tmp_path: Path
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    world.publish(3_000_000)
    log = tmp_path / "strace.log"
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2,pwrite64"
    trace = ["strace", "-f", "-y", "-s", "0", "-e", calls, "-o", str(log)]
    done = subprocess.run([*trace, str(SCRIPT), *world.arguments()], capture_output=True, text=True)
    if "ptrace" in done.stderr.lower():
        pytest.skip(f"strace may not trace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    events = list(strace_events(log.read_text()))
    final, directory = str(world.to / "thing.npz"), str(world.to)
    [published] = [n for n, (call, _, to) in enumerate(events) if (call, to) == ("rename", final)]
    own = events[published][1]
    assert own.startswith(final + ".part.")
    synced = max(n for n, event in enumerate(events) if event[:2] == ("fsync", own))
    written = max(n for n, event in enumerate(events) if event[:2] == ("pwrite64", own))
    assert written < synced < published
    assert ("fsync", directory) in [event[:2] for event in events[published + 1 :]]
    receipts = [(call, file) for call, file, _ in events if ".receipt.json" in file]
    assert [call for call, _ in receipts] == ["fsync", "rename"]
    assert events[-1][:2] == ("fsync", directory)


class Recorder:
    """Watches the calls that make bytes and names durable, within this process."""

    def __init__(self, patch: pytest.MonkeyPatch, target: Path) -> None:
        self.target = target
        self.events: list[str] = []
        self.n_states = 0
        self._written: dict[int, int] = {}  # by inode: how far bytes were written ...
        self._durable: dict[int, int] = {}  # ... and how far when the last fsync began
        self._synced: set[int] = set()  # inodes whose fsync has come after all writing
        self._real = {name: getattr(os, name) for name in ("fsync", "replace", "pwrite")}
        for name in self._real:
            patch.setattr(os, name, getattr(self, name))

    def pwrite(self, descriptor: int, data: memoryview, offset: int) -> int:
        n_written = int(self._real["pwrite"](descriptor, data, offset))
        inode = os.fstat(descriptor).st_ino
        self._written[inode] = max(self._written.get(inode, 0), offset + n_written)
        self._synced.discard(inode)
        return n_written

    def fsync(self, descriptor: int) -> None:
        inode = os.fstat(descriptor).st_ino
        written = self._written.get(inode, 0)
        self._real["fsync"](descriptor)
        self._durable[inode] = written
        self._synced.add(inode)
        if inode == self.target.parent.stat().st_ino:
            self.events.append("directory")

    def replace(self, source: Path, target: Path) -> None:
        inode = os.stat(source).st_ino
        if str(source).endswith(".json.tmp"):
            assert inode in self._synced, f"{source} is renamed before it is durable"
        if Path(target) == self.target:
            assert inode in self._synced, "published before its bytes are durable"
            assert self._durable[inode] == self._written[inode]
        elif ".part." in Path(target).name and str(source).endswith(".tmp"):
            self.n_states += 1
            [piece] = json.loads(Path(source).read_text())["pieces"]
            claimed = max(map(int, piece["links"]), default=0)
            own = Path(str(target).removesuffix(".json"))
            assert claimed <= self._durable[own.stat().st_ino], "a claim about bytes in the air"
        self._real["replace"](source, target)
        self.events.append(Path(target).name)


def test_no_name_and_no_claim_comes_before_the_fsync_of_its_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(30_000_000)
    world.to.mkdir()
    with monkeypatch.context() as patch:
        recorder = Recorder(patch, world.to / "thing.npz")
        world.fetch("slow/60000")
    assert recorder.n_states >= 1
    assert recorder.events[-4:] == [
        "thing.npz",
        "directory",
        ".thing.npz.receipt.json",
        "directory",
    ]
    states = [n for n, event in enumerate(recorder.events) if event.endswith(".part.json")]
    assert all(recorder.events[n + 1] == "directory" for n in states)


# -- F34: the target cannot be used


def refused(world: World, *, to: Path | None = None) -> str:
    """The first line of the error: the disk is to blame, and the server was not asked."""
    done = world.run(to=to)
    assert done.returncode == 6, done.stderr
    assert done.stdout == ""
    assert world.n_requests == 0
    return two_lines(done.stderr)[0]


def test_a_file_in_the_path_is_refused_before_any_request(world: World, tmp_path: Path) -> None:
    world.publish(1000)
    (tmp_path / "file").write_text("mine")
    assert str(tmp_path / "file") in refused(world, to=tmp_path / "file")
    assert str(tmp_path / "file") in refused(world, to=tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_directory_under_the_final_name_is_refused_before_any_request(world: World) -> None:
    world.publish(1000)
    (world.to / "thing.npz").mkdir(parents=True)
    assert "is a directory" in refused(world)


@pytest.mark.parametrize("kind", ["dangling", "foreign"])
def test_a_symbolic_link_is_replaced_only_by_force(world: World, tmp_path: Path, kind: str) -> None:
    data = world.publish(1000)
    world.to.mkdir()
    elsewhere = tmp_path / "elsewhere"
    if kind == "foreign":
        elsewhere.write_text("mine")
    (world.to / "thing.npz").symlink_to(elsewhere)
    assert "symbolic link" in refused(world)
    path = world.fetch(force=True)
    assert not path.is_symlink()
    assert path.read_bytes() == data
    assert elsewhere.exists() == (kind == "foreign")
    assert kind == "dangling" or elsewhere.read_text() == "mine"


def test_a_symbolic_link_to_the_right_file_is_as_good_as_the_file(
    world: World, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(world.publish(1000))
    world.to.mkdir()
    (world.to / "thing.npz").symlink_to(elsewhere)
    assert world.fetch().is_symlink()
    assert world.n_requests == 0


def test_a_linked_directory_is_followed(world: World, tmp_path: Path) -> None:
    data = world.publish(1000)
    (tmp_path / "real").mkdir()
    world.to.symlink_to(tmp_path / "real")
    world.finish()
    assert (tmp_path / "real" / "thing.npz").read_bytes() == data


def test_a_dangling_link_as_directory_is_refused_before_any_request(
    world: World, tmp_path: Path
) -> None:
    world.publish(1000)
    world.to.symlink_to(tmp_path / "nowhere")
    assert str(world.to) in refused(world)


@pytest.mark.parametrize("length", [300, 5000])
def test_too_long_a_name_is_refused_before_any_request(
    world: World, tmp_path: Path, length: int
) -> None:
    world.publish(1000)
    deep = tmp_path.joinpath(*["d" * (300 if length == 300 else 100)] * (length // 300))
    while len(str(deep)) < length:
        deep /= "d" * 100
    assert "too long" in refused(world, to=deep)


def test_the_longest_name_that_a_registry_may_hold_fits_the_disk(world: World) -> None:
    name = "n" * 196 + ".npz"
    data = world.publish(300_000, name)
    with pytest.raises(RefusedError):  # also half-done, with all that then stands beside it
        world.fetch("truncate-at/200000", "after/1", "status/403")
    assert sorted(os.listdir(world.to)) == [f"{name}.part", f"{name}.part.json"]
    assert world.fetch().read_bytes() == data


def test_a_read_only_disk_is_refused_before_any_request(
    world: World, namespace: Callable[..., str]
) -> None:
    world.publish(1000)
    world.to.mkdir()
    script = 'mount -t tmpfs -o ro tmpfs "$1" && shift && "$@"; echo "exit $?"'
    output = namespace(script, world.to, SCRIPT, *world.arguments())
    assert "exit 6" in output
    assert "Traceback" not in output
    assert "read-only" in output
    assert world.n_requests == 0


def test_a_verified_file_on_a_read_only_disk_is_served_from_there(
    world: World, namespace: Callable[..., str]
) -> None:
    world.publish(1000)
    world.finish()
    world.server.reset()
    script = """
        mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || echo "cannot mount"
        shift && "$@"; echo "exit $?"
    """
    output = namespace(script, world.to, SCRIPT, *world.arguments())
    assert "cannot mount" not in output
    assert f"{world.to / 'thing.npz'}\nexit 0\n" in output
    assert world.n_requests == 0


def test_a_directory_without_permission_is_refused_before_any_request(world: World) -> None:
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] * (os.geteuid() == 0)
    if drop and shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere; needs setpriv")
    world.publish(1000)
    world.to.mkdir(mode=0o555)
    command = [*drop, str(SCRIPT), *world.arguments()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 6, done.stderr
    assert "permission" in two_lines(done.stderr)[0]
    assert world.n_requests == 0


# -- F35: there is a file already


def test_the_right_file_costs_no_request_even_without_a_receipt(world: World) -> None:
    data = world.publish(300_000)
    world.to.mkdir()
    (world.to / "thing.npz").write_bytes(data)
    done = world.run()
    assert (done.returncode, done.stdout) == (0, f"{world.to / 'thing.npz'}\n")
    world.fetch()
    assert world.n_requests == 0


@pytest.mark.parametrize("content", ["wrong", "empty", "half"])
def test_a_wrong_file_stays_until_the_right_one_is_verified(world: World, content: str) -> None:
    data = world.publish(300_000)
    old = {"wrong": noise(300_000, seed=9), "empty": b"", "half": data[:150_000]}[content]
    world.to.mkdir()
    (world.to / "thing.npz").write_bytes(old)
    with pytest.raises(RefusedError):
        world.fetch("status/404")
    with pytest.raises(ChecksumError):
        world.fetch("flip-byte/77")
    assert (world.to / "thing.npz").read_bytes() == old
    world.finish()


def test_a_receipt_does_not_vouch_for_bytes_that_were_changed_behind_its_back(
    world: World,
) -> None:
    data = world.publish(300_000)
    path = world.fetch()
    before = path.stat()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    world.finish()


# -- F37: clocks


CLOCKS = {
    "stopped": "lambda: 1_000_000_000.0",
    "next century": "lambda: 4_100_000_000.0",
    "jumping": "lambda: random.choice([0.0, 1e9, 4.1e9])",
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_wrong_clock_changes_nothing(world: World, clock: str) -> None:
    data = world.publish(3_000_000)
    shim = f"import random, time\ntime.time = {CLOCKS[clock]}"
    faults = "first/1", "truncate-at/1000000"
    done = world.run(*faults, shim=shim)  # and no wait for ever
    assert done.returncode == 0, done.stderr
    assert (world.to / "thing.npz").read_bytes() == data
    assert world.n_sent == 3_000_000


@pytest.mark.parametrize("when", [0, 4_100_000_000])
def test_the_time_of_a_half_done_file_decides_nothing(world: World, when: int) -> None:
    world.publish(3_000_000)
    os.utime(world.server.directory / "thing.bin", (when, when))
    with pytest.raises(RefusedError):
        world.fetch("truncate-at/2000000", "after/1", "status/403")
    for path in world.to.iterdir():
        os.utime(path, (when, when))
    world.finish()
    assert world.n_sent < 3_000_000 + 100


# -- F39: killed while hashing


SLOW_TRAIL = """
import time
from memtools.transfer.crew import Trail
def update(self, data):
    print("hashing", flush=True)
    time.sleep(600)
Trail._update = update
Trail._worth_reading = lambda self: self._partial.frontier == self._partial.size
"""


@pytest.mark.parametrize(
    ("number", "n_bytes", "n_twice"),
    [(signal.SIGTERM, 3_000_000, 0), (signal.SIGKILL, 40_000_000, 17 << 20)],
)
def test_killed_while_the_whole_is_hashed_nothing_is_published_and_little_sent_twice(
    world: World, number: signal.Signals, n_bytes: int, n_twice: int
) -> None:
    world.publish(n_bytes)
    command = [sys.executable, "-c", SLOW_TRAIL + RUN_APP, *world.arguments()]
    with group(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hashing\n"
        assert not (world.to / "thing.npz").exists()
        process.send_signal(number)
        process.communicate(timeout=LONG)
    assert not (world.to / "thing.npz").exists()
    world.finish()
    assert world.n_sent <= n_bytes + n_twice


def test_killed_while_joining_the_parts_stay_and_the_next_run_ends_it(
    world: World, tmp_path: Path
) -> None:
    data = world.publish(30_000_000)
    shutil.copytree(world.server.directory, tmp_path / "parts")
    where = ["--registry", str(world.registry), "--to", str(world.to)]
    join = ["join", "thing", "--from", str(tmp_path / "parts"), *where]
    slow = textwrap.dedent("""
        import time
        from memtools.transfer.partial import Partial
        real, n_writes = Partial.write, 0
        def write(self, *arguments):
            global n_writes
            real(self, *arguments)
            n_writes += 1
            if n_writes == 20:
                print("joining", flush=True)
                time.sleep(600)
        Partial.write = write
    """)
    command = [sys.executable, "-c", slow + RUN_APP, *join]
    with group(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "joining\n"
        process.kill()
    assert not (world.to / "thing.npz").exists()
    done = subprocess.run([str(SCRIPT), *join], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (world.to / "thing.npz").read_bytes() == data
    assert (tmp_path / "parts" / "thing.bin").read_bytes() == data
    assert sorted(os.listdir(world.to)) == DONE


def test_every_way_a_disk_can_fail_has_words_and_advice(tmp_path: Path) -> None:
    from memtools.files import disk_errors

    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EMFILE):
        with pytest.raises(DiskError) as caught, disk_errors(tmp_path / "x"):
            raise OSError(number, os.strerror(number))
        assert str(tmp_path / "x") in str(caught.value)
        assert caught.value.hint
