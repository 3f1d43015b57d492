"""What users call: a path that is returned is a file whose every known digest held."""

import hashlib
import logging
import os
from pathlib import Path

import pytest
from worlds import artifact, noise, write_registry

import memtools
from memtools.artifacts.fetcher import Terms
from memtools.artifacts.receipts import read_receipt, receipt_path
from memtools.artifacts.settings import Settings
from memtools.errors import (
    BusyError,
    ChecksumError,
    ConfigError,
    DiskError,
    IntegrityError,
    NetworkError,
)
from memtools.files import locked
from memtools.temporary_files import nobody
from memtools.transfer.names import Names
from memtools.transfer.patience import Patience

A, B, C = noise(90_000, 1), noise(70_000, 2), noise(50_000, 3)
WHOLE = A + B + C
QUICK = Patience(connect=2, read=1, tries=3, first_delay=0.001)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "files"


@pytest.fixture
def world(tmp_path, served, server, place):
    """A registry that promises A + B + C, their parts on a server; fetches from there."""

    class World:
        registry = tmp_path / "r.toml"

        def promise(self, contents=(A, B, C), **promises):
            urls = [f"{letter}.bin" for letter in "abc"[: len(contents)]]
            for url, data in zip(urls, contents, strict=True):
                (served / url).write_bytes(data)
            write_registry(self.registry, artifact(urls, contents, **promises))

        def fetch(self, *faults, to=place, offline=None, **terms):
            mirror = server.url("", *faults).rstrip("/")
            return memtools.fetch(
                "thing",
                to,
                registries=[self.registry],
                mirror=mirror,
                offline=offline,
                terms=Terms(patience=QUICK, **terms),
            )

        @property
        def n_requests(self):
            return server.stats()["total"]["requests"]

    world = World()
    world.promise()
    return world


def here(place):
    return {path.name for path in place.iterdir()} if place.exists() else set()


DONE = {"thing.npz", ".thing.npz.receipt.json"}


# ---- fetch


def test_a_fetched_file_is_whole_and_its_path_is_returned(world, place):
    path = world.fetch()
    assert isinstance(path, Path)
    assert path == place / "thing.npz"
    assert path.read_bytes() == WHOLE
    assert here(place) == DONE


def test_the_directory_may_be_given_as_text_and_is_made(world, place):
    assert world.fetch(to=str(place / "deep" / "er")).read_bytes() == WHOLE


def test_without_a_directory_files_go_to_the_cache(world, tmp_path):
    assert world.fetch(to=None) == tmp_path / "cache" / "thing.npz"


def test_a_verified_file_costs_no_request_and_is_not_even_read(world, monkeypatch):
    path = world.fetch()
    n = world.n_requests
    assert n == 3
    monkeypatch.setattr("memtools.artifacts.proof._read", None)
    assert world.fetch() == path
    assert world.fetch("500-always") == path
    assert world.n_requests == n


def test_a_right_file_without_a_receipt_is_read_and_costs_no_request(world, place):
    place.mkdir()
    (place / "thing.npz").write_bytes(WHOLE)
    assert world.fetch().read_bytes() == WHOLE
    assert world.n_requests == 0
    assert here(place) == DONE


@pytest.mark.parametrize("data", [b"", WHOLE[:-1], WHOLE[:-1] + b"?", WHOLE + b"?"])
def test_a_wrong_file_is_replaced_by_the_right_one(world, place, data, caplog):
    place.mkdir()
    (place / "thing.npz").write_bytes(data)
    with caplog.at_level(logging.WARNING, "memtools"):
        assert world.fetch().read_bytes() == WHOLE
    assert "not the right file" in caplog.text


def test_a_wrong_file_stays_until_the_right_one_is_here(world, place):
    place.mkdir()
    (place / "thing.npz").write_bytes(b"older")
    with pytest.raises(NetworkError):
        world.fetch("500-always")
    assert (place / "thing.npz").read_bytes() == b"older"


def test_a_file_that_rots_is_fetched_again(world):
    path = world.fetch()
    info = path.stat()
    path.write_bytes(WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert world.fetch().read_bytes() == WHOLE


def test_what_the_last_attempt_got_is_not_asked_for_again(world, server, place):
    with pytest.raises(NetworkError):
        world.fetch("wall-at/60000")
    assert server.stats()["total"]["bytes"] >= 60_000
    assert world.fetch().read_bytes() == WHOLE
    assert server.stats()["total"]["bytes"] == len(WHOLE)
    assert here(place) == DONE


def test_what_a_killed_process_left_beside_a_right_file_is_swept_away(world, place):
    path = world.fetch()
    Names(path).part.with_name(f"thing.npz.part.{nobody()}").write_bytes(b"left")
    Names(path).lock.write_bytes(b"")
    world.fetch()
    assert here(place) == DONE


def test_a_receipt_says_the_digests_of_the_parts(world):
    receipt = read_receipt(world.fetch())
    assert [(each["name"], each["size"]) for each in receipt.parts] == [
        ("a.bin", 90_000),
        ("b.bin", 70_000),
        ("c.bin", 50_000),
    ]
    assert set(receipt.digests) == {"md5"}
    assert receipt.proven


def test_an_unknown_name_is_refused_without_a_trace(world, place):
    with pytest.raises(ConfigError, match="no artifact or group"):
        memtools.fetch("thin", place, registries=[world.registry])
    assert not place.exists()


# ---- a publisher changes something


NEW_B = B[:-1] + b"?"


def test_a_changed_part_is_fetched_and_the_others_are_taken_from_the_old_file(world, server):
    path = world.fetch()
    before = server.stats()["total"]["bytes"]
    world.promise((A, NEW_B, C), whole=False)
    assert world.fetch() == path
    assert path.read_bytes() == A + NEW_B + C
    assert server.stats()["total"]["bytes"] - before == len(NEW_B)


def test_parts_in_another_order_are_taken_from_the_old_file(world, tmp_path):
    world.fetch()
    n = world.n_requests
    tables = artifact(["b.bin", "a.bin", "c.bin"], (B, A, C))
    write_registry(world.registry, tables)
    assert world.fetch().read_bytes() == B + A + C
    assert world.n_requests == n


def test_an_old_file_that_was_damaged_since_is_no_source_of_parts(world):
    path = world.fetch()
    path.write_bytes(b"?" + WHOLE[1:])
    world.promise((A, NEW_B, C), whole=False)
    assert world.fetch().read_bytes() == A + NEW_B + C


def test_a_changed_size_is_fetched_though_no_digest_is_known(world):
    world.promise(blobs=False, whole=False)
    world.fetch()
    world.promise((A, B[:-5], C), blobs=False, whole=False)
    assert world.fetch().read_bytes() == A + B[:-5] + C


def test_a_digest_that_the_registry_gains_costs_no_request(world):
    world.promise(whole=False)
    world.fetch()
    n = world.n_requests
    world.promise()
    world.fetch()
    world.promise(sha256=hashlib.sha256(WHOLE).hexdigest())
    world.fetch()
    assert world.n_requests == n


def test_a_digest_that_the_registry_gains_and_the_file_has_not_is_fetched(world):
    world.promise(whole=False, blobs=False)
    world.fetch()
    world.promise((A, NEW_B, C))
    assert world.fetch().read_bytes() == A + NEW_B + C


@pytest.mark.parametrize("receipt", [None, b"", b"{", b'{"digests": 1}'])
@pytest.mark.parametrize("promises", [{"whole": False}, {"sizes": False}, {}])
def test_a_right_file_without_a_receipt_is_proven_by_reading(world, receipt, promises):
    world.promise(**promises)
    path = world.fetch()
    n = world.n_requests
    receipt_path(path).unlink()
    if receipt is not None:
        receipt_path(path).write_bytes(receipt)
    assert world.fetch() == path
    assert world.n_requests == n
    assert read_receipt(path).fits(path, _registered(world))


def test_the_receipt_of_another_file_proves_nothing(world, place):
    world.promise(whole=False)
    path = world.fetch()
    foreign = receipt_path(path).read_bytes()
    world.promise((A, NEW_B, C), whole=False)
    path.write_bytes(A + NEW_B + C)
    receipt_path(path).write_bytes(foreign)
    n = world.n_requests
    assert world.fetch().read_bytes() == A + NEW_B + C
    assert world.n_requests == n


@pytest.mark.parametrize("kind", ["pipe", "loop", "directory"])
def test_what_is_not_a_file_in_its_place_is_refused_before_the_first_request(world, place, kind):
    place.mkdir()
    path = place / "thing.npz"
    make = {"pipe": os.mkfifo, "loop": lambda path: path.symlink_to(path), "directory": os.mkdir}
    make[kind](path)
    with pytest.raises(DiskError, match=r"thing\.npz"):
        world.fetch()
    assert world.n_requests == 0


def _registered(world):
    return Settings.of(registries=[world.registry]).registry()["thing"]


# ---- refusals before anything happens


def test_a_huge_file_is_fetched_only_by_who_insists(world, place):
    world.promise(huge=True)
    with pytest.raises(ConfigError, match=r"210\.0 kB.*free") as caught:
        world.fetch()
    assert "--huge" in caught.value.hint
    assert world.n_requests == 0
    assert here(place) == set()
    assert world.fetch(huge=True).read_bytes() == WHOLE
    assert world.fetch().read_bytes() == WHOLE  # it is here: nothing is left to insist on


def test_the_archives_of_models_are_huge(place):
    with pytest.raises(ConfigError, match=r"244\.0 GB"):
        memtools.fetch("cifar100-checkpoints", place)


def test_what_nothing_can_prove_is_fetched_only_by_who_insists(world, place):
    world.promise(sizes=False, blobs=False, whole=False)
    with pytest.raises(ConfigError, match="neither a digest nor the size") as caught:
        world.fetch()
    assert "--unverified" in caught.value.hint
    assert world.n_requests == 0
    path = world.fetch(unverified=True)
    assert path.read_bytes() == WHOLE
    assert read_receipt(path).proven is False


def test_an_empty_file_that_nothing_can_prove_is_a_file(world):
    world.promise([b""], sizes=False, blobs=False, whole=False)
    assert world.fetch(unverified=True).read_bytes() == b""


def test_insisting_does_not_switch_proofs_off(world):
    with pytest.raises(ChecksumError):
        world.fetch("flip-byte/5", unverified=True, huge=True, force=True)


def test_offline_nothing_is_asked_for(world, place):
    with pytest.raises(NetworkError, match="offline is set") as caught:
        world.fetch(offline=True)
    assert caught.value.exit_code == 3
    assert "MEMTOOLS_OFFLINE" in caught.value.hint
    assert world.n_requests == 0
    assert here(place) == set()


def test_offline_a_file_that_is_here_is_here(world):
    path = world.fetch()
    assert world.fetch(offline=True) == path


def test_a_directory_in_the_way_is_said_before_the_first_request(world, place):
    (place / "thing.npz").mkdir(parents=True)
    with pytest.raises(DiskError, match="is a directory"):
        world.fetch(force=True)
    assert world.n_requests == 0
    assert here(place) == {"thing.npz"}


@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_in_the_way_is_replaced_only_by_who_insists(world, place, tmp_path, dangling):
    place.mkdir()
    other = tmp_path / "mine"
    if not dangling:
        other.write_bytes(b"my own file")
    (place / "thing.npz").symlink_to(other)
    with pytest.raises(DiskError, match="symbolic link") as caught:
        world.fetch()
    assert "--force" in caught.value.hint
    assert world.n_requests == 0
    path = world.fetch(force=True)
    assert not path.is_symlink()
    assert path.read_bytes() == WHOLE
    assert dangling or other.read_bytes() == b"my own file"


def test_a_link_to_the_right_file_is_the_right_file(world, place, tmp_path):
    place.mkdir()
    (tmp_path / "shared").write_bytes(WHOLE)
    (place / "thing.npz").symlink_to(tmp_path / "shared")
    path = world.fetch()
    assert path.is_symlink()
    assert world.n_requests == 0


def test_a_linked_directory_is_followed(world, place, tmp_path):
    (tmp_path / "big disk").mkdir()
    place.symlink_to(tmp_path / "big disk")
    world.fetch()
    assert (tmp_path / "big disk" / "thing.npz").read_bytes() == WHOLE


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_place_of_the_directory_is_a_disk_error(world, place, below):
    place.write_bytes(b"")
    with pytest.raises(DiskError, match="a file"):
        world.fetch(to=place / below)
    assert world.n_requests == 0


# ---- two at a time


def test_who_does_not_wait_is_told_that_another_is_at_work(world, place):
    place.mkdir()
    with (
        locked(Names(place / "thing.npz").lock, wait=False, waiting=lambda: None),
        pytest.raises(BusyError),
    ):
        world.fetch(wait=False)
    assert world.n_requests == 0


def test_who_waited_finds_the_file_that_the_other_brought(world, place, monkeypatch):
    """The other publishes between our first look and our getting the lock."""
    import memtools.artifacts.fetcher as module

    original = module.locked

    def after_another(path, **options):
        monkeypatch.setattr(module, "locked", original)
        world.fetch()
        return original(path, **options)

    monkeypatch.setattr(module, "locked", after_another)
    assert world.fetch().read_bytes() == WHOLE
    assert world.n_requests == 3


# ---- a registry on a disk


def a_device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, a_device])
def test_a_part_beside_its_registry_that_is_not_a_file_is_refused_by_its_kind(
    world, place, tmp_path, make
):
    make(tmp_path / "b.bin")
    for name, data in (("a.bin", A), ("c.bin", C)):
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DiskError, match=r"b\.bin is a (pipe|directory|device), not a file"):
        memtools.fetch("thing", place, registries=[world.registry])
    assert not (place / "thing.npz").exists()


# ---- join


@pytest.fixture
def parts(tmp_path, world):
    directory = tmp_path / "parts"
    directory.mkdir()
    for name, data in zip("abc", (A, B, C), strict=True):
        (directory / f"{name}.bin").write_bytes(data)
    return directory


def join(world, parts, place, **options):
    return memtools.join("thing", parts, place, registries=[world.registry], **options)


def test_parts_that_are_here_are_joined_without_a_request(world, parts, place):
    path = join(world, parts, place)
    assert path == place / "thing.npz"
    assert path.read_bytes() == WHOLE
    assert world.n_requests == 0
    assert here(place) == DONE


def test_the_parts_stay(world, parts, place):
    before = {path.name: path.read_bytes() for path in parts.iterdir()}
    join(world, parts, place)
    assert {path.name: path.read_bytes() for path in parts.iterdir()} == before


def test_joining_needs_no_network(world, parts, place, monkeypatch):
    monkeypatch.setenv("MEMTOOLS_OFFLINE", "1")
    assert join(world, str(parts), place).read_bytes() == WHOLE


def test_anything_else_beside_the_parts_is_ignored(world, parts, place):
    (parts / "d.bin").write_bytes(b"stray")
    (parts / "a.bin.old").write_bytes(b"stray")
    assert join(world, parts, place).read_bytes() == WHOLE


@pytest.mark.parametrize("missing", [["a.bin"], ["b.bin", "c.bin"]])
def test_missing_parts_are_named(world, parts, place, missing):
    for name in missing:
        (parts / name).unlink()
    with pytest.raises(IntegrityError, match=f"lacks {', '.join(missing)}") as caught:
        join(world, parts, place)
    assert "all 3 parts" in caught.value.hint
    assert here(place) == set()


def test_a_part_of_another_size_is_named(world, parts, place):
    (parts / "b.bin").write_bytes(B[:-1])
    with pytest.raises(ChecksumError, match=r"b\.bin: 69999 bytes, expected 70000"):
        join(world, parts, place)
    assert not (place / "thing.npz").exists()


def test_a_broken_part_is_named_with_both_digests(world, parts, place):
    (parts / "b.bin").write_bytes(B[:-1] + b"?")
    with pytest.raises(ChecksumError, match=r"b\.bin: git_blob is .*, expected") as caught:
        join(world, parts, place)
    assert caught.value.expected != caught.value.actual
    (parts / "b.bin").write_bytes(B)
    assert join(world, parts, place).read_bytes() == WHOLE


def test_swapped_parts_are_told_apart(world, parts, place):
    world.promise((A, B, A[::-1]))  # parts of one size
    (parts / "a.bin").write_bytes(A[::-1])
    (parts / "c.bin").write_bytes(A)
    with pytest.raises(ChecksumError, match=r"its bytes are those of [ac]\.bin"):
        join(world, parts, place)


def test_parts_may_lie_where_the_file_is_to_be(world, parts):
    assert join(world, parts, parts).read_bytes() == WHOLE
    assert {"a.bin", "b.bin", "c.bin"} <= here(parts)


def test_what_a_download_began_a_join_may_finish(world, parts, place):
    with pytest.raises(NetworkError):
        world.fetch("wall-at/60000")
    assert join(world, parts, place).read_bytes() == WHOLE


def test_a_joined_file_is_fetched_already(world, parts, place):
    path = join(world, parts, place)
    assert receipt_path(path).exists()
    assert world.fetch() == path
    assert world.n_requests == 0
