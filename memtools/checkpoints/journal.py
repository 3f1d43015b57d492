"""How far a pass over an archive is, on disk: points from which it can go on, and the members seen.

    with Journal(path, identity) as journal:
        journal.latest()                     # the last Halt, or None
        journal.note(halt, members)          # whole, or not at all

A file of SQLite: whatever dies at whatever instant, what it says is true. identity: what is read
and what for; a journal of something else is begun anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from memtools.checkpoints.inflater import Point
from memtools.checkpoints.tar_stream import Member, State
from memtools.errors import BusyError, DiskError

_TABLES = """
CREATE TABLE IF NOT EXISTS identity (words TEXT);
CREATE TABLE IF NOT EXISTS halt (
    position INTEGER PRIMARY KEY, start INTEGER, bits INTEGER, last INTEGER, window BLOB,
    crc INTEGER, length INTEGER, tar_offset INTEGER, tar_left INTEGER, tar_ended INTEGER, md5 BLOB);
CREATE TABLE IF NOT EXISTS member (
    start INTEGER PRIMARY KEY, name TEXT, size INTEGER, regular INTEGER);
"""


@dataclasses.dataclass(frozen=True)
class Halt:
    """The state of a whole pass at a byte of its input. md5: of all bytes before; None: unknown."""

    point: Point
    tar: State
    md5: bytes | None


class Journal:
    """The journal of one archive; a context manager that closes it."""

    def __init__(self, path: Path, identity: str) -> None:
        self._path = path
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=5)
            try:
                self._begin(identity)
            except sqlite3.Error:
                self._database.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()

    def latest(self) -> Halt | None:
        """Where to go on."""
        with self._errors():
            row = self._database.execute(
                "SELECT * FROM halt ORDER BY position DESC LIMIT 1"
            ).fetchone()
        if row is None:
            return None
        *of_point, offset, left, ended, md5 = row
        return Halt(Point(*of_point), State(offset, left, bool(ended)), md5)

    def note(self, halt: Halt, members: Sequence[Member]) -> None:
        """Add a halt, and the members since the last."""
        rows = [(each.offset, each.name, each.size, each.regular) for each in members]
        state = (*dataclasses.astuple(halt.point), *dataclasses.astuple(halt.tar), halt.md5)
        with self._errors(), self._database:
            self._database.execute(f"INSERT OR REPLACE INTO halt VALUES ({_marks(state)})", state)  # noqa: S608 - question marks
            self._database.executemany("INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?)", rows)

    def clear(self) -> None:
        """Know nothing."""
        with self._errors(), self._database:
            self._database.execute("DELETE FROM halt")
            self._database.execute("DELETE FROM member")

    def _begin(self, identity: str) -> None:
        with self._database:
            self._database.executescript(_TABLES)
            known = self._database.execute("SELECT words FROM identity").fetchone()
            if known != (identity,):
                for table in ("identity", "halt", "member"):
                    self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
                self._database.execute("INSERT INTO identity VALUES (?)", (identity,))

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise BusyError(
                    f"another process writes {self._path}", hint="wait until it has finished"
                ) from error
            raise DiskError(
                f"{self._path}: {error}", hint="is the disk full, or the directory read-only?"
            ) from error
        except sqlite3.DatabaseError as error:
            raise DiskError(
                f"{self._path} is no journal of memtools, or damaged: {error}",
                hint="take it away; the pass then begins at the first byte",
            ) from error


def _marks(row: Sequence[object]) -> str:
    return ", ".join("?" * len(row))
