"""The index of an archive: what it knows, and what it forgets."""

import sqlite3
import sys

import pytest

from memtools.checkpoints.index import Ended, Halt, Index
from memtools.checkpoints.inflater import Point
from memtools.checkpoints.tar_stream import Member, State
from memtools.errors import BusyError, ConfigError, DiskError

MEMBERS = [Member(f"{k}", 1024 * k + 512, 500, True) for k in range(6)]  # and 12 bytes of padding


def state_of(n_bytes):
    """What an MD5 of so many bytes saves, as far as the index looks at it."""
    length, pending = (n_bytes * 8).to_bytes(8, sys.byteorder), n_bytes % 64
    return bytes(16) + length + bytes(64) + pending.to_bytes(4, sys.byteorder)


HALTS = [
    Halt(Point(n, 7, 3, 9, b"window", 11, 13), State(offset, 8), state_of(n))
    for n, offset in ((204, 2040), (409, 4096))  # behind the second member; behind the fourth
]


@pytest.fixture
def path(tmp_path):
    with Index(tmp_path / "new" / "index", "a.tar.gz") as index:
        index.note(HALTS[0], MEMBERS[:2])
        index.note(HALTS[1], MEMBERS[2:4])
    return index.path


def test_it_is_the_same_when_it_is_opened_again(path):
    with Index(path, "a.tar.gz") as index:
        assert (index.last(), index.members(), index.ended) == (HALTS[1], MEMBERS[:4], None)
        assert index.between(None, None) == HALTS
        assert index.between(None, HALTS[0]) == HALTS[:1] and index.between(*HALTS) == HALTS[1:]
        token = index.token
    with Index(path, "a.tar.gz") as index:
        assert index.token == token


def test_a_member_lies_between_two_halts(path):
    with Index(path, "a.tar.gz") as index:
        found = [(index.before(each), index.behind(each)) for each in MEMBERS[:5]]
    assert found[:2] == [(None, HALTS[0]), (None, HALTS[1])]  # the padding is the member's
    assert found[2:] == [(HALTS[0], HALTS[1]), (HALTS[0], HALTS[1]), (HALTS[1], None)]


def test_an_archive_has_one_end(path):
    with Index(path, "a.tar.gz") as index:
        for ended in (Ended(600, "0" * 32), Ended(700, "1" * 32)):
            index.end(ended, MEMBERS[4:])
            assert index.ended == ended and index.members() == MEMBERS


def test_it_forgets_what_lies_behind_a_halt_and_is_another_one_then(path):
    with Index(path, "a.tar.gz") as index:
        index.end(Ended(600, None), MEMBERS[4:])
        before = index.token
        index.forget(HALTS[0])
        assert (index.last(), index.members(), index.ended) == (HALTS[0], MEMBERS[:2], None)
        assert index.token != before
        index.forget()
        assert (index.last(), index.members()) == (None, [])


def test_that_of_another_archive_is_refused_and_so_is_what_is_none(path, tmp_path):
    with pytest.raises(ConfigError, match=r"is the index of a\.tar\.gz, not of b\.tar\.gz"):
        Index(path, "b.tar.gz")
    (tmp_path / "words").write_text("no index " * 999)
    with pytest.raises(DiskError, match="not an index of memtools"):
        Index(tmp_path / "words", "a.tar.gz")


def test_two_cannot_write_at_once(path, monkeypatch):
    import sqlite3

    other = sqlite3.connect(path)
    other.execute("BEGIN EXCLUSIVE")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: connect(path, timeout=0.01))
    with pytest.raises(BusyError):
        Index(path, "a.tar.gz")
    other.close()


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("UPDATE halt SET md5 = x'00'", "last"),
        (f"UPDATE halt SET md5 = x'{'00' * 92}'", "last"),  # of no byte at all
        ("UPDATE halt SET md5 = CAST(x'ff' AS TEXT)", "last"),
        ("DROP TABLE member", "members"),
        ("UPDATE halt SET bits = 9", "last"),
        ("UPDATE halt SET bits = -1", "last"),
        ("UPDATE halt SET window = zeroblob(40000)", "last"),
        ("UPDATE halt SET window = 'text'", "last"),
        ("UPDATE halt SET tar_left = 'x'", "last"),
        ("UPDATE halt SET crc = NULL", "last"),
        ("UPDATE member SET size = -5", "members"),
        ("UPDATE member SET name = x'ff'", "members"),
        ("INSERT INTO ended VALUES (1, 'no md5')", "ended"),
        ("INSERT INTO ended VALUES (NULL, NULL)", "ended"),
        ("UPDATE archive SET token = NULL", "token"),
        ("DELETE FROM archive", "token"),
    ],
)
def test_rows_that_it_cannot_have_written_are_refused(path, change, read):
    with sqlite3.connect(path) as database:
        database.execute(change)
    database.close()
    with (
        pytest.raises(DiskError, match="not an index of memtools, or damaged"),
        Index(path, "a.tar.gz") as index,
    ):
        found = getattr(index, read)
        found() if callable(found) else None
