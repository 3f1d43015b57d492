"""Pipes, sockets and devices in the place of a file are refused before they are opened.

    require_regular(path)                    # DiskError: "x.csv is a pipe, not a file"
    name_kind(path.stat().st_mode)           # "a pipe", "a directory", ...; "" for a file

Opening a pipe waits for somebody who writes to it, perhaps for ever; a device may never end, and a
pipe cannot be read twice, as the readers of most formats do.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from memtools.errors import DiskError, MemtoolsError
from memtools.files import disk_errors

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_HINTS = {
    "a directory": "give the path of the file in it",
    "a pipe": "write what comes out of it into a file first, and give that file",
}


def name_kind(mode: int) -> str:
    """Return what stands there in place of a regular file, with its article; "" for a file."""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "")


def require_regular(
    path: str | os.PathLike[str], *, error: type[MemtoolsError] = DiskError, hint: str = ""
) -> None:
    """Raise `error` unless a path is that of a regular file; links are followed.

    Args:
        path: What is to be read.
        error: The class of the error.
        hint: What to do about it, in place of the usual words.

    Raises:
        DiskError: The path cannot be looked at.
    """
    where = Path(path)
    with disk_errors(where):
        try:
            kind = name_kind(where.stat().st_mode)
        except FileNotFoundError as missing:
            raise error(f"{where} is missing", hint=hint or "check the path") from missing
    if kind:
        raise error(
            f"{where} is {kind}, not a file",
            hint=hint or _HINTS.get(kind, "give the path of a file"),
        )
