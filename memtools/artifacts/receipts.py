"""What was verified when: a small file beside each published one.

    write_receipt(path, artifact, digests, parts)
    receipt = read_receipt(path)
    receipt.fits(path, artifact)       # verified, and not touched since

A receipt lets a verified file be used again without reading it: its size, inode
and times must be exactly those of the moment of verification. Nothing else
about a file's presence is ever believed. It also keeps what the publisher does
not give: the sha256 of the whole and a digest of each part.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memtools import __version__
from memtools.artifacts.registry import Artifact
from memtools.files import write_atomically

log = logging.getLogger("memtools")

_TOO_LARGE = 1 << 50  # bytes: no part has a petabyte


@dataclasses.dataclass(frozen=True)
class Receipt:
    """The verification of one file.

    digests: of the whole file, by algorithm. parts: name, size and git_blob of
    each, in order. proven: whether any of them was promised by the registry.
    verified: UTC time, ISO 8601. stamp: size, inode, mtime_ns, ctime_ns.
    """

    artifact: str
    digests: Mapping[str, str]
    parts: Sequence[Mapping[str, Any]]
    proven: bool
    verified: str
    stamp: Sequence[int]
    memtools: str

    def fits(self, path: Path, artifact: Artifact) -> bool:
        """Whether the file is the one that was verified, and is what the registry wants now."""
        return list(self.stamp) == stamp(path) and all(
            self.digests.get(name) == value for name, value in artifact.digests.items()
        )


def receipt_path(path: Path) -> Path:
    """Where the receipt of a file is: hidden, beside it."""
    return path.with_name(f".{path.name}.receipt.json")


def read_receipt(path: Path) -> Receipt | None:
    """The receipt of a file, or None if there is none that can be read."""
    try:
        receipt = Receipt(**json.loads(receipt_path(path).read_text("utf-8")))
        for part in receipt.parts:
            _ = part["name"] + part["git_blob"]
            if type(part["size"]) is not int or not 0 <= part["size"] < _TOO_LARGE:
                return None
        return receipt if receipt.digests.keys() and [*receipt.stamp] else None
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def write_receipt(
    path: Path,
    artifact: Artifact,
    digests: Mapping[str, str],
    parts: Sequence[Mapping[str, Any]],
    *,
    before: Sequence[int] | None = None,
) -> None:
    """Note that the file at `path`, just read to its end, has these digests, if it can be noted.

    before: its stamp from before it was read. A file that was touched meanwhile is not what
    was read, and nothing is noted.
    """
    if before is not None and before != stamp(path):
        return
    receipt = Receipt(
        artifact=artifact.name,
        digests=dict(digests),
        parts=list(parts),
        proven=artifact.checkable,
        verified=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        stamp=stamp(path),
        memtools=__version__,
    )
    content = json.dumps(dataclasses.asdict(receipt), indent=1).encode()
    try:
        write_atomically(receipt_path(path), content)
    except OSError as error:  # the disk is full, or a twin was faster; the file itself is right
        log.warning("%s: not noted as verified (%s); it will be read again", path, error.strerror)


def stamp(path: Path) -> list[int]:
    """What changes when a file is touched: size, inode, mtime_ns, ctime_ns."""
    info = path.stat()
    return [info.st_size, info.st_ino, info.st_mtime_ns, info.st_ctime_ns]
