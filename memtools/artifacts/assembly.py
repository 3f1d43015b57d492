"""The work of a fetch: every part brought into one unfinished file, proven, published.

    Assembly(artifact, target, patience).run()

Parts are brought side by side, each checked as soon as it is whole: a broken one
is named, and it alone is fetched once more. The digests of the whole trail behind.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import queue
from pathlib import Path

from memtools.artifacts.local_parts import WRONG_LOCAL, copy_part, find_spare_parts
from memtools.artifacts.proof import LEARNT, promised
from memtools.artifacts.receipts import read_receipt, write_receipt
from memtools.artifacts.registry import Artifact, Part
from memtools.errors import ChecksumError, DiskError, IntegrityError
from memtools.progress import bars
from memtools.transfer.crew import Crew
from memtools.transfer.partial import Partial
from memtools.transfer.patience import Patience
from memtools.transfer.piece import Piece

log = logging.getLogger("memtools")

SIDE_BY_SIDE = 4  # parts downloaded at once, at most
# Seconds until one more connection opens: a line so fast that the digests cannot
# keep up is served best in order, one part after the other.
RAMP = 0.25


class Assembly:
    """Brings the parts of one artifact into one unfinished file, and publishes it."""

    def __init__(self, artifact: Artifact, target: Path, patience: Patience) -> None:
        self.artifact = artifact
        self.target = target
        self.patience = patience
        # Each byte is hashed for what is demanded, and not more: md5 of the whole takes longer
        # than all the rest of a fetch, and another digest beside it half as long again.
        earlier = read_receipt(target) if artifact.checkable and target.exists() else None
        self.expected, of_parts = promised(artifact, earlier)
        pieces = [
            Piece(part.file, _size(artifact, part), tuple(expected) or (LEARNT,))
            for part, expected in zip(artifact.parts, of_parts, strict=True)
        ]
        self.of_parts = dict(zip(pieces, of_parts, strict=True))
        self.parts = dict(zip(pieces, artifact.parts, strict=True))
        self.partial = Partial(target, pieces, identity=_identity(artifact))
        self.learnt: dict[Piece, dict[str, str]] = {}
        self.spare = find_spare_parts(artifact, target)

    def run(self) -> None:
        """All of it; on any error the bytes and what is known about them stay for the next run."""
        with self.partial as partial:
            partial.require_space()
            digests = self._gather()
            if wrong := self._wrong(digests):
                for piece in self._doubtful():
                    log.warning("%s: %s; fetching it once more", piece.name, wrong)
                    partial.forget(piece)
                if not partial.complete:
                    digests = self._gather()
                    wrong = self._wrong(digests)
            if wrong:
                raise self._whole_is_wrong(wrong, digests)
            parts = [
                {"name": each.name, "size": each.size, **self.learnt[each]}
                for each in partial.pieces  # in their order: learnt is in that of their arrival
            ]
            partial.publish()
            write_receipt(self.target, self.artifact, digests, parts)

    def _gather(self) -> dict[str, str]:
        """Complete every piece; the digests of the whole file, by algorithm."""
        partial, crew = self.partial, Crew(self.partial)
        partial.rewritten = False
        only = partial.pieces[0].algorithms if len(partial.pieces) == 1 else ()
        algorithms = [name for name in self.expected if name not in only]
        trail = crew.trail(*algorithms)
        left = queue.SimpleQueue[Piece]()
        for piece in partial.pieces:
            left.put(piece)

        def work(delay: float) -> None:
            partial.wait_until(left.empty, delay)
            with contextlib.suppress(queue.Empty):
                while True:
                    self._complete(left.get_nowait())

        for n in range(min(SIDE_BY_SIDE, len(partial.pieces))):
            crew.start(functools.partial(work, n * RAMP))
        with bars() as show:

            def tick() -> None:
                for piece in partial.pieces if len(partial.pieces) > 1 else ():
                    show(piece.name, piece.chain.position, piece.size)
                held = sum(piece.chain.position for piece in partial.pieces)
                show(self.target.name, held, partial.size)
                if algorithms:
                    show("verifying", trail.position, partial.size)

            crew.join(tick)
            if partial.rewritten:  # the digests have seen bytes that were replaced since
                trail = crew.trail(*algorithms)
                crew.join(tick)
        return {**(self.learnt[partial.pieces[0]] if only else {}), **trail.digests}

    def _complete(self, piece: Piece) -> None:
        """Bring one piece; if its digest is wrong, once more where that can help."""
        partial, part = self.partial, self.parts[piece]
        partial.wait_until(lambda: partial.offset(piece) is not None)
        piece.damage = ""
        self._reuse(piece, part)
        for may_repeat in (True, False):
            self._bring(piece, part)
            self.learnt[piece] = partial.digests(piece)
            wrong = _difference(self.of_parts[piece], self.learnt[piece])
            if not wrong:
                return
            repeat = may_repeat and not part.path and (piece.resumed or len(self.parts) > 1)
            if repeat:
                log.warning("%s: %s; fetching it once more", piece.name, wrong)
            partial.forget(piece)
            if not repeat:
                piece.damage = wrong
                raise self._part_is_wrong(piece, wrong)

    def _reuse(self, piece: Piece, part: Part) -> None:
        """Take a part from the file that is to be replaced, if it has the same digests there."""
        span = self.spare.get(part)
        if span is None or part.path or piece.chain.position or piece.chain.claims:
            return
        with contextlib.suppress(IntegrityError, DiskError):  # then it is downloaded
            copy_part(self.partial, piece, self.target, span)
            if not _difference(part.digests, self.partial.digests(piece)):
                return
        self.partial.forget(piece)

    def _bring(self, piece: Piece, part: Part) -> None:
        if part.path:
            copy_part(self.partial, piece, part.path)
        elif not piece.chain.complete:
            from memtools.transfer.downloader import download  # imports requests: 150 ms

            download(self.partial, piece, part.url, self.patience)

    def _wrong(self, digests: dict[str, str]) -> str:
        """Return words for the first digest of the whole file that does not hold."""
        return _difference(self.expected, digests)

    def _doubtful(self) -> list[Piece]:
        """Pieces that nothing but the digest of the whole could have proven wrong."""
        return [
            piece
            for piece, part in self.parts.items()
            if not self.of_parts[piece] and not part.path and piece.resumed
        ]

    def _part_is_wrong(self, piece: Piece, wrong: str) -> ChecksumError:
        part, actual = self.parts[piece], self.learnt[piece]
        changed = "the remote file has changed: " if piece.changed else ""
        expected = self.of_parts[piece]
        name = next(name for name in expected if actual[name] != expected[name])
        twin = [
            other.file for other in self.artifact.parts if other.digests.get(name) == actual[name]
        ]
        swapped = f"; its bytes are those of {twin[0]}" if twin else ""
        return ChecksumError(
            f"{piece.name}: {changed}{wrong}{swapped}",
            path=self.target,
            expected=expected[name],
            actual=actual[name],
            hint=WRONG_LOCAL if part.path else _WRONG_REMOTE,
        )

    def _whole_is_wrong(self, wrong: str, digests: dict[str, str]) -> ChecksumError:
        """Every part held, or says nothing: mark all of them so that none is used again."""
        proven = all(part.digests for part in self.artifact.parts)
        changed = any(piece.changed for piece in self.partial.pieces)
        for piece in self.partial.pieces:
            self.partial.forget(piece)
            piece.damage = wrong
        expected = self.expected
        name = next((each for each in expected if digests.get(each) != expected[each]), "")
        return ChecksumError(
            f"{self.artifact.file}: {'the remote file has changed: ' if changed else ''}{wrong}",
            path=self.target,
            expected=expected.get(name, ""),
            actual=digests.get(name, ""),
            hint="every part is right, so the registry contradicts itself: check its entry"
            if proven
            else _WRONG_REMOTE,
        )


_WRONG_REMOTE = (
    "nothing was published; running again starts afresh. If it stays wrong, the source is:"
    " try another with --mirror"
)


def _size(artifact: Artifact, part: Part) -> int | None:
    return artifact.total_size if len(artifact.parts) == 1 else part.size


def _identity(artifact: Artifact) -> str:
    """What the unfinished file must become, so that no other one is continued."""
    parts = [(part.file, part.size, part.digests) for part in artifact.parts]
    return json.dumps([artifact.file, artifact.size, artifact.md5, artifact.sha256, parts])


def _difference(expected: dict[str, str], actual: dict[str, str]) -> str:
    """Words for the first digest that differs; empty if all hold."""
    for name, value in expected.items():
        if actual.get(name) != value:
            return f"{name} is {actual.get(name)}, expected {value}"
    return ""
