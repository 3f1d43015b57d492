"""Examples chosen by their score: the most and least memorized, those in between, controls.

    chosen = select(estimates, [top(3000)], per_class=True)
    chosen.index                             # int64, positions; of a data set, with alignment=
    chosen.save(Path("forget.json"))         # or .npy, .txt, .csv; with a manifest that replays it

Several criteria make a mix; what an earlier one took, a later one leaves. Ties go to the lower
position in the order of the scores, so that a selection is the same whatever order the data are in.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from memtools.errors import ConfigError
from memtools.estimates.alignment import Alignment
from memtools.estimates.model import Estimates
from memtools.estimates.npz import Array
from memtools.estimates.scores import Scores
from memtools.files import disk_errors, write_atomically

FORMATS = (".npy", ".txt", ".csv", ".json")
Kind = Literal["top", "bottom", "closest", "random", "at_least", "at_most", "bin"]


@dataclasses.dataclass(frozen=True)
class Criterion:
    """One rule.

    top, bottom: the n highest or lowest. closest: the n nearest to `value`. random: any n.
    at_least, at_most: all on that side of `value`. bin: the n-th of `value` equally large bins,
    from 0, ascending.
    """

    kind: Kind
    n: int = 0
    value: float = 0.0


def top(n: int) -> Criterion:
    """The n highest scores."""
    return Criterion("top", n)


def bottom(n: int) -> Criterion:
    """The n lowest scores."""
    return Criterion("bottom", n)


def closest(value: float, n: int) -> Criterion:
    """The n scores nearest to a value."""
    return Criterion("closest", n, value)


def random(n: int) -> Criterion:
    """Any n examples."""
    return Criterion("random", n)


def at_least(value: float) -> Criterion:
    """All scores from a value on."""
    return Criterion("at_least", 0, value)


def at_most(value: float) -> Criterion:
    """All scores up to a value."""
    return Criterion("at_most", 0, value)


def quantile_bin(which: int, n_bins: int) -> Criterion:
    """One of equally large bins of ascending scores, counted from 0."""
    return Criterion("bin", which, n_bins)


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """index: int64 [n], ascending. scores: float [n]; labels: int [n], filenames: str [n], or None.

    manifest: everything that decided it, JSON values.
    """

    index: NDArray[np.int64]
    scores: Array
    labels: Array | None
    filenames: Array | None
    manifest: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.index)

    def save(self, path: Path) -> None:
        """Write the indices as .npy, .txt, .csv or .json, and the manifest beside it.

        The manifest is `<name>.manifest.json`. Raises ConfigError for another ending.
        """
        contents: dict[str, Callable[[], bytes]] = {
            ".npy": self._npy,
            ".txt": lambda: "".join(f"{k}\n" for k in self.index.tolist()).encode(),
            ".csv": self._csv,
            ".json": lambda: (json.dumps(self.document, indent=1) + "\n").encode(),
        }
        if path.suffix not in contents:
            raise ConfigError(f"{path}: unknown ending", hint=f"use {', '.join(FORMATS)}")
        content = contents[path.suffix]()
        manifest = (json.dumps(dict(self.manifest), indent=1) + "\n").encode()
        with disk_errors(path):
            write_atomically(path, content)
            write_atomically(path.with_name(f"{path.name}.manifest.json"), manifest)

    @property
    def document(self) -> dict[str, Any]:
        """Indices, scores, names and manifest, as JSON has them."""
        columns = {"labels": self.labels, "filenames": self.filenames}
        return {
            "indices": self.index.tolist(),
            "scores": self.scores.tolist(),
            **{name: column.tolist() for name, column in columns.items() if column is not None},
            "manifest": dict(self.manifest),
        }

    def _npy(self) -> bytes:
        stream = io.BytesIO()
        np.save(stream, self.index)
        return stream.getvalue()

    def _csv(self) -> bytes:
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, lineterminator="\n")
        columns = {
            "index": self.index,
            "label": self.labels,
            "filename": self.filenames,
            "score": self.scores,
        }
        known = {name: column.tolist() for name, column in columns.items() if column is not None}
        writer.writerow(known)
        writer.writerows(zip(*known.values(), strict=True))
        return stream.getvalue().encode()


def select(
    scores: Estimates | Scores,
    criteria: Sequence[Criterion],
    *,
    per_class: bool = False,
    within: Array | None = None,
    alignment: Alignment | None = None,
    control: bool = False,
    seed: int = 0,
) -> Selection:
    """Examples by their score.

    per_class: n of each class, instead of n in all; needs labels. within: positions, int, or a
    mask, bool, in the order of the result: choose among these only. alignment: give positions of
    the user's data set, among its examples; else of the scores. control: in place of the
    selection as many others at random (of each class, with per_class): matched in size.

    Examples without a score (NaN) are never chosen. Raises ConfigError if less is there than asked
    for, or nothing is chosen.
    """
    of = scores.scores if isinstance(scores, Estimates) else scores
    eligible = np.isfinite(np.asarray(of.values, np.float64))
    eligible &= _allowed(within, alignment, len(of))
    groups = _groups(of, eligible, per_class)
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(of), np.bool_)
    values = np.asarray(of.values, np.float64)
    for criterion in criteria:
        for name, group in groups.items():
            left = group[~chosen[group]]
            chosen[_chosen(criterion, left, values, group, rng, name)] = True
    if control:
        chosen = _control(chosen, groups, rng)
    index = np.flatnonzero(chosen)
    if not len(index):
        raise ConfigError("nothing is selected", hint="look at the range: memtools info")
    place = index if alignment is None else alignment.inverse[index]
    order = np.argsort(place)
    index, place = index[order], place[order].astype(np.int64)
    manifest = {
        "source": Path(of.about.source).name,
        "digest": of.about.digest,
        "dataset": of.about.dataset,
        "order": "the data set's" if alignment else of.about.order,
        "proof": alignment.proof if alignment else "",
        "quantity": of.quantity,
        "definition": of.about.definition,
        "direction": of.about.direction,
        "criteria": [dataclasses.asdict(each) for each in criteria],
        "per_class": per_class,
        "control": control,
        "seed": seed,
        "n_within": int(eligible.sum()),
        "n": len(place),
    }
    return Selection(
        place,
        np.asarray(of.values)[index],
        None if of.labels is None else np.asarray(of.labels)[index],
        None if of.filenames is None else of.filenames[index],
        manifest,
    )


def _allowed(within: Array | None, alignment: Alignment | None, n: int) -> NDArray[np.bool_]:
    """Which of the scores may be chosen, bool [n]."""
    if alignment is not None and len(alignment.inverse) != n:
        raise ConfigError(
            f"an alignment of {len(alignment.inverse):,} examples, and {n:,} scores",
            hint="align these scores",
        )
    there = np.ones(n, np.bool_) if alignment is None else alignment.inverse >= 0
    if within is None:
        return there
    n_places = n if alignment is None else len(alignment.position)
    mask: Array = np.asarray(within)
    if mask.dtype != np.bool_:
        if mask.dtype.kind not in "iu" or mask.ndim != 1:
            raise ConfigError("a subset is positions or a mask", hint="give integers or booleans")
        if len(mask) and not (mask.min() >= 0 and mask.max() < n_places):
            raise ConfigError(
                f"the subset names position {int(mask.max())}, and there are {n_places:,}",
                hint="count from 0, in the order of the data set",
            )
        chosen = np.zeros(n_places, np.bool_)
        chosen[mask] = True
        mask = chosen
    if len(mask) != n_places:
        raise ConfigError(
            f"a mask of {len(mask):,}, and {n_places:,} examples", hint="give one for each"
        )
    there[there] &= mask[there] if alignment is None else mask[alignment.inverse[there]]
    return there


def _groups(of: Scores, eligible: Array, per_class: bool) -> dict[str, Array]:
    """Positions that are chosen from, by the name of their class."""
    if not per_class:
        return {"": np.flatnonzero(eligible)}
    if of.labels is None:
        raise ConfigError("these scores have no labels", hint="leave out per_class (--per-class)")
    labels = np.asarray(of.labels)
    return {
        f" of class {label}": np.flatnonzero(eligible & (labels == label))
        for label in np.unique(labels).tolist()
    }


def _chosen(
    criterion: Criterion,
    left: Array,
    values: Array,
    group: Array,
    rng: np.random.Generator,
    name: str,
) -> Array:
    """The positions that one criterion takes from those that are left."""
    kind, n, value = criterion.kind, criterion.n, criterion.value
    if kind == "at_least":
        return left[values[left] >= value]
    if kind == "at_most":
        return left[values[left] <= value]
    if kind == "bin":
        if not 0 <= n < value:
            raise ConfigError(f"there is no bin {n} of {value:g}", hint="bins count from 0")
        ranked = group[np.argsort(values[group], kind="stable")]
        return np.intersect1d(np.array_split(ranked, int(value))[n], left)
    if n < 1:
        raise ConfigError(f"{n} examples are asked for", hint="ask for 1 or more")
    if n > len(left):
        raise ConfigError(
            f"{n:,} examples{name} are asked for, and there are {len(left):,}",
            hint="ask for fewer, or widen what is chosen from",
        )
    keys: dict[str, Callable[[], Array]] = {
        "top": lambda: -values[left],
        "bottom": lambda: values[left],
        "closest": lambda: np.abs(values[left] - value),
        "random": lambda: rng.permutation(len(left)),
    }
    ranked = left[np.argsort(keys[kind](), kind="stable")]
    return ranked[:n]


def _control(
    chosen: NDArray[np.bool_], groups: Mapping[str, Array], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """As many others, of each group."""
    control = np.zeros_like(chosen)
    for name, group in groups.items():
        others, n = group[~chosen[group]], int(chosen[group].sum())
        if n > len(others):
            raise ConfigError(
                f"a control of {n:,} others{name} is asked for, and there are {len(others):,}",
                hint="select fewer",
            )
        control[rng.permutation(others)[:n]] = True
    return control


@dataclasses.dataclass(frozen=True)
class Request:
    """What a manifest asks for, to be asked again."""

    criteria: tuple[Criterion, ...]
    per_class: bool
    control: bool
    seed: int

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Self:
        """From a manifest; ConfigError if it is none."""
        try:
            criteria = tuple(Criterion(**each) for each in manifest["criteria"])
            return cls(criteria, manifest["per_class"], manifest["control"], manifest["seed"])
        except (KeyError, TypeError) as error:
            raise ConfigError(
                f"this is no manifest of a selection: {error}",
                hint="give the .manifest.json that memtools select wrote",
            ) from error
