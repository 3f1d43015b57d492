"""The names a download lives under, and who owns them; nobody here really waits."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from memtools import temporary_files
from memtools.transfer import names as module
from memtools.transfer.names import HEARTBEAT, Names, state_of

FOREIGN = "0123abcd-77-12345-beef"  # a process of another host


@pytest.fixture
def names(tmp_path):
    return Names(tmp_path / "thing.npz")


@pytest.fixture
def naps():
    return []


def here(names):
    return {path.name for path in names.target.parent.iterdir()}


def owned_by(names, owner):
    return names.part.with_name(f"{names.part.name}.{owner}")


def of_process(pid):
    """An owner as that process would call itself."""
    return f"{temporary_files.host()}-{pid}-{temporary_files.started(pid)}-beef"


@pytest.fixture
def process():
    """Another process, alive."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as running:
        yield running
        running.kill()


STATE = b'{"identity": "x", "pieces": []}'


def leave(path, data=b"bytes", state=STATE):
    path.write_bytes(data)
    if state is not None:
        state_of(path).write_bytes(state)


# ---- one process after the other


def test_the_names_at_rest_are_those_that_users_may_look_for(names):
    assert names.part.name == "thing.npz.part"
    assert state_of(names.part).name == "thing.npz.part.json"
    assert names.lock.name == "thing.npz.part.lock"


def test_who_finds_nothing_gets_an_empty_file_of_its_own(names):
    own = names.claim()
    assert own.read_bytes() == b""
    assert own.name.startswith("thing.npz.part.")
    assert here(names) == {own.name}


def test_no_two_claims_ever_get_one_name(names):
    assert names.claim() != names.claim()


def test_bytes_at_rest_are_taken_by_renaming_them_with_their_state(names):
    leave(names.part)
    own = names.claim()
    assert own.read_bytes() == b"bytes"
    assert state_of(own).read_bytes() == STATE
    assert here(names) == {own.name, state_of(own).name}


def test_a_state_that_lost_its_bytes_goes_with_the_bytes_that_lost_theirs(names, process):
    """A process was killed after it had put its state to rest, and before its bytes."""
    part = owned_by(names, of_process(process.pid))
    process.kill()
    process.wait()
    leave(part, b"held", None)
    state_of(names.part).write_bytes(STATE)
    own = names.claim()
    assert (own.read_bytes(), state_of(own).read_bytes()) == (b"held", STATE)
    assert here(names) == {own.name, state_of(own).name}


@pytest.mark.parametrize("state", [None, b"", b"a note", b"{}", b'["identity", "pieces"]'])
@pytest.mark.parametrize("part", [b"my own", None])
def test_user_files_at_the_names_at_rest_are_neither_taken_nor_replaced(names, part, state):
    if part is None and state is None:
        return
    users = {names.part: part, state_of(names.part): state}
    for path, content in users.items():
        if content is not None:
            path.write_bytes(content)
    own = names.claim()
    assert own.read_bytes() == b""
    leave(own)
    names.rest(own)
    assert {path: path.read_bytes() if path.exists() else None for path in users} == users
    assert names.leftovers() and not set(names.leftovers()) & set(users)
    again = names.claim()  # from the name that belongs to no process, and at once
    assert (again.read_bytes(), state_of(again).read_bytes()) == (b"bytes", STATE)


@pytest.mark.parametrize("which", ["part", "state"])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_at_the_names_at_rest_is_never_written_through(names, which, link):
    victim = names.target.with_name("victim")
    victim.write_bytes(STATE)
    leave(names.part)
    planted = names.part if which == "part" else state_of(names.part)
    planted.unlink()
    link(victim, planted)
    own = names.claim()
    if which == "part" or link is os.symlink:
        assert own.read_bytes() == b""
        own.write_bytes(b"new")
        state_of(own).write_bytes(STATE)
        names.rest(own)
        assert planted.samefile(victim)
    assert victim.read_bytes() == STATE


def test_a_name_that_only_looks_like_that_of_an_owner_is_a_user_file(names):
    mine = names.part.with_name(f"{names.part.name}.my-own-old-copy")
    mine.write_bytes(b"precious")
    assert names.claim().read_bytes() == b""
    assert mine not in names.leftovers()


def test_bytes_without_a_state_are_not_put_to_rest_since_nothing_proves_them(names):
    own = names.claim()
    own.write_bytes(b"bytes")
    names.rest(own)
    assert here(names) == set()


def test_what_is_put_to_rest_is_what_the_next_one_finds(names):
    own = names.claim()
    leave(own)
    names.rest(own)
    assert here(names) == {"thing.npz.part", "thing.npz.part.json"}
    assert names.part.read_bytes() == b"bytes"
    assert state_of(names.part).read_bytes() == STATE
    assert names.claim().read_bytes() == b"bytes"


def test_rest_is_made_durable(names, monkeypatch):
    synced = []
    monkeypatch.setattr(module, "fsync_directory", synced.append)
    own = names.claim()
    leave(own)
    names.rest(own)
    assert synced == [names.target.parent]


def test_who_lost_its_file_puts_nothing_to_rest(names):
    own = names.claim()
    own.unlink()
    names.rest(own)
    assert here(names) == set()


def test_of_two_that_want_the_same_bytes_one_gets_them_and_the_other_an_empty_file(names):
    leave(names.part)
    got, start = [], threading.Barrier(4)

    def work():
        start.wait()
        got.append(names.claim())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(path.read_bytes() for path in got) == [b"", b"", b"", b"bytes"]


# ---- dead and alive


def test_the_part_of_a_dead_owner_is_adopted_with_its_state(names, process):
    part = owned_by(names, of_process(process.pid))
    leave(part, b"of the dead")
    process.kill()
    process.wait()
    own = names.claim()
    assert own.read_bytes() == b"of the dead"
    assert state_of(own).read_bytes() == STATE
    assert not part.exists()


def test_an_owner_that_is_dead_but_not_yet_buried_is_dead(names, process):
    part = owned_by(names, of_process(process.pid))
    leave(part)
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie from now on
    assert names.abandoned() == [part]


def test_the_part_of_a_live_owner_is_left_alone(names, process):
    part = owned_by(names, of_process(process.pid))
    leave(part)
    own = names.claim()
    assert own.read_bytes() == b""
    assert part.read_bytes() == b"bytes"
    assert names.abandoned() == []
    assert names.parts() and part in names.parts()


def test_our_own_part_is_left_alone_by_ourselves(names):
    own = names.claim()
    assert names.abandoned() == []
    assert names.claim() != own


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_process_id_that_is_used_again_is_another_owner(names, process):
    host, pid, started, nonce = of_process(process.pid).split("-")
    part = owned_by(names, f"{host}-{pid}-{int(started) - 1}-{nonce}")
    leave(part)
    assert names.abandoned() == [part]


def test_an_owner_that_may_not_be_looked_at_is_alive(names, monkeypatch):
    def kill(pid, number):
        raise PermissionError

    leave(owned_by(names, of_process(1)))
    monkeypatch.setattr(os, "kill", kill)
    assert names.abandoned() == []


# ---- other hosts


def test_an_owner_on_another_host_is_watched_for_longer_than_a_heartbeat(names, naps):
    leave(owned_by(names, FOREIGN))
    assert names.abandoned(naps.append) == [owned_by(names, FOREIGN)]
    assert naps == [3 * HEARTBEAT]


@pytest.mark.parametrize("what", ["bytes", "state", "state renamed", "first state"])
def test_an_owner_on_another_host_that_gives_a_sign_of_life_keeps_its_part(names, what):
    part = owned_by(names, FOREIGN)
    leave(part, state=None if what == "first state" else STATE)

    def heartbeat(seconds):
        if what == "bytes":
            with part.open("ab") as file:
                file.write(b"more")
        else:
            fresh = part.with_name("fresh")
            fresh.write_bytes(STATE)
            os.replace(fresh, state_of(part))

    assert names.abandoned(heartbeat) == []
    assert names.claim(heartbeat).read_bytes() == b""


def test_an_owner_on_another_host_that_finishes_meanwhile_is_not_followed(names):
    part = owned_by(names, FOREIGN)
    leave(part)

    def publishes(seconds):
        os.replace(part, names.target)
        state_of(part).unlink()

    assert names.claim(publishes).read_bytes() == b""


def test_bytes_that_another_takes_while_an_owner_is_watched_are_no_error(names):
    leave(names.part)
    leave(owned_by(names, FOREIGN), b"x")

    def another_is_faster(seconds):
        if names.part.exists():
            os.rename(names.part, names.target.with_name("elsewhere"))

    assert names.claim(another_is_faster).read_bytes() == b"x"


def test_where_nobody_is_on_another_host_nobody_waits(names, naps, process):
    leave(names.part)
    leave(owned_by(names, of_process(process.pid)))
    names.claim(naps.append)
    assert naps == []


# ---- what belongs to whom


def test_the_fullest_of_abandoned_files_comes_first(names, process):
    process.kill()
    process.wait()
    leave(names.part, b"x")
    dead = owned_by(names, f"{temporary_files.host()}-{process.pid}-1-beef")
    leave(dead, b"x" * 1_000_000)
    assert names.abandoned() == [dead, names.part]
    assert names.claim().stat().st_size == 1_000_000


def test_states_and_strangers_are_no_parts(names, process):
    leave(names.part)
    leave(owned_by(names, FOREIGN))
    for stranger in ("thing.npz", "thing.npz.part.lock", "thing.npz.party", "other.npz.part",
                     f"thing.npz.part.{FOREIGN}.json.tmp"):  # fmt: skip
        (names.target.parent / stranger).write_bytes(b"")
    assert set(names.parts()) == {names.part, owned_by(names, FOREIGN)}


def test_a_name_that_looks_like_a_pattern_means_itself(tmp_path):
    (tmp_path / "a.part").write_bytes(b"")
    leave(tmp_path / f"a.part.{FOREIGN}")
    assert Names(tmp_path / "[a]").parts() == []
    assert Names(tmp_path / "*").parts() == []


def test_what_is_left_over_is_all_that_nobody_uses(names, process):
    alive = owned_by(names, of_process(process.pid))
    leave(alive)
    leave(names.part)
    state_of(alive).with_name(state_of(alive).name + ".tmp").write_bytes(b"being written")
    assert set(names.leftovers()) == {names.part, state_of(names.part)}
    process.kill()
    process.wait()
    assert {path.name for path in names.leftovers()} == here(names)


def test_a_state_half_written_by_the_dead_is_left_over(names, process):
    process.kill()
    process.wait()
    orphan = owned_by(names, f"{temporary_files.host()}-{process.pid}-1-beef.json.tmp")
    orphan.write_bytes(b"half")
    assert names.leftovers() == [orphan]


def test_an_owner_that_finishes_while_it_is_watched_is_no_error(names, monkeypatch):
    monkeypatch.setattr(module.Path, "exists", lambda path: True)  # it was there a moment ago
    assert module._pulse(owned_by(names, FOREIGN)) == ()
