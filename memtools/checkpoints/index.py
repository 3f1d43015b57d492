"""What is known of an archive, on disk: its members, and points from which it can be read.

    with Index(path, "cifar10-inception.tar.gz") as index:
        index.last()                         # the last Halt, or None
        index.note(halt, members)            # whole, or not at all
        index.end(Ended(size, md5), members) # all of it was read

A pass that was killed goes on at the last halt; whoever wants a few members later reads from the
halt before them to the one behind. A file of SQLite: whatever dies at whatever instant, what it
says is true. It can be given to others; they then trust whoever made it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from memtools.checkpoints.inflater import Point
from memtools.checkpoints.md5 import is_state
from memtools.checkpoints.tar_stream import Member, State
from memtools.errors import BusyError, ConfigError, DiskError

_FAR = 1 << 62  # a byte that no archive has
_WINDOW = 1 << 15  # bytes before a halt that deflate may refer to
_DAMAGE = ("decode", "no such table", "no such column", "malformed")  # words of SQLite
_HEX = re.compile("[0-9a-f]{32}")
_TABLES = """
CREATE TABLE archive (name TEXT, token TEXT);
CREATE TABLE halt (
    position INTEGER PRIMARY KEY, start INTEGER, bits INTEGER, last INTEGER, window BLOB,
    crc INTEGER, length INTEGER, tar_offset INTEGER, tar_left INTEGER, tar_ended INTEGER, md5 BLOB);
CREATE TABLE member (start INTEGER PRIMARY KEY, name TEXT, size INTEGER, regular INTEGER);
CREATE TABLE ended (size INTEGER, md5 TEXT);
"""


@dataclasses.dataclass(frozen=True)
class Halt:
    """The state of a whole pass at a byte of its input. md5: of all bytes before; None: unknown."""

    point: Point
    tar: State
    md5: bytes | None

    @classmethod
    def of(cls, row: Sequence[Any]) -> Self:
        """Return the halt of a row of the table; ValueError for a row that memtools cannot write.

        What is in it goes to zlib and to a digest as it is, so each value is looked at.
        """
        *of_point, offset, left, ended, md5 = row
        point, tar = Point(*of_point), State(offset, left, bool(ended))
        sizes = (point.position, point.offset, point.length, offset, left)
        small = ((point.bits, 7), (point.last, 255), (point.crc, 0xFFFFFFFF), (ended, 1))
        is_ours = all(_is_within(*each) for each in [*((size, _FAR) for size in sizes), *small])
        if not is_ours or type(point.window) is not bytes or len(point.window) > _WINDOW:
            raise ValueError("a halt in it cannot be one")
        if md5 is not None and not is_state(md5, point.position):
            raise ValueError("a digest in it cannot be one")
        return cls(point, tar, md5)

    @property
    def row(self) -> tuple[object, ...]:
        """For the table."""
        return (*dataclasses.astuple(self.point), *dataclasses.astuple(self.tar), self.md5)


@dataclasses.dataclass(frozen=True)
class Ended:
    """How many bytes an archive has, and their MD5, hex; None where that is not known."""

    size: int
    md5: str | None

    @classmethod
    def of(cls, row: Sequence[Any]) -> Self:
        """Return the end of a row of the table; ValueError for a row that memtools cannot write."""
        size, md5 = row
        is_digest = md5 is None or (type(md5) is str and _HEX.fullmatch(md5))
        if not _is_within(size, _FAR) or not is_digest:
            raise ValueError("the end in it cannot be one")
        return cls(size, md5)


class Index:
    """The index of one archive; a context manager that closes it.

    archive: the name of its file. Raises ConfigError if the file is the index of another one.
    """

    def __init__(self, path: Path, archive: str) -> None:
        self.path = path
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=5)
            try:
                self._begin(archive)
            except (sqlite3.Error, ConfigError):
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

    @property
    def token(self) -> str:
        """Tells this index from every other one, and from what it was before it forgot."""
        return self._of_archive("token")

    @property
    def ended(self) -> Ended | None:
        """None unless a pass has seen the whole archive."""
        rows = self._rows("SELECT size, md5 FROM ended")
        with self._errors():
            return Ended.of(rows[0]) if rows else None

    def last(self) -> Halt | None:
        """Where a pass can go on."""
        return self._one("SELECT * FROM halt ORDER BY position DESC LIMIT 1")

    def before(self, member: Member) -> Halt | None:
        """The last halt from which a member can be read; None: the first byte."""
        query = "SELECT * FROM halt WHERE tar_offset < ? ORDER BY position DESC LIMIT 1"
        return self._one(query, member.offset)  # never within headers, so it is before them

    def behind(self, member: Member) -> Halt | None:
        """The first halt behind a member and its padding; None: only the end."""
        query = "SELECT * FROM halt WHERE tar_offset >= ? ORDER BY position LIMIT 1"
        return self._one(query, member.offset + member.size + -member.size % 512)

    def between(self, start: Halt | None, stop: Halt | None) -> list[Halt]:
        """Every halt behind `start` (None: the first byte), up to `stop` (None: the end)."""
        first, last = (h.point.position if h else None for h in (start, stop))
        query = "SELECT * FROM halt WHERE position > ? AND position <= ? ORDER BY position"
        rows = self._rows(query, -1 if first is None else first, _FAR if last is None else last)
        with self._errors():
            return [Halt.of(row) for row in rows]

    def members(self) -> list[Member]:
        """Those that were seen, in their order."""
        rows = self._rows("SELECT name, start, size, regular FROM member ORDER BY start")
        with self._errors():
            return [_member(row) for row in rows]

    def note(self, halt: Halt, members: Sequence[Member]) -> None:
        """Add a halt, and the members since the last."""
        with self._errors(), self._database:
            self._insert("halt", [halt.row])
            self._insert("member", [_row(member) for member in members])

    def end(self, ended: Ended, members: Sequence[Member]) -> None:
        """Add the members since the last halt: there are no more."""
        with self._errors(), self._database:
            self._insert("member", [_row(member) for member in members])
            self._database.execute("DELETE FROM ended")
            self._insert("ended", [(ended.size, ended.md5)])

    def forget(self, start: Halt | None = None) -> None:
        """Know nothing of what lies behind a halt (None: nothing at all).

        What others have taken on the word of this index, they can no longer: it has a new token.
        """
        position, offset = (start.point.position, start.tar.offset) if start else (-1, -1)
        with self._errors(), self._database:
            self._database.execute("DELETE FROM ended")
            self._database.execute("DELETE FROM halt WHERE position > ?", (position,))
            self._database.execute("DELETE FROM member WHERE start > ?", (offset,))
            self._database.execute("UPDATE archive SET token = ?", (secrets.token_hex(8),))

    def _begin(self, archive: str) -> None:
        if not self._rows("SELECT name FROM sqlite_master WHERE name = 'ended'"):
            with self._database:
                self._database.executescript(f"BEGIN; {_TABLES}")
                self._insert("archive", [(archive, secrets.token_hex(8))])
        known = self._of_archive("name")
        if known != archive:
            raise ConfigError(
                f"{self.path} is the index of {known}, not of {archive}",
                hint="name another file with --index, or take this one away",
            )

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._errors():
            return self._database.execute(query, values).fetchall()

    def _one(self, query: str, *values: object) -> Halt | None:
        rows = self._rows(query, *values)
        with self._errors():
            return Halt.of(rows[0]) if rows else None

    def _of_archive(self, column: str) -> str:
        """Return a value of the only row of the table `archive`."""
        rows = self._rows(f"SELECT {column} FROM archive")  # noqa: S608 - our own names
        with self._errors():
            if len(rows) != 1 or type(rows[0][0]) is not str:
                raise ValueError("it does not say of which archive it is")
            return rows[0][0]

    def _insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            query = f"INSERT OR REPLACE INTO {table} VALUES ({marks})"  # noqa: S608 - our own names
            self._database.executemany(query, rows)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DiskError(
                f"{self.path}: {error.strerror}", hint="choose another place"
            ) from error
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise BusyError(
                    f"another process writes {self.path}", hint="wait until it has finished"
                ) from error
            if any(words in str(error) for words in _DAMAGE):
                raise self._damaged(error) from error
            raise DiskError(
                f"{self.path}: {error}", hint="is the disk full, or the directory read-only?"
            ) from error
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DiskError:
        return DiskError(
            f"{self.path} is not an index of memtools, or damaged: {error}",
            hint="take it away; the archive is then read from its first byte",
        )


def _member(row: Sequence[Any]) -> Member:
    """Return the member of a row of the table; ValueError for a row that memtools cannot write."""
    name, start, size, regular = row
    numbers = ((start, _FAR), (size, _FAR), (regular, 1))
    if type(name) is not str or not all(_is_within(*each) for each in numbers):
        raise ValueError("a member in it cannot be one")
    return Member(name, start, size, bool(regular))


def _is_within(value: object, limit: int) -> bool:
    return type(value) is int and 0 <= value <= limit


def _row(member: Member) -> tuple[object, ...]:
    return member.offset, member.name, member.size, member.regular
