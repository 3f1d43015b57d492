"""Directories that appear whole or not at all, and what a kill between two renames leaves."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from memtools import directories
from memtools.directories import appearing_directory
from memtools.errors import BusyError, DiskError
from memtools.temporary_files import nobody, temporary_name


def orphan(path, kind="tmp"):
    """A name beside `path` as a process would have chosen it that has ended since."""
    return path.with_name(f".{path.name}.{nobody()}.{kind}")


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
        during.setattr(directories, "publish", interrupt)
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


def test_directories_of_the_user_whose_names_look_temporary_survive(tmp_path):
    names = [".final.tmp", ".final.old", ".final.lock", "final.tmp"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").touch()
    for _ in range(2):
        with appearing_directory(tmp_path / "final", over=True):
            pass
    assert {path.name for path in tmp_path.iterdir()} == {*names, "final"}
    assert all((tmp_path / name / "mine").exists() for name in names)


def test_what_a_live_process_writes_beside_a_directory_is_left_alone(tmp_path):
    final = tmp_path / "final"
    others = [temporary_name(final), temporary_name(final, "old")]
    for other in others:
        other.mkdir()
    with appearing_directory(final):
        pass
    assert set(tmp_path.iterdir()) == {final, *others}


KILLED_OVER = """
    import os, signal, sys
    from pathlib import Path
    from memtools import directories
    def die(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
    directories.publish = die
    with directories.appearing_directory(Path(sys.argv[1]), over=True) as root:
        (root / "new").touch()
"""


def test_killed_while_it_replaces_a_directory_the_next_writer_finds_the_old_one(tmp_path):
    final = tmp_path / "final"
    final.mkdir()
    (final / "old").touch()
    command = [sys.executable, "-c", textwrap.dedent(KILLED_OVER), str(final)]
    assert subprocess.run(command).returncode == -9
    assert not final.exists()  # the instant between two renames
    with pytest.raises(DiskError, match="not empty"), appearing_directory(final):
        raise AssertionError
    assert [path.name for path in final.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [final]


def test_the_names_in_a_directory_are_durable_before_it_appears(tmp_path, monkeypatch):
    final, fsync, durable = tmp_path / "final", os.fsync, []

    def note(descriptor):
        durable.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    with appearing_directory(final) as root:
        (root / "inside").mkdir()
        (root / "inside" / "file").touch()
        monkeypatch.setattr(os, "fsync", note)
    made = [final, final / "inside", final / "inside" / "file", tmp_path]
    assert {path.stat().st_ino for path in made} == {*durable}
    assert durable[-1] == tmp_path.stat().st_ino
