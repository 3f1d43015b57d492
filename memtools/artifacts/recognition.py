"""Recognition of copies of published files by their digests, under any name.

    artifact = find_published(settings, Path("my scores.npz"))

Sizes are compared first, then digests.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from memtools.artifacts.registry import Artifact, Registry
from memtools.artifacts.settings import Settings
from memtools.errors import SchemaError
from memtools.estimates.file_formats import recognise_format
from memtools.files import digest_file, disk_errors
from memtools.progress import bars

ALGORITHMS = ("md5", "sha256", "git_blob")


def find_published(settings: Settings, path: Path) -> Artifact | None:
    """Return the artifact that a file is a copy of, told by its size and its digest; or None.

    A file whose size no artifact has is read for its digest only if an artifact of its kind has no
    known size, and the file is not one that memtools wrote.
    """
    size = path.stat().st_size
    known = [
        artifact
        for artifact in settings.registry().artifacts.values()
        if artifact.kind != "checkpoints" and artifact.digests
    ]
    candidates = [artifact for artifact in known if artifact.total_size == size]
    unsized = [artifact for artifact in known if artifact.total_size is None]
    if not candidates and unsized:
        kind = _kind_of_foreign(path)
        candidates = [artifact for artifact in unsized if artifact.kind in kind]
    if not candidates:
        return None
    digests = read_digests(path, {name for each in candidates for name in each.digests})
    for artifact in candidates:
        if all(digests[name] == value for name, value in artifact.digests.items()):
            return artifact
    return None


def _kind_of_foreign(path: Path) -> tuple[str, ...]:
    """Return the kinds that an npz may be of which memtools did not write; none for others."""
    from memtools.estimates import schema

    if recognise_format(path) != "npz":
        return ()
    arrays = schema.open_arrays(path)
    try:
        kind = "" if "about" in arrays else schema.kind_of(arrays)
    except SchemaError:
        return ()
    finally:
        getattr(arrays, "close", lambda: None)()
    return ("scores", "cscores") if kind == "scores" else (kind,)


def recognise(registry: Registry, path: Path) -> Artifact | None:
    """The artifact that a file is a copy of: by its name, else by its content; or None."""
    for artifact in registry.artifacts.values():
        if artifact.file == path.name:
            return artifact
    digests = read_digests(path, ALGORITHMS)
    for artifact in registry.artifacts.values():
        if any(digests[name] == value for name, value in artifact.digests.items()):
            return artifact
    return None


def read_digests(path: Path, algorithms: Iterable[str]) -> dict[str, str]:
    """Digests of a whole file, with a progress bar."""
    with disk_errors(path), bars() as show:
        done, total = 0, path.stat().st_size

        def advance(n_bytes: int) -> None:
            nonlocal done
            done += n_bytes
            show(f"reading {path.name}", done, total)

        return digest_file(path, algorithms, advance=advance)
