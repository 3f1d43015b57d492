"""F38: a part is missing, swapped, twice there, from another version; and `join` in ugly places."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_server import FaultServer
from worlds import artifact, git_blob, md5, noise, write_registry

import memtools as library
from memtools.errors import ChecksumError, ConfigError, IntegrityError, MemtoolsError, RefusedError
from memtools.wording import printable

NAMES = ["thing_aa.bin", "thing_ab.bin", "thing_ac.bin"]
SIZES = [300_000, 200_000, 100_000]
DONE = [".thing.npz.receipt.json", "thing.npz"]
Run = Callable[..., subprocess.CompletedProcess[str]]


class World:
    """A published file in three parts, on a server."""

    def __init__(self, tmp_path: Path, server: FaultServer) -> None:
        self.tmp_path = tmp_path
        self.server = server
        self.contents = [noise(size, seed) for seed, size in enumerate(SIZES)]
        for name, data in zip(NAMES, self.contents, strict=True):
            (server.directory / name).write_bytes(data)
        self.to = tmp_path / "to"
        self.promise()

    def promise(self, **facts: bool) -> None:
        table = artifact(NAMES, self.contents, **facts)  # type: ignore[arg-type]
        self.registry = write_registry(self.tmp_path / "registry.toml", table)

    def fetch(self, *faults: str) -> Path:
        mirror = self.server.base + "".join(f"/f/{fault}" for fault in faults)
        return library.fetch("thing", self.to, registries=[self.registry], mirror=mirror)

    def join(self, parts_in: Path | str) -> Path:
        return library.join("thing", parts_in, self.to, registries=[self.registry])

    def copy_parts(self, to: Path) -> Path:
        return Path(shutil.copytree(self.server.directory, to))

    def assert_nothing_published(self) -> None:
        assert not (self.to / "thing.npz").exists()

    def assert_done(self) -> None:
        assert (self.to / "thing.npz").read_bytes() == b"".join(self.contents)
        assert sorted(os.listdir(self.to)) == DONE

    def n_sent(self, name: str) -> int:
        return int(self.server.stats(self.server.url(name))["bytes"])


@pytest.fixture
def world(tmp_path: Path, server: FaultServer) -> World:
    return World(tmp_path, server)


KNOWLEDGE = [
    {},
    {"sizes": False},
    {"blobs": False},
    {"sizes": False, "blobs": False},
    {"whole": False},
]


@pytest.mark.parametrize("known", KNOWLEDGE, ids=str)
def test_the_parts_become_the_file_whatever_is_known_of_them(
    world: World, known: dict[str, bool]
) -> None:
    world.promise(**known)
    world.fetch()
    world.assert_done()
    assert [world.n_sent(name) for name in NAMES] == SIZES


@pytest.mark.parametrize("known", KNOWLEDGE, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_a_missing_part_is_named_and_the_others_are_kept(
    world: World, name: str, known: dict[str, bool]
) -> None:
    world.promise(**known)
    hidden = world.tmp_path / "hidden"
    (world.server.directory / name).rename(hidden)
    with pytest.raises(RefusedError, match=f"{name}.* 404") as caught:
        world.fetch()
    assert caught.value.status == 404
    world.assert_nothing_published()
    hidden.rename(world.server.directory / name)
    world.fetch()
    world.assert_done()


def test_a_part_that_is_missing_costs_the_others_nothing(world: World) -> None:
    (world.server.directory / NAMES[2]).rename(world.tmp_path / "hidden")
    with pytest.raises(RefusedError):
        world.fetch()
    held = (world.to / "thing.npz.part").stat().st_size
    assert held > 0
    (world.tmp_path / "hidden").rename(world.server.directory / NAMES[2])
    world.fetch()
    world.assert_done()
    for name, size in zip(NAMES, SIZES, strict=True):
        assert world.n_sent(name) <= size + 20, name  # and the words of a 404


@pytest.mark.parametrize("known", KNOWLEDGE, ids=str)
def test_swapped_parts_are_noticed(world: World, known: dict[str, bool]) -> None:
    world.contents = [noise(200_000, seed) for seed in range(3)]  # so that no size tells
    for name, data in zip(NAMES, world.contents, strict=True):
        (world.server.directory / name).write_bytes(data)
    world.promise(**known)
    first, second = (world.server.directory / name for name in NAMES[:2])
    first.rename(world.tmp_path / "hidden")
    second.rename(first)
    (world.tmp_path / "hidden").rename(second)
    with pytest.raises(ChecksumError) as caught:
        world.fetch()
    world.assert_nothing_published()
    if known.get("blobs", True):
        message = str(caught.value)
        assert NAMES[0] in message
        assert NAMES[1] in message
        assert "its bytes are those of" in message
    else:
        whole = world.contents[1] + world.contents[0] + world.contents[2]
        assert caught.value.actual == md5(whole)


def test_one_part_in_the_place_of_two_is_noticed_and_named(world: World) -> None:
    world.contents = [noise(200_000, seed) for seed in range(3)]
    world.promise()
    for name in NAMES:
        (world.server.directory / name).write_bytes(world.contents[0])
    with pytest.raises(ChecksumError, match=r"its bytes are those of thing_aa\.bin") as caught:
        world.fetch()
    assert caught.value.actual == git_blob(world.contents[0])
    world.assert_nothing_published()


def test_a_part_of_another_size_is_refused_before_it_is_received(world: World) -> None:
    (world.server.directory / NAMES[1]).write_bytes(noise(20_000_000, seed=8))
    with pytest.raises(ChecksumError, match=r"20000000 bytes, not the 200000") as caught:
        world.fetch()
    assert NAMES[1] in str(caught.value)
    world.assert_nothing_published()


@pytest.mark.parametrize("known", KNOWLEDGE, ids=str)
def test_a_part_from_another_version_is_noticed_and_the_right_one_taken_later(
    world: World, known: dict[str, bool]
) -> None:
    world.promise(**known)
    (world.server.directory / NAMES[1]).write_bytes(noise(200_000, seed=8))
    with pytest.raises(ChecksumError):
        world.fetch()
    world.assert_nothing_published()
    (world.server.directory / NAMES[1]).write_bytes(world.contents[1])
    world.fetch()
    world.assert_done()


def test_a_broken_part_alone_is_fetched_once_more(world: World) -> None:
    world.fetch("only/1", "flip-byte/150000")  # of every part that is so long, in the first GET
    world.assert_done()
    assert [len(world.server.log()), world.server.stats()["total"]["bytes"]] == [5, 1_100_000]


def test_the_same_part_twice_in_a_registry_is_refused(world: World) -> None:
    table = artifact([*NAMES, NAMES[0]], [*world.contents, world.contents[0]])
    write_registry(world.registry, table)
    with pytest.raises(ConfigError, match="twice"):
        world.fetch()
    assert world.server.log() == []


# -- join


def test_a_stray_part_beside_the_others_is_ignored(world: World) -> None:
    parts = world.copy_parts(world.tmp_path / "parts")
    (parts / "thing_ad.bin").write_bytes(b"stray")
    (parts / "thing_aa.bin.part").write_bytes(b"stray")
    (parts / "thing_aa (1).bin").write_bytes(b"stray")
    before = {path: path.read_bytes() for path in parts.iterdir()}
    world.join(parts)
    world.assert_done()
    assert {path: path.read_bytes() for path in parts.iterdir()} == before
    assert world.server.log() == []


def test_what_is_missing_from_a_directory_is_named_all_at_once(world: World) -> None:
    parts = world.copy_parts(world.tmp_path / "parts")
    (parts / NAMES[0]).unlink()
    (parts / NAMES[2]).unlink()
    (parts / NAMES[2]).mkdir()
    with pytest.raises(IntegrityError, match=f"{NAMES[0]}, {NAMES[2]}"):
        world.join(parts)
    world.assert_nothing_published()


@pytest.mark.parametrize("known", KNOWLEDGE, ids=str)
@pytest.mark.parametrize("damage", ["flipped", "swapped", "short", "long", "empty"])
def test_a_wrong_part_in_a_directory_is_noticed_and_a_right_one_taken_later(
    world: World, damage: str, known: dict[str, bool]
) -> None:
    world.promise(**known)
    parts = world.copy_parts(world.tmp_path / "parts")
    right = world.contents[1]
    wrong = {
        "flipped": right[:1000] + bytes([right[1000] ^ 1]) + right[1001:],
        "swapped": world.contents[2],
        "short": right[:-1],
        "long": right + b"x",
        "empty": b"",
    }[damage]
    (parts / NAMES[1]).write_bytes(wrong)
    with pytest.raises(ChecksumError) as caught:
        world.join(parts)
    assert caught.value.hint
    if known.get("blobs", True) or (known.get("sizes", True) and damage != "flipped"):
        assert NAMES[1] in str(caught.value)
    world.assert_nothing_published()
    assert (parts / NAMES[1]).read_bytes() == wrong
    (parts / NAMES[1]).write_bytes(right)
    world.join(parts)
    world.assert_done()


def test_a_download_half_done_is_ended_from_parts_on_disk(world: World) -> None:
    with pytest.raises(RefusedError):
        world.fetch("truncate-at/50000", "after/1", "status/403")
    world.join(world.copy_parts(world.tmp_path / "parts"))
    world.assert_done()


UGLY = [
    "with space",
    "ünï 文",
    "[x]*?",
    "%41%2f",
    "#frag?q=1",
    "-dash",
    "a:b",
    "quo'te\"",
    "new\nline",
]


@pytest.mark.parametrize("name", UGLY)
def test_a_directory_may_be_called_anything(world: World, memtools: Run, name: str) -> None:
    world.copy_parts(world.tmp_path / name)
    world.to = world.tmp_path / f"to {name}"
    arguments = ["join", "thing", "--from", name, "--to", f"to {name}"]
    done = memtools(*arguments, "--registry", "registry.toml", cwd=world.tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{printable(f'to {name}')}/thing.npz\n"
    world.assert_done()


@pytest.mark.parametrize("form", ["slash", "dots", "link", "relative"])
def test_a_directory_may_be_given_in_any_form(
    world: World, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    parts = world.copy_parts(world.tmp_path / "parts")
    (world.tmp_path / "link").symlink_to(parts)
    monkeypatch.chdir(world.tmp_path)
    forms = {
        "slash": f"{parts}/",
        "dots": f"{parts}/../parts/.",
        "link": str(world.tmp_path / "link"),
        "relative": "parts",
    }
    world.join(forms[form])
    world.assert_done()


@pytest.mark.parametrize("where", ["nowhere", "file"])
def test_a_directory_that_is_none_is_named(world: World, where: str) -> None:
    (world.tmp_path / "file").write_text("mine")
    with pytest.raises(MemtoolsError, match=str(world.tmp_path / where)):
        world.join(world.tmp_path / where)
    world.assert_nothing_published()


def test_parts_may_lie_where_the_file_goes(world: World) -> None:
    world.copy_parts(world.to)
    world.join(world.to)
    assert sorted(os.listdir(world.to)) == [*DONE, *NAMES]
    assert (world.to / "thing.npz").read_bytes() == b"".join(world.contents)


@pytest.mark.parametrize("name", ["with space.bin", "100%25.bin", "ünï.bin", "plus+sign.bin"])
def test_a_part_may_have_an_ugly_name_on_a_server_and_on_disk(
    tmp_path: Path, server: FaultServer, name: str
) -> None:
    import urllib.parse

    data = noise(1000)
    (server.directory / name).write_bytes(data)
    table = artifact([urllib.parse.quote(name)], [data])
    registry = write_registry(server.directory / "registry.toml", table)
    for where in (server.url("registry.toml"), registry):
        to = tmp_path / f"to{len(str(where))}"
        assert library.fetch("thing", to, registries=[where]).read_bytes() == data
    joined = library.join("thing", server.directory, tmp_path / "joined", registries=[registry])
    assert joined.read_bytes() == data
