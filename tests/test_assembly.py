"""Parts brought side by side into one file; a broken one alone is fetched again."""

import dataclasses
import hashlib
import json
import logging
import threading

import pytest
from worlds import artifact, git_blob, md5, noise

from memtools.artifacts import assembly as module
from memtools.artifacts.assembly import Assembly
from memtools.artifacts.manifest import parse_registry
from memtools.artifacts.receipts import read_receipt
from memtools.errors import ChecksumError, IntegrityError, NetworkError
from memtools.transfer.names import Names, state_of
from memtools.transfer.patience import Patience

A, B, C = noise(90_000, 1), noise(70_000, 2), noise(90_000, 3)
CONTENTS = (A, B, C)
WHOLE = A + B + C
QUICK = Patience(connect=2, read=1, tries=3, first_delay=0.001)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """All connections open at once."""
    monkeypatch.setattr(module, "RAMP", 0)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "thing.npz"


@pytest.fixture
def urls(served, server):
    """The address of each part, with faults of its own: urls(b=("flip-byte/5",))."""

    def urls(**faults):
        for name, data in zip("abc", CONTENTS, strict=True):
            (served / f"{name}.bin").write_bytes(data)
        return [server.url(f"{name}.bin", *faults.get(name, ())) for name in "abc"]

    return urls


@pytest.fixture
def run(target):
    """Assembles parts that are at some addresses; promises as in a registry."""

    def run(urls, contents=CONTENTS, **promises):
        text = artifact([f"{name}.bin" for name in "abc"[: len(urls)]], contents, **promises)
        thing = parse_registry(text, where="r", base="https://example.org/")["thing"]
        parts = [
            dataclasses.replace(part, url=url) for part, url in zip(thing.parts, urls, strict=True)
        ]
        Assembly(dataclasses.replace(thing, parts=tuple(parts)), target, QUICK).run()
        return target.read_bytes()

    return run


@pytest.fixture
def at_work(monkeypatch):
    """How many parts are being brought, noted at the beginning of each."""
    bring, running, noted = Assembly._bring, [], []

    def note(self, *args):
        running.append(1)
        noted.append(len(running))
        try:
            bring(self, *args)
        finally:
            running.pop()

    monkeypatch.setattr(Assembly, "_bring", note)
    return noted


def n_gets(server, urls):
    return [server.stats(url)["GET"] for url in urls]


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


# ---- all goes well


@pytest.mark.parametrize("sizes", [True, False])
@pytest.mark.parametrize("blobs", [True, False])
def test_the_parts_in_their_order_are_the_file(run, urls, server, sizes, blobs):
    where = urls()
    assert run(where, sizes=sizes, blobs=blobs) == WHOLE
    assert n_gets(server, where) == [1, 1, 1]


def test_parts_are_brought_side_by_side(run, urls, server):
    where = urls(**dict.fromkeys("abc", ("slow/400",)))
    assert run(where) == WHOLE
    assert server.stats()["max_concurrent"] == 3


def test_never_more_than_four_at_once(served, server, target, at_work):
    contents = [noise(20_000, seed) for seed in range(9)]
    names = [f"{n}.bin" for n in range(9)]
    for name, data in zip(names, contents, strict=True):
        (served / name).write_bytes(data)
    text = artifact(names, contents)
    thing = parse_registry(text, where="r", base=str(served))["thing"]
    parts = [
        dataclasses.replace(each, url=server.url(each.file, "slow/200")) for each in thing.parts
    ]
    Assembly(dataclasses.replace(thing, parts=tuple(parts)), target, QUICK).run()
    assert target.read_bytes() == b"".join(contents)
    assert max(at_work) == module.SIDE_BY_SIDE == 4


def test_a_fast_line_is_served_one_part_after_the_other(run, urls, monkeypatch, at_work):
    monkeypatch.setattr(module, "RAMP", 60)
    assert run(urls()) == WHOLE
    assert at_work == [1, 1, 1]


def test_what_was_learnt_on_the_way_stands_in_the_receipt(run, urls, target):
    run(urls(), sizes=False, blobs=False)
    receipt = read_receipt(target)
    assert receipt.digests == {"md5": md5(WHOLE)}
    assert receipt.parts == [
        {"name": f"{name}.bin", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in zip("abc", CONTENTS, strict=True)
    ]


def test_parts_stand_in_the_receipt_in_their_order_whichever_is_whole_first(
    run, urls, target, monkeypatch
):
    complete, others = Assembly._complete, threading.Semaphore(0)

    def first_comes_last(self, piece):
        if piece is self.partial.pieces[0]:
            assert others.acquire(timeout=60)
            assert others.acquire(timeout=60)
            complete(self, piece)
        else:
            complete(self, piece)
            others.release()

    monkeypatch.setattr(Assembly, "_complete", first_comes_last)
    run(urls())
    assert [part["name"] for part in read_receipt(target).parts] == ["a.bin", "b.bin", "c.bin"]


def test_the_receipt_of_a_file_of_one_part_knows_its_git_blob(run, urls, target):
    run(urls()[:1], [A])
    assert read_receipt(target).digests["git_blob"] == git_blob(A)


# ---- one part is broken


@pytest.mark.parametrize("name", "abc")
def test_a_broken_part_alone_is_fetched_once_more(run, urls, server, caplog, name):
    where = urls(**{name: ("first/1", "flip-byte/5")})
    with caplog.at_level(logging.WARNING, "memtools"):
        assert run(where) == WHOLE
    assert n_gets(server, where) == [2 if each == name else 1 for each in "abc"]
    assert f"{name}.bin: git_blob is" in caplog.text
    assert "once more" in caplog.text


def test_a_part_that_stays_broken_is_named_and_nothing_is_published(run, urls, server, target):
    where = urls(b=("flip-byte/5",))
    with pytest.raises(ChecksumError, match=r"b\.bin: git_blob is") as caught:
        run(where)
    assert (caught.value.expected, caught.value.actual) == (
        git_blob(B),
        git_blob(flipped(B, 5)),
    )
    assert caught.value.path == target
    assert "--mirror" in caught.value.hint
    assert n_gets(server, where)[1] == 2
    assert not target.exists()


def test_after_a_broken_part_the_others_are_kept(run, urls, server):
    broken = urls(b=("flip-byte/5",))
    with pytest.raises(ChecksumError):
        run(broken)
    server.reset()
    where = urls()
    assert run(where) == WHOLE
    served = server.stats()["total"]["bytes"]
    assert served <= len(WHOLE)
    assert server.stats(where[1])["bytes"] == len(B)


def test_a_broken_part_is_marked_so_that_everybody_sees_it(run, urls, target):
    with pytest.raises(ChecksumError):
        run(urls(b=("flip-byte/5",)))
    state = json.loads(state_of(Names(target).part).read_text())
    assert [bool(each["damage"]) for each in state["pieces"]] == [False, True, False]
    assert git_blob(B) in state["pieces"][1]["damage"]


def test_swapped_parts_are_named_as_such(run, urls):
    with pytest.raises(ChecksumError, match=r"(a|c)\.bin: .*its bytes are those of (a|c)\.bin"):
        run(urls(a=("swap-with/c.bin",), c=("swap-with/a.bin",)))


def test_a_part_of_another_size_is_told_before_it_is_fetched(run, urls, server):
    where = urls(b=("swap-with/a.bin",))
    with pytest.raises(ChecksumError, match="90000 bytes, not the 70000 expected"):
        run(where)


def test_a_single_file_fetched_in_one_go_is_not_fetched_again(run, urls, server):
    where = urls(a=("flip-byte/5",))[:1]
    with pytest.raises(ChecksumError, match="git_blob"):
        run(where, [A])
    assert n_gets(server, where) == [1]


def test_a_single_file_that_was_resumed_is_fetched_once_more(run, urls, server, caplog):
    where = urls(a=("first/2", "flip-byte/60000", "first/1", "truncate-at/50000"))[:1]
    with caplog.at_level(logging.WARNING, "memtools"):
        assert run(where, [A]) == A
    assert n_gets(server, where) == [3]
    assert server.stats(where[0])["ranges"] == [None, "bytes=50000-", None]


def test_a_file_that_changed_at_its_source_is_said_to_have_changed(run, urls):
    where = urls(a=("content-changes", "first/1", "truncate-at/50000"))[:1]
    with pytest.raises(ChecksumError, match="the remote file has changed"):
        run(where, [A])


# ---- only the whole is known


def test_where_only_the_whole_is_promised_it_alone_decides(run, urls, target):
    with pytest.raises(ChecksumError, match=rf"md5 is {md5(A + flipped(B, 5) + C)}") as caught:
        run(urls(b=("flip-byte/5",)), blobs=False)
    assert caught.value.expected == md5(WHOLE)
    assert not target.exists()


def test_after_a_wrong_whole_no_part_is_trusted(run, urls, server):
    with pytest.raises(ChecksumError):
        run(urls(b=("flip-byte/5",)), blobs=False)
    server.reset()
    where = urls()
    assert run(where, blobs=False) == WHOLE
    assert [server.stats(url)["bytes"] for url in where] == [len(each) for each in CONTENTS]


def test_only_what_was_resumed_is_fetched_again_where_the_whole_is_wrong(run, urls, server):
    where = urls(b=("first/2", "flip-byte/60000", "first/1", "truncate-at/50000"))
    assert run(where, blobs=False) == WHOLE
    assert n_gets(server, where) == [1, 3, 1]


def test_right_parts_of_a_wrong_whole_are_a_contradiction_of_the_registry(run, urls):
    with pytest.raises(ChecksumError, match="md5") as caught:
        run(urls(), md5="0" * 32)
    assert "contradicts itself" in caught.value.hint


def test_what_was_learnt_of_a_file_is_demanded_of_its_next_copy(run, urls, target):
    run(urls(), blobs=False)
    receipt = target.with_name(".thing.npz.receipt.json")
    facts = json.loads(receipt.read_text())
    facts["parts"][1]["sha256"] = "0" * 64  # as if other bytes had the same md5
    receipt.write_text(json.dumps(facts))
    with pytest.raises(ChecksumError, match=rf"b\.bin: sha256 is .*, expected {'0' * 64}"):
        run(urls(), blobs=False)
    assert target.read_bytes() == WHOLE  # the copy that is here stays


def test_the_sha256_that_a_verification_learnt_is_demanded_of_the_next_copy(run, urls, target):
    run(urls())
    receipt = target.with_name(".thing.npz.receipt.json")
    facts = json.loads(receipt.read_text())
    facts["digests"]["sha256"] = "0" * 64
    receipt.write_text(json.dumps(facts))
    with pytest.raises(ChecksumError, match=f"sha256 is .*, expected {'0' * 64}"):
        run(urls())


@pytest.mark.parametrize(
    ("promises", "whole", "part"),
    [
        ({}, ("md5",), ("git_blob",)),
        ({"blobs": False}, ("md5",), ("sha256",)),
        ({"whole": False}, (), ("git_blob",)),
        ({"whole": False, "blobs": False}, (), ("sha256",)),
        ({"sha256": hashlib.sha256(WHOLE).hexdigest()}, ("md5", "sha256"), ("git_blob",)),
    ],
)
def test_each_byte_is_hashed_for_what_is_demanded_and_one_link(
    run, urls, target, promises, whole, part
):
    run(urls(), **promises)
    receipt = read_receipt(target)
    assert tuple(receipt.digests) == whole
    assert [tuple(each)[2:] for each in receipt.parts] == [part] * 3


# ---- local parts


def test_parts_may_come_from_a_disk_and_a_server_at_once(run, urls, server, tmp_path):
    (tmp_path / "b.bin").write_bytes(B)
    a, _, c = urls()
    assert run([a, str(tmp_path / "b.bin"), c]) == WHOLE
    assert server.stats()["total"]["requests"] == 2


def test_a_broken_local_part_is_not_read_twice(run, urls, tmp_path, caplog):
    (tmp_path / "b.bin").write_bytes(flipped(B, 5))
    a, _, c = urls()
    with pytest.raises(ChecksumError, match=r"b\.bin: git_blob") as caught:
        run([a, str(tmp_path / "b.bin"), c])
    assert "once more" not in caplog.text
    assert "get this part again" in caught.value.hint


def test_a_local_part_that_shrinks_while_it_is_read_is_an_error(run, tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(A)
    original = module.Partial.learn_size

    def shrink(self, piece, size):
        original(self, piece, size)
        path.write_bytes(A[:10])

    monkeypatch.setattr(module.Partial, "learn_size", shrink)
    with pytest.raises(IntegrityError, match="shrinks"):
        run([str(path)], [A])


# ---- ends


def test_one_part_that_fails_ends_the_work_on_the_others(run, urls, server, target):
    where = urls(a=("status/404",), b=("stall/1000",), c=("stall/1000",))
    with pytest.raises(Exception, match="404"):
        run(where)
    names = {path.name for path in target.parent.iterdir()}
    assert {"thing.npz.part", "thing.npz.part.json"} <= names
    assert not target.exists()


def test_no_thread_is_left_behind(run, urls):
    before = set(threading.enumerate())
    with pytest.raises(NetworkError):
        run(urls(**dict.fromkeys("abc", ("500-always",))))
    ours = [
        each
        for each in set(threading.enumerate()) - before
        if not each.name.endswith("(process_request_thread)")  # of the server
    ]
    for each in ours:
        each.join(10)
    assert [each.name for each in ours if each.is_alive()] == []
