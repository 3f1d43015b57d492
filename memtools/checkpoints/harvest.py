"""What is taken of a released archive: provisional until the MD5 of all its bytes holds.

    gather(Released(url, "cifar10", "tfds", md5, size), crop, root)

A crop says which members it wants, and puts them where they are provisional. Then the whole archive
is right, and they become final; or it is not, and they are withdrawn. Where an index knows members
already, only they are read again, and what lies around them.
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Protocol

from memtools.checkpoints import archive, source
from memtools.checkpoints.index import Ended, Index
from memtools.checkpoints.inflater import CutError
from memtools.errors import ChecksumError, ConfigError, IntegrityError, MemtoolsError
from memtools.files import disk_errors, first_clash, locked, require_free, write_atomically
from memtools.transfer.patience import USUAL_PATIENCE, Patience

INDEX = "archive.index"
PROVISIONAL = "provisional"
_NOTE = "index"  # a file there: of which index the members are that were taken
_SHARE = 400  # an archive has at least so many times the bytes of its outcomes and its index


@dataclasses.dataclass(frozen=True)
class Released:
    """An archive, and what is known of it.

    source: a URL, a path, or `-` for standard input. dataset, order: as in About. md5: of all of
    it, hex; size: in bytes; approximate_size: for the progress bar; None: not known. file: the name
    it is published under.
    """

    source: str
    dataset: str
    order: str
    md5: str | None = None
    size: int | None = None
    approximate_size: int | None = None
    file: str = ""

    @property
    def name(self) -> str:
        """What its index calls it."""
        return self.file or PurePosixPath(self.source).name


@dataclasses.dataclass(frozen=True)
class Terms:
    """What the user allows. unverified: what no MD5 proves. patience: with the network.

    index: the file of the index; None: beside what is taken.
    """

    unverified: bool = False
    index: Path | None = None
    patience: Patience = USUAL_PATIENCE


USUAL = Terms()


class Crop(archive.Crop, Protocol):
    """What is taken, and what becomes of it; provisional in `root / PROVISIONAL`."""

    def keep(self, names: Collection[str]) -> None:
        """Only these members were taken for good; others may be provisional, and are not."""

    def publish(self) -> None:
        """What is provisional is final."""


def gather(released: Released, crop: Crop, root: Path, terms: Terms) -> None:
    """Take what a crop wants of an archive, and make it final if all bytes are right.

    Raises ChecksumError if the MD5 does not hold, or another IntegrityError: what was taken is then
    withdrawn. MemtoolsError if the MD5 could not be checked, and whatever reading raises: what was
    taken stays provisional, and the next call goes on.
    """
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
    with (
        locked(root / ".gathering", wait=False, waiting=lambda: None),
        Index(terms.index or root / INDEX, released.name) as index,
    ):
        if index.ended and not _fits(index.ended, released):
            raise ConfigError(
                f"{index.path} is the index of an archive whose md5 is {index.ended.md5}",
                hint="name another file with --index, or take this one away",
            )
        if index.last() is None and not index.ended:
            require_free(root, (_size(released) or 0) // _SHARE, "what is taken of the archive")
        _renew(root / PROVISIONAL, index.token)
        crop.keep({member.name for member in index.members()})
        try:
            _read(released, crop, index, terms.patience)
            ended = index.ended
            if ended and not _fits(ended, released):
                raise _another(released, ended)
            _require_distinct(index)
        except CutError:
            raise
        except IntegrityError as error:
            if not index.ended or not _fits(index.ended, released):
                index.clear()
            _remove(root / PROVISIONAL)
            error.hint += "; what was taken of it was withdrawn"
            raise
        if not (ended and ended.md5 and released.md5) and not terms.unverified:
            raise _unverifiable(root, ended.md5 if ended else None)
        crop.publish()
        _remove(root / PROVISIONAL)


def _read(released: Released, crop: Crop, index: Index, patience: Patience) -> None:
    """All that the crop lacks; afterwards the index has seen the end."""
    opened = functools.partial(
        source.opened, released.source, size=released.size, patience=patience
    )
    lacking = [member for member in index.members() if crop.wants(member)]
    start = index.last()
    if not source.reopens(released.source):
        rest, start = lacking, None if lacking else start
    else:
        # What an unfinished index does not know the end of is read on the way.
        rest = [each for each in lacking if not (index.ended or index.behind(each))]
        if rest:
            start = index.before(rest[0])
        known = [each for each in lacking if each not in rest]
        archive.read_again(opened, index, crop, known, label=released.name)
    if rest or not index.ended:
        archive.read_on(opened, index, crop, start, label=released.name, size=_size(released))


def _size(released: Released) -> int | None:
    return released.size or released.approximate_size


def _renew(directory: Path, token: str) -> None:
    """Of another index, or of this one before it was cleared, nothing is kept."""
    note = directory / _NOTE
    with disk_errors(directory):
        if not note.exists() or note.read_text("utf-8") != token:
            _remove(directory)
            directory.mkdir()
            write_atomically(note, token.encode())


def _remove(directory: Path) -> None:
    with disk_errors(directory):
        if directory.exists():
            shutil.rmtree(directory)


def _fits(ended: Ended, released: Released) -> bool:
    return not (ended.md5 and released.md5) or ended.md5 == released.md5


def _require_distinct(index: Index) -> None:
    clash = first_clash(member.name for member in index.members() if member.regular)
    if clash:
        raise IntegrityError(
            f"of the members of the archive {clash}",
            hint="this is not an archive of the released models",
        )


def _another(released: Released, ended: Ended) -> ChecksumError:
    return ChecksumError(
        f"{released.source}: its md5 is {ended.md5}, not {released.md5}",
        path=Path(released.source),
        expected=str(released.md5),
        actual=str(ended.md5),
        hint="it is not the archive that was published",
    )


def _unverifiable(root: Path, md5: str | None) -> MemtoolsError:
    what = (
        f"its md5 is {md5}, and none is known" if md5 else "the md5 of an interrupted pass is lost"
    )
    return MemtoolsError(
        f"the archive could not be verified: {what}",
        hint=f"what was taken stays in {root / PROVISIONAL}; --md5 HEX, or --unverified to take it",
    )
