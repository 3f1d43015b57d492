"""Scenarios of `benchmarks/faults.py` that only memtools knows: bad input, and frozen workers.

Stores of runs that were damaged or edited, workers that freeze, pipes in the place of files, absurd
numbers, arrays and documents that were made to harm. The form is that of `hostile.py`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from place import PATIENCE, Judged, Place, Scenario

# ---- H04: stores of runs that were damaged or edited

TRAIN = "sweep run digits-demo --set epochs=2 --set hidden=[8] --set stack=1 --to runs"


def damage(place: Place, name: str, data: bytes) -> None:
    """Write over a file of the store, which must stay so until a driver comes."""
    path = place.path("runs") / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    place.keep(path)


def one_damaged_record(place: Place) -> Judged:
    records = place.store()
    damage(place, f"records/{records[7].name}", records[7].read_bytes()[:100])
    code = place.run("estimate runs --out e.npz")
    return code, place.path("e.npz").is_file() and not any(place.path("runs/quarantine").iterdir())


def edited_sweep(place: Place) -> Judged:
    place.store()
    toml = place.path("runs/sweep.toml")
    damage(place, "sweep.toml", toml.read_bytes().replace(b"[config]", b"[config]\nepochs = 9"))
    code = place.run("estimate runs --out e.npz")
    return code, not place.path("e.npz").exists()


def quarantined_twice(place: Place) -> Judged:
    place.run(f"{TRAIN} --runs 0:2 --engine serial")
    record = place.path("runs/records/000001.npz")
    record.write_bytes(record.read_bytes()[:100])
    place.own(f"runs/quarantine/{record.name}")
    code = place.run(f"{TRAIN} --runs 0:2 --engine serial")
    return code, record.stat().st_size > 100


def damaged(name: str, data: bytes, command: str) -> Callable[[Place], Judged]:
    def act(place: Place) -> Judged:
        place.store()
        damage(place, name, data)
        return place.run(command), not place.path("e.npz").exists()

    return act


# ---- H06: workers that freeze, and what is no file


def frozen_worker(place: Place) -> Judged:
    driver = place.start(f"{TRAIN} --runs 0:12 --workers 2 --limit-minutes 0.4")
    records, end = place.path("runs/records"), time.monotonic() + PATIENCE
    while not records.is_dir() or not list(records.glob("*.npz")):
        if driver.poll() is not None or time.monotonic() > end:
            break
        time.sleep(0.02)
    for pid in workers(driver.pid)[:1]:
        os.kill(pid, signal.SIGSTOP)
    code = place.end(driver)
    return code, len(list(records.glob("*.npz"))) == 12


def workers(driver: int) -> list[int]:
    """Return the processes of the pool of a driver, from the list of the system."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True)
    rows = (line.split(None, 2) for line in listed.stdout.splitlines()[1:])
    return [
        int(pid) for pid, parent, args in rows if int(parent) == driver and "spawn_main" in args
    ]


def pipe_for(command: str, *names: str) -> Callable[[Place], Judged]:
    def act(place: Place) -> Judged:
        place.path("scores.csv").write_text("filename,label,score\n0.png,0,0.1\n1.png,0,0.9\n")
        for name in names:
            place.path(name).parent.mkdir(parents=True, exist_ok=True)
            os.mkfifo(place.path(name))
        return place.run(command), not place.path("page").exists()

    return act


# ---- H07: absurd numbers


def forty_million_runs(place: Place) -> Judged:
    """Ask for so many runs that their ids in a list would take more than a gigabyte."""
    driver = place.start(f"{TRAIN} --runs 0:40000000 --workers 1")
    end = time.monotonic() + PATIENCE
    while driver.poll() is None and time.monotonic() < end:
        if list(place.path("runs").glob("records/*.npz")):
            break
        time.sleep(0.05)
    most = peak_megabytes(driver.pid)
    os.killpg(driver.pid, signal.SIGINT)
    return place.end(driver), most < 1000


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process has held; infinite if it has ended."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1000 if found else 0.0
    return float("inf")


def huge_label(command: str) -> Callable[[Place], Judged]:
    def act(place: Place) -> Judged:
        place.path("a.csv").write_text(f"index,label,score\n0,0,0.1\n1,{10**7},0.9\n")
        code = place.run(command)
        return code, not place.path("out").exists()

    return act


# ---- H08: crafted files


def crafted(header: dict[str, object] | str, command: str) -> Callable[[Place], Judged]:
    """An array whose header is not that of its data."""

    def act(place: Place) -> Judged:
        usual = {"descr": "<f4", "fortran_order": False, "shape": (150,)}
        text = repr(usual | header) if isinstance(header, dict) else header
        data = text.encode() + b"\n"
        with zipfile.ZipFile(place.path("a.npz"), "w") as archive:
            head = b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little")
            archive.writestr("tr_mem.npy", head + data + bytes(600))
        return place.run(command), not place.path("out.csv").exists()

    return act


def deep_json(place: Place) -> Judged:
    place.path("a.json").write_text("[" * 100_000)
    return place.run("verify a.json"), True


def big_endian(place: Place) -> Judged:
    np.savez(place.path("a.npz"), scores=np.linspace(0, 1, 9).astype(">f8"))
    codes = [place.run(f"export a.npz --out out.{kind}") for kind in ("csv", "json", "npz")]
    right = place.path("out.csv").read_text().splitlines()[-1].endswith("1.0")
    return max(code or 0 for code in codes), right


VERIFY, EXPORT = "verify a.npz", "export a.npz --out out.csv"
ESTIMATE, STATUS = "estimate runs --out e.npz", "sweep status runs"
SCENARIOS = (
    Scenario("H04", "one damaged record, read only", "ok", one_damaged_record),
    Scenario("H04", "sweep.toml was edited", "c 5", edited_sweep),
    Scenario("H04", "damaged twice, quarantined", "ok", quarantined_twice),
    Scenario("H04", "damaged sweep.toml", "c 2", damaged("sweep.toml", b"\xff=", ESTIMATE)),
    Scenario("H04", "damaged examples.npz", "c 5", damaged("examples.npz", b"PK\3\4", ESTIMATE)),
    Scenario("H04", "damaged failed/", "c 5", damaged("failed/7.json", b"[" * 9999, STATUS)),
    Scenario("H04", "damaged asked.json", "c 5", damaged("asked.json", b"{", STATUS)),
    Scenario("H06", "a worker is frozen", "ok", frozen_worker),
    Scenario(
        "H06",
        "pipe in place of an image",
        "c 2",
        pipe_for("report scores.csv --images pics --to page", "pics/a/0.png", "pics/a/1.png"),
    ),
    Scenario("H06", "pipe in place of a file", "c 6", pipe_for("verify a.npz", "a.npz")),
    Scenario(
        "H06",
        "pipe in place of settings",
        "c 2",
        pipe_for("sweep run a.toml --runs 0 --to page", "a.toml"),
    ),
    Scenario("H07", "40 million runs", "c 130", forty_million_runs),
    Scenario("H07", "label of ten million", "c 5", huge_label("select a.csv --top 1 --out out")),
    Scenario("H07", "label of ten million, report", "c 5", huge_label("report a.csv --to out")),
    Scenario("H08", "header with more than there is", "c 5", crafted({"shape": (151,)}, EXPORT)),
    Scenario("H08", "header with 10^18 numbers", "c 5", crafted({"shape": (10**9, 10**9)}, EXPORT)),
    Scenario("H08", "header that is not Python", "c 5", crafted("{'descr': (((", VERIFY)),
    Scenario("H08", "array of objects", "c 5", crafted({"descr": "|O"}, VERIFY)),
    Scenario("H08", "JSON 100,000 deep", "c 5", deep_json),
    Scenario("H08", "big-endian, exported", "ok", big_endian),
)
