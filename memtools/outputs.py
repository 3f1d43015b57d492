"""The place of a result that a user has named: a file, or the file that a link leads to.

output_file(Path("scores.csv"))           # DiskError for devices, pipes, and in a store of runs
require_outside_store(directory)
require_not_input(Path("scores.csv"), "scores.csv")                 # ConfigError
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from pathlib import Path

from memtools.disks import disk_errors
from memtools.errors import ConfigError, DiskError

log = logging.getLogger("memtools")

# In a directory that has a sweep.toml; compared without letter case, as some disks do.
_OF_STORES = ("records", "failed", "quarantine")
_FILES_OF_STORES = ("sweep.toml", "examples.npz", "config.toml", "asked.json")


def output_file(path: Path) -> Path:
    """Return the file that a result for `path` goes to: `path`, or the one that a link leads to.

    Raises DiskError for what cannot be replaced by a file, and in a store of runs.
    """
    require_outside_store(path)
    try:
        is_link = stat.S_ISLNK(path.lstat().st_mode)
    except FileNotFoundError:
        return path
    hint = "name a file"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG  # of a link to a file that is not there yet
    except OSError as error:
        raise DiskError(f"{path} is a symbolic link that leads nowhere", hint=hint) from error
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode) or _is_stream(path) or (is_link and _is_stream(path.readlink())):
        raise DiskError(f"{path} is a device or a pipe, which no file can replace", hint=hint)
    if not is_link:
        return path
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise DiskError(f"{path} is a symbolic link to {target}, which cannot be made", hint=hint)
    log.warning("%s is a symbolic link; writing to %s", path, target)
    require_outside_store(target)
    return target


def _is_stream(path: Path) -> bool:
    """Return whether a name is one of an open file: `>> all.csv` must not replace all.csv."""
    return str(path.absolute()).startswith(("/dev/fd/", "/dev/std", "/proc/"))


def require_outside_store(path: Path) -> None:
    """Raise DiskError for a result among the records of a store of runs, or over a file of it."""
    with disk_errors(path):  # where the directory in which this process works was removed
        place = Path(os.path.realpath(path.parent)) / path.name
    if place.name.lower() in _FILES_OF_STORES and (place.parent / "sweep.toml").exists():
        raise DiskError(
            f"{path} belongs to a store of runs, and no result may replace it",
            hint="choose another name",
        )
    for directory in (place, *place.parents):
        if directory.name.lower() in _OF_STORES and (directory.parent / "sweep.toml").exists():
            raise DiskError(
                f"{path} would lie among the {directory.name} of a store of runs",
                hint="choose another directory: only runs are kept there",
            )


def require_not_input(out: Path | None, *inputs: Path | str | None) -> None:
    """Raise ConfigError if a result would replace one of the files that it is made from.

    A result holds less than its input. The names of published files among the inputs are skipped.
    """
    for each in inputs:
        with contextlib.suppress(OSError, ValueError):  # not there: that is told where it is read
            if out and each and out.is_file() and out.samefile(each):
                raise ConfigError(
                    f"{out} is an input of this command, and the result would replace it",
                    hint="choose another name for the result",
                )
