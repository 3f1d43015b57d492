"""A file on its way: what is written where, in which order it becomes durable, what is left."""

import errno
import hashlib
import json
import os
import shutil
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import git_blob, noise

from memtools.errors import BusyError, DiskError
from memtools.temporary_files import nobody
from memtools.transfer import chain
from memtools.transfer import partial as module
from memtools.transfer.joint import StoppedError
from memtools.transfer.names import Names, state_of
from memtools.transfer.partial import Partial
from memtools.transfer.piece import Piece

A, B = noise(3000, 1), noise(2000, 2)
BLOCK = 1000


@pytest.fixture
def target(tmp_path):
    return tmp_path / "thing.npz"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of a thousand bytes, so that small files have several, and chunks of a hundred."""
    monkeypatch.setattr(chain, "MIN_BLOCK", BLOCK)
    monkeypatch.setattr(module, "CHUNK", 100)


def pieces(*sizes):
    return [Piece(name, size) for name, size in zip("abcdef", sizes, strict=False)]


def put(partial, piece, data, start=0, step=700):
    for at in range(start, len(data), step):
        partial.write(piece, at, memoryview(data[at : at + step]))


def here(target):
    return {path.name for path in target.parent.iterdir()}


def is_open_as(descriptor, path):
    return path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())


@pytest.fixture
def shim(monkeypatch, target):
    """Notes fsync, replace and unlink in order, by the roles of the files."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def role(path):
        name = str(path).removeprefix(str(target.parent) + os.sep)
        if name == str(target.parent):
            return "directory"
        if name == target.name:
            return "target"
        if name.endswith(".tmp"):
            return "new state"
        return "state" if name.endswith(".json") else "bytes"

    def note_fsync(descriptor):
        paths = [target.parent, *target.parent.iterdir()]
        calls.append(("fsync", role(next(p for p in paths if is_open_as(descriptor, p)))))
        fsync(descriptor)

    def note_replace(source, destination):
        calls.append(("replace", role(source), role(destination)))
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    return calls


# ---- bytes


def test_pieces_lie_behind_one_another_whatever_their_order_of_arrival(target):
    a, b = pieces(3000, 2000)
    with Partial(target, [a, b], identity="x") as partial:
        put(partial, b, B)
        assert partial.frontier == 0
        assert not partial.complete
        put(partial, a, A)
        assert (partial.frontier, partial.size, partial.complete) == (5000, 5000, True)
        partial.publish()
    assert target.read_bytes() == A + B
    assert here(target) == {"thing.npz"}


def test_bytes_out_of_order_are_refused(target):
    (a,) = pieces(3000)
    with Partial(target, [a], identity="x") as partial:
        with pytest.raises(ValueError, match="do not follow"):
            partial.write(a, 1, memoryview(A[1:]))
        partial.write(a, 0, memoryview(A[:10]))
        with pytest.raises(ValueError, match="do not follow"):
            partial.write(a, 11, memoryview(A[11:]))
        assert a.chain.position == 10


def test_a_piece_whose_place_is_unknown_cannot_be_written(target):
    a, b = pieces(None, 2000)
    with Partial(target, [a, b], identity="x") as partial:
        assert partial.offset(b) is None
        assert partial.size is None
        with pytest.raises(ValueError, match="do not follow"):
            partial.write(b, 0, memoryview(B))
        partial.learn_size(a, 3000)
        assert partial.offset(b) == 3000


def test_bytes_that_are_held_already_are_skipped(target):
    (a,) = pieces(3000)
    with Partial(target, [a], identity="x") as partial:
        partial.write(a, 0, memoryview(A[:100]))
        partial.write(a, 0, memoryview(b"?" * 50))
        partial.write(a, 40, memoryview(b"?" * 60 + A[100:]))
        assert a.received == 3000
        assert partial.digests(a)["git_blob"] == git_blob(A)
        partial.publish()
    assert target.read_bytes() == A


def test_bytes_behind_the_end_never_reach_the_next_piece(target, monkeypatch):
    monkeypatch.setattr(chain, "MIN_BLOCK", 1 << 20)
    a, b = pieces(3000, 2000)
    with Partial(target, [a, b], identity="x") as partial:
        put(partial, b, B)
        partial.write(a, 0, memoryview(A + b"too much"))
        partial.write(a, 3000, memoryview(b"more"))
        partial.publish()
    assert target.read_bytes() == A + B


@pytest.mark.parametrize(("start", "length"), [(0, 1), (1, 4999), (4096, 904), (4095, 2), (17, 0)])
def test_a_window_shows_the_bytes_of_the_file(target, start, length):
    if not length:
        return
    (a,) = pieces(5000)
    with Partial(target, [a], identity="x") as partial:
        put(partial, a, A + B)
        with partial.window(start, length) as data:
            assert bytes(data) == (A + B)[start : start + length]


def test_a_piece_whose_size_was_unknown_gets_all_its_digests_in_the_end(target):
    piece = Piece("a", None, ("git_blob", "md5"))
    with Partial(target, [piece], identity="x") as partial:
        put(partial, piece, A)
        partial.learn_size(piece, 3000)
        assert partial.digests(piece) == {
            "git_blob": git_blob(A),
            "md5": hashlib.md5(A).hexdigest(),
        }


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=4),
    turns=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 120)), max_size=40),
)
def test_however_arrivals_mix_the_file_is_the_pieces_in_order(sizes, turns, tmp_path_factory):
    target = tmp_path_factory.mktemp("mixed") / "thing"
    contents = [noise(size, seed) for seed, size in enumerate(sizes)]
    made = pieces(*sizes)
    with Partial(target, made, identity="x") as partial:
        for who, n_bytes in [*turns, *((who, 300) for who in range(len(sizes)))]:
            piece, data = made[who % len(sizes)], contents[who % len(sizes)]
            at = piece.chain.position
            partial.write(piece, at, memoryview(data[at : at + n_bytes]))
            frontier = 0
            for each in made:
                frontier += each.chain.position
                if each.chain.position < each.size:
                    break
            assert partial.frontier == frontier
        assert partial.complete
        partial.publish()
    assert target.read_bytes() == b"".join(contents)


# ---- sizes and space


def test_a_size_that_contradicts_nothing_keeps_the_bytes(target):
    (a,) = pieces(None)
    with Partial(target, [a], identity="x") as partial:
        partial.write(a, 0, memoryview(A[:100]))
        partial.learn_size(a, 3000)
        assert (a.size, a.chain.position) == (3000, 100)


def test_a_size_below_what_is_held_starts_over(target):
    (a,) = pieces(None)
    with Partial(target, [a], identity="x") as partial:
        partial.write(a, 0, memoryview(A[:100]))
        partial.learn_size(a, 50)
        assert (a.size, a.chain.position) == (50, 0)


def test_a_size_that_does_not_fit_the_disk_is_said_before_it_is_full(target, monkeypatch):
    (a,) = pieces(None)
    usage = shutil.disk_usage(target.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10_000))
    with Partial(target, [a], identity="x") as partial:
        partial.learn_size(a, 9_000)
        with pytest.raises(DiskError, match=r"thing\.npz needs 10,\d\d\d B more"):
            partial.learn_size(a, 10_500)


def test_what_is_on_the_disk_already_needs_no_space(target, monkeypatch):
    (a,) = pieces(3_000_000)
    data = noise(3_000_000)
    with Partial(target, [a], identity="x") as partial:
        put(partial, a, data[:2_990_000], step=1 << 20)
        os.fsync(partial._fd)  # blocks are counted when they are given
        usage = shutil.disk_usage(target.parent)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100_000))
        partial.require_space()


# ---- publication


def test_a_file_is_published_by_fsync_rename_fsync_of_the_directory(target, shim):
    (a,) = pieces(3000)
    with Partial(target, [a], identity="x") as partial:
        put(partial, a, A)
        partial.publish(before=lambda: shim.append(("verified",)))
    last = len(shim) - 1 - shim[::-1].index(("replace", "bytes", "target"))
    assert shim[last - 2 : last + 2] == [
        ("fsync", "bytes"),
        ("verified",),
        ("replace", "bytes", "target"),
        ("fsync", "directory"),
    ]


def test_what_lay_behind_the_end_of_an_older_file_is_cut_off(target):
    names = Names(target)
    names.part.write_bytes(b"?" * 9000)
    state_of(names.part).write_bytes(b'{"identity": "of another file", "pieces": []}')
    (a,) = pieces(3000)
    with Partial(target, [a], identity="x") as partial:
        put(partial, a, A)
        partial.publish()
    assert target.read_bytes() == A


def test_only_a_complete_file_is_published(target):
    a, b = pieces(3000, 2000)
    with Partial(target, [a, b], identity="x") as partial:
        put(partial, a, A)
        with pytest.raises(ValueError, match="complete"):
            partial.publish()
    assert not target.exists()


def test_an_older_file_stays_until_the_moment_of_the_rename(target):
    target.write_bytes(b"old")
    (a,) = pieces(3000)
    seen = []
    with Partial(target, [a], identity="x") as partial:
        put(partial, a, A)
        partial.publish(before=lambda: seen.append(target.read_bytes()))
    assert seen == [b"old"]
    assert target.read_bytes() == A


def test_a_failed_fsync_is_final(target, monkeypatch):
    monkeypatch.setattr(chain, "MIN_BLOCK", 1 << 20)  # nothing is saved before the end
    fsync, asked = os.fsync, []
    (a,) = pieces(3000)

    def failing(descriptor):
        if is_open_as(descriptor, partial._own):
            asked.append(descriptor)
            raise OSError(errno.EIO, "lost")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with (
        pytest.raises(DiskError, match="read or write error") as caught,
        Partial(target, [a], identity="x") as partial,
    ):
        put(partial, a, A)
        partial.publish()
    assert caught.value.exit_code == 6
    assert len(asked) == 1  # the kernel says it once; asked again it would say yes
    assert here(target) == set()  # nothing proves the bytes, so they are not kept


def test_a_failed_fsync_of_the_saver_ends_the_work(target, monkeypatch):
    fsync = os.fsync
    (a,) = pieces(3000)

    def failing(descriptor):
        if is_open_as(descriptor, partial._own):
            raise OSError(errno.ENOSPC, "full")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with Partial(target, [a], identity="x") as partial:
        with pytest.raises(StoppedError):
            put(partial, a, A, step=500)
            partial.wait_until(lambda: False, 20)
        assert isinstance(partial.failure, DiskError)
        assert "the disk is full" in str(partial.failure)
    assert not target.exists()


def test_a_file_that_another_process_took_away_is_not_published(target):
    (a,) = pieces(3000)
    with (
        pytest.raises(BusyError, match="taken over"),
        Partial(target, [a], identity="x") as partial,
    ):
        put(partial, a, A)
        os.rename(partial._own, target.parent / "taken")
        partial.publish()
    assert here(target) >= {"taken"}
    assert not target.exists()


# ---- state


def test_after_an_error_bytes_and_state_are_at_rest(target):
    a, b = pieces(3000, 2000)
    with pytest.raises(KeyError), Partial(target, [a, b], identity="x") as partial:
        put(partial, a, A[:1500])
        put(partial, b, B[:600])
        raise KeyError
    assert here(target) == {"thing.npz.part", "thing.npz.part.json"}
    state = json.loads(state_of(Names(target).part).read_text())
    held = [max(map(int, each["links"])) for each in state["pieces"]]
    assert held == [1500, 600]


def test_the_next_process_goes_on_where_the_last_one_ended(target):
    a, b = pieces(3000, 2000)
    with Partial(target, [a, b], identity="x") as partial:
        put(partial, a, A[:1500])
        put(partial, b, B)
    a, b = Piece("a", 3000), Piece("b", 2000)
    with Partial(target, [a, b], identity="x") as partial:
        assert (a.chain.position, b.chain.position) == (0, 0)  # claims only
        partial.recheck(a)
        partial.recheck(b)
        assert (a.chain.position, b.chain.position) == (1500, 2000)
        assert (a.received, b.received) == (0, 0)
        put(partial, a, A, start=1500)
        partial.publish()
    assert target.read_bytes() == A + B


def test_nothing_of_a_file_that_was_to_become_another_is_used(target):
    (a,) = pieces(3000)
    with Partial(target, [a], identity="x") as partial:
        put(partial, a, A)
    a = Piece("a", 3000)
    with Partial(target, [a], identity="y") as partial:
        partial.recheck(a)
        assert a.chain.position == 0


@pytest.mark.parametrize("at", [0, 999, 1000, 2500])
def test_garbage_on_the_disk_costs_its_block_and_no_more(target, at):
    (a,) = pieces(3000)
    with Partial(target, [a], identity="x") as partial:
        put(partial, a, A)
    part = Names(target).part
    data = bytearray(part.read_bytes())
    data[at] ^= 1
    part.write_bytes(data)
    a = Piece("a", 3000)
    with Partial(target, [a], identity="x") as partial:
        partial.recheck(a)
        start, stop = a.chain.gap()
        assert (start, stop) == (at - at % BLOCK, min(3000, at - at % BLOCK + BLOCK))
        partial.write(a, start, memoryview(A[start:stop]))
        partial.recheck(a)
        assert a.chain.complete
        assert a.received == BLOCK
        partial.publish()
    assert target.read_bytes() == A


@pytest.mark.parametrize("content", [b"", b"\0" * 3000, b"\0" * 10_000])
def test_a_state_without_its_bytes_proves_nothing(target, content):
    (a,) = pieces(3000)
    with Partial(target, [a], identity="x") as partial:
        put(partial, a, A)
    Names(target).part.write_bytes(content)
    a = Piece("a", 3000)
    with Partial(target, [a], identity="x") as partial:
        partial.recheck(a)
        assert a.chain.position == 0
        while not a.chain.complete:
            start, stop = a.chain.gap()
            partial.write(a, start, memoryview(A[start:stop]))
            partial.recheck(a)
        assert a.received == 3000
        partial.publish()
    assert target.read_bytes() == A


def test_a_state_claims_only_what_was_fsynced_before(target, monkeypatch):
    fsync, replace = os.fsync, os.replace
    (a,) = pieces(3000)
    synced, claims = [0], []

    def note_fsync(descriptor):
        reached = a.chain.position
        fsync(descriptor)
        if is_open_as(descriptor, partial._own):
            synced.append(reached)

    def note_replace(source, destination):
        if str(destination).endswith(".json") and str(source).endswith(".tmp"):
            state = json.loads(source.read_text())
            claims.append(max(map(int, state["pieces"][0]["links"]), default=0))
            assert claims[-1] <= synced[-1]
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    with Partial(target, [a], identity="x") as partial:
        for at in range(0, 3000, 300):
            partial.write(a, at, memoryview(A[at : at + 300]))
            if a.received - a.durable > 800 and not partial.complete:
                partial.wait_until(lambda: a.received - a.durable < 800, 20)
        assert partial.failure is None
    assert len(claims) >= 3  # it was saved on the way, not only at the end
    assert claims[-1] == 3000


def test_a_state_is_written_by_rename_after_its_own_fsync(target, shim):
    (a,) = pieces(3000)
    with Partial(target, [a], identity="x") as partial:
        put(partial, a, A[:400])
    assert shim[:4] == [
        ("fsync", "bytes"),
        ("fsync", "new state"),
        ("replace", "new state", "state"),
        ("fsync", "directory"),
    ]


def test_a_writer_is_held_back_when_a_kill_would_cost_more_than_a_block(target, monkeypatch):
    fsync, reached, go_on = os.fsync, threading.Event(), threading.Event()
    (a,) = pieces(10 * BLOCK)
    data = noise(10 * BLOCK)

    def slow(descriptor):
        if is_open_as(descriptor, partial._own):
            reached.set()
            go_on.wait(20)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    with Partial(target, [a], identity="x") as partial:
        writer = threading.Thread(target=lambda: put(partial, a, data, step=500))
        writer.start()
        assert reached.wait(20)
        time.sleep(0.1)  # time enough to run away
        assert a.received <= 2 * BLOCK
        go_on.set()
        writer.join(20)
        assert a.received == 10 * BLOCK


def test_a_disowned_file_leaves_nothing_to_the_next_start(target):
    (a,) = pieces(3000)
    with Partial(target, [a], identity="x") as partial:
        put(partial, a, A)
    a = Piece("a", 3000)
    with Partial(target, [a], identity="x") as partial:
        partial.disown()
    assert here(target) == set()


def test_a_forgotten_piece_starts_over_and_the_digests_of_the_whole_know(target):
    (a,) = pieces(3000)
    with Partial(target, [a], identity="x") as partial:
        partial.forget(a)
        assert not partial.rewritten
        put(partial, a, A)
        partial.forget(a)
        assert partial.rewritten
        assert (a.chain.position, a.size) == (0, 3000)


# ---- threads


def test_work_that_has_ended_ends_for_everybody(target):
    (a,) = pieces(3000)
    woken = []
    with Partial(target, [a], identity="x") as partial:
        partial.check()
        partial.interrupts.append(lambda: woken.append("network"))

        def wait():
            with pytest.raises(StoppedError):
                partial.sleep(60)
            woken.append("sleeper")

        sleeper = threading.Thread(target=wait)
        sleeper.start()
        first = KeyError("first")
        partial.stop(first)
        partial.stop(KeyError("second"))
        sleeper.join(20)
        assert set(woken) == {"network", "sleeper"}
        assert partial.failure is first
        with pytest.raises(StoppedError):
            partial.check()
        partial.interrupts.clear()


def test_waiting_ends_with_the_change_that_is_waited_for(target):
    a, b = pieces(None, 2000)
    with Partial(target, [a, b], identity="x") as partial:
        timer = threading.Timer(0.02, lambda: partial.learn_size(a, 3000))
        timer.start()
        partial.wait_until(lambda: partial.offset(b) is not None, 20)
        assert partial.offset(b) == 3000
        timer.join()


def test_where_no_file_can_be_made_it_is_a_disk_error(tmp_path):
    partial = Partial(tmp_path / "nowhere" / "thing", pieces(1), identity="x")
    with pytest.raises(DiskError), partial:
        pass


def test_an_error_while_taking_over_leaves_everything_as_it_was(target, monkeypatch):
    (a,) = pieces(3000)
    with Partial(target, [a], identity="x") as partial:
        put(partial, a, A)

    def fail(*args):
        raise MemoryError

    monkeypatch.setattr(module, "load", fail)
    with pytest.raises(MemoryError), Partial(target, [Piece("a", 3000)], identity="x"):
        pass
    assert here(target) == {"thing.npz.part", "thing.npz.part.json"}
    assert Names(target).part.read_bytes() == A


def test_a_leftover_that_may_not_be_removed_does_not_spoil_a_publication(target, monkeypatch):
    other = target.with_name(f".b.csv.{nobody()}.tmp")
    other.touch()
    unlink = module.Path.unlink

    def refuse(path, **options):
        if path == other:
            raise PermissionError(errno.EPERM, "another user's, in a sticky directory")
        unlink(path, **options)

    monkeypatch.setattr(module.Path, "unlink", refuse)
    piece = Piece("a", len(A))
    with Partial(target, [piece], identity="x") as partial:
        put(partial, piece, A)
        partial.publish()
    assert target.read_bytes() == A and here(target) == {target.name, other.name}
