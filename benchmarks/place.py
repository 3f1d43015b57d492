"""The place of a hostile scenario of `benchmarks/faults.py`: directory, server, output.

letter, code = judge_alone(scenario, directory)
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fault_server import FaultServer
from runs.plausible_worlds import stored, world
from worlds import artifact, published_arrays, write_registry

MEMTOOLS = str(Path(sys.executable).with_name("memtools"))
FOREIGN = re.compile(r"MEMTOOLS_|PYTHONDONTWRITEBYTECODE|.*_proxy$", re.IGNORECASE)  # settings
CLEAN = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
PATIENCE = 100  # seconds until a process has hung: those that train import TensorFlow, side by side
MINE = b"months of work"  # what users have in their own files
Judged = tuple[int | None, bool]


@dataclasses.dataclass
class Place:
    """A directory where memtools runs, and a server; both are a scenario's own.

    printed: all that memtools printed. kept: files that must stay as they are, with their bytes.
    secrets: what must be neither printed nor written.
    """

    directory: Path
    server: FaultServer
    printed: str = ""
    kept: dict[Path, bytes] = dataclasses.field(default_factory=dict)
    secrets: list[str] = dataclasses.field(default_factory=list)
    _shown: dict[subprocess.Popen[bytes], IO[bytes]] = dataclasses.field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.directory / name

    def own(self, name: str) -> Path:
        """Make a file of the user's, which must be there in the end as it is now."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_bytes(MINE)
        self.keep(self.path(name))
        return self.path(name)

    def keep(self, *paths: Path) -> None:
        """Remember files that must be there in the end as they are now."""
        self.kept |= {path: path.read_bytes() for path in paths}

    def arrays(self, name: str, *, seed: int = 0, **more: np.ndarray) -> None:
        """Write estimates in the published schema."""
        np.savez(self.path(name), **published_arrays([30] * 5, 6, seed=seed) | more)

    def store(self) -> list[Path]:
        """Make a store of 40 runs; return its records, which must stay as they are."""
        stored(self.path("runs"), world())
        records = sorted(self.path("runs/records").iterdir())
        self.keep(*records)
        return records

    def publish(self, data: bytes, url: str = "a.gz", **fields: object) -> None:
        """Serve a file in two parts, and a registry that knows their sizes and digests."""
        half = len(data) // 2
        parts = {"a.gz": data[:half], "b.gz": data[half:]}
        for name, part in parts.items():
            (self.server.directory / name).write_bytes(part)
        facts = {"file": "a.gz", "whole": False} | fields
        table = artifact([url, "b.gz"], [*parts.values()], **facts)
        write_registry(self.server.directory / "r.toml", table)

    def start(self, line: str, redirect: str = "", **settings: str) -> subprocess.Popen[bytes]:
        """Start memtools with the words of a line as arguments, in a group of its own.

        A file takes what it prints: a pipe could fill up, or be held open by its workers.
        """
        shown = tempfile.TemporaryFile()  # noqa: SIM115
        process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" {redirect}', "sh", MEMTOOLS, *line.split()],
            cwd=self.directory,
            env=CLEAN | {"MEMTOOLS_CACHE": "cache", "TF_CPP_MIN_LOG_LEVEL": "3"} | settings,
            stdin=subprocess.DEVNULL,
            stdout=shown,
            stderr=shown,
            start_new_session=True,
        )
        self._shown[process] = shown
        return process

    def end(self, process: subprocess.Popen[bytes]) -> int | None:
        """Return the exit code, None at the time limit; nothing of the group stays behind."""
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
        self.kill(process)
        with self._shown.pop(process) as shown:
            shown.seek(0)
            self.printed += shown.read().decode(errors="replace")
        return code

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End whatever lives of the group of a process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def run(self, line: str, redirect: str = "", **settings: str) -> int | None:
        return self.end(self.start(line, redirect, **settings))

    def fetch(self, more: str = "") -> int | None:
        registry = "" if "--registry" in more else f"--registry {self.server.base}/r.toml"
        return self.run(f"fetch thing {registry} --to . --timeout 2 {more}")

    def holds(self, name: str, data: bytes) -> bool:
        return self.path(name).is_file() and self.path(name).read_bytes() == data

    def judge(self, act: Callable[[Place], Judged]) -> tuple[str, int | None]:
        """Return the letter of a scenario as in `faults.py`, and the exit code."""
        try:
            code, right = act(self)
        finally:
            for process in self._shown:  # of a scenario that went wrong itself
                self.kill(process)
        written = (path for path in self.directory.rglob("*") if path.is_file())
        if code is None:
            return "H", code
        if any(not p.is_file() or p.read_bytes() != data for p, data in self.kept.items()):
            return "L", code
        if "Traceback" in self.printed:
            return "T", code
        if any(s in self.printed for s in self.secrets) or any(
            secret.encode() in path.read_bytes() for path in written for secret in self.secrets
        ):
            return "P", code
        if code == 0:
            return ("ok" if right else "S"), code
        return ("c" if right else "D"), code


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A scenario: its number and words, what memtools owes, and the function that does it."""

    number: str
    words: str
    owed: str
    act: Callable[[Place], Judged]


def judge_alone(scenario: Scenario, directory: Path) -> tuple[str, int | None]:
    """Run a scenario in a new place below `directory`; return its letter and the exit code."""
    own = Path(tempfile.mkdtemp(dir=directory))
    for name in ("served", "work"):
        (own / name).mkdir()
    with FaultServer(own / "served") as server:
        return Place(own / "work", server).judge(scenario.act)
