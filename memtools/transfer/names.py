"""The names a download lives under before it is whole, and who owns them.

    NAME                        the target: only ever a whole, verified file
    NAME.part, NAME.part.json   bytes and state at rest: nobody is at work
    NAME.part.<owner>[.json]    the same in the hands of a process
    NAME.part.lock              the lock between processes

A process takes bytes at rest, or those of a dead owner, by renaming them to a
name of its own. Renaming is atomic, so even where locks lie (some network file
systems) no two processes ever write to one file, and a file is published by
nobody but its owner.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import hashlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from memtools.files import fsync_directory

Sleep = Callable[[float], object]
HEARTBEAT = 5.0  # seconds: a live owner rewrites its state at least this often


@dataclasses.dataclass(frozen=True)
class Names:
    """All names that belong to one target."""

    target: Path

    @property
    def part(self) -> Path:
        """Bytes at rest."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def lock(self) -> Path:
        """The lock between processes."""
        return self.target.with_name(self.target.name + ".part.lock")

    def claim(self, sleep: Sleep = time.sleep) -> Path:
        """A file of our own to write to: bytes found, renamed, or a new empty one."""
        own = self.target.with_name(f"{self.part.name}.{_owner()}")
        for found in self.abandoned(sleep):
            try:
                os.rename(found, own)
            except FileNotFoundError:  # another process was faster
                continue
            for state in (state_of(found), *self._stray_states()):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(state, state_of(own))
                    break
            return own
        os.close(os.open(own, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
        return own

    def rest(self, own: Path) -> None:
        """Put our bytes and state where the next process finds them."""
        if own.exists():
            if state_of(own).exists():  # first: a state without bytes is anybody's
                os.replace(state_of(own), state_of(self.part))
            os.replace(own, self.part)
            fsync_directory(self.target.parent)

    def abandoned(self, sleep: Sleep | None = time.sleep) -> list[Path]:
        """Files with bytes that nobody is writing to, the fullest first.

        Whether another host is at work takes time to see: without `sleep` it is assumed.
        """
        prefix = self.part.name + "."
        found = [
            path
            for path in self.parts()
            if path == self.part or not _alive(path.name.removeprefix(prefix), path, sleep)
        ]
        return sorted(found, key=_n_blocks, reverse=True)

    def parts(self) -> list[Path]:
        """All files with bytes of an unfinished target, at rest or in anybody's hands."""
        found = [path for path in self._owned() if path.suffix not in (".json", ".tmp")]
        return [path for path in (self.part, *found) if path.is_file()]

    def leftovers(self, sleep: Sleep | None = None) -> list[Path]:
        """Everything but the target itself that nobody is using; for `sleep` see `abandoned`."""
        found = [self.part, state_of(self.part), *self._owned()]
        in_use = {*self.parts()} - {*self.abandoned(sleep)}  # last: newcomers are not found
        return [path for path in found if path.exists() and _bytes_of(path) not in in_use]

    def _owned(self) -> list[Path]:
        """Bytes and states in anybody's hands, dead or alive."""
        return list(self.target.parent.glob(glob.escape(self.part.name) + ".*-*-*-*"))

    def _stray_states(self) -> list[Path]:
        """States without bytes: whoever was killed between two renames left them."""
        owned = [path for path in self._owned() if path.suffix == ".json"]
        return [state_of(self.part), *(path for path in owned if not _bytes_of(path).exists())]


def state_of(part: Path) -> Path:
    """The state file that goes with a file of bytes."""
    return part.with_name(part.name + ".json")


def _bytes_of(path: Path) -> Path:
    """The file of bytes that a state file, finished or not, goes with."""
    return path.with_name(path.name.removesuffix(".tmp").removesuffix(".json"))


def _owner() -> str:
    """This process, as part of a file name: host, process id, its start time, a nonce."""
    return f"{_host()}-{os.getpid()}-{_started(os.getpid())}-{os.urandom(2).hex()}"


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _started(pid: int) -> str:
    """When a process began, in clock ticks since boot: tells a reused process id (Linux).

    A process that is dead, and only not yet noticed by its parent, began never.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "0"
    state, *facts = stat.rpartition(")")[2].split()
    return facts[18] if state not in "ZX" else "dead"


def _alive(owner: str, path: Path, sleep: Sleep | None) -> bool:
    """Whether the owner that the name of `path` ends with is still at work.

    On this host the process table knows. Of another host only the heartbeat can
    be seen: an owner rewrites its state every few seconds, so it is watched for
    longer than that; no clocks are compared.
    """
    host, pid, started, _ = owner.split("-", 3)
    if host != _host():
        if sleep is None:
            return True
        before = _pulse(path)
        sleep(3 * HEARTBEAT)
        return _pulse(path) != before
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and is somebody else's
        return True
    return _started(int(pid)) == started


def _n_blocks(path: Path) -> int:
    try:
        return path.stat().st_blocks
    except FileNotFoundError:  # another process was faster
        return 0


def _pulse(path: Path) -> tuple[int, ...]:
    state = state_of(path)
    seen = [each.stat() for each in (path, state) if each.exists()]
    return tuple(value for each in seen for value in (each.st_mtime_ns, each.st_ino, each.st_size))
