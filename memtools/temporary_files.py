"""Names of temporary files, and the processes that own them.

    temporary, descriptor = create(path)     # `.X.<owner>.tmp` beside X, opened exclusively
    for path in orphans(directory): ...      # those whose owners have died

The owner in a name is a host, a process id, the time when that process began, and a nonce. So
two writers never share a temporary file, a name of the user's own is never taken for one, and
what a killed process has left can be told from what a live one is writing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import socket
import stat
from pathlib import Path

OWNER = re.compile(
    r"(?P<host>[0-9a-f]{8}|nobody)-(?P<pid>\d{1,10})-(?P<started>\d{1,20}|dead)-[0-9a-f]{4,16}"
)
_TEMPORARY = re.compile(rf"\..+\.(?P<owner>{OWNER.pattern})\.(?P<kind>tmp|old)", re.DOTALL)
_LONGEST = 180  # bytes of a name that are kept in that of its temporary: a disk takes 255 in all


def new_owner() -> str:
    """Return this process as a part of a file name, another one with each call."""
    return f"{host()}-{os.getpid()}-{started(os.getpid())}-{os.urandom(4).hex()}"


def nobody() -> str:
    """Return an owner that is always dead, for files that the next process may take."""
    return f"nobody-0-0-{os.urandom(4).hex()}"


def host() -> str:
    """Return this machine and its table of processes, as 8 hex digits.

    Machines may share a name and a directory, and so may containers, but not the meaning of a
    process id. The first table of every machine has the same number.
    """
    facts = f"{socket.gethostname()}{_machine()}{_process_table()}"
    return hashlib.sha256(facts.encode()).hexdigest()[:8]


def _process_table() -> str:
    """Return which table of processes this one is in (Linux); "" where the system does not tell."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


@functools.cache
def _machine() -> str:
    """Return what tells this machine from others of its name; "" where the system does not.

    The first lasts until it is installed anew, the second, in containers, until it is started anew.
    """
    for path in map(Path, ("/etc/machine-id", "/proc/sys/kernel/random/boot_id")):
        with contextlib.suppress(OSError):
            if identity := path.read_text(errors="replace").strip():
                return identity
    return ""


def started(pid: int) -> str:
    """Return when a process began, in clock ticks since boot: tells a reused process id (Linux).

    It is "dead" for a zombie process, and "0" where the system does not tell.
    """
    try:
        content = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return "0"
    state, *facts = content.rpartition(b")")[2].decode().split()
    return facts[18] if state not in "ZX" else "dead"


def is_foreign(owner: str) -> bool:
    """Return whether an owner is a process of another host, of which nothing can be known."""
    return not owner.startswith(("nobody-", f"{host()}-"))


def is_dead(owner: str) -> bool:
    """Return whether an owner has ended; False for a process of another host."""
    parts = OWNER.fullmatch(owner)
    if parts is None or is_foreign(owner):
        return False
    if parts["host"] == "nobody":
        return True
    try:
        os.kill(int(parts["pid"]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:  # it lives, and is another user's
        return False
    times = {started(int(parts["pid"])), parts["started"]}
    return len(times) > 1 and "0" not in times  # "0" tells nothing: that file could not be opened


def temporary_name(path: Path, kind: str = "tmp") -> Path:
    """Return a new name beside `path` for its unfinished (`tmp`) or former (`old`) content."""
    return path.with_name(f".{shortened(path.name)}.{new_owner()}.{kind}")


def lock_name(path: Path) -> Path:
    """Return the lock of the processes that publish `path`; `.X.lock` may be a user's own."""
    return path.with_name(f".{shortened(path.name)}.memtools.lock")


def is_temporary(name: str) -> bool:
    """Return whether a file name is one that `temporary_name` makes."""
    return _TEMPORARY.fullmatch(name) is not None


def create(path: Path) -> tuple[Path, int]:
    """Create a temporary file beside `path`; return it and its descriptor, open for writing.

    Neither a file nor a link that has the name already is ever opened: that is an OSError.
    """
    temporary = temporary_name(path)
    return temporary, create_exclusively(temporary)


def create_exclusively(path: Path) -> int:
    """Return a descriptor of a new file; FileExistsError if anything has its name."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o666)


def orphans(directory: Path, *, kind: str = "tmp", of: Path | None = None) -> list[Path]:
    """Return the temporary files and directories whose owners have died, of any file.

    Args:
        directory: Where to look.
        kind: As for `temporary_name`.
        of: Only those that belong to this path.
    """
    prefix = "." if of is None else f".{shortened(of.name)}."
    if not directory.exists():
        return []
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if not (entry.name.startswith(prefix) and entry.name.endswith(kind)):
                continue
            parts = _TEMPORARY.fullmatch(entry.name)
            if parts is None or parts["kind"] != kind or entry.is_symlink():
                continue
            if of is not None and entry.name != f"{prefix}{parts['owner']}.{kind}":
                continue
            if (entry.is_file() or entry.is_dir()) and is_dead(parts["owner"]):
                found.append(directory / entry.name)
    return found


def is_regular(path: Path) -> bool:
    """Return whether a path is a regular file that has no other name: not a link of any kind."""
    with contextlib.suppress(OSError):
        about = path.lstat()
        return stat.S_ISREG(about.st_mode) and about.st_nlink == 1
    return False


def read_regular(path: Path) -> bytes:
    """Return the content of a regular file; OSError for a link, and for anything but a file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a regular file")
        return file.read()


def shortened(name: str) -> str:
    """Return a name, or the beginning and a digest of one that would be too long for a disk."""
    encoded = os.fsencode(name)
    if len(encoded) <= _LONGEST:
        return name
    kept = encoded[: _LONGEST - 17].decode(errors="ignore")
    return f"{kept}~{hashlib.sha256(encoded).hexdigest()[:16]}"
