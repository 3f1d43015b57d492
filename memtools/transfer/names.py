"""The names a download lives under before it is whole, and who owns them.

    NAME                        the target: only ever a whole, verified file
    NAME.part, NAME.part.json   bytes and state at rest: no process is at work
    NAME.part.<owner>[.json]    the same in the hands of a process
    NAME.part.lock              the lock between processes

A process takes bytes at rest, or those of a dead owner, by renaming them to a
name of its own. Renaming is atomic, so even where locks do not exclude anyone (some network
file systems) no two processes ever write to one file, and a file is published only
by its owner.

`NAME.part` is ours only if it is a regular file beside a state of ours. Otherwise it, and a
`NAME.part.json` of another format, is a user's own and never touched: bytes are then put to rest
under an owner that is always dead.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from memtools.files import fsync_directory
from memtools.temporary_files import (
    OWNER,
    create_exclusively,
    is_dead,
    is_foreign,
    is_regular,
    new_owner,
    nobody,
    orphans,
)
from memtools.transfer.piece import is_state

log = logging.getLogger("memtools")
_OWNED = re.compile(rf"\.(?P<owner>{OWNER.pattern})(?P<kind>|\.json|\.json\.tmp)")
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
        """Return a file of our own to write to: bytes found, renamed, or a new empty one."""
        if not self._may_rest():
            log.warning("%s is not of an unfinished download, and is left alone", self.part)
        own = self._in_hands_of(new_owner())
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
        os.close(create_exclusively(own))
        return own

    def rest(self, own: Path) -> None:
        """Put our bytes and state where the next process finds them.

        Bytes without a state prove nothing to the next process, so they are removed.
        """
        if not own.exists():
            return
        if not state_of(own).exists():
            own.unlink()
            return
        resting = self.part if self._may_rest() else self._in_hands_of(nobody())
        os.replace(state_of(own), state_of(resting))  # first: a state without bytes is anybody's
        os.replace(own, resting)
        fsync_directory(self.target.parent)

    def abandoned(self, sleep: Sleep | None = time.sleep) -> list[Path]:
        """Return files with bytes that no process is writing to, the fullest first.

        Whether another host is at work takes time to see: without `sleep` it is assumed.
        """
        found = [
            path for path in self.parts() if path == self.part or not self._is_alive(path, sleep)
        ]
        return sorted(found, key=_n_blocks, reverse=True)

    def parts(self) -> list[Path]:
        """Return all files with bytes of an unfinished target, at rest or with any owner."""
        resting = [self.part] if self._rests() else []
        return resting + [path for path in self._owned() if _bytes_of(path) == path]

    def leftovers(self, sleep: Sleep | None = None) -> list[Path]:
        """Return every file of ours but the target that is not in use; see `abandoned`.

        Temporary files of dead processes in the same directory are among them.
        """
        found = self._owned()
        if is_state(state_of(self.part)):
            found += [self.part] * is_regular(self.part) + [state_of(self.part)]
        in_use = {*self.parts()} - {*self.abandoned(sleep)}  # last: newcomers are not found
        found = [path for path in found if path.exists() and _bytes_of(path) not in in_use]
        return found + [path for path in orphans(self.target.parent) if is_regular(path)]

    def _rests(self) -> bool:
        """Return whether there are bytes of ours at rest."""
        return is_regular(self.part) and is_state(state_of(self.part))

    def _may_rest(self) -> bool:
        """Return whether the names at rest are free, or ours."""
        state = state_of(self.part)
        return (self._rests() or not os.path.lexists(self.part)) and (
            is_state(state) or not os.path.lexists(state)
        )

    def _in_hands_of(self, owner: str) -> Path:
        return self.target.with_name(f"{self.part.name}.{owner}")

    def _owned(self) -> list[Path]:
        """Return bytes and states of any owner, dead or alive."""
        if not self.target.parent.is_dir():
            return []
        prefix = self.part.name
        return [
            path
            for entry in os.scandir(self.target.parent)
            if entry.name.startswith(prefix) and _OWNED.fullmatch(entry.name, len(prefix))
            if is_regular(path := self.target.parent / entry.name)
        ]

    def _stray_states(self) -> list[Path]:
        """Return states without bytes, left by processes that were killed between two renames."""
        resting = [state for state in [state_of(self.part)] if is_state(state)]
        states = [path for path in self._owned() if path.suffix == ".json"]
        return resting + [path for path in states if not _bytes_of(path).exists()]

    def _is_alive(self, path: Path, sleep: Sleep | None) -> bool:
        """Return whether the owner that the name of `path` ends with is still at work.

        On this host the process table knows. Of another host only the heartbeat can
        be seen: an owner rewrites its state every few seconds, so it is watched for
        longer than that; no clocks are compared.
        """
        owner = path.name.removeprefix(f"{self.part.name}.")
        if not is_foreign(owner):
            return not is_dead(owner)
        if sleep is None:
            return True
        before = _pulse(path)
        sleep(3 * HEARTBEAT)
        return _pulse(path) != before


def state_of(part: Path) -> Path:
    """Return the state file that goes with a file of bytes."""
    return part.with_name(part.name + ".json")


def _bytes_of(path: Path) -> Path:
    """Return the file of bytes that a state, or a state half written, belongs to."""
    return path.with_name(path.name.removesuffix(".tmp").removesuffix(".json"))


def _n_blocks(path: Path) -> int:
    try:
        return path.stat().st_blocks
    except FileNotFoundError:  # another process was faster
        return 0


def _pulse(path: Path) -> tuple[int, ...]:
    seen = []
    for each in (path, state_of(path)):
        with contextlib.suppress(FileNotFoundError):  # its owner has just finished
            seen.append(each.stat())
    return tuple(value for each in seen for value in (each.st_mtime_ns, each.st_ino, each.st_size))
