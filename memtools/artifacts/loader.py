"""From a name or a file to the object that it holds; what is missing is fetched first.

    estimates = load("imagenet")             # a group: its files complete each other
    pairs = load("cifar100-pairs")           # HighInfluencePairs
    scores = load("cifar10-cscores")         # Scores
    mine = load(Path("my_estimates.npz"))    # by what is in it

Nothing but tables of contents is read here; arrays are read when they are asked for.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from memtools.artifacts.checker import require_proven
from memtools.artifacts.fetcher import USUAL, bring
from memtools.artifacts.registry import Artifact
from memtools.artifacts.settings import Settings
from memtools.errors import ConfigError, SchemaError
from memtools.estimates.about import About, read_about
from memtools.estimates.model import Estimates, as_text
from memtools.estimates.npz import Array
from memtools.estimates.pairs import MIN_INFL, MIN_MEM, HighInfluencePairs
from memtools.estimates.schema import kind_of, open_arrays
from memtools.estimates.scores import Scores

Loaded = Estimates | HighInfluencePairs | Scores


def load(
    what: str | Path,
    *,
    cache: Path | str | None = None,
    registries: Sequence[str | Path] = (),
    mirror: str | None = None,
    offline: bool | None = None,
    names: bool = False,
) -> Loaded:
    """What a published artifact, a group of them, or a file holds.

    what: a name (fetched if it is not here), a group (its influence and index
    together), or the path of a file. names: read names that are kept as Python
    objects even from a file whose digest nobody knows; nothing in it is run.
    The others: as for `memtools.fetch`.

    Returns Estimates for influence matrices and indices, HighInfluencePairs for
    lists of pairs, Scores for C-scores. Raises whatever `memtools.fetch` raises;
    SchemaError for a file that is damaged or holds something else.
    """
    settings = Settings.of(cache=cache, registries=registries, mirror=mirror, offline=offline)
    if isinstance(what, str):
        registry = settings.registry()
        if what in registry.groups:
            members = [registry[name] for name in registry.groups[what]]
            return _together([each for each in members if each.kind in _COMPLETING], settings)
        if what in registry.artifacts or not Path(what).is_file():
            return _of_artifact(registry[what], bring(registry[what], settings, USUAL))
    path = Path(what)
    known = settings.artifact_of(path.name)
    if known is not None:
        require_proven(known, path)
        return _of_artifact(known, path)
    arrays = open_arrays(path, names=names)
    return _object(arrays, read_about(arrays, path))


_COMPLETING = ("influence", "index")


def _of_artifact(artifact: Artifact, path: Path) -> Loaded:
    if artifact.kind == "checkpoints":
        raise ConfigError(
            f"{artifact.name} holds models, not estimates",
            hint="memtools list shows what there is of each data set",
        )
    return _object(open_arrays(path, names=artifact.checkable), about(artifact, path))


def _together(artifacts: Sequence[Artifact], settings: Settings) -> Estimates:
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
    return Estimates(collections.ChainMap(*arrays), About(**differing))  # type: ignore[arg-type]


def _object(arrays: Mapping[str, Array], about: About) -> Loaded:
    """The object that arrays of these names make."""
    try:
        kind = kind_of(arrays)
    except SchemaError as error:
        raise SchemaError(f"{about.source}: {error}", hint=error.hint) from error
    if kind == "pairs":
        return HighInfluencePairs(
            about,
            arrays["tr_idx"].astype(np.int64, copy=False),
            arrays["tt_idx"].astype(np.int64, copy=False),
            arrays["mem"],
            arrays["infl"],
            float(arrays.get("min_mem", MIN_MEM)),
            float(arrays.get("min_infl", MIN_INFL)),
        )
    if kind == "cscores":
        names = as_text(arrays.get("filenames"))
        return Scores(about, "c_score", arrays["scores"], arrays.get("labels"), names)
    return Estimates(arrays, about)


def about(artifact: Artifact, path: Path) -> About:
    """What the registry says about a file whose digest held."""
    return About(
        dataset=artifact.dataset,
        order=artifact.order,
        definition=artifact.definition,
        direction=artifact.direction,
        paper=artifact.paper,
        doubt=artifact.doubt,
        source=str(path),
        digest=next((f"{name}:{value}" for name, value in artifact.digests.items()), ""),
    )
