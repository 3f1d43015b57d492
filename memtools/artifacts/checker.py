"""Whether a file on disk is what was published: always by reading it again.

    verify("cifar100-pairs")                 # Verdict; its .path is proven
    verify(Path("imagenet_infl_matrix.npz")) # any copy, recognised by name or content

A verdict says which digests were compared. They prove that the bytes are those
that the registry promises, no more: md5 is the publisher's promise, not a
signature.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from memtools.artifacts.receipts import Receipt, read_receipt, write_receipt
from memtools.artifacts.registry import Artifact, Registry
from memtools.artifacts.settings import Settings
from memtools.errors import ChecksumError, ConfigError, IntegrityError, MemtoolsError
from memtools.files import digest_file, disk_errors
from memtools.progress import bars

ALGORITHMS = ("md5", "sha256", "git_blob")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A file whose digests hold: which artifact it is, and what was compared with what."""

    artifact: Artifact
    path: Path
    digests: Mapping[str, str]
    proven_by: Sequence[str]

    def to_json(self) -> dict[str, object]:
        """For a script."""
        return {
            "name": self.artifact.name,
            "path": str(self.path),
            "digests": dict(self.digests),
            "proven_by": list(self.proven_by),
        }


def verify(
    what: str | Path,
    *,
    cache: Path | str | None = None,
    registries: Sequence[str | Path] = (),
) -> Verdict:
    """Read a fetched artifact (by name) or any copy of one (by path) and compare all digests.

    Raises ChecksumError, naming the broken part if that can be told;
    ConfigError if nothing of that name is known; MemtoolsError if it is not here.
    """
    settings = Settings.of(cache=cache, registries=registries)
    registry = settings.registry()
    if isinstance(what, str) and what in registry.artifacts:
        artifact = registry[what]
        path = settings.cache / artifact.file
        if not path.exists():
            raise MemtoolsError(
                f"{what} is not in {settings.cache}", hint=f"memtools fetch {what} brings it"
            )
        return check(artifact, path)
    path = Path(what)
    if not path.is_file():
        raise ConfigError(
            f"{what} is neither a known name nor a file", hint="memtools list shows the names"
        )
    return check(recognise(registry, path), path)


def check(artifact: Artifact, path: Path) -> Verdict:
    """Compare every digest that the registry or an earlier verification knows."""
    earlier = read_receipt(path)
    if artifact.size is not None and path.stat().st_size != artifact.size:
        raise wrong_size(path, artifact.size, path.stat().st_size)
    digests = read_digests(path, ALGORITHMS)
    expected = promised(artifact, earlier)
    wrong = [name for name, value in expected.items() if digests[name] != value]
    if wrong:
        raise wrong_digest(path, wrong[0], expected[wrong[0]], digests, artifact, earlier)
    if not expected and not earlier:
        raise IntegrityError(
            f"{path}: the registry has no digest of {artifact.name}",
            hint="nothing can be said about this file; ask its publisher for a digest",
        )
    write_receipt(path, artifact, digests, earlier.parts if earlier else [])
    return Verdict(artifact, path, digests, proven_by=tuple(expected))


def promised(artifact: Artifact, earlier: Receipt | None) -> dict[str, str]:
    """The digests to demand: the registry's, and all that were learnt when those held."""
    learnt = earlier.digests if earlier and earlier.proven and artifact.digests else {}
    agree = all(learnt.get(name) == value for name, value in artifact.digests.items())
    return {**(learnt if agree else {}), **artifact.digests}


def read_digests(path: Path, algorithms: Iterable[str]) -> dict[str, str]:
    """Digests of a whole file, with a progress bar."""
    with disk_errors(path), bars() as show:
        done, total = 0, path.stat().st_size

        def advance(n_bytes: int) -> None:
            nonlocal done
            done += n_bytes
            show(f"reading {path.name}", done, total)

        return digest_file(path, algorithms, advance=advance)


def recognise(registry: Registry, path: Path) -> Artifact:
    """The artifact that a file is a copy of: by its name, else by its content."""
    for artifact in registry.artifacts.values():
        if artifact.file == path.name:
            return artifact
    digests = read_digests(path, ALGORITHMS)
    for artifact in registry.artifacts.values():
        if any(digests[name] == value for name, value in artifact.digests.items()):
            return artifact
    raise ConfigError(
        f"{path}: neither its name nor its content is that of a known artifact",
        hint="memtools list shows what is known; --registry adds more",
    )


def wrong_size(path: Path, expected: int, actual: int) -> ChecksumError:
    """The error for a file of another size than promised."""
    return ChecksumError(
        f"{path}: {actual} bytes, expected {expected}",
        path=path,
        expected=str(expected),
        actual=str(actual),
        hint="this is another file, or a part of one; memtools fetch replaces it",
    )


def wrong_digest(
    path: Path,
    algorithm: str,
    expected: str,
    digests: Mapping[str, str],
    artifact: Artifact,
    earlier: Receipt | None,
) -> ChecksumError:
    """The error for a file with another digest; names the broken parts where sizes are known."""
    broken = broken_parts(path, artifact, earlier)
    where = f" (broken: {', '.join(broken)})" if broken else ""
    return ChecksumError(
        f"{path}: {algorithm} is {digests[algorithm]}, expected {expected}{where}",
        path=path,
        expected=expected,
        actual=digests[algorithm],
        hint=f"do not use it; memtools fetch {artifact.name} brings the right one",
    )


def broken_parts(path: Path, artifact: Artifact, earlier: Receipt | None) -> list[str]:
    """Which parts of a joined file differ from their digest; empty if that cannot be told."""
    known = [(part.file, part.size, part.git_blob) for part in artifact.parts]
    if earlier and any(None in each for each in known):
        known = [(each["name"], each["size"], each["git_blob"]) for each in earlier.parts]
    broken, start = [], 0
    for name, size, expected in known:
        if size is None or expected is None or len(known) == 1:
            return []
        found = digest_file(path, ("git_blob",), start=start, size=size)["git_blob"]
        if found != expected:
            broken.append(f"{name}, bytes {start} to {start + size}")
        start += size
    return broken
