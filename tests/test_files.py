"""Digests, publication in the right order, words for disks, locks."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from worlds import git_blob, noise

from memtools import files, locks
from memtools.directories import appearing_directory
from memtools.errors import BusyError, DiskError
from memtools.files import (
    CHUNK,
    appearing,
    appearing_with_note,
    digest_file,
    disk_errors,
    human_size,
    locked,
    new_hash,
    publish,
    require_free,
    scratch_directory,
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


# ---- file systems that have less than others


@pytest.fixture(params=[errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV])
def without_links(request, monkeypatch):
    """A disk without hard links, as exFAT, SMB and several under FUSE are."""

    def link(*_, **__):
        raise OSError(request.param, "no links here")

    monkeypatch.setattr(os, "link", link)


def test_a_file_appears_once_on_a_disk_without_links_and_is_never_replaced(tmp_path, without_links):
    path = tmp_path / "record"
    with appearing(path, once=True) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), appearing(path, once=True) as file:
        file.write(b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_of_many_writers_of_one_record_one_wins_on_a_disk_without_links(
    tmp_path, without_links, monkeypatch
):
    ready, won, lexists = threading.Barrier(8), [], os.path.lexists

    def look_slowly(path):
        found = lexists(path)
        time.sleep(0.05)  # without a lock, all have looked before one has renamed
        return found

    monkeypatch.setattr(os.path, "lexists", look_slowly)

    def attempt(n):
        ready.wait()
        try:
            with appearing(tmp_path / "a", once=True) as file:
                file.write(b"%d" % n)
        except FileExistsError:
            return
        won.append(n)

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [b"%d" % n for n in won] == [(tmp_path / "a").read_bytes()]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EIO])
def test_a_disk_that_cannot_fsync_directories_will_do_and_one_that_fails_will_not(
    tmp_path, monkeypatch, number
):
    fsync = os.fsync

    def fail(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, "not here")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    failure = pytest.raises(OSError, match="not here")
    with failure if number == errno.EIO else contextlib.nullcontext():
        write_atomically(tmp_path / "a", b"content")
    assert (tmp_path / "a").read_bytes() == b"content"


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_disk_without_permissions_will_do(tmp_path, monkeypatch, number):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o600)

    def fchmod(descriptor, mode):
        raise OSError(number, "no permissions here")

    monkeypatch.setattr(os, "fchmod", fchmod)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


# ---- many files in one directory


def test_the_cost_of_a_write_does_not_grow_with_the_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(files, "_ENTRIES", 5)
    n_listed, orphans = [], files.orphans

    def count(directory):
        n_listed.append(len(list(directory.iterdir())))
        return orphans(directory)

    monkeypatch.setattr(files, "orphans", count)
    for n in range(300):
        write_atomically(tmp_path / str(n), b"")
    assert sum(n_listed) < 300 * 10  # and not 300 * 150
    assert n_listed[-1] > 200


def test_an_orphan_that_may_not_be_removed_is_no_hindrance_for_the_others(tmp_path, monkeypatch):
    for name in "abc":
        orphan(tmp_path / name).touch()
    unlink, refused = Path.unlink, []

    def refuse_first(path, **options):
        if not refused or path in refused:
            refused.append(path)
            raise PermissionError(errno.EPERM, "another user's, in a sticky directory")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse_first)
    files.remove_orphans(tmp_path)
    assert list(tmp_path.iterdir()) == refused


# ---- hostile ground

BYSTANDERS = ("a.csv.tmp", ".a.csv.tmp", ".a.csv.old", ".a.csv.lock", "a.csv.part", "a.csv.1.tmp")


def test_files_of_the_user_whose_names_look_temporary_survive(tmp_path):
    for name in BYSTANDERS:
        (tmp_path / name).write_text(name)
    write_atomically(tmp_path / "a.csv", b"new")
    with appearing_with_note(tmp_path / "a.csv", tmp_path / "a.csv.json", b"note") as file:
        file.write(b"newer")
    for name in BYSTANDERS:
        assert (tmp_path / name).read_text() == name
    assert len(list(tmp_path.iterdir())) == len(BYSTANDERS) + 2


def test_of_two_writers_of_one_name_each_publishes_all_of_it_and_the_last_one_stays(tmp_path):
    path = tmp_path / "a"
    with appearing(path) as slow:
        slow.write(b"slow " * 1000)
        slow.flush()
        with appearing(path) as fast:
            fast.write(b"fast")
        assert path.read_bytes() == b"fast"
        slow.write(b"end")
    assert path.read_bytes() == b"slow " * 1000 + b"end"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_a_file_is_followed_and_said(tmp_path, caplog):
    (tmp_path / "far").mkdir()
    real, link = tmp_path / "far" / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_atomically(link, b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"
    assert f"{link} is a symbolic link; writing to {real}" in caplog.text
    assert list((tmp_path / "far").iterdir()) == [real]


def test_a_link_to_a_file_that_is_not_there_yet_makes_it(tmp_path):
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_a_name_of_our_own_is_never_written_through_a_link(tmp_path, caplog):
    victim, link = tmp_path / "victim", tmp_path / ".a.receipt.json"
    victim.write_bytes(b"precious")
    link.symlink_to(victim)
    write_atomically(link, b"new", ours=True)
    assert victim.read_bytes() == b"precious"
    assert not link.is_symlink() and link.read_bytes() == b"new"
    assert not caplog.text


@pytest.mark.parametrize("once", [False, True])
def test_write_once_never_replaces_what_came_meanwhile(tmp_path, once):
    path = tmp_path / "record"

    def write():
        with appearing(path, once=once) as file:
            file.write(b"mine")
            path.write_bytes(b"another's")

    if once:
        with pytest.raises(FileExistsError):
            write()
    else:
        write()
    assert path.read_bytes() == (b"another's" if once else b"mine")
    assert list(tmp_path.iterdir()) == [path]


def test_write_once_follows_no_link_and_leaves_one_name(tmp_path):
    path = tmp_path / "record"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError), appearing(path, once=True) as file:
        file.write(b"mine")
    path.unlink()
    with appearing(path, once=True) as file:
        file.write(b"mine")
    assert path.stat().st_nlink == 1
    assert list(tmp_path.iterdir()) == [path]


def make_loop(path):
    path.symlink_to(path)


def make_link_to_nowhere(path):
    path.symlink_to(path.parent / "missing" / "file")


def make_link_to_device(path):
    path.symlink_to("/dev/null")


def make_link_to_output(path):
    path.symlink_to("/dev/stdout")


@pytest.mark.parametrize(
    "make", [os.mkfifo, make_loop, make_link_to_nowhere, make_link_to_device, make_link_to_output]
)
def test_what_no_file_can_replace_is_refused_before_anything_is_written(tmp_path, make):
    path = tmp_path / "a.csv"
    make(path)
    before = path.lstat()
    with pytest.raises(DiskError, match=r"a\.csv") as caught, appearing(path):
        raise AssertionError
    assert caught.value.hint
    assert os.path.samestat(path.lstat(), before)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("path", ["/dev/null", "/dev/stdout", "/dev/fd/1"])
def test_a_device_is_never_replaced(path):
    before = Path(path).lstat()
    with pytest.raises(DiskError, match="device or a pipe"), appearing(Path(path)):
        raise AssertionError
    assert os.path.samestat(Path(path).lstat(), before)


@pytest.mark.parametrize("folder", ["records", "failed", "quarantine"])
@pytest.mark.parametrize("way", ["straight", "linked directory", "linked file", "directory"])
def test_no_result_is_written_among_the_records_of_a_store(tmp_path, folder, way, monkeypatch):
    inside = tmp_path / "runs" / folder
    inside.mkdir(parents=True)
    (tmp_path / "runs" / "sweep.toml").touch()
    (tmp_path / "linked").symlink_to(inside)
    (tmp_path / "link.npz").symlink_to(inside / "x.npz")
    path = {
        "straight": inside / "x.npz",
        "linked directory": tmp_path / "linked" / "x.npz",
        "linked file": tmp_path / "link.npz",
        "directory": inside / "report",
    }[way]
    writing = appearing_directory if way == "directory" else appearing
    with pytest.raises(DiskError, match="store of runs") as caught, writing(path):
        raise AssertionError
    assert "another directory" in caught.value.hint
    assert list(inside.iterdir()) == []
    monkeypatch.chdir(inside)
    with pytest.raises(DiskError, match="store of runs"):
        write_atomically(Path("x.npz"), b"")
    write_atomically(Path("7.json"), b"of the store", ours=True)
    (tmp_path / "runs" / "sweep.toml").unlink()
    write_atomically(Path("x.npz"), b"a directory of that name that is not in a store")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_file_keeps_its_permissions_when_it_is_replaced(tmp_path, mode):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomically(path, b"new")
    assert path.stat().st_mode & 0o7777 == mode


def test_a_new_file_has_the_permissions_that_the_process_gives(tmp_path):
    code = "import os; from pathlib import Path; from memtools.files import write_atomically\n"
    code += "os.umask(0o027); write_atomically(Path('a'), b'')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_the_longest_name_can_be_written_and_a_longer_one_is_refused_at_once(tmp_path):
    path = tmp_path / ("x" * 255)
    write_atomically(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OSError, match="too long"), appearing(tmp_path / ("x" * 256), ours=True):
        raise AssertionError
    with appearing_directory(tmp_path / ("d" * 255)):
        pass
    assert len(list(tmp_path.iterdir())) == 2


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from memtools import files, locks
    path, at = Path(sys.argv[1]), sys.argv[2]
    def die(*arguments, **options):
        os.kill(os.getpid(), signal.SIGKILL)
    if at != "writing":
        owner, name = at.split(".")
        setattr({"os": os, "files": files}[owner], name, die)
    with files.appearing_with_note(path, path.with_name("note"), b"new note") as file:
        file.write(b"new")
        if at == "writing":
            die()
"""


@pytest.mark.parametrize("at", ["writing", "os.fsync", "files.locked", "files.publish"])
def test_killed_at_any_instant_there_is_the_old_pair_or_no_wrong_note(tmp_path, at):
    path, note = tmp_path / "a", tmp_path / "note"
    for file in (path, note):
        file.write_bytes(b"old")
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path), at]
    assert subprocess.run(command).returncode == -9
    assert path.read_bytes() == b"old"
    assert not note.exists() if at == "files.publish" else note.read_bytes() == b"old"
    assert len(list(tmp_path.glob(".*.tmp"))) == 2
    write_atomically(path, b"newer")
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_full_disk_leaves_both_old_files_of_a_pair_and_nothing_else(tmp_path, monkeypatch):
    path, note = tmp_path / "a", tmp_path / "note"
    for file in (path, note):
        file.write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"), appearing_with_note(path, note, b"new") as file:
        file.write(b"new")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {
        "a": b"old",
        "note": b"old",
    }


def test_a_result_and_its_note_are_of_one_writer(tmp_path):
    path, note = tmp_path / "a", tmp_path / "note"

    def write(n):
        for _ in range(20):
            with appearing_with_note(path, note, b"%d" % n) as file:
                file.write(b"%d" % n)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert path.read_bytes() == note.read_bytes()
    assert set(tmp_path.iterdir()) == {path, note}


def test_what_only_a_library_can_write_is_written_in_a_directory_that_goes_away(tmp_path):
    with pytest.raises(RuntimeError), scratch_directory(tmp_path / "model.keras") as directory:
        (directory / "file").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


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


def test_whoever_looks_at_a_lock_sees_its_holder_and_changes_nothing(tmp_path, holder):
    lock = tmp_path / "lock"
    assert locks.is_locked(lock)
    holder.kill()
    holder.wait()
    before = lock.lstat()
    assert not locks.is_locked(lock)
    assert lock.lstat() == before  # a reading command may not even remove it
    lock.unlink()
    lock.symlink_to(tmp_path / "missing")
    assert not locks.is_locked(lock)
    lock.unlink()
    assert not locks.is_locked(lock)
    assert list(tmp_path.iterdir()) == []


def test_those_who_look_at_a_lock_do_not_take_each_other_for_its_holder(tmp_path):
    lock = tmp_path / "lock"
    lock.touch()
    with lock.open() as other:
        locks.fcntl.flock(other, locks.fcntl.LOCK_SH)
        assert not locks.is_locked(lock)


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


def test_a_link_under_the_name_of_a_lock_is_not_followed(tmp_path):
    victim, lock = tmp_path / "victim", tmp_path / "lock"
    for there in (False, True):
        lock.symlink_to(victim)
        with (
            pytest.raises(DiskError, match="symbolic link") as caught,
            locked(lock, wait=False, waiting=nothing),
        ):
            raise AssertionError
        assert "remove" in caught.value.hint
        assert victim.exists() == there
        lock.unlink()
        victim.write_bytes(b"precious")
    assert victim.read_bytes() == b"precious"


def test_a_file_of_the_user_under_the_name_of_a_lock_is_neither_emptied_nor_removed(tmp_path):
    lock = tmp_path / "lock"
    lock.write_bytes(b"precious")
    with locked(lock, wait=False, waiting=nothing):
        with pytest.raises(BusyError), locked(lock, wait=False, waiting=nothing):
            raise AssertionError
        assert lock.read_bytes() == b"precious"
    assert lock.read_bytes() == b"precious"


def test_a_pipe_under_the_name_of_a_lock_is_refused_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "lock")
    with (
        pytest.raises(DiskError, match="not a file"),
        locked(tmp_path / "lock", wait=False, waiting=nothing),
    ):
        raise AssertionError


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_disk_that_knows_no_locks_stops_nobody(tmp_path, monkeypatch, number):
    def flock(descriptor, operation):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    with locked(tmp_path / "lock", wait=True, waiting=nothing):
        assert (tmp_path / "lock").exists()
    assert list(tmp_path.iterdir()) == []


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
