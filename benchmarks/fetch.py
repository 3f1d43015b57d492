"""`memtools fetch` beside `curl -O` x3 + `cat` + `md5sum`: 285 MB in three parts of 95 MB.

    python benchmarks/fetch.py [--quick] [--dir DIRECTORY]

The work is that of imagenet-influence: three parts on a web server (nginx on loopback, started
and stopped here) become one file with the right digest. Whole processes are timed, from fork to
exit, into a fresh directory, with the disk synced before and outside of the timing; contenders
alternate and medians are compared. memtools does more in the same time: md5 of the whole and the
git_blob of each part where the others compute md5 only, fsync before the rename, state that
survives a kill. The processor time is that of all processes of a contender, without the server's;
unlike the wall time it hardly depends on what else the machine does.

The floor is measured, too: one core cannot start Python, import what a download needs and
compute the md5 of 285 MB in less. The latest figures are in benchmarks/README.md.

Two more runs, not timed: the peak of the disk in use while fetching, and the peak of resident
memory while fetching a file of 5 GB, against that of an interpreter that does nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from webserver import serving

PART = 95_000_000  # bytes
PARTS = ("p_aa.bin", "p_ab.bin", "p_ac.bin")
SIZE = PART * len(PARTS)
LARGE = 5 << 30  # bytes
MEMTOOLS = str(Path(sys.executable).with_name("memtools"))

ENTRY = """
[[artifact]]
name = "{name}"
file = "{name}.bin"
dataset = "imagenet"
kind = "influence"
order = "published"
definition = "random bytes"
direction = "none"
paper = "none"
"""


@dataclasses.dataclass(frozen=True)
class Contender:
    """A way to get the file: a command that is run in an empty directory."""

    name: str
    command: Sequence[str]
    result: str  # the file that it leaves behind

    @property
    def is_installed(self) -> bool:
        tool = self.name.partition(",")[0] if self.command[0] == "sh" else self.command[0]
        return shutil.which(tool) is not None


# Runs a command and prints the peak of its resident memory. A process of its own, because a
# child's peak begins at the size of the process that forked it.
PEAK = """
import os, sys
_, status, usage = os.wait4(os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="5 rounds of two contenders")
    parser.add_argument("--dir", type=Path, help="where to download to; a temporary directory")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=arguments.dir, prefix="bench-") as directory,
        serving(Path(directory)) as base,
    ):
        write_files(Path(directory) / "www")
        run(Path(directory) / "downloads", base, quick=arguments.quick)


def run(downloads: Path, base: str, *, quick: bool) -> None:
    everyone = contenders(base)[: 2 if quick else None]
    present = [each for each in everyone if each.is_installed]
    absent = [each.name for each in everyone if each not in present]
    if not {"memtools", "curl"}.isdisjoint(absent):
        raise SystemExit(f"needs {' and '.join(absent)} beside this Python")
    print(f"{SIZE / 1e6:.0f} MB in {len(PARTS)} parts, whole processes, medians\n")
    for each in present:
        seconds(each, downloads)  # warm-up: page cache, bytecode
    times, processor = alternate(present, downloads, rounds=5 if quick else 15)
    medians = {name: statistics.median(runs) for name, runs in times.items()}
    work = {name: statistics.median(runs) for name, runs in processor.items()}
    floor = floor_seconds(downloads)
    print(f"{'':34}{'median s':>9}{'min':>7}{'max':>7}{'ratio':>8}{'processor s':>13}")
    for name, runs in times.items():
        ratio = medians[name] / medians["curl"]
        print(
            f"{name:34}{medians[name]:9.2f}{min(runs):7.2f}{max(runs):7.2f}{ratio:8.2f}"
            f"{work[name]:13.2f}"
        )
    print(
        f"{'floor: interpreter, imports, md5':34}{floor:9.2f}{'':14}{floor / medians['curl']:8.2f}"
    )
    for name in absent:
        print(f"{name:34} not installed")
    disk = peak_disk(present[0], downloads)
    idle = peak_memory(Contender("idle", (sys.executable, "-c", "pass"), "."), downloads)
    above = (peak_memory(fetching(base, "large"), downloads) - idle) / 2**20
    print(f"\npeak disk: {disk / SIZE:.4f} of the file, {disk - SIZE} bytes more")
    print(f"peak memory, {LARGE / 2**30:.0f} GiB file: {above:.0f} MiB above an idle interpreter")
    figures = {
        "ratio_curl": round(medians["memtools"] / medians["curl"], 3),
        "ratio_floor": round(medians["memtools"] / floor, 3),
        "ratio_processor": round(work["memtools"] / work["curl"], 3),
        "peak_disk_ratio": round(disk / SIZE, 4),
        "peak_memory_mb": round(above, 1),
    }
    print(json.dumps({**figures, "absent": absent}))


def contenders(base: str) -> list[Contender]:
    """Ours, the one it is measured against, and others for the table."""
    urls = [base + part for part in PARTS]
    parts = " ".join(PARTS)
    join = f"cat {parts} > whole && md5sum whole"
    one_by_one = " && ".join(f"curl -fsS -O {url}" for url in urls)
    return [
        fetching(base, "big"),
        Contender("curl", ("sh", "-c", f"{one_by_one} && {join}"), "whole"),
        Contender(
            "curl, parallel",
            ("sh", "-c", f"curl -fsS -Z --remote-name-all {' '.join(urls)} && {join}"),
            "whole",
        ),
        Contender("wget", ("sh", "-c", f"wget -q {' '.join(urls)} && {join}"), "whole"),
        Contender("aria2c", ("sh", "-c", f"aria2c -q -j3 -Z {' '.join(urls)} && {join}"), "whole"),
    ]


def fetching(base: str, name: str) -> Contender:
    command = (MEMTOOLS, "fetch", name, "--registry", f"{base}registry.toml", "--to", ".")
    return Contender("memtools" if name == "big" else name, command, f"{name}.bin")


Runs = dict[str, list[float]]  # of each contender


def alternate(contenders: Sequence[Contender], downloads: Path, rounds: int) -> tuple[Runs, Runs]:
    """Wall and processor seconds in each round; the order within a round is drawn by lot."""
    times: Runs = {each.name: [] for each in contenders}
    processor: Runs = {each.name: [] for each in contenders}
    for _ in range(rounds):
        for each in random.sample(contenders, len(contenders)):
            before = processor_seconds()
            times[each.name].append(seconds(each, downloads))
            processor[each.name].append(processor_seconds() - before)
    return times, processor


def processor_seconds() -> float:
    """Return the processor time of all processes that this one started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds(contender: Contender, downloads: Path) -> float:
    """The wall time of a contender, run once in a fresh directory."""
    fresh(downloads)
    start = time.perf_counter()
    finished = subprocess.run(
        contender.command, cwd=downloads, env=environment(), stdout=subprocess.DEVNULL
    )
    took = time.perf_counter() - start
    if finished.returncode != 0 or not (downloads / contender.result).exists():
        raise SystemExit(f"{contender.name} failed with exit code {finished.returncode}")
    return took


def fresh(downloads: Path) -> None:
    """An empty directory, and nothing left to write on its disk."""
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir()
    os.sync()


def environment() -> dict[str, str]:
    """The usual one; bytecode is part of an installed program, so it may be kept."""
    drop = ("MEMTOOLS_", "PYTHONDONTWRITEBYTECODE")
    return {k: v for k, v in os.environ.items() if not k.startswith(drop)}


def peak_memory(contender: Contender, downloads: Path) -> int:
    """Bytes of resident memory at the peak of a contender."""
    fresh(downloads)
    command = (sys.executable, "-c", PEAK, *contender.command)
    shown = subprocess.run(
        command, cwd=downloads, env=environment(), stdout=subprocess.PIPE, text=True, check=True
    )
    return int(shown.stdout.split()[-1])


def peak_disk(contender: Contender, downloads: Path) -> int:
    """Bytes of disk below the directory at the peak of a contender."""
    with sampling(downloads) as seen:
        seconds(contender, downloads)
    return max(seen)


@contextlib.contextmanager
def sampling(directory: Path) -> Iterator[list[int]]:
    """The bytes on disk below a directory, looked at 200 times a second."""
    seen, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            used = 0
            with contextlib.suppress(FileNotFoundError):  # renamed just now
                for path in directory.iterdir():
                    used += path.stat().st_blocks * 512
            seen.append(used)

    thread = threading.Thread(target=look)
    thread.start()
    yield seen
    done.set()
    thread.join()


def floor_seconds(downloads: Path) -> float:
    """Python and its imports, then the md5 of the bytes: what no order of work can avoid."""
    command = (sys.executable, "-c", "import requests, typer")
    imports = [seconds(Contender("imports", command, "."), downloads) for _ in range(5)]
    data = memoryview(os.urandom(1 << 20))
    start, running = time.perf_counter(), hashlib.md5(usedforsecurity=False)
    for _ in range(SIZE >> 20):
        running.update(data)
    return statistics.median(imports) + time.perf_counter() - start


def write_files(www: Path) -> None:
    """The parts, a sparse file of 5 GB, and the registry that promises them."""
    whole, entry = hashlib.md5(usedforsecurity=False), ""
    for part in PARTS:
        data = random.Random(part).randbytes(PART)
        (www / part).write_bytes(data)
        whole.update(data)
        blob = hashlib.sha1(b"blob %d\0" % PART + data, usedforsecurity=False).hexdigest()
        entry += f'[[artifact.parts]]\nurl = "{part}"\ngit_blob = "{blob}"\n'
    with (www / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    (www / "registry.toml").write_text(
        ENTRY.format(name="big")
        + f'md5 = "{whole.hexdigest()}"\n{entry}'
        + ENTRY.format(name="large")
        + f'size = {LARGE}\n[[artifact.parts]]\nurl = "large.bin"\n'
    )


if __name__ == "__main__":
    main()
