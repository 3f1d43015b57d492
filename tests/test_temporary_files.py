"""Names of temporary files: unique, of one owner, told from a user's own, never a link."""

import os
import subprocess
import sys

import pytest

from memtools import temporary_files as module
from memtools.temporary_files import (
    create,
    create_exclusively,
    is_dead,
    is_foreign,
    is_regular,
    is_temporary,
    new_owner,
    nobody,
    orphans,
    read_regular,
    temporary_name,
)


@pytest.fixture(scope="module")
def dead():
    """The owner that a process would have been which has ended since."""
    code = "from memtools.temporary_files import new_owner; print(new_owner())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout[:-1]


def test_this_process_is_alive_and_one_that_has_ended_is_dead(dead):
    assert not is_dead(new_owner())
    assert is_dead(dead)
    assert is_dead(nobody())
    assert not is_foreign(dead)


def test_a_process_of_another_host_is_never_called_dead():
    assert is_foreign("0badf00d-1-1-beef")
    assert not is_dead("0badf00d-1-1-beef")


def test_a_process_id_that_no_system_gives_is_dead():
    assert is_dead(f"{module.host()}-9999999999-1-beef")


@pytest.mark.parametrize("owner", ["", "a-b-c-d", "x" * 8 + "-1-1-beef", "nobody-0-0-beef\n"])
def test_what_is_not_an_owner_is_not_dead(owner):
    assert not is_dead(owner)


def test_containers_that_share_a_host_name_are_different_hosts(monkeypatch):
    here = module.host()

    def readlink(self):
        raise OSError

    monkeypatch.setattr(module.Path, "readlink", readlink)
    if sys.platform == "linux":
        assert module.host() != here


def test_machines_of_one_name_are_different_hosts(monkeypatch):
    here = module.host()
    monkeypatch.setattr(module, "_machine", lambda: "another machine-id")
    assert module.host() != here  # the first table of processes has one number on all of them


def test_a_machine_without_an_id_has_that_of_its_boot(monkeypatch):
    here, read_text = module._machine.__wrapped__(), module.Path.read_text

    def empty(path, **options):
        if str(path) == "/etc/machine-id":
            return "\n"
        return read_text(path, **options)

    monkeypatch.setattr(module.Path, "read_text", empty)
    if sys.platform == "linux":
        assert module._machine.__wrapped__() not in ("", here)


def test_a_process_of_which_the_system_does_not_tell_its_beginning_is_not_dead(monkeypatch):
    """As where a process has no descriptors left to open /proc with."""
    owner, unknown = new_owner(), f"{module.host()}-{os.getpid()}-0-beef"
    assert not is_dead(owner) and not is_dead(unknown)
    monkeypatch.setattr(module, "started", lambda pid: "0")
    assert not is_dead(owner)


def test_a_temporary_file_has_another_name_each_time(tmp_path):
    names = {temporary_name(tmp_path / "a.csv") for _ in range(100)}
    assert len(names) == 100
    assert all(is_temporary(name.name) and name.parent == tmp_path for name in names)


@pytest.mark.parametrize(
    "name", ["a.csv.tmp", ".a.csv.tmp", ".a.csv.old", ".a.1-2-3-4.tmp", "..tmp", ".a.tmp.tmp"]
)
def test_a_name_that_a_user_may_have_chosen_is_not_a_temporary_one(name):
    assert not is_temporary(name)


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 251 + ".csv", "\udcff" * 255])
def test_a_temporary_file_of_the_longest_name_fits_on_a_disk(tmp_path, name):
    path = tmp_path / name
    temporary, descriptor = create(path)
    os.close(descriptor)
    assert len(os.fsencode(temporary.name)) < 255
    other = temporary_name(path.with_name(name[:-1] + "y"))
    assert other.name.split("~")[1].split(".")[0] != temporary.name.split("~")[1].split(".")[0]


@pytest.mark.parametrize("planted", ["file", "link", "dangling link", "pipe"])
def test_creating_never_opens_what_has_the_name_already(tmp_path, planted):
    victim, path = tmp_path / "victim", tmp_path / "new"
    if planted != "dangling link":
        victim.write_bytes(b"precious")
    {"file": lambda: os.link(victim, path), "pipe": lambda: os.mkfifo(path)}.get(
        planted, lambda: path.symlink_to(victim)
    )()
    with pytest.raises(FileExistsError):
        create_exclusively(path)
    assert not victim.exists() or victim.read_bytes() == b"precious"


def test_only_temporary_files_of_dead_owners_are_orphans(tmp_path, dead):
    def name(owner, stem="a", kind="tmp"):
        return tmp_path / f".{stem}.{owner}.{kind}"

    orphan, other, folder = name(dead), name(dead, "b.csv"), name(dead, "c")
    folder.mkdir()
    stay = [name(new_owner()), name("0badf00d-1-1-beef"), name(dead, kind="old"), tmp_path / ".tmp"]
    stay += [tmp_path / f"a.{dead}.tmp", tmp_path / f".a.{dead}.tmp.mine", tmp_path / "a.tmp"]
    for path in (orphan, other, *stay):
        path.write_bytes(b"")
    link = name(nobody(), "link")
    link.symlink_to(tmp_path / "a.tmp")
    assert set(orphans(tmp_path)) == {orphan, other, folder}
    assert orphans(tmp_path, of=tmp_path / "a") == [orphan]
    assert orphans(tmp_path, kind="old", of=tmp_path / "a") == [stay[2]]
    assert orphans(tmp_path / "missing") == []


def test_a_name_is_not_taken_for_that_of_a_file_whose_name_it_begins_with(tmp_path, dead):
    (tmp_path / f".a.b.{dead}.tmp").write_bytes(b"")
    assert orphans(tmp_path, of=tmp_path / "a") == []
    assert len(orphans(tmp_path, of=tmp_path / "a.b")) == 1


def test_only_a_file_with_one_name_is_regular(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"content")
    assert is_regular(file)
    assert read_regular(file) == b"content"
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "", "missing"):
        assert not is_regular(tmp_path / name)
        with pytest.raises(OSError):
            read_regular(tmp_path / name)
    os.link(file, tmp_path / "second name")
    assert not is_regular(file)
