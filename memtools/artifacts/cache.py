"""What is in a directory of fetched files, and how to make room there.

for item in inventory(registry, directory): ...
for path, n_bytes in remove(registry, directory, everything=False): ...
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from memtools.artifacts.receipts import read_receipt, receipt_path
from memtools.artifacts.registry import Artifact, Registry
from memtools.errors import BusyError
from memtools.files import disk_errors, human_size, locked
from memtools.transfer.names import Names, state_of
from memtools.wording import redact_url

State = Literal["verified", "unverified", "half-done", "absent"]


@dataclasses.dataclass(frozen=True)
class Item:
    """One artifact and its file in a directory.

    state: `verified` (and untouched since), `unverified` (a file of that name is
    there, nothing more is known), `half-done`, or `absent`. n_held: bytes of a
    half-done file that its state claims. damage: what is known to be wrong in it.
    """

    artifact: Artifact
    path: Path
    state: State
    n_held: int = 0
    damage: str = ""

    @property
    def is_here(self) -> bool:
        """Whether there is a file under the final name."""
        return self.state in ("verified", "unverified")

    @property
    def size(self) -> int | None:
        """In bytes: of the file, else as the registry knows it, else roughly."""
        if self.is_here:
            return self.path.stat().st_size
        return self.artifact.total_size or self.artifact.approximate_size

    @property
    def size_is_approximate(self) -> bool:
        """Whether `size` is good for a message only."""
        return not (self.is_here or self.artifact.total_size)

    @property
    def state_in_words(self) -> str:
        """For a table."""
        if self.state != "half-done":
            return self.state if self.is_here else "-"
        return f"half-done, {human_size(self.n_held)}" + f" ({self.damage})" * bool(self.damage)

    def to_json(self) -> dict[str, Any]:
        """Return all facts for a script; the URLs are without passwords and tokens."""
        facts = dataclasses.asdict(self.artifact) | {"path": str(self.path), "state": self.state}
        for part in facts["parts"]:
            part["url"] = redact_url(part["url"])
        return facts | {"n_held": self.n_held, "damage": self.damage}


def inventory(registry: Registry, directory: Path) -> list[Item]:
    """Every artifact of a registry, and what a directory holds of it. Reads no file's bytes."""
    return [_item(artifact, directory) for artifact in registry.artifacts.values()]


def _item(artifact: Artifact, directory: Path) -> Item:
    path = directory / artifact.file
    if path.is_file():
        receipt = read_receipt(path)
        fits = receipt is not None and receipt.fits(path, artifact)
        return Item(artifact, path, "verified" if fits else "unverified")
    parts = Names(path).parts()
    if not parts:
        return Item(artifact, path, "absent")
    held, damage = max(_claims(part) for part in parts)
    return Item(artifact, path, "half-done", held, damage)


def _claims(part: Path) -> tuple[int, str]:
    """(bytes, damage) as the state of a half-done file claims them."""
    try:
        pieces = json.loads(state_of(part).read_text("utf-8"))["pieces"]
        held = sum(max(map(int, each["links"]), default=0) for each in pieces)
        return held, "; ".join(filter(None, (each["damage"] for each in pieces)))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return 0, ""  # killed before the first state


def remove(registry: Registry, directory: Path, *, everything: bool) -> Iterator[tuple[Path, int]]:
    """Remove half-done files that nobody works on, or all that was fetched; yield what went.

    Only files that memtools made are touched; what another process is working on stays.
    """
    for artifact in registry.artifacts.values():
        path = directory / artifact.file
        names = Names(path)
        if not (names.parts() or names.lock.exists() or path.exists()):
            continue
        try:
            with locked(names.lock, wait=False, waiting=lambda: None):
                doomed = names.leftovers(time.sleep)
                if everything:
                    doomed += [each for each in (path, receipt_path(path)) if each.is_file()]
                for each in doomed:
                    size = each.stat().st_blocks * 512
                    with disk_errors(each):
                        each.unlink()
                    yield each, size
        except BusyError:
            continue
