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

from memtools.arguments import StrPath, checked
from memtools.artifacts.proof import prove
from memtools.artifacts.recognition import ALGORITHMS, read_digests, recognise
from memtools.artifacts.registry import Artifact
from memtools.artifacts.settings import Settings
from memtools.documents import naming
from memtools.errors import ConfigError, MemtoolsError, SchemaError
from memtools.estimates.file_formats import TABLES, is_path, recognise_format, require_file
from memtools.file_kinds import require_regular
from memtools.files import disk_errors


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


@checked('memtools.verify("cifar100-pairs"); or [memtools.verify(name) for name in names]')
def verify(
    what: StrPath,
    *,
    cache: StrPath | None = None,
    registries: StrPath | Sequence[StrPath] = (),
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
        with disk_errors(path):
            is_here = path.is_symlink() or path.exists()
        if not is_here:
            raise MemtoolsError(
                f"{what} is not in {settings.cache}", hint=f"memtools fetch {what} brings it"
            )
        return check(artifact, path)
    path = Path(what)
    with disk_errors(path):
        is_here = path.exists() and not path.is_dir()
    if not is_here:
        if is_path(str(what)):
            require_file(path)
        if what in registry.groups:
            registry[str(what)]  # which raises, and names the members
        raise ConfigError(
            f"{what} is neither a known name nor a file", hint="memtools list shows the names"
        )
    require_regular(path)
    found = recognise(registry, path)
    if found is None:
        kind = check_meaning(None, path, names=names, column=column)
        return Verdict(None, path, read_digests(path, ALGORITHMS), (), kind)
    return check(found, path)


def check(artifact: Artifact, path: Path) -> Verdict:
    """Compare every digest that is known, then read every array."""
    digests, compared = prove(artifact, path)
    kind = check_meaning(artifact, path, names=artifact.checkable)
    return Verdict(artifact, path, digests, compared, kind)


def check_meaning(artifact: Artifact | None, path: Path, *, names: bool, column: str = "") -> str:
    """What the arrays of a file are, all of them read; empty for models."""
    if artifact is not None and artifact.kind == "checkpoints":
        return ""
    from memtools.estimates import schema  # imports NumPy: 70 ms

    arrays, close = _arrays_of(path, names, column)
    try:
        with naming(path):
            kind = _kind_of(arrays)
            if artifact is not None and kind != artifact.kind:
                if {kind, artifact.kind} != {"scores", "cscores"}:
                    raise SchemaError(
                        f"it holds arrays of the kind {kind!r}, not {artifact.kind!r}",
                        hint="the registry and the file contradict each other: check the entry",
                    )
                kind = artifact.kind
            schema.check(kind, arrays)
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
    return {**numbers.arrays, **extra, "about": "{}"}, lambda: None


def _kind_of(arrays: Mapping[str, Any]) -> str:
    """Return the kind of arrays; `cscores` only where a file records that they are."""
    from memtools.estimates import schema

    kind = schema.kind_of(arrays)
    is_c_score = kind == "scores" and str(arrays.get("quantity", "")) == "c_score"
    return "cscores" if is_c_score else kind
