"""What is in a directory of fetched files, and how to make room there.

for item in inventory(registry, directory): ...
for path, n_bytes in remove(registry, directory, everything=False): ...
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from memtools.artifacts.receipts import read_receipt, receipt_path
from memtools.artifacts.registry import Artifact, Registry
from memtools.errors import BusyError
from memtools.file_kinds import name_kind
from memtools.files import disk_errors, human_size, locked
from memtools.temporary_files import is_regular, orphans, read_regular
from memtools.transfer.names import Names, state_of
from memtools.wording import redact_url

State = Literal["verified", "unverified", "half-done", "absent"]


@dataclasses.dataclass(frozen=True)
class Item:
    """One artifact and its file in a directory.

    state: `verified` (and untouched since), `unverified` (a file of that name is
    there, nothing more is known), `half-done`, or `absent`. n_held: bytes of a
    half-done file that its state claims. damage: what is known to be wrong in it, or what
    stands in its place.
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
        words: str = self.state if self.is_here else "-"
        if self.state == "half-done":
            words = f"half-done, {human_size(self.n_held)}"
        return words + f" ({self.damage})" * bool(self.damage)

    def to_json(self) -> dict[str, Any]:
        """Return all facts for a script; the URLs are without passwords and tokens."""
        facts = dataclasses.asdict(self.artifact) | {"path": str(self.path), "state": self.state}
        for part in facts["parts"]:
            part["url"] = redact_url(part["url"])
        return facts | {"n_held": self.n_held, "damage": self.damage}


def inventory(registry: Registry, directory: Path) -> list[Item]:
    """Return every artifact of a registry and what a directory holds of it; reads no file's bytes.

    Raises DiskError if the directory cannot be read, or is something else.
    """
    _require_directory(directory)
    return [_item(artifact, directory) for artifact in registry.artifacts.values()]


def _item(artifact: Artifact, directory: Path) -> Item:
    path = directory / artifact.file
    with disk_errors(path):
        if path.is_file():
            receipt = read_receipt(path)
            fits = receipt is not None and receipt.fits(path, artifact)
            return Item(artifact, path, "verified" if fits else "unverified")
        parts = Names(path).parts()
        if parts:
            return Item(artifact, path, "half-done", *max(_claims(part) for part in parts))
        in_the_way = name_kind(path.stat().st_mode) if path.exists() else ""
    return Item(artifact, path, "absent", damage=f"{in_the_way} has its name" * bool(in_the_way))


def _require_directory(directory: Path) -> None:
    """Raise DiskError for what cannot be read as a directory; one that is missing holds nothing."""
    with disk_errors(directory):
        try:
            os.scandir(directory).close()
        except FileNotFoundError:
            if directory.is_symlink():
                raise


def _claims(part: Path) -> tuple[int, str]:
    """Return (bytes, damage) of a half-done file as its state has them; no more than there are."""
    try:
        pieces = json.loads(read_regular(state_of(part)))["pieces"]
        held = sum(max(map(int, each["links"]), default=0) for each in pieces)
        damage = "; ".join(filter(None, (each["damage"] for each in pieces)))
        return min(max(held, 0), part.stat().st_size), damage
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError):
        return 0, ""  # killed before the first state, or damaged since


def remove(registry: Registry, directory: Path, *, everything: bool) -> Iterator[tuple[Path, int]]:
    """Remove half-done files that nobody works on, or all that was fetched; yield what went.

    Only files that memtools made are touched; what another process is working on stays.
    """
    _require_directory(directory)
    for artifact in registry.artifacts.values():
        path = directory / artifact.file
        names = Names(path)
        with disk_errors(path):
            is_here = names.parts() or names.lock.exists() or path.exists()
        if not is_here:
            continue
        try:
            with locked(names.lock, wait=False, waiting=lambda: None):
                with disk_errors(path):
                    doomed = names.leftovers(time.sleep)
                    if everything:
                        doomed += [each for each in (path, receipt_path(path)) if each.is_file()]
                for each in doomed:
                    with disk_errors(each):
                        size = each.stat().st_blocks * 512
                        each.unlink()
                    yield each, size
        except BusyError:
            continue
    for each in orphans(directory):
        if is_regular(each):
            with disk_errors(each):
                size = each.stat().st_blocks * 512
                each.unlink(missing_ok=True)
            yield each, size
