"""What can be fetched: parts, the artifacts that they make, and the table of all of them.

registry = builtin_registry()                    # memtools.artifacts.manifest
registry["cifar100-pairs"].digests               # {"md5": ..., "git_blob": ...}
registry.select(["cifar100", "imagenet-index"])  # names and groups -> [Artifact, ...]
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path

from memtools.errors import ConfigError
from memtools.files import first_clash

ORDERS = ("official", "published", "tfds", "file")
KINDS = ("pairs", "influence", "index", "cscores", "scores", "checkpoints")
NOT_RECORDED = "not recorded"  # as the paper of numbers for which none is known


@dataclasses.dataclass(frozen=True)
class Part:
    """One piece of a published file, as it lies on a server (or a local disk).

    url: where it is; a local path where the registry itself is a local file.
    size: in bytes, where known. git_blob, sha256: hex digests, where known.
    """

    url: str
    size: int | None = None
    git_blob: str | None = None
    sha256: str | None = None

    @property
    def file(self) -> str:
        """The base name under which the part is published."""
        if self.path is not None:
            return self.path.name
        return urllib.parse.unquote(urllib.parse.urlsplit(self.url).path.rpartition("/")[2])

    @property
    def path(self) -> Path | None:
        """The local file that holds the part, or None if it must be downloaded."""
        return None if "://" in self.url else Path(self.url)

    @property
    def digests(self) -> dict[str, str]:
        """The digests that are known, by algorithm."""
        return _known(git_blob=self.git_blob, sha256=self.sha256)


@dataclasses.dataclass(frozen=True)
class Artifact:
    """One published file.

    name: what the user types. file: the name it is kept under.
    parts: the pieces that, joined in this order, are the file.
    dataset, kind: what it is about; `kind` is one of `KINDS`.
    order: which canonical order its indices and rows follow, one of `ORDERS`:
        `official` (the data set's own binary files), `published` (that of
        imagenet-index), `tfds` (TensorFlow Datasets), `file` (this file's own).
    definition, direction: what the numbers are, and what a high one means.
    paper: the source to cite. doubt: what the publisher leaves open.
    size: in bytes, where known; approximate_size: for messages only.
    md5, sha256: hex digests of the joined file, where known.
    huge: fetched only when the user insists.
    """

    name: str
    file: str
    parts: tuple[Part, ...]
    dataset: str
    kind: str
    order: str
    definition: str
    direction: str
    paper: str
    doubt: str = ""
    size: int | None = None
    approximate_size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    huge: bool = False

    @property
    def digests(self) -> dict[str, str]:
        """The digests of the joined file that are known, by algorithm."""
        known = _known(md5=self.md5, sha256=self.sha256)
        return known | self.parts[0].digests if len(self.parts) == 1 else known

    @property
    def checkable(self) -> bool:
        """Whether a wrong file can be told from the right one by a digest."""
        return bool(self.digests) or all(part.digests for part in self.parts)

    @property
    def total_size(self) -> int | None:
        """The size of the joined file in bytes, if the registry knows it."""
        sizes = [part.size for part in self.parts]
        return self.size if None in sizes else sum(filter(None, sizes))

    def at_mirror(self, mirror: str) -> Artifact:
        """Return the same artifact, with each part under `mirror` by its base name.

        A query of the mirror, such as the token of a storage container, is sent for each part.
        """
        split = urllib.parse.urlsplit(mirror)
        folder = split.path.rstrip("/") + "/"
        parts = []
        for part in self.parts:
            there = split._replace(path=folder + urllib.parse.quote(part.file), fragment="")
            parts.append(dataclasses.replace(part, url=urllib.parse.urlunsplit(there)))
        return dataclasses.replace(self, parts=tuple(parts))


def _known(**digests: str | None) -> dict[str, str]:
    return {name: value for name, value in digests.items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Registry:
    """All artifacts by name, and groups of names."""

    artifacts: Mapping[str, Artifact]
    groups: Mapping[str, tuple[str, ...]]

    def __getitem__(self, name: str) -> Artifact:
        """The artifact of that name; `ConfigError` names the nearest known ones."""
        if name in self.artifacts:
            return self.artifacts[name]
        if name in self.groups:
            raise ConfigError(
                f"{name!r} is a group of artifacts",
                hint="name one: " + ", ".join(self.groups[name]),
            )
        known = [*self.artifacts, *self.groups]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        raise ConfigError(
            f"no artifact or group is called {name!r}",
            hint=f"did you mean {' or '.join(near)}?" if near else "memtools list shows the names",
        )

    def select(self, names: Iterable[str]) -> list[Artifact]:
        """The artifacts of names and groups, each once, in the order asked for."""
        flat = itertools.chain.from_iterable(self.groups.get(name, (name,)) for name in names)
        return [self[name] for name in dict.fromkeys(flat)]

    def at_mirror(self, mirror: str) -> Registry:
        """The same registry with every part under `mirror`."""
        moved = {name: artifact.at_mirror(mirror) for name, artifact in self.artifacts.items()}
        return Registry(moved, self.groups)

    def merged(self, other: Registry, where: str) -> Registry:
        """Both registries in one; a name or a file that stands in both is refused."""
        for name in [*other.artifacts, *other.groups]:
            if name in self.artifacts or name in self.groups:
                raise ConfigError(f"{where}: {name!r} is already taken", hint="choose another name")
        both = Registry({**self.artifacts, **other.artifacts}, {**self.groups, **other.groups})
        clash = first_clash(artifact.file for artifact in both.artifacts.values())
        if clash:
            raise ConfigError(f"{where}: {clash}", hint="choose another file name")
        return both
