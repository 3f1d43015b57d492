"""Whether the bytes of a file are those of an artifact: by its receipt, else by reading it.

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
        spans = part_spans(artifact, before[0], earlier)
        digests, parts = _read(artifact, path, spans)
    broken = _broken_parts(artifact, parts, spans)
    expected = promised(artifact, earlier)
    learnt = earlier.digests if earlier and earlier.covers(artifact) else {}
    known = expected or ({} if artifact.checkable else learnt)  # which shows that it is unchanged
    for name, value in known.items():
        if digests.get(name) != value:
            raise _wrong_digest(artifact, path, name, value, digests[name], broken)
    for name, value, actual in broken.values():
        raise _wrong_digest(artifact, path, name, value, actual, broken)
    in_parts = {name for part in artifact.parts for name in part.digests} if spans else set()
    if not (known or (in_parts and all(part.digests for part in artifact.parts))):
        raise IntegrityError(
            f"{path}: the registry has no digest of {artifact.name} as a whole",
            hint="nothing can be said about this file; ask its publisher for a digest",
        )
    write_receipt(path, artifact, digests, parts, before=before)
    return digests, tuple(expected or sorted(f"{name} of each part" for name in in_parts))


def promised(artifact: Artifact, earlier: Receipt | None) -> dict[str, str]:
    """Return the digests to demand: the registry's, and all that were learnt when those held."""
    if artifact.checkable and earlier and earlier.proven and earlier.covers(artifact):
        return {**earlier.digests, **artifact.digests}
    return artifact.digests


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
    """Return the size of a part as recorded, if its digests are the same."""
    same = [recorded[name] == value for name, value in part.digests.items() if name in recorded]
    return recorded["size"] if same and all(same) else None


def _require_size(artifact: Artifact, path: Path, size: int) -> None:
    """Raise ChecksumError if the size alone shows that this is another file."""
    expected = artifact.total_size
    if expected is not None and expected != size:
        raise _wrong_size(path, str(expected), size)
    least = sum(part.size or 0 for part in artifact.parts)
    if size < least:
        raise _wrong_size(path, f"at least {least}", size)


def _read(
    artifact: Artifact, path: Path, spans: Sequence[Span] | None
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return the digests of the whole, and the name, size and digests of each part.

    Where the parts lie is not known: their digests are those of the registry, and no size.
    """
    parts: list[dict[str, Any]] = []
    with path.open("rb", buffering=0) as file, bars() as show:
        size = os.fstat(file.fileno()).st_size
        whole = {name: new_hash(name, size) for name in ALGORITHMS}
        buffer = memoryview(bytearray(CHUNK))
        for n, (start, length) in enumerate(spans or [(0, size)]):
            algorithms = artifact.parts[n].digests if spans else ()
            own = {name: new_hash(name, length) for name in {"git_blob", *algorithms} if spans}
            left = length
            while left > 0 and (n_read := file.readinto(buffer[:left])):
                for each in (*whole.values(), *own.values()):
                    each.update(buffer[:n_read])
                left -= n_read
                show(f"reading {path.name}", start + length - left, size)
            facts = {"name": artifact.parts[n].file, "size": length - left}
            parts.append({**facts, **{name: each.hexdigest() for name, each in own.items()}})
    if not spans:
        parts = [{"name": each.file, "size": None, **each.digests} for each in artifact.parts]
    return {name: each.hexdigest() for name, each in whole.items()}, parts


def _broken_parts(
    artifact: Artifact, parts: Sequence[Mapping[str, Any]], spans: Sequence[Span] | None
) -> dict[str, tuple[str, str, str]]:
    """Return (algorithm, expected, actual) of each part that differs, by its name and range."""
    broken: dict[str, tuple[str, str, str]] = {}
    for part, actual, (start, size) in zip(artifact.parts, parts, spans or (), strict=False):
        for name, value in part.digests.items():
            if actual[name] != value:
                where = f"{part.file}, bytes {start} to {start + size}"
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
