"""One artifact: its parts brought side by side into one file, verified, published.

    path = fetch("cifar100-pairs")
    path = join("imagenet-influence", parts_in="downloads/")

A path that is returned is a file whose every known digest held and whose bytes
are durable. What is there and verified costs no request; what was half done goes
on where it broke, whether by download or from parts that the user has.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from memtools.arguments import StrPath, checked
from memtools.artifacts.assembly import Assembly
from memtools.artifacts.proof import require_proven
from memtools.artifacts.receipts import stamp
from memtools.artifacts.registry import Artifact
from memtools.artifacts.settings import Settings
from memtools.errors import BusyError, ConfigError, DiskError, IntegrityError, NetworkError
from memtools.file_kinds import require_regular
from memtools.files import disk_errors, human_size, locked
from memtools.transfer.names import Names
from memtools.transfer.patience import USUAL_PATIENCE, Patience

log = logging.getLogger("memtools")


@dataclasses.dataclass(frozen=True)
class Terms:
    """What the user allows. unverified: a file that nothing can prove. huge: hundreds of GB.

    force: replace a symbolic link. wait: for another process on the same target.
    patience: limits of all waiting for the network.
    """

    unverified: bool = False
    huge: bool = False
    force: bool = False
    wait: bool = True
    patience: Patience = USUAL_PATIENCE


USUAL = Terms()


@checked('memtools.fetch("cifar100-pairs"), or [memtools.fetch(name) for name in names]')
def fetch(
    name: str,
    to: StrPath | None = None,
    *,
    registries: StrPath | Sequence[StrPath] = (),
    mirror: str | None = None,
    offline: bool | None = None,
    terms: Terms = USUAL,
) -> Path:
    """The path of a published file, whole and verified; downloads what is missing.

    name: as in the registry. to: the directory, else the cache. registries,
    mirror, offline: as in `memtools.artifacts.settings`.

    Raises ConfigError, NetworkError, RefusedError, IntegrityError, DiskError or
    BusyError; after each of them running again goes on where it broke.
    """
    settings = Settings.of(cache=to, registries=registries, mirror=mirror, offline=offline)
    return bring(settings.registry()[name], settings, terms)


@checked('memtools.join("imagenet-influence", "downloads")')
def join(
    name: str,
    parts_in: StrPath,
    to: StrPath | None = None,
    *,
    registries: StrPath | Sequence[StrPath] = (),
    terms: Terms = USUAL,
) -> Path:
    """The path of a published file, joined from parts that lie in a directory.

    Parts are found by their published names; anything else there is ignored.
    The parts stay. Raises IntegrityError naming what is missing or wrong.
    """
    settings = Settings.of(cache=to, registries=registries)
    artifact = settings.registry()[name]
    directory = Path(parts_in)
    missing = [part.file for part in artifact.parts if not (directory / part.file).is_file()]
    if missing:
        raise IntegrityError(
            f"{directory} lacks {', '.join(missing)}",
            hint=f"memtools fetch {name} downloads all {len(artifact.parts)} parts",
        )
    local = [
        dataclasses.replace(part, url=str(directory.absolute() / part.file))
        for part in artifact.parts
    ]
    return bring(dataclasses.replace(artifact, parts=tuple(local)), settings, terms)


def bring(artifact: Artifact, settings: Settings, terms: Terms) -> Path:
    """Publish an artifact in the directory of `settings`, unless it is there already."""
    target = settings.cache / artifact.file
    seen = _stamp(target)
    if _is_here(target, artifact):
        _sweep(Names(target))
        return target
    with disk_errors(settings.cache):
        _refuse(artifact, settings.cache, terms)
        settings.cache.mkdir(parents=True, exist_ok=True)
        _clear_way(target, terms)
    if settings.offline and not all(part.path for part in artifact.parts):
        raise NetworkError(
            f"{artifact.name} is not in {settings.cache}, and offline is set",
            url=artifact.parts[0].url,
            hint=f"run memtools fetch {artifact.name} without MEMTOOLS_OFFLINE",
        )
    with locked(
        Names(target).lock,
        wait=terms.wait,
        waiting=lambda: log.warning("%s: waiting for another process", artifact.name),
    ):
        if _stamp(target) == seen or not _is_here(target, artifact):
            Assembly(artifact, target, terms.patience).run()
    return target


def _sweep(names: Names) -> None:
    """Remove what a process killed right after publishing left beside the file."""
    if names.lock.exists() or names.leftovers():
        with (
            contextlib.suppress(BusyError, DiskError),  # the file itself is here, and right
            locked(names.lock, wait=False, waiting=lambda: None),
            disk_errors(names.target),
        ):
            for path in names.leftovers():
                path.unlink(missing_ok=True)


def _refuse(artifact: Artifact, directory: Path, terms: Terms) -> None:
    """Stop before anything happens if the user must first agree to it."""
    size = artifact.total_size or artifact.approximate_size
    if artifact.huge and not terms.huge:
        existing = next(
            path for path in (directory, *directory.absolute().parents) if path.exists()
        )
        free = shutil.disk_usage(existing).free
        raise ConfigError(
            f"{artifact.name} has {human_size(size or 0)}; the disk of {directory}"
            f" has {human_size(free)} free",
            hint="add --huge if you mean it",
        )
    if not (artifact.checkable or artifact.total_size or terms.unverified):
        raise ConfigError(
            f"the registry knows neither a digest nor the size of {artifact.name}",
            hint="add --unverified to take whatever the server sends",
        )


def _clear_way(target: Path, terms: Terms) -> None:
    """Make sure that the final rename will not destroy anything but an older copy."""
    if target.is_symlink():
        if not terms.force:
            raise DiskError(
                f"{target} is a symbolic link, and not to the right file",
                hint="add --force to replace the link, or remove it",
            )
    elif target.exists():
        require_regular(target, hint="move it, or choose another directory with --to")


def _is_here(target: Path, artifact: Artifact) -> bool:
    """Return whether the right file is there already: by its receipt, else by reading it."""
    with disk_errors(target):
        if not target.is_file():
            return False
    try:
        require_proven(artifact, target)
    except IntegrityError as error:
        log.warning(
            "%s is not the right file; it stays until the right one is here (%s)", target, error
        )
        return False
    return True


def _stamp(target: Path) -> list[int]:
    """Return what changes when another process publishes the file."""
    with disk_errors(target):
        return stamp(target) if target.is_file() else []
