"""The tools that `benchmarks/faults.py` compares, and how each is called.

All wait as long (2 s without a byte with --quick, else 5 s); pooch tries 4 times, with longer and
longer waits, the others 6 times. Each peer has the flags that served it best:

    curl    -C - --retry --retry-all-errors --retry-max-time --speed-limit --speed-time
    wget    -c --tries --timeout --waitretry --retry-connrefused --retry-on-http-error
    aria2c  -c --max-tries --retry-wait --timeout --checksum=md5 -x4 -s4 -k1M
    pooch   create(retry_if_failed=3).fetch with the md5 and HTTPDownloader(timeout)
"""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from place import MEMTOOLS

FILE = "a.gz"  # what is fetched


@dataclasses.dataclass(frozen=True)
class Goal:
    """The task of a tool. patience: seconds without a byte until it should reconnect."""

    url: str
    registry: str
    md5: str
    patience: int


def memtools(goal: Goal) -> list[str]:
    options = f"--to . --registry {goal.registry} --timeout {goal.patience}"
    return [MEMTOOLS, "fetch", "thing", *options.split()]


def curl(goal: Goal) -> list[str]:
    retry = "--retry 5 --retry-all-errors --retry-connrefused --retry-delay 1 --retry-max-time 30"
    slow = f"--connect-timeout {goal.patience} --speed-limit 1024 --speed-time {goal.patience}"
    return f"curl -q -fsSL -C - {retry} {slow} -o {FILE} {goal.url}".split()


def wget(goal: Goal) -> list[str]:
    retry = "--waitretry=1 --retry-connrefused --retry-on-http-error=429,500,502,503,504"
    return f"wget --no-config -q -c --tries=6 --timeout={goal.patience} {retry} {goal.url}".split()


def aria2c(goal: Goal) -> list[str]:
    wait = f"--retry-wait=1 --timeout={goal.patience} --connect-timeout={goal.patience}"
    name = f"--checksum=md5={goal.md5} --allow-overwrite=true -o {FILE} {goal.url}"
    return f"aria2c --no-conf -q -c -x4 -s4 -k1M --max-tries=6 {wait} {name}".split()


POOCH = """
import sys, pooch
file, url, md5, seconds = sys.argv[1:]
known = {"registry": {file: "md5:" + md5}, "urls": {file: url}, "retry_if_failed": 3}
download = pooch.HTTPDownloader(timeout=float(seconds))
pooch.create(".", "", **known).fetch(file, downloader=download)
"""


def pooch(goal: Goal) -> list[str]:
    return [sys.executable, "-c", POOCH, FILE, goal.url, goal.md5, f"{goal.patience}"]


@dataclasses.dataclass(frozen=True)
class Tool:
    """A program in one column. command: what to run in the directory that the file shall be in."""

    name: str
    is_here: bool
    command: Callable[[Goal], list[str]]
    n_parts: int = 1


TOOLS = (
    Tool("memtools", Path(MEMTOOLS).exists(), memtools),
    Tool("3 parts", Path(MEMTOOLS).exists(), memtools, n_parts=3),
    Tool("curl", shutil.which("curl") is not None, curl),
    Tool("wget", shutil.which("wget") is not None, wget),
    Tool("aria2c", shutil.which("aria2c") is not None, aria2c),
    Tool("pooch", importlib.util.find_spec("pooch") is not None, pooch),
)
