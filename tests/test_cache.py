"""What is in a directory of fetched files, and how to make room there."""

import errno
import json
import os
from pathlib import Path

import pytest
from worlds import artifact, noise, write_registry

import memtools
from memtools.artifacts.assembly import _identity
from memtools.artifacts.cache import inventory, remove
from memtools.artifacts.receipts import receipt_path
from memtools.artifacts.settings import Settings
from memtools.errors import DiskError
from memtools.files import locked
from memtools.transfer.names import Names, state_of
from memtools.transfer.partial import Partial
from memtools.transfer.piece import Piece

DATA = noise(5000)


@pytest.fixture
def place(tmp_path):
    directory = tmp_path / "files"
    directory.mkdir()
    return directory


@pytest.fixture
def registry(tmp_path):
    (tmp_path / "thing.bin").write_bytes(DATA)
    path = write_registry(tmp_path / "r.toml", artifact(["thing.bin"], [DATA]))
    return Settings.of(registries=[path]).registry()


@pytest.fixture
def fetched(tmp_path, registry, place):
    return memtools.fetch("thing", place, registries=[tmp_path / "r.toml"])


def look(registry, place):
    return next(each for each in inventory(registry, place) if each.artifact.name == "thing")


def gone(registry, place, *, everything=False):
    return {path.name for path, _ in remove(registry, place, everything=everything)}


def names(place):
    return {path.name for path in place.iterdir()}


def half_done(place, n_bytes=2000, damage=""):
    """What a process that gave up leaves behind."""
    piece = Piece("thing.bin", len(DATA))
    with Partial(place / "thing.npz", [piece], identity="x") as partial:
        partial.write(piece, 0, memoryview(DATA[:n_bytes]))
        piece.damage = damage


# ---- directories that cannot be read


def a_file(path):
    path.write_bytes(b"")


def below_a_file(path):
    path.parent.rmdir()
    path.parent.write_bytes(b"")


def a_loop(path):
    path.symlink_to(path)


def a_dangling_link(path):
    path.symlink_to(path.with_name("nowhere"))


def a_pipe(path):
    os.mkfifo(path)


@pytest.fixture
def unusable(tmp_path):
    (tmp_path / "deep").mkdir()
    return tmp_path / "deep" / "er"


@pytest.mark.parametrize("make", [a_file, below_a_file, a_loop, a_dangling_link, a_pipe])
@pytest.mark.parametrize("ask", [inventory, lambda *args: list(remove(*args, everything=True))])
def test_what_is_not_a_directory_is_a_disk_error(registry, unusable, make, ask):
    make(unusable)
    with pytest.raises(DiskError) as caught:
        ask(registry, unusable)
    assert str(unusable) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("ask", [inventory, lambda *args: list(remove(*args, everything=True))])
def test_a_directory_whose_name_is_too_long_is_a_disk_error(registry, tmp_path, ask):
    with pytest.raises(DiskError, match="too long"):
        ask(registry, tmp_path / ("x" * 300))


@pytest.mark.parametrize("function", ["os.scandir", "pathlib.Path.stat"])
@pytest.mark.parametrize("ask", [inventory, lambda *args: list(remove(*args, everything=True))])
def test_a_directory_that_may_not_be_read_is_a_disk_error(
    registry, place, fetched, monkeypatch, function, ask
):
    original = os.scandir if function == "os.scandir" else Path.stat

    def forbidden(path, *args, **options):
        if str(path).startswith(str(place)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return original(path, *args, **options)

    monkeypatch.setattr(function, forbidden)
    with pytest.raises(DiskError, match="permission denied"):
        ask(registry, place)


@pytest.mark.parametrize("make", [os.mkdir, a_pipe])
def test_what_has_the_name_of_a_file_is_said(registry, place, make):
    make(place / "thing.npz")
    item = look(registry, place)
    assert (item.state, item.is_here) == ("absent", False)
    assert "has its name" in item.state_in_words
    assert gone(registry, place, everything=True) == set()


def test_a_link_to_itself_in_place_of_a_file_is_absent(registry, place):
    a_loop(place / "thing.npz")
    assert look(registry, place).state == "absent"
    assert gone(registry, place, everything=True) == set()


ABSURD = {
    "a negative end": '"links": {"-5": "x"}',
    "an end behind the end": '"links": {"%s": "x"}' % ("9" * 30),
    "an end that is no number": '"links": {"%s": ""}' % ("9" * 5000),
    "NaN for an end": '"links": {"NaN": ""}',
    "an empty end": '"links": {"": ""}',
    "a list of NaN": '"links": [NaN]',
    "a number for links": '"links": 5',
    "a number for words": '"damage": 5',
    "a huge size": '"size": 1%s' % ("0" * 30),
    "NaN for a size": '"size": NaN',
    "an infinite block": '"block_size": 1e400',
}


@pytest.mark.parametrize("field", ABSURD.values(), ids=ABSURD)
def test_an_absurd_state_claims_no_more_than_there_is(registry, place, tmp_path, field):
    half_done(place)
    state = state_of(Names(place / "thing.npz").part)
    facts = json.loads(state.read_text()) | {"identity": _identity(registry["thing"])}
    assert json.dumps(facts).endswith("}]}")
    state.write_text(json.dumps(facts)[: -len("}]}")] + f", {field}" + "}]}")  # the last one counts
    item = look(registry, place)
    assert item.state == "half-done"
    assert 0 <= item.n_held <= 2000
    assert item.state_in_words
    path = memtools.fetch("thing", place, registries=[tmp_path / "r.toml"])
    assert path.read_bytes() == DATA


# ---- states


def test_every_artifact_is_in_the_inventory_even_if_nothing_is_here(registry, tmp_path):
    items = inventory(registry, tmp_path / "nowhere")
    assert [each.artifact.name for each in items] == list(registry.artifacts)
    assert {each.state for each in items} == {"absent"}
    assert not (tmp_path / "nowhere").exists()


def test_an_absent_file_has_the_size_that_the_registry_knows(registry, place):
    item = look(registry, place)
    assert (item.state, item.is_here, item.state_in_words) == ("absent", False, "-")
    assert (item.size, item.size_is_approximate) == (5000, False)
    sizes = {each.artifact.name: each for each in inventory(registry, place)}
    assert sizes["cifar10-checkpoints"].size == 239_000_000_000
    assert sizes["cifar10-checkpoints"].size_is_approximate
    assert sizes["imagenet-index"].size is None


def test_a_fetched_file_is_verified(registry, place, fetched):
    item = look(registry, place)
    assert (item.state, item.is_here, item.size) == ("verified", True, 5000)
    assert item.state_in_words == "verified"


def test_a_file_without_a_receipt_is_unverified_though_it_may_be_right(registry, place):
    (place / "thing.npz").write_bytes(DATA)
    assert look(registry, place).state == "unverified"


def test_a_file_touched_since_is_no_longer_verified(registry, place, fetched):
    os.utime(fetched)
    assert look(registry, place).state == "unverified"


def test_the_size_of_a_file_that_is_here_is_its_own(registry, place):
    (place / "thing.npz").write_bytes(b"123")
    item = look(registry, place)
    assert (item.size, item.size_is_approximate) == (3, False)


def test_a_half_done_file_says_how_much_of_it_is_held(registry, place):
    half_done(place)
    item = look(registry, place)
    assert (item.state, item.n_held, item.is_here) == ("half-done", 2000, False)
    assert item.state_in_words == "half-done, 2,000 B"
    assert (item.size, item.size_is_approximate) == (5000, False)


def test_a_half_done_file_says_what_is_wrong_with_it(registry, place):
    half_done(place, damage="md5 is 1, expected 2")
    item = look(registry, place)
    assert item.damage == "md5 is 1, expected 2"
    assert item.state_in_words.endswith("(md5 is 1, expected 2)")


@pytest.mark.parametrize(
    "state",
    [None, b"", b"{}", b'{"pieces": 5}', b'{"pieces": [{}]}', b"[]", b"[" * 100_000],
)
def test_bytes_whose_state_cannot_be_read_hold_nothing(registry, place, state):
    part = place / "thing.npz.part.0123abcd-7-7-beef"  # of a process of another host
    part.write_bytes(DATA)
    if state is not None:
        state_of(part).write_bytes(state)
    item = look(registry, place)
    assert (item.state, item.n_held) == ("half-done", 0)


def test_while_a_process_is_at_work_its_file_is_half_done(registry, place):
    with Partial(place / "thing.npz", [Piece("thing.bin", 5000)], identity="x"):
        assert look(registry, place).state == "half-done"


def test_an_item_can_be_handed_to_a_script(registry, place, fetched):
    facts = json.loads(json.dumps(look(registry, place).to_json()))
    assert facts["name"] == "thing"
    assert facts["state"] == "verified"
    assert facts["path"] == str(fetched)
    assert facts["parts"][0]["size"] == 5000
    assert (facts["n_held"], facts["damage"]) == (0, "")


def test_the_inventory_reads_no_bytes(registry, place, fetched, monkeypatch):
    fetched.chmod(0o200)
    monkeypatch.setattr("memtools.files.digest_file", None)
    assert look(registry, place).state in ("verified", "unverified")  # chmod changes the ctime


# ---- making room


def test_half_done_files_are_removed_and_fetched_ones_stay(registry, place, fetched):
    half_done(place)
    assert gone(registry, place) == {"thing.npz.part", "thing.npz.part.json"}
    assert names(place) == {"thing.npz", receipt_path(fetched).name}


def test_everything_means_the_fetched_files_and_their_receipts_too(registry, place, fetched):
    half_done(place)
    assert gone(registry, place, everything=True) == {
        "thing.npz",
        ".thing.npz.receipt.json",
        "thing.npz.part",
        "thing.npz.part.json",
    }
    assert names(place) == set()


def test_what_memtools_did_not_make_stays(registry, place):
    for name in ("notes.txt", "other.npz.part", "thing.npz.bak", "thing.npz.partner"):
        (place / name).write_bytes(b"mine")
    before = names(place)
    assert gone(registry, place, everything=True) == set()
    assert names(place) == before


def test_a_directory_in_place_of_a_file_stays(registry, place):
    (place / "thing.npz").mkdir()
    assert gone(registry, place, everything=True) == set()
    assert names(place) == {"thing.npz"}


def test_the_part_of_a_process_at_work_stays(registry, place):
    piece = Piece("thing.bin", 5000)
    with Partial(place / "thing.npz", [piece], identity="x") as partial:
        partial.write(piece, 0, memoryview(DATA[:100]))
        assert gone(registry, place, everything=True) == set()
        assert len(names(place)) >= 1
        partial.write(piece, 100, memoryview(DATA[100:]))
        partial.publish()
    assert (place / "thing.npz").read_bytes() == DATA


def test_what_another_process_has_locked_stays(registry, place, fetched):
    half_done(place)
    before = names(place)
    with locked(Names(fetched).lock, wait=False, waiting=lambda: None):
        assert gone(registry, place, everything=True) == set()
    assert names(place) == before


def test_a_stale_lock_file_goes_away(registry, place):
    Names(place / "thing.npz").lock.write_bytes(b"")
    gone(registry, place)
    assert names(place) == set()


def test_what_went_is_told_with_the_room_that_it_took(registry, place, fetched):
    room = {
        fetched: fetched.stat().st_blocks * 512,
        receipt_path(fetched): receipt_path(fetched).stat().st_blocks * 512,
    }
    assert dict(remove(registry, place, everything=True)) == room
    assert sum(room.values()) > 0


def test_nothing_to_remove_leaves_no_lock_behind(registry, place):
    assert gone(registry, place, everything=True) == set()
    assert names(place) == set()
    assert gone(registry, place / "nowhere", everything=True) == set()
    assert not (place / "nowhere").exists()
