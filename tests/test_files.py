"""Digests, publication in the right order, words for disks, locks."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from worlds import git_blob, noise

from memtools import files
from memtools.errors import BusyError, DiskError
from memtools.files import (
    CHUNK,
    appearing_directory,
    digest_file,
    disk_errors,
    human_size,
    locked,
    new_hash,
    publish,
    require_free,
    write_atomically,
)
from memtools.temporary_files import create, host


def nothing():
    pass


@pytest.fixture
def syscalls(tmp_path, monkeypatch):
    """What is asked of the system, in order: fsync of a file or a directory, replace."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        about = os.fstat(descriptor)
        paths = [tmp_path, *tmp_path.iterdir()]
        calls.append(("fsync", str(next(p for p in paths if os.path.samestat(p.stat(), about)))))
        fsync(descriptor)

    def note_replace(source, target):
        calls.append(("replace", str(source), str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    return calls


# ---- digests


@pytest.mark.parametrize("n_bytes", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 17])
def test_digests_in_one_pass_equal_those_of_hashlib(tmp_path, n_bytes):
    data = noise(n_bytes)
    path = tmp_path / "a"
    path.write_bytes(data)
    assert digest_file(path, ("md5", "sha256", "git_blob")) == {
        "md5": hashlib.md5(data).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "git_blob": git_blob(data),
    }


@pytest.mark.parametrize(("start", "size"), [(0, 10), (3, 4), (5, None), (10, 0), (0, None)])
def test_a_stretch_of_a_file_has_the_digest_of_exactly_those_bytes(tmp_path, start, size):
    data = noise(1000)
    path = tmp_path / "a"
    path.write_bytes(data)
    stretch = data[start:] if size is None else data[start : start + size]
    found = digest_file(path, ("sha256", "git_blob"), start=start, size=size)
    assert found["sha256"] == hashlib.sha256(stretch).hexdigest()
    assert found["git_blob"] == git_blob(stretch)


def test_a_file_shorter_than_said_does_not_have_the_digest_of_a_whole_one(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"short")
    found = digest_file(path, ("git_blob",), size=100)["git_blob"]
    assert found != git_blob(b"short")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("n_bytes", [0, 9, CHUNK + 1])
def test_git_blob_is_the_name_that_git_gives(tmp_path, n_bytes):
    path = tmp_path / "a"
    path.write_bytes(noise(n_bytes))
    command = ["git", "hash-object", "--no-filters", str(path)]
    named = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert digest_file(path, ("git_blob",))["git_blob"] == named.stdout.strip()


def test_reading_is_told_to_whoever_draws_progress(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(noise(2 * CHUNK + 5))
    steps = []
    digest_file(path, ("md5",), advance=steps.append)
    assert sum(steps) == 2 * CHUNK + 5
    assert len(steps) >= 3


def test_a_copied_hash_goes_its_own_way():
    one = new_hash("git_blob", 2)
    one.update(b"a")
    other = one.copy()
    one.update(b"b")
    other.update(b"c")
    assert one.hexdigest() == git_blob(b"ab")
    assert other.hexdigest() == git_blob(b"ac")


# ---- publication


def test_a_rename_alone_is_not_enough_so_the_order_is_fsync_rename_fsync_of_the_directory(
    tmp_path, syscalls
):
    path = tmp_path / "a.json"
    write_atomically(path, b"content")
    (_, temporary), *rest = syscalls
    assert Path(temporary).name.startswith(".a.json.")
    assert syscalls[0] == ("fsync", temporary)
    assert rest == [("replace", temporary, str(path)), ("fsync", str(tmp_path))]
    assert path.read_bytes() == b"content"


def test_publishing_makes_the_new_name_durable_after_the_rename(tmp_path, syscalls):
    temporary, final = tmp_path / "x.part", tmp_path / "x"
    temporary.write_bytes(b"whole")
    publish(temporary, final)
    assert syscalls == [("replace", str(temporary), str(final)), ("fsync", str(tmp_path))]
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_all_bytes_are_in_the_file_when_it_is_fsynced(tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    write_atomically(tmp_path / "a", b"x" * 100)  # so few that a buffer keeps them
    assert sizes[0] == 100


def test_nothing_stays_open_after_publication(tmp_path, monkeypatch):
    descriptors = []
    monkeypatch.setattr(os, "fsync", descriptors.append)
    write_atomically(tmp_path / "a", b"content")
    assert len(descriptors) == 2  # of the file, and of the directory
    for each in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(each)


def orphan(path, kind="tmp"):
    """A name beside `path` as a process would have chosen it that has ended since."""
    dead = f"{host()}-{DEAD.pid}-1-beef"
    return path.with_name(f".{path.name}.{dead}.{kind}")


DEAD = subprocess.Popen([sys.executable, "-c", ""])
DEAD.wait()


def test_next_writer_removes_temporary_files_of_dead_processes_only(tmp_path):
    path = tmp_path / "a"
    orphan(path).write_bytes(b"left by a killed process, and longer than the new content")
    alive, descriptor = create(path)
    os.close(descriptor)
    elsewhere = tmp_path / ".a.0123abcd-7-7-beef.tmp"
    elsewhere.write_bytes(b"of another host")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert set(tmp_path.iterdir()) == {path, alive, elsewhere}


def test_a_failed_fsync_leaves_the_old_content_under_the_name(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(descriptor):
        raise OSError(errno.EIO, "lost")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="lost"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


# ---- disks


@pytest.mark.parametrize(
    ("number", "words", "hint"),
    [
        (errno.ENOSPC, "the disk is full", "space"),
        (errno.EDQUOT, "quota", "space"),
        (errno.EFBIG, "limit on file sizes", "ulimit"),
        (errno.EROFS, "read-only", "another directory"),
        (errno.EACCES, "permission denied", "permissions"),
        (errno.EPERM, "not permitted", "permissions"),
        (errno.ENAMETOOLONG, "too long", "shorter"),
        (errno.EEXIST, "a file stands where the directory", "another directory"),
        (errno.ENOTDIR, "not a directory", "another directory"),
        (errno.EISDIR, "a directory stands", "move it"),
        (errno.EIO, "read or write error", "check the disk"),
    ],
)
def test_a_disk_error_says_in_words_what_is_wrong_and_what_to_do(tmp_path, number, words, hint):
    path = tmp_path / "a.npz"
    with pytest.raises(DiskError) as caught, disk_errors(path):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert hint in caught.value.hint
    assert isinstance(caught.value.__cause__, OSError)


def test_an_error_without_words_of_its_own_keeps_those_of_the_system(tmp_path):
    with pytest.raises(DiskError, match="Stale file handle") as caught, disk_errors(tmp_path):
        raise OSError(errno.ESTALE, "Stale file handle")
    assert caught.value.hint


def test_only_errors_of_files_become_disk_errors(tmp_path):
    with pytest.raises(ValueError, match="mine"), disk_errors(tmp_path):
        raise ValueError("mine")


def test_the_real_errors_of_a_system_get_their_words(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"")
    for path, words in [
        (file / "below", "not a directory"),
        (tmp_path, "a directory stands"),
        (tmp_path / ("x" * 300), "too long"),
    ]:
        with pytest.raises(DiskError, match=words), disk_errors(path):
            path.open("wb").close()


def test_space_is_asked_for_before_it_is_needed(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    require_free(tmp_path, free // 2, "a file")
    with pytest.raises(DiskError) as caught:
        require_free(tmp_path, 10**18, "big.npz")
    assert "big.npz needs 1000000.0 TB more" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


# ---- locks

HOLDER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from memtools.files import locked
    with locked(Path(sys.argv[1]), wait=False, waiting=lambda: None):
        print("held", flush=True)
        sys.stdin.readline()
    print("released", flush=True)
""")


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock `tmp_path/lock` until it is told otherwise."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_that_another_process_holds_is_an_error_for_who_does_not_wait(tmp_path, holder):
    waited = []
    with (
        pytest.raises(BusyError, match="another process holds") as caught,
        locked(tmp_path / "lock", wait=False, waiting=lambda: waited.append(1)),
    ):
        pass
    assert caught.value.exit_code == 7
    assert "wait" in caught.value.hint
    assert not waited
    assert (tmp_path / "lock").exists()  # it is the other's, and stays


def test_who_waits_is_told_so_once_and_gets_the_lock_when_it_is_free(tmp_path, holder):
    waited = []

    def waiting():
        waited.append(holder.poll())
        holder.stdin.write("\n")
        holder.stdin.flush()

    with locked(tmp_path / "lock", wait=True, waiting=waiting):
        assert holder.stdout.readline() == "released\n"
        with (
            pytest.raises(BusyError),
            locked(tmp_path / "lock", wait=False, waiting=nothing),
        ):
            pass
    assert waited == [None]
    assert not (tmp_path / "lock").exists()


def test_a_lock_of_a_killed_process_holds_nobody_up(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert (tmp_path / "lock").exists()
    with locked(tmp_path / "lock", wait=False, waiting=nothing):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", [False, True])
def test_the_lock_file_goes_away_whatever_happens_inside(tmp_path, failing):
    path = tmp_path / "lock"
    try:
        with locked(path, wait=False, waiting=nothing):
            assert path.exists()
            if failing:
                raise KeyError
    except KeyError:
        assert failing
    assert not path.exists()


def test_only_one_at_a_time_is_inside_although_the_lock_file_comes_and_goes(tmp_path):
    inside, most, rounds = [], [], []

    def work():
        for _ in range(10):
            with locked(tmp_path / "lock", wait=True, waiting=nothing):
                inside.append(1)
                most.append(len(inside))
                rounds.append(1)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (max(most), len(rounds)) == (1, 30)


def test_a_lock_where_no_file_can_be_is_a_disk_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(DiskError, match="a part of the path is a file"),
        locked(tmp_path / "file" / "lock", wait=False, waiting=nothing),
    ):
        pass


# ---- words


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (20_260, "20,260 B"),
        (99_999, "99,999 B"),
        (100_000, "100.0 kB"),
        (999_900, "999.9 kB"),
        (1_000_000, "1.0 MB"),
        (285_000_000, "285.0 MB"),
        (239_000_000_000, "239.0 GB"),
        (1_500_000_000_000, "1.5 TB"),
        (2_000_000_000_000_000, "2000.0 TB"),
    ],
)
def test_sizes_are_written_in_decimal_units(n_bytes, words):
    assert human_size(n_bytes) == words


def test_chunks_are_small_beside_the_memory_allowed():
    assert 64 << 10 <= files.CHUNK <= 8 << 20


# ---- directories


def test_a_directory_appears_when_it_is_whole_and_not_before(tmp_path):
    final = tmp_path / "deep" / "final"
    with appearing_directory(final) as root:
        (root / "inside").mkdir()
        (root / "inside" / "file").write_text("whole")
        assert not final.exists()
    assert (final / "inside" / "file").read_text() == "whole"
    assert list(final.parent.iterdir()) == [final]


def test_an_error_leaves_no_directory_and_what_a_killed_process_left_is_no_hindrance(tmp_path):
    final = tmp_path / "final"
    left = orphan(final)
    left.mkdir()
    (left / "half").write_text("done")
    with pytest.raises(RuntimeError), appearing_directory(final) as root:
        assert list(root.iterdir()) == []
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_make_one_directory_together(tmp_path):
    final = tmp_path / "final"
    with appearing_directory(final) as root:
        (root / "mine").touch()
        with pytest.raises(BusyError), appearing_directory(final):
            raise AssertionError
    assert [path.name for path in final.iterdir()] == ["mine"]


def test_one_that_goes_over_another_does_so_when_it_is_whole_and_not_before(tmp_path):
    final = tmp_path / "final"
    final.mkdir()
    (final / "old").touch()
    with pytest.raises(RuntimeError), appearing_directory(final, over=True):
        raise RuntimeError
    assert [path.name for path in final.iterdir()] == ["old"]
    left = orphan(final, "old")  # of one that was killed between the two
    left.mkdir()
    with appearing_directory(final, over=True) as root:
        (root / "new").touch()
        assert (final / "old").exists()
    assert [path.name for path in final.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [final]


def test_killed_or_interrupted_between_the_two_there_is_still_what_was_there(tmp_path, monkeypatch):
    final = tmp_path / "final"
    final.mkdir()
    (final / "old").touch()

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr(files, "publish", interrupt)
        with pytest.raises(KeyboardInterrupt), appearing_directory(final, over=True):
            pass
    assert [path.name for path in final.iterdir()] == ["old"]
    final.rename(orphan(final, "old"))  # as a kill leaves it
    with pytest.raises(RuntimeError), appearing_directory(final, over=True):
        raise RuntimeError
    assert [path.name for path in final.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [final]


def test_a_link_to_an_empty_directory_will_do_and_where_one_stands_will_not(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with appearing_directory(tmp_path / "link") as root:
        (root / "file").touch()
    assert (tmp_path / "there" / "file").exists()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with (
        pytest.raises(DiskError, match="is the directory you are in"),
        appearing_directory(Path()),
    ):
        raise AssertionError


def test_an_empty_directory_is_free_and_anything_else_is_not(tmp_path):
    (tmp_path / "empty").mkdir()
    with appearing_directory(tmp_path / "empty") as root:
        (root / "file").touch()
    for taken in (tmp_path / "empty", tmp_path / "empty" / "file"):
        with pytest.raises(DiskError, match="not empty"), appearing_directory(taken):
            raise AssertionError
