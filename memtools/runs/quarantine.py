"""Moving a file out of the way without replacing another one.

place = move_aside(root / "records" / "000017.npz", root / "quarantine")
"""

from __future__ import annotations

import itertools
from pathlib import Path

from memtools.files import disk_errors, fsync_directory, publish_once


def move_aside(path: Path, directory: Path) -> Path:
    """Move a file into a directory, under a name that is free there; return its new path."""
    with disk_errors(path):
        directory.mkdir(parents=True, exist_ok=True)
        for number in itertools.count():
            name = path.name if not number else f"{path.stem}.{number}{path.suffix}"
            try:
                publish_once(path, directory / name)
            except FileExistsError:
                continue
            fsync_directory(path.parent)
            return directory / name
    raise AssertionError  # pragma: no cover - the loop has no other end
