"""What was verified when: a small file beside each published one.

    write_receipt(path, artifact, digests, parts)
    receipt = read_receipt(path)
    receipt.fits(path, artifact)       # verified, and not touched since

A receipt lets a verified file be used again without reading it: its size, inode
and times must be exactly those of the moment of verification, and the registry must
want nothing that was not compared then. Nothing else about a file's presence is ever
believed. It also keeps what the publisher does not give: the size and a digest of each part,
and after a `verify` the sha256 of the whole.
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
from memtools.artifacts.registry import Artifact, Part
from memtools.files import write_atomically

log = logging.getLogger("memtools")

_TOO_LARGE = 1 << 50  # bytes: no part has a petabyte
_MAX_RECEIPT = 1 << 20  # bytes


@dataclasses.dataclass(frozen=True)
class Receipt:
    """The verification of one file.

    Attributes:
        artifact: The name in the registry.
        digests: Hex digests of the whole file, by algorithm.
        parts: The name, size and digests of each part, in order. They are those of the bytes; of
            a part whose place in the file is not known, those of the registry, and no size.
        proven: Whether any digest was given by the registry.
        verified: UTC time, ISO 8601.
        stamp: Size, inode, mtime_ns and ctime_ns.
        memtools: The version that wrote it.
    """

    artifact: str
    digests: Mapping[str, str]
    parts: Sequence[Mapping[str, Any]]
    proven: bool
    verified: str
    stamp: Sequence[int]
    memtools: str

    def fits(self, path: Path, artifact: Artifact) -> bool:
        """Return whether the file is untouched since, and is what the registry wants now."""
        return self.covers(artifact) and list(self.stamp) == stamp(path)

    def covers(self, artifact: Artifact) -> bool:
        """Return whether every size and digest that the registry has now was compared then.

        A digest that the registry has gained since was not compared.
        """
        return (
            artifact.total_size in (None, self.stamp[0])
            and artifact.digests.items() <= self.digests.items()
            and [part.file for part in artifact.parts] == [each["name"] for each in self.parts]
            and all(map(covers_part, self.parts, artifact.parts))
        )


def covers_part(recorded: Mapping[str, Any], part: Part) -> bool:
    """Return whether a recorded part has the size and every digest that the registry has of it."""
    return part.size in (None, recorded["size"]) and part.digests.items() <= recorded.items()


def receipt_path(path: Path) -> Path:
    """Where the receipt of a file is: hidden, beside it."""
    return path.with_name(f".{path.name}.receipt.json")


def read_receipt(path: Path) -> Receipt | None:
    """Return the receipt of a file, or None if there is none that can be read.

    It is a file like any other: every type in it is checked before anything of it is used.
    """
    where = receipt_path(path)
    try:
        if not where.is_file():  # a pipe would wait for a writer
            return None
        with where.open("rb") as file:
            receipt = Receipt(**json.loads(file.read(_MAX_RECEIPT).decode()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return receipt if _is_sound(receipt) else None


def _is_sound(receipt: Receipt) -> bool:
    """Return whether every field of a receipt has its type."""
    return (
        _is_texts(receipt.digests)
        and isinstance(receipt.parts, list)
        and all(map(_is_part, receipt.parts))
        and isinstance(receipt.stamp, list)
        and len(receipt.stamp) == 4
        and all(type(each) is int for each in receipt.stamp)
        and isinstance(receipt.proven, bool)
        and all(
            isinstance(each, str) for each in (receipt.artifact, receipt.verified, receipt.memtools)
        )
    )


def _is_part(facts: object) -> bool:
    if not (isinstance(facts, dict) and {"name", "size"} <= set(facts)):
        return False
    size = facts["size"]
    is_size = size is None or (type(size) is int and 0 <= size < _TOO_LARGE)
    return is_size and _is_texts({key: each for key, each in facts.items() if key != "size"})


def _is_texts(facts: object) -> bool:
    return isinstance(facts, dict) and all(isinstance(each, str) for each in facts.values())


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
        write_atomically(receipt_path(path), content, ours=True)
    except OSError as error:  # the disk is full, or a twin was faster; the file itself is right
        log.warning("%s: not noted as verified (%s); it will be read again", path, error.strerror)


def stamp(path: Path) -> list[int]:
    """What changes when a file is touched: size, inode, mtime_ns, ctime_ns."""
    info = path.stat()
    return [info.st_size, info.st_ino, info.st_mtime_ns, info.st_ctime_ns]
