"""Moving a file out of the way without replacing another one.

place = move_aside(root / "records" / "000017.npz", root / "quarantine")
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from memtools.files import disk_errors, fsync_directory


def move_aside(path: Path, directory: Path) -> Path:
    """Move a file into a directory, under a name that is free there; return its new path."""
    with disk_errors(path):
        directory.mkdir(parents=True, exist_ok=True)
        for number in itertools.count():
            name = path.name if not number else f"{path.stem}.{number}{path.suffix}"
            place = directory / name
            if os.path.lexists(place):
                continue
            if path.is_dir() and not path.is_symlink():  # which cannot be linked
                path.rename(place)
                break
            try:
                os.link(path, place, follow_symlinks=False)  # fails where a rename would replace
            except FileExistsError:
                continue
            path.unlink()
            break
        fsync_directory(directory)
        fsync_directory(path.parent)
    return place
