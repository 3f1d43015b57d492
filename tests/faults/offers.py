"""An artifact that a faulty server offers, and what is demanded of every fetch of it.

offer = Offer(server, tmp_path / "kept", [data])
offer.publish("truncate-at/5000")          # from now on, its URLs say what goes wrong
offer.succeeds()
error = offer.fails(NetworkError)
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fault_server import FaultServer
from worlds import artifact, write_registry

import memtools
from memtools.artifacts.fetcher import Terms
from memtools.errors import MemtoolsError
from memtools.transfer.patience import Patience

MIB = 1 << 20
Memtools = Callable[..., "subprocess.CompletedProcess[str]"]


def fast(**limits: Any) -> Patience:
    """Patience with a server on the same machine: between tries there is hardly any waiting."""
    return Patience(**{"connect": 5.0, "read": 5.0, "first_delay": 0.01, "total": 10.0} | limits)


class Offer:
    """One artifact, a part for each of `contents`, and the directory `to` that it is fetched to.

    facts: as for `worlds.artifact`.
    """

    def __init__(
        self,
        server: FaultServer,
        to: Path,
        contents: Sequence[bytes],
        *,
        names: Sequence[str] = (),
        **facts: object,
    ) -> None:
        self.server = server
        self.to = to
        self.contents = list(contents)
        self.data = b"".join(contents)
        self.names = list(names) or [f"thing.part-{n}" for n in range(len(contents))]
        self.facts = facts
        self.target = to / "thing.npz"
        self.part = to / "thing.npz.part"
        self.state = to / "thing.npz.part.json"
        self.registry = server.base + "/registry.toml"
        for name, content in zip(self.names, contents, strict=True):
            (server.directory / name).write_bytes(content)
        self.publish()

    @property
    def size(self) -> int:
        return len(self.data)

    # -- the server's side

    def publish(self, *faults: str, only: int | None = None, query: str = "") -> None:
        """Put the parts, or `only` one of them, behind some faults (none: all is well)."""
        prefix = "".join(f"f/{fault}/" for fault in faults)
        suffix = f"?{query}" if query else ""
        urls = [
            prefix + quote(name) + suffix if only in (None, n) else quote(name)
            for n, name in enumerate(self.names)
        ]
        table = artifact(urls, self.contents, **self.facts)
        write_registry(self.server.directory / "registry.toml", table)

    def replace(self, contents: Sequence[bytes]) -> None:
        """Serve other bytes under the same names and the same promises."""
        for name, content in zip(self.names, contents, strict=True):
            (self.server.directory / name).write_bytes(content)

    def requests(self) -> list[dict[str, Any]]:
        """What the server was asked for, but for the registry."""
        return [entry for entry in self.server.log() if entry["url"] != "/registry.toml"]

    def served(self) -> int:
        """How many bytes of bodies the server has sent, but for the registry."""
        return sum(entry["bytes"] for entry in self.requests())

    def ranges(self) -> list[str | None]:
        """The Range of each request."""
        return [entry["range"] for entry in self.requests()]

    # -- the user's side

    def fetch(self, **limits: Any) -> Path:
        terms = Terms(patience=fast(**limits))
        return memtools.fetch("thing", self.to, registries=[self.registry], terms=terms)

    def command(
        self, run: Memtools, *options: object, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """`memtools fetch thing` in a process of its own."""
        return run("fetch", "thing", "--to", self.to, "--registry", self.registry, *options, **more)

    # -- the demands

    def is_right(self) -> None:
        """The right bytes under the final name, and nothing half-done beside it."""
        assert self.target.read_bytes() == self.data
        assert sorted(os.listdir(self.to)) == [".thing.npz.receipt.json", "thing.npz"]

    def is_clean(self) -> None:
        """Nothing under the final name; beside it only what the next run goes on from."""
        left = set(os.listdir(self.to)) if self.to.exists() else set()
        assert left <= {self.part.name, self.state.name}

    def succeeds(self, **limits: Any) -> None:
        assert self.fetch(**limits) == self.target
        self.is_right()

    def fails(self, kind: type[MemtoolsError], **limits: Any) -> Any:
        """The error of a fetch: of exactly this kind, in two lines, with nothing published."""
        with pytest.raises(MemtoolsError) as caught:
            self.fetch(**limits)
        self.is_clean()
        error = caught.value
        assert type(error) is kind, f"{type(error).__name__}: {error}"
        for words in (str(error), error.hint):
            assert words.strip()
            assert "\n" not in words
        return error

    def resumes(self, kept: int) -> None:
        """Once nothing goes wrong any more, all but the bytes that were kept are fetched."""
        self.publish()
        self.server.reset()
        self.succeeds()
        assert self.served() == self.size - kept


def complains(done: subprocess.CompletedProcess[str], code: int) -> str:
    """What a failed command has said: a line on what happened, a line on what to do, no more."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    what, hint = done.stderr.splitlines()[-2:]
    assert what.startswith("error: ")
    assert hint.startswith("       ")
    assert hint.strip()
    return f"{what}\n{hint}"


class Watch:
    """How long something took, in seconds: `with Watch() as watch: ...; watch.seconds`."""

    def __enter__(self) -> Watch:
        self._since = time.monotonic()
        return self

    def __exit__(self, *exc: object) -> None:
        self.seconds = time.monotonic() - self._since
