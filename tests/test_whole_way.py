"""The whole way of the largest published estimates, on a copy of their shape.

Influence by class in three parts whose sizes the registry does not know, as for ImageNet:
downloaded through cuts and a kill, resumed, joined, verified, and read by numpy.
"""

from __future__ import annotations

import functools
import http.server
import io
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fault_server import FaultServer
from processes import LONG, group, wait_for
from worlds import artifact, write_registry

import memtools as library

SCRIPT = Path(sys.executable).with_name("memtools")
N_CLASSES, N_TRAIN, N_TEST = 20, 260, 50  # of each class
PARTS = [f"imagenet_infl_matrix_split_{each}.bin" for each in ("aa", "ab", "ac")]
NAME, FILE = "small-imagenet", "small_imagenet_infl_matrix.npz"
Arrays = dict[str, np.ndarray]
Run = Callable[..., subprocess.CompletedProcess[str]]


def estimates() -> Arrays:
    """Arrays with the names, types and shapes of the published file, for fewer classes."""
    random = np.random.default_rng(0)
    arrays: Arrays = {}
    for k in range(N_CLASSES):
        matrix = random.normal(0, 0.02, (N_TRAIN, N_TEST)).astype(np.float32)
        arrays[f"tr_classidx_{k}"] = np.arange(N_TRAIN) * N_CLASSES + k
        arrays[f"tt_classidx_{k}"] = np.arange(N_TEST) * N_CLASSES + k
        arrays[f"infl_matrix_class{k}"] = matrix
    return arrays


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return estimates()


@pytest.fixture
def folder(served: Path, arrays: Arrays) -> Path:
    """What anybody may put on any host: three parts and a registry beside them."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    whole = buffer.getvalue()
    third = len(whole) // 3 + 1
    contents = [whole[start : start + third] for start in range(0, len(whole), third)]
    for name, data in zip(PARTS, contents, strict=True):
        (served / name).write_bytes(data)
    table = artifact(
        PARTS, contents, name=NAME, file=FILE, sizes=False, dataset="imagenet", kind="influence"
    )
    write_registry(served / "registry.toml", table)
    return served


def size_of(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in PARTS)


def assert_equal(path: Path, arrays: Arrays) -> None:
    with np.load(path, allow_pickle=False) as loaded:
        assert set(loaded.files) == set(arrays)
        for name, expected in arrays.items():
            assert loaded[name].dtype == expected.dtype
            np.testing.assert_array_equal(loaded[name], expected)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_cut_killed_resumed_verified_and_equal(
    folder: Path,
    server: FaultServer,
    arrays: Arrays,
    memtools: Run,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    to = tmp_path / "to"
    cuts = f"{server.base}/f/slow/400/f/truncate-at/100000/registry.toml"  # and of every part
    command = [str(SCRIPT), "fetch", NAME, "--registry", cuts, "--to", str(to)]
    with group(command, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: server.stats()["total"]["bytes"] >= 500_000, process)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=LONG)
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143}[number], stderr
    assert not (to / FILE).exists()

    listed = memtools("list", "--registry", cuts, "--to", to)
    [row] = [line for line in listed.stdout.splitlines() if line.startswith(NAME)]
    assert "half-done" in row

    good = server.url("registry.toml")
    done = memtools("fetch", NAME, "--registry", good, "--to", to)
    assert (done.returncode, done.stdout) == (0, f"{to / FILE}\n"), done.stderr
    assert_equal(to / FILE, arrays)
    sent = sum(entry["bytes"] for entry in server.log() if entry["url"].endswith(".bin"))
    assert sent <= size_of(folder) + (1 << 20)
    assert any(entry["range"] for entry in server.log())

    checked = memtools("verify", NAME, "--registry", good, "--to", to)
    assert checked.returncode == 0, checked.stderr
    assert "md5" in checked.stdout
    assert_equal(library.fetch(NAME, to, registries=[good], offline=False), arrays)


def test_parts_on_disk_are_joined_verified_and_equal(
    folder: Path, server: FaultServer, arrays: Arrays, memtools: Run, tmp_path: Path
) -> None:
    to, registry = tmp_path / "to", folder / "registry.toml"
    options = "--registry", registry, "--to", to
    done = memtools("join", NAME, "--from", folder, *options)
    assert (done.returncode, done.stdout) == (0, f"{to / FILE}\n"), done.stderr
    assert_equal(to / FILE, arrays)
    assert memtools("verify", NAME, *options).returncode == 0
    assert server.log() == []
    assert all((folder / name).exists() for name in PARTS)


def test_a_registry_on_disk_needs_no_server_at_all(
    folder: Path, arrays: Arrays, tmp_path: Path
) -> None:
    path = library.fetch(NAME, tmp_path, registries=[folder / "registry.toml"], offline=True)
    assert_equal(path, arrays)


def test_after_a_fetch_a_broken_byte_is_traced_to_its_part(
    folder: Path, memtools: Run, tmp_path: Path
) -> None:
    options = "--registry", folder / "registry.toml", "--to", tmp_path
    assert memtools("fetch", NAME, *options).returncode == 0
    data = bytearray((tmp_path / FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / FILE).write_bytes(data)
    checked = memtools("verify", NAME, *options)
    assert checked.returncode == 5
    assert PARTS[1] in checked.stderr
    assert PARTS[0] not in checked.stderr


# -- any static host


class Quiet(http.server.SimpleHTTPRequestHandler):
    """The host that everybody has: python -m http.server. It knows no ranges."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def host(folder: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(folder.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/{folder.name}/registry.toml"
        running.shutdown()
        thread.join()


def test_a_folder_works_from_any_static_host(
    host: str, arrays: Arrays, memtools: Run, tmp_path: Path
) -> None:
    done = memtools("fetch", NAME, "--registry", host, "--to", tmp_path / "to")
    assert done.returncode == 0, done.stderr
    assert_equal(tmp_path / "to" / FILE, arrays)


def test_a_fetch_that_was_cut_ends_at_a_host_without_ranges(
    host: str, folder: Path, server: FaultServer, arrays: Arrays, memtools: Run, tmp_path: Path
) -> None:
    to = tmp_path / "to"
    options = "--registry", folder / "registry.toml", "--to", to
    refuse = f"{server.base}/f/truncate-at/100000/f/after/1/f/status/403"
    assert memtools("fetch", NAME, *options, "--mirror", refuse).returncode == 4
    done = memtools("fetch", NAME, "--registry", host, "--to", to)
    assert done.returncode == 0, done.stderr
    assert_equal(to / FILE, arrays)
