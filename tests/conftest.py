"""What every test may use: a faulty server, clean settings, the command line, published files."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import processes
import pytest
from fault_server import FaultServer

PUBLISHED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of whoever runs the tests may leak into them, and none of theirs outside."""
    for name in list(os.environ):
        if name.startswith("MEMTOOLS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MEMTOOLS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The directory that `server` serves."""
    directory = tmp_path / "served"
    directory.mkdir()
    return directory


@pytest.fixture
def server(served: Path) -> Iterator[FaultServer]:
    """A real HTTP server on loopback whose URLs say what goes wrong."""
    with FaultServer(served) as running:
        yield running


@pytest.fixture
def memtools() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `memtools ARGUMENTS...` as a process of its own, no child of which outlives it."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        return processes.run([processes.SCRIPT, *arguments], text=True, **options)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[Any]]]:
    """Starts processes, which end with the test, and all their children with them."""
    with contextlib.ExitStack() as started:

        def begin(*command: object, **options: Any) -> subprocess.Popen[Any]:
            return started.enter_context(processes.group(command, **options))

        yield begin


@pytest.fixture
def published() -> Path:
    """The directory of really published files; skips where they are not at hand."""
    if not PUBLISHED.is_dir():
        pytest.skip(f"needs the published files in {PUBLISHED}")
    return PUBLISHED
