"""What is taken of a released archive: provisional until the MD5 of all its bytes holds.

    found = gather(Released(url, "cifar10", "tfds", md5), crop, root, Terms())

A crop says which members it wants, and puts them where they are provisional. Then the whole archive
is right, and they become final; or it is not, and they are withdrawn. What is provisional was read
up to a halt of the index, which is part of the MD5; what came behind the last one is taken anew.
Where an index knows members already, only they are read again, and what lies around them.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import shutil
import urllib.parse
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Protocol

from memtools.checkpoints import archive, source
from memtools.checkpoints.index import Ended, Halt, Index
from memtools.checkpoints.inflater import DamageError
from memtools.checkpoints.md5 import can_go_on
from memtools.checkpoints.tar_stream import Member
from memtools.errors import ChecksumError, ConfigError, DiskError, MemtoolsError
from memtools.files import disk_errors, first_clash, locked, require_free, write_atomically
from memtools.temporary_files import is_regular, is_temporary
from memtools.transfer.patience import USUAL_PATIENCE, Patience
from memtools.wording import redact_url

INDEX = "archive.index"
PROVISIONAL = "provisional"
_NOTE = "index"  # a file there: of which index the members are that were taken
_locked = functools.partial(locked, wait=False, waiting=lambda: None)
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

    def __post_init__(self) -> None:
        """Refuse an MD5 that is none, before hours are spent on comparing with it."""
        if self.md5 is not None and not re.fullmatch("[0-9a-f]{32}", self.md5):
            raise ConfigError(f"{self.md5!r} is no md5", hint="it has 32 hex digits, in lower case")

    @property
    def name(self) -> str:
        """What its index calls it: the name of its file."""
        return self.file or base_name(self.source)


def base_name(where: str) -> str:
    """The file name in a URL or a path."""
    return PurePosixPath(urllib.parse.urlsplit(where).path if "://" in where else where).name


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

    def place(self, member: Member) -> str | None:
        """Where a member goes, below the root; None if it was not chosen."""

    def keep(self, names: Collection[str]) -> None:
        """Of what is provisional, only these members; nothing that nobody vouched for."""

    def publish(self) -> None:
        """What is provisional is final."""


def gather(released: Released, crop: Crop, root: Path, terms: Terms) -> list[str]:
    """Take what a crop wants of an archive, and make it final if all bytes are right.

    Returns the places of all members that were chosen, in the order of the archive.

    Raises OtherArchiveError if the MD5 does not hold, DamageError if it is no such archive: what
    was taken is then withdrawn. MemtoolsError if the MD5 could not be checked, and whatever reading
    raises: what was taken stays provisional, and the next call goes on.
    """
    path = terms.index or root / INDEX
    with disk_errors(root):
        for directory in (root, path.parent):
            directory.mkdir(parents=True, exist_ok=True)
    with (
        _locked(root / ".gathering"),
        _locked(path.with_name(f".{path.name}.lock")),
        Index(path, released.name) as index,
    ):
        _require_possible(released, root, index)
        _renew(root / PROVISIONAL, index.token)
        crop.keep({member.name for member in index.members()})
        try:
            _read(released, crop, root, index, terms)
            places = _places(crop, index)
            ended = index.ended or Ended(0, None)  # a pass ends with one, or raises
            if not _fits(ended, released):
                raise _another(released, ended)
        except DamageError as error:
            if index.ended is None or not _fits(index.ended, released):
                index.forget()
            _remove(root / PROVISIONAL)
            error.hint += "; what was taken of it was withdrawn"
            raise
        if not (ended.md5 and released.md5) and not terms.unverified:
            raise _unverifiable(root, index, ended)
        crop.publish()
        _remove(root / PROVISIONAL)
        return places


def _read(released: Released, crop: Crop, root: Path, index: Index, terms: Terms) -> None:
    """All that the crop lacks; afterwards the index has seen the end."""
    opened = functools.partial(
        source.opened, released.source, size=released.size, patience=terms.patience
    )
    lacking = [member for member in index.members() if crop.wants(member)]
    rest, start = lacking, index.last()
    if source.reopens(released.source):
        known = [each for each in lacking if index.ended or index.behind(each)]
        rest = lacking[len(known) :]  # of which an unfinished index does not know the end
        _require_proof(index, known, terms)
        archive.read_again(opened, index, crop, known, label=released.name)
    if rest:
        start = index.before(rest[0]) if source.reopens(released.source) else None
        _forget(root, crop, index, start)
    if not index.ended:
        size = released.size or released.approximate_size
        archive.read_on(opened, index, crop, start, label=released.name, size=size)


def _forget(root: Path, crop: Crop, index: Index, start: Halt | None) -> None:
    """What was taken behind a halt is not what the MD5 will be of, if that is read once more."""
    index.forget(start)
    crop.keep({member.name for member in index.members()})
    with disk_errors(root):
        write_atomically(root / PROVISIONAL / _NOTE, index.token.encode(), ours=True)


def _require_possible(released: Released, root: Path, index: Index) -> None:
    """Raise before the first byte what would be raised after the last."""
    if index.ended and not _fits(index.ended, released):
        raise ConfigError(
            f"{index.path} is the index of an archive whose md5 is {index.ended.md5}",
            hint="name another file with --index, or take this one away",
        )
    if index.last() is None and not index.ended:
        size = released.size or released.approximate_size or 0
        require_free(root, size // _SHARE, "what is taken of the archive")


def _require_proof(index: Index, known: Collection[Member], terms: Terms) -> None:
    """Members out of the middle are proven by the MD5 of the halts around them, or not at all."""
    last = index.last()
    if not known or terms.unverified or (last is None and index.ended):
        return
    if not can_go_on() or (last and last.md5 is None):
        raise MemtoolsError(
            f"the md5 of a part of {index.path} cannot be checked: this system, or the one that"
            " made the index, cannot save an md5",
            hint="--unverified takes the part, or take the index away and read all of it",
        )


def _renew(directory: Path, token: str) -> None:
    """Remove what belongs to another index, or to this one before it forgot.

    Raises DiskError for a directory of that name that a user has made.
    """
    note = directory / _NOTE
    with disk_errors(directory):
        if os.path.lexists(directory) and not _is_ours(directory):
            raise DiskError(
                f"{directory} is in the way: it is not of memtools",
                hint="rename it, or choose another directory",
            )
        if not note.exists() or note.read_text("utf-8") != token:
            _remove(directory)
            directory.mkdir()
            write_atomically(note, token.encode(), ours=True)


def _is_ours(directory: Path) -> bool:
    """Return whether a provisional directory has our note, or was killed before it had one."""
    if directory.is_symlink() or not directory.is_dir():
        return False
    names = [path.name for path in directory.iterdir()]
    return is_regular(directory / _NOTE) or all(map(is_temporary, names))


def _remove(directory: Path) -> None:
    """Remove a provisional directory, its note last: what is left after a kill is still ours."""
    with disk_errors(directory):
        if directory.exists():
            for path in directory.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != _NOTE:
                    path.unlink()
            shutil.rmtree(directory)


def _places(crop: Crop, index: Index) -> list[str]:
    """Where all goes that was chosen; DamageError if two members go to one place."""
    places = [place for member in index.members() if (place := crop.place(member)) is not None]
    if clash := first_clash(places):
        raise DamageError(
            f"of the members of the archive {clash}",
            hint="this is not an archive of the released models",
        )
    return places


class OtherArchiveError(ChecksumError, DamageError):
    """The MD5 of all bytes is not the one that was promised."""


def _fits(ended: Ended, released: Released) -> bool:
    return not (ended.md5 and released.md5) or ended.md5 == released.md5


def _another(released: Released, ended: Ended) -> OtherArchiveError:
    return OtherArchiveError(
        f"{redact_url(released.source)}: its md5 is {ended.md5}, not {released.md5}",
        path=Path(released.name),
        expected=str(released.md5),
        actual=str(ended.md5),
        hint="it is not the archive that was published",
    )


def _unverifiable(root: Path, index: Index, ended: Ended) -> MemtoolsError:
    kept = f"what was taken stays in {root / PROVISIONAL}"
    if ended.md5:
        return MemtoolsError(
            f"the archive could not be verified: its md5 is {ended.md5}, and none is known",
            hint=f"{kept}; --md5 HEX, or --unverified to take it",
        )
    return MemtoolsError(
        "the archive could not be verified: the md5 of an interrupted pass is lost",
        hint=f"{kept}; --unverified to take it, or remove {index.path} to read all of it again",
    )
