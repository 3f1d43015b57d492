"""Prove that a file is that of an artifact: by its receipt, else by reading it.

    require_proven(artifact, path)              # returns if they are; ChecksumError if not
    digests, compared = prove(artifact, path)   # the same, and always reads

One reading computes the digests of the whole and of each part over its range of bytes, and
everything that the registry has is compared. `fetch`, `verify` and `load` all ask here.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memtools.artifacts.receipts import Receipt, read_receipt, stamp, write_receipt
from memtools.artifacts.recognition import ALGORITHMS
from memtools.artifacts.registry import Artifact, Part
from memtools.errors import ChecksumError, IntegrityError
from memtools.file_kinds import require_regular
from memtools.files import CHUNK, disk_errors, new_hash
from memtools.progress import bars

Span = tuple[int, int]  # start, size
STRONG = ("git_blob", "sha256")  # digests of a part that are worth demanding again
LEARNT = "sha256"  # is computed of a part where the registry has no digest of it


def require_proven(artifact: Artifact, path: Path) -> None:
    """Raise ChecksumError unless a file is what the registry wants; read it only if necessary."""
    require_regular(path)
    receipt = read_receipt(path)
    with disk_errors(path):
        fits = receipt is not None and receipt.fits(path, artifact)
    if not fits:
        prove(artifact, path)


def prove(artifact: Artifact, path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read a file, and note in its receipt that it is what the registry wants.

    Returns:
        The digests of the file, and the names of those that were compared.

    Raises:
        ChecksumError: A size or a digest differs; the broken parts are named where they are known.
        IntegrityError: The registry has no digest that the file could be compared with.
        DiskError: The file cannot be read.
    """
    require_regular(path)
    earlier = read_receipt(path)
    with disk_errors(path):
        before = stamp(path)
        _require_size(artifact, path, before[0])
        expected, of_parts = promised(artifact, earlier)
        spans = part_spans(artifact, before[0], earlier)
        digests, parts = _read(artifact, path, of_parts, spans)
    broken = _broken_parts(parts, of_parts, spans)
    for name, value in expected.items():
        if digests[name] != value:
            raise _wrong_digest(artifact, path, name, value, digests[name], broken)
    for name, value, actual in broken.values():
        raise _wrong_digest(artifact, path, name, value, actual, broken)
    if not (expected or (spans and all(of_parts))):
        raise IntegrityError(
            f"{path}: the registry has no digest of {artifact.name} as a whole",
            hint="nothing can be said about this file; ask its publisher for a digest",
        )
    write_receipt(path, artifact, digests, parts, before=before)
    return digests, _names(expected, of_parts) if artifact.checkable else ()


def _names(expected: Mapping[str, str], of_parts: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the names of the digests of the whole, or else those of the parts."""
    in_parts = sorted({f"{name} of each part" for each in of_parts for name in each})
    return tuple(expected or in_parts)


def promised(
    artifact: Artifact, earlier: Receipt | None
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return the digests to demand of the whole and of each part.

    They are the registry's, and those that were learnt when these held. Where the registry has
    none, those that were learnt show at least that the file has not changed since.
    """
    whole, parts = artifact.digests, [part.digests for part in artifact.parts]
    if earlier and earlier.covers(artifact) and (earlier.proven or not artifact.checkable):
        whole = {**whole, **earlier.digests}
        for part, recorded in zip(parts, earlier.parts, strict=True):
            part.update({name: recorded[name] for name in STRONG if name in recorded})
    return whole, parts


def part_spans(artifact: Artifact, size: int, earlier: Receipt | None) -> list[Span] | None:
    """Return where each part lies in a file of `size` bytes, or None if that is not known.

    The sizes are those of the registry, else those in a receipt of the same parts; one that is
    not known is what the others leave.
    """
    nothing: list[Mapping[str, Any]] = [{}] * len(artifact.parts)
    recorded = earlier.parts if earlier and len(earlier.parts) == len(nothing) else nothing
    sizes = [
        part.size if part.size is not None else _recorded_size(part, each)
        for part, each in zip(artifact.parts, recorded, strict=True)
    ]
    if sizes.count(None) == 1:
        sizes[sizes.index(None)] = size - sum(filter(None, sizes))
    known = [each for each in sizes if each is not None]
    if len(known) < len(sizes) or sum(known) != size or min(known) < 0:
        return None
    return list(zip(itertools.accumulate(known, initial=0), known, strict=False))


def _recorded_size(part: Part, recorded: Mapping[str, Any]) -> int | None:
    """Return the size of a part as recorded, unless it had other digests."""
    same = all(recorded.get(name, value) == value for name, value in part.digests.items())
    return recorded.get("size") if same else None


def _require_size(artifact: Artifact, path: Path, size: int) -> None:
    """Raise ChecksumError if the size alone shows that this is another file."""
    expected = artifact.total_size
    if expected is not None and expected != size:
        raise _wrong_size(path, str(expected), size)
    least = sum(part.size or 0 for part in artifact.parts)
    if size < least:
        raise _wrong_size(path, f"at least {least}", size)


def _read(
    artifact: Artifact,
    path: Path,
    of_parts: Sequence[Mapping[str, str]],
    spans: Sequence[Span] | None,
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return the digests of the whole, and the name, size and digests of each part.

    Where the place of the parts is not known, their digests are the demanded ones, and no size.
    """
    names = [part.file for part in artifact.parts]
    found: list[dict[str, str]] = []
    with path.open("rb", buffering=0) as file, bars() as show:
        size = os.fstat(file.fileno()).st_size
        whole = {name: new_hash(name, size) for name in ALGORITHMS}
        buffer = memoryview(bytearray(CHUNK))
        for n, (start, length) in enumerate(spans or [(0, size)]):
            wanted = (of_parts[n] or [LEARNT]) if spans and len(spans) > 1 else ()
            own = {name: new_hash(name, length) for name in wanted}
            left = length
            while left > 0 and (n_read := file.readinto(buffer[:left])):
                for each in (*whole.values(), *own.values()):
                    each.update(buffer[:n_read])
                left -= n_read
                show(f"reading {path.name}", start + length - left, size)
            found.append({name: each.hexdigest() for name, each in own.items()})
    digests = {name: each.hexdigest() for name, each in whole.items()}
    if spans is None:
        return digests, [
            {"name": name, "size": None, **each} for name, each in zip(names, of_parts, strict=True)
        ]
    if len(spans) == 1:
        found = [digests]
    return digests, [
        {"name": name, "size": length, **each}
        for name, (_, length), each in zip(names, spans, found, strict=True)
    ]


def _broken_parts(
    parts: Sequence[Mapping[str, Any]],
    of_parts: Sequence[Mapping[str, str]],
    spans: Sequence[Span] | None,
) -> dict[str, tuple[str, str, str]]:
    """Return (algorithm, expected, actual) of each part that differs, by its name and range."""
    broken: dict[str, tuple[str, str, str]] = {}
    for actual, demanded, (start, size) in zip(parts, of_parts, spans or (), strict=False):
        for name, value in demanded.items():
            if actual[name] != value:
                where = f"{actual['name']}, bytes {start} to {start + size}"
                broken.setdefault(where, (name, value, actual[name]))
    return broken


def _wrong_size(path: Path, expected: str, actual: int) -> ChecksumError:
    return ChecksumError(
        f"{path}: {actual} bytes, expected {expected}",
        path=path,
        expected=expected,
        actual=str(actual),
        hint="this is another file, or a part of one; memtools fetch replaces it",
    )


def _wrong_digest(
    artifact: Artifact,
    path: Path,
    algorithm: str,
    expected: str,
    actual: str,
    broken: Mapping[str, object],
) -> ChecksumError:
    where = f" (broken: {', '.join(broken)})" if broken and len(artifact.parts) > 1 else ""
    return ChecksumError(
        f"{path}: {algorithm} is {actual}, expected {expected}{where}",
        path=path,
        expected=expected,
        actual=actual,
        hint=f"do not use it; memtools fetch {artifact.name} brings the right one",
    )
