"""From a name or a file to the object that it holds; what is missing is fetched first.

    estimates = load("imagenet")             # a group: its files complete each other
    pairs = load("cifar100-pairs")           # HighInfluencePairs
    scores = load("cifar10-cscores")         # Scores
    mine = load(Path("my_estimates.npz"))    # by what is in it
    mine = load("el2n.csv", column="el2n", dataset="cifar10", order="official")

Nothing but tables of contents is read of an npz of estimates; arrays are read when they are asked
for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memtools.arguments import StrPath, checked
from memtools.artifacts.fetcher import USUAL, bring
from memtools.artifacts.proof import require_proven
from memtools.artifacts.recognition import find_published
from memtools.artifacts.registry import NOT_RECORDED, Artifact
from memtools.artifacts.settings import Settings
from memtools.errors import ConfigError
from memtools.estimates.about import About, Declaration
from memtools.estimates.checked_arrays import CheckedArrays
from memtools.estimates.file_formats import is_path, require_file
from memtools.estimates.schema import open_arrays
from memtools.estimates.score_columns import Reading
from memtools.estimates.score_files import Numbers, from_arrays, read_numbers
from memtools.files import disk_errors

Loaded = Numbers


@checked('memtools.load("cifar100")')
def load(
    what: StrPath,
    *,
    column: str = "",
    index: Any = None,
    dataset: str = "",
    order: str = "",
    direction: str = "",
    definition: str = "",
    cache: StrPath | None = None,
    registries: StrPath | Sequence[StrPath] = (),
    mirror: str | None = None,
    offline: bool | None = None,
    names: bool = False,
) -> Loaded:
    """Return what a published artifact, a group of them, or a file holds.

    A file that is a copy of a published one is recognised by its digest, whatever its name.

    Args:
        what: A name (fetched if it is not here), a group (its influence and index together), or
            the path of a file: npz, npy, csv, tsv, json or parquet.
        column: The column of a table, or the array of an npz, that holds the scores; needed where
            no name tells it.
        index: The position of each value, int [n], or a mask, bool [n_all], or a file with either:
            for scores of some examples only.
        dataset: The data set, where the file does not record it.
        order: The order of the examples, likewise: `official`, `published`, `tfds` or `file`.
        direction: What a high score means, likewise: `typical` or `atypical`.
        definition: What the numbers are, likewise.
        cache: The directory of fetched files.
        registries: More registries, files or URLs.
        mirror: The base URL under which every file is looked for.
        offline: Whether the network is never touched.
        names: Read names that are kept as Python objects even from a file whose digest is not
            known; nothing in it is run.

    Returns:
        Estimates for influence matrices and indices, HighInfluencePairs for lists of pairs, Scores
        for one number for each example.

    Raises:
        ConfigError: The name is not known; the scores are not told by a name; or what is said of
            the file contradicts what it records.
        SchemaError: The file is damaged, or holds something else.
        DiskError: The file is missing, or a directory.
        MemtoolsError: Any error of `memtools.fetch`.
    """
    declaration = Declaration(dataset, order, direction, definition)
    reading = Reading(str(column), index, declaration, names)
    settings = Settings.of(cache=cache, registries=registries, mirror=mirror, offline=offline)
    if isinstance(what, str):
        registry = settings.registry()
        if what in registry.groups:
            members = [registry[name] for name in registry.groups[what]]
            completing = [each for each in members if each.kind in _COMPLETING]
            return _together(what, completing, settings, reading)
        if what in registry.artifacts:
            artifact = registry[what]
            return _read_published(artifact, bring(artifact, settings, USUAL), reading)
        with disk_errors(Path(what)):
            is_here = Path(what).exists()
        if not is_here and not is_path(what):
            registry[what]  # which raises, and names those that are near
    path = Path(what)
    require_file(path)
    known = settings.artifact_of(path.name)
    if known is not None:
        require_proven(known, path)
    else:
        known = find_published(settings, path)
    if known is not None:
        return _read_published(known, path, reading)
    return read_numbers(path, reading)


_COMPLETING = ("influence", "index")


def _read_published(artifact: Artifact, path: Path, reading: Reading) -> Loaded:
    if artifact.kind == "checkpoints":
        raise ConfigError(
            f"{artifact.name} holds models, not estimates",
            hint="memtools list shows what there is of each data set",
        )
    trusting = dataclasses.replace(
        reading,
        names=reading.names or artifact.checkable,
        quantity="c_score" if artifact.kind == "cscores" else "",
    )
    return read_numbers(path, trusting, about(artifact, path))


def _together(
    group: str, artifacts: Sequence[Artifact], settings: Settings, reading: Reading
) -> Loaded:
    """One object of several files; every array is in just one of them."""
    paths = [bring(artifact, settings, USUAL) for artifact in artifacts]
    arrays = [
        open_arrays(path, names=artifact.checkable)
        for artifact, path in zip(artifacts, paths, strict=True)
    ]
    abouts = [about(*pair) for pair in zip(artifacts, paths, strict=True)]
    differing = {
        field: "; ".join(dict.fromkeys(getattr(each, field) for each in abouts))
        for field in About.__dataclass_fields__
    }
    return from_arrays(Path(group), CheckedArrays(*arrays), reading, About(**differing))


def about(artifact: Artifact, path: Path) -> About:
    """What the registry says about a file whose digest held."""
    return About(
        dataset=artifact.dataset,
        order=artifact.order,
        definition=artifact.definition,
        direction=artifact.direction,
        paper="" if artifact.paper == NOT_RECORDED else artifact.paper,
        doubt=artifact.doubt,
        source=str(path),
        digest=next((f"{name}:{value}" for name, value in artifact.digests.items()), ""),
    )
