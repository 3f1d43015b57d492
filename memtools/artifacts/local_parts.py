"""Parts that lie on this disk: beside their registry, or in an older version of the file.

copy_part(partial, piece, Path("p_aa.bin"))
spare = find_spare_parts(artifact, target)       # {part: (start, size)} in the older version
copy_part(partial, piece, target, spare[part])
"""

from __future__ import annotations

import itertools
from pathlib import Path

from memtools.artifacts.proof import Span
from memtools.artifacts.receipts import covers_part, read_receipt
from memtools.artifacts.registry import Artifact, Part
from memtools.errors import ChecksumError, IntegrityError
from memtools.file_kinds import require_regular
from memtools.files import CHUNK, disk_errors
from memtools.transfer.partial import Partial
from memtools.transfer.piece import Piece

WRONG_LOCAL = "nothing was published; get this part again, or fetch the artifact"


def find_spare_parts(artifact: Artifact, target: Path) -> dict[Part, Span]:
    """Return where parts of an older version lie in the file that is to be replaced.

    The digests in its receipt say which ones are the same; they are compared again after copying.
    """
    receipt = read_receipt(target)
    sizes = [each["size"] for each in receipt.parts] if receipt else []
    if receipt is None or None in sizes:
        return {}
    spans = list(zip(itertools.accumulate(sizes, initial=0), sizes, strict=False))
    return {
        part: span
        for part in artifact.parts
        for recorded, span in zip(receipt.parts, spans, strict=True)
        if part.digests and covers_part(recorded, part)
    }


def copy_part(partial: Partial, piece: Piece, source: Path, span: Span | None = None) -> None:
    """Bring a piece from a local file, or from a range of its bytes."""
    require_regular(source, hint=WRONG_LOCAL)
    with disk_errors(source), source.open("rb", buffering=0) as file:
        base, size = span or (0, file.seek(0, 2))
        if size != (piece.size or size):
            raise ChecksumError(
                f"{source}: {size} bytes, expected {piece.size}",
                path=source,
                expected=str(piece.size),
                actual=str(size),
                hint=WRONG_LOCAL,
            )
        partial.learn_size(piece, size)
        partial.recheck(piece)
        while not piece.chain.complete:
            start, stop = piece.chain.gap()
            file.seek(base + start)
            data = file.read(min(CHUNK, (stop or size) - start))
            if not data:
                raise IntegrityError(f"{source} shrinks while it is read", hint=WRONG_LOCAL)
            partial.write(piece, start, memoryview(data))
            partial.recheck(piece)
