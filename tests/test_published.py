"""The really published files, from a loopback server, against the digests that memtools ships."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_server import FaultServer

from memtools import fetch, verify
from memtools.artifacts.manifest import builtin_registry
from memtools.errors import ChecksumError

Run = Callable[..., subprocess.CompletedProcess[str]]
REGISTRY = builtin_registry()
FILES = {
    "cifar100-pairs": "cifar100_high_infl_pairs_infl0.15_mem0.25.npz",
    "imagenet-pairs": "imagenet_high_infl_pairs_infl0.15_mem0.25.npz",
    "cifar10-cscores": "cifar10-cscores-orig-order.npz",
    "cifar100-cscores": "cifar100-cscores-orig-order.npz",
    "mnist-cscores": "mnist-cscores.npy",
}
FIRST, MIDDLE, LAST = 0.0, 0.5, 1.0


@pytest.fixture
def mirror(published: Path) -> Iterator[FaultServer]:
    """A mirror of the publisher's sites."""
    with FaultServer(published) as server:
        yield server


def test_all_published_files_are_taken_with_the_digests_that_memtools_ships(
    mirror: FaultServer, published: Path, memtools: Run, tmp_path: Path
) -> None:
    done = memtools("fetch", *FILES, "--mirror", mirror.base, "--to", tmp_path / "to")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert [path.name for path in paths] == list(FILES.values())
    for path in paths:
        assert path.read_bytes() == (published / path.name).read_bytes()
    assert mirror.stats()["total"]["bytes"] == sum(path.stat().st_size for path in paths)
    beside = {f".{name}.receipt.json" for name in FILES.values()}
    assert set(os.listdir(tmp_path / "to")) == {*FILES.values(), *beside}


@pytest.mark.parametrize("name", FILES)
def test_each_digest_that_is_known_of_a_published_file_holds(
    published: Path, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "any name at all"
    shutil.copy(published / FILES[name], copy)
    verdict = verify(copy)
    assert verdict.artifact.name == name
    assert set(verdict.proven_by) >= {"md5", "git_blob"}
    assert REGISTRY[name].total_size == copy.stat().st_size


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [FIRST, MIDDLE, LAST])
def test_one_flipped_byte_is_named_and_never_published(
    mirror: FaultServer, tmp_path: Path, name: str, where: float
) -> None:
    size = REGISTRY[name].total_size or 0
    offset = int(where * (size - 1))
    to = tmp_path / "to"
    with pytest.raises(ChecksumError) as caught:
        fetch(name, to, mirror=f"{mirror.base}/f/flip-byte/{offset}")
    assert caught.value.exit_code == 5
    assert FILES[name] in str(caught.value)
    assert caught.value.expected in str(caught.value)
    assert caught.value.actual in str(caught.value)
    assert FILES[name] not in os.listdir(to)
    assert mirror.stats()["total"]["bytes"] == size  # a clean pass is not repeated
    assert fetch(name, to, mirror=mirror.base).stat().st_size == size


@pytest.mark.parametrize("name", FILES)
def test_a_file_in_the_place_of_another_is_never_published(
    mirror: FaultServer, memtools: Run, tmp_path: Path, name: str
) -> None:
    other = FILES["mnist-cscores" if name != "mnist-cscores" else "cifar100-pairs"]
    swapped = f"{mirror.base}/f/swap-with/{other}"
    done = memtools("fetch", name, "--mirror", swapped, "--to", tmp_path / "to")
    assert done.returncode == 5
    assert FILES[name] in done.stderr
    assert done.stdout == ""
    assert FILES[name] not in os.listdir(tmp_path / "to")


def test_a_published_file_survives_every_cut(
    mirror: FaultServer, published: Path, tmp_path: Path
) -> None:
    name = FILES["cifar10-cscores"]
    path = fetch("cifar10-cscores", tmp_path, mirror=f"{mirror.base}/f/truncate-at/70000")
    assert path.read_bytes() == (published / name).read_bytes()
    stats = mirror.stats()["total"]
    assert stats["GET"] == 12
    assert stats["bytes"] == path.stat().st_size
