"""Whether a file on disk is what was published: always by reading it again.

    verify("cifar100-pairs")                 # Verdict; its .path is proven
    verify(Path("imagenet_infl_matrix.npz")) # any copy, recognised by name or content

A verdict says which digests were compared. They prove that the bytes are those
that the registry promises, no more: md5 is the publisher's promise, not a
signature. Then the arrays are read, and must mean what such a file has to mean; of a
file that no registry knows, that is all that can be said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from memtools.artifacts.receipts import Receipt, read_receipt, stamp, write_receipt
from memtools.artifacts.recognition import ALGORITHMS, read_digests, recognise
from memtools.artifacts.registry import Artifact
from memtools.artifacts.settings import Settings
from memtools.errors import (
    ChecksumError,
    ConfigError,
    IntegrityError,
    MemtoolsError,
    SchemaError,
)
from memtools.estimates.file_formats import TABLES, is_path, recognise_format, require_file
from memtools.files import digest_file


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A file that holds.

    artifact: which one it is; None if no registry knows it. proven_by: the digests that
    were compared. kind: what its arrays were checked to be; empty for models.
    """

    artifact: Artifact | None
    path: Path
    digests: Mapping[str, str]
    proven_by: Sequence[str]
    kind: str

    @property
    def in_words(self) -> str:
        """One line of what was proven."""
        digests = f"{', '.join(self.proven_by)} verified" if self.proven_by else "no digest known"
        return f"{digests}, arrays checked ({self.kind})" if self.kind else digests

    def to_json(self) -> dict[str, object]:
        """For a script."""
        return {
            "name": self.artifact.name if self.artifact else None,
            "path": str(self.path),
            "digests": dict(self.digests),
            "proven_by": list(self.proven_by),
            "kind": self.kind,
        }


def verify(
    what: str | Path,
    *,
    cache: Path | str | None = None,
    registries: Sequence[str | Path] = (),
    names: bool = False,
    column: str = "",
) -> Verdict:
    """Read a fetched artifact (by name) or any file (by path): its digests, then its meaning.

    names, column: as for `memtools.load`.

    Raises ChecksumError, naming the broken part if that can be told; SchemaError, naming
    the array that cannot be right; ConfigError if nothing of that name is known; DiskError if a
    file is missing; MemtoolsError if an artifact is not here.
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
    if path.is_dir() or not path.exists():
        if is_path(str(what)):
            require_file(path)
        raise ConfigError(
            f"{what} is neither a known name nor a file", hint="memtools list shows the names"
        )
    found = recognise(registry, path)
    if found is None:
        kind = check_meaning(None, path, names=names, column=column)
        return Verdict(None, path, read_digests(path, ALGORITHMS), (), kind)
    return check(found, path)


def check(artifact: Artifact, path: Path) -> Verdict:
    """Compare every digest that is known, then read every array."""
    digests, expected = _check_digests(artifact, path)
    kind = check_meaning(artifact, path, names=artifact.checkable)
    return Verdict(artifact, path, digests, tuple(expected), kind)


def require_proven(artifact: Artifact, path: Path) -> None:
    """Raise ChecksumError unless a copy's digests hold; read it only if nobody has since."""
    receipt = read_receipt(path)
    if not (receipt and receipt.fits(path, artifact)):
        _check_digests(artifact, path)


def check_meaning(artifact: Artifact | None, path: Path, *, names: bool, column: str = "") -> str:
    """What the arrays of a file are, all of them read; empty for models."""
    if artifact is not None and artifact.kind == "checkpoints":
        return ""
    from memtools.estimates import schema  # imports NumPy: 70 ms

    arrays, close = _arrays_of(path, names, column)
    try:
        kind = _kind_of(arrays)
        if artifact is not None and kind != artifact.kind:
            if {kind, artifact.kind} != {"scores", "cscores"}:
                raise SchemaError(
                    f"it holds arrays of the kind {kind!r}, not {artifact.kind!r}",
                    hint="the registry and the file contradict each other: check the entry",
                )
            kind = artifact.kind
        schema.check(kind, arrays)
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}", hint=error.hint) from error
    finally:
        close()
    return kind


def _arrays_of(
    path: Path, names: bool, column: str
) -> tuple[Mapping[str, Any], Callable[[], object]]:
    """Return the arrays of an npz or npy as they are, of other files as they are read; and close.

    What is read as scores or pairs has been checked already for what it must be to be read.
    """
    from memtools.estimates import schema
    from memtools.estimates.score_columns import Reading
    from memtools.estimates.score_files import read_numbers
    from memtools.estimates.scores import Scores

    if not column and recognise_format(path) not in TABLES:
        arrays = schema.open_arrays(path, names=names)
        close = getattr(arrays, "close", lambda: None)
        values = arrays.get("scores")
        if values is None or values.ndim == 1:
            try:
                schema.kind_of(arrays)
            except SchemaError:
                pass
            else:
                return arrays, close
        close()
    numbers = read_numbers(path, Reading(column=column, names=names))
    extra = {"quantity": numbers.quantity} if isinstance(numbers, Scores) else {}
    return {**numbers.arrays, **extra, "about": ""}, lambda: None


def _kind_of(arrays: Mapping[str, Any]) -> str:
    """Return the kind of arrays; `cscores` only where a file records that they are."""
    from memtools.estimates import schema

    kind = schema.kind_of(arrays)
    is_c_score = kind == "scores" and str(arrays.get("quantity", "")) == "c_score"
    return "cscores" if is_c_score else kind


def _check_digests(artifact: Artifact, path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """(digests of the file, those that were promised): equal where both are known."""
    earlier = read_receipt(path)
    if artifact.size is not None and path.stat().st_size != artifact.size:
        raise wrong_size(path, artifact.size, path.stat().st_size)
    before = stamp(path)
    digests = read_digests(path, ALGORITHMS)
    expected = promised(artifact, earlier)
    unproven = earlier.digests if earlier and not artifact.checkable else {}
    known = expected or unproven  # which says at least that nothing has changed
    wrong = [name for name, value in known.items() if digests.get(name) != value]
    if wrong:
        raise wrong_digest(path, wrong[0], known[wrong[0]], digests, artifact, earlier)
    if not known:
        raise IntegrityError(
            f"{path}: the registry has no digest of {artifact.name} as a whole",
            hint="nothing can be said about this file; ask its publisher for a digest",
        )
    write_receipt(path, artifact, digests, earlier.parts if earlier else [], before=before)
    return digests, expected


def promised(artifact: Artifact, earlier: Receipt | None) -> dict[str, str]:
    """The digests to demand: the registry's, and all that were learnt when those held."""
    parts = [part.git_blob for part in artifact.parts]
    of_this = artifact.digests or (
        earlier and parts == [each["git_blob"] for each in earlier.parts]
    )
    learnt = earlier.digests if earlier and earlier.proven and of_this else {}
    agree = all(learnt.get(name) == value for name, value in artifact.digests.items())
    return {**(learnt if agree else {}), **artifact.digests}


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
