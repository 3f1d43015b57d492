"""From the order of published numbers to that of the user's own data set, proven.

    alignment = align(estimates, to=torchvision.datasets.ImageFolder(root))
    alignment.take(estimates.memorization)   # float [n_theirs], in the order of the data set
    alignment.proof                          # how the two were brought together

The files of this family follow three orders, and a join by position can be silently wrong; so
examples are joined by what they are: a file name, an id of TFDS, or their pixels. A declared order
is believed only if every label agrees, and even then a permutation within classes cannot be seen.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.about import About
from memtools.estimates.data_sources import listing_of
from memtools.estimates.identity import identify, official_position, synset_of
from memtools.estimates.listing import Listing
from memtools.estimates.model import Estimates, ExampleIndex
from memtools.estimates.npz import Array
from memtools.estimates.pixels import Reference, keys_of
from memtools.estimates.scores import Scores

_SHOWN = 3  # culprits in a message


@dataclasses.dataclass(frozen=True, eq=False)
class Alignment:
    """Which example of the numbers each example of a data set is.

    position: int64 [n_theirs], in the order of the numbers; -1 where they have none. inverse:
    int64 [n_ours], in the data set; -1 where it has none. proof: how that is known, in words.
    """

    position: NDArray[np.int64]
    inverse: NDArray[np.int64]
    proof: str

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which examples of the data set have numbers, bool [n_theirs]."""
        return self.position >= 0

    @property
    def missing(self) -> NDArray[np.int64]:
        """Positions of the numbers whose example the data set lacks, ascending."""
        return np.flatnonzero(self.inverse < 0)

    @property
    def extra(self) -> NDArray[np.int64]:
        """Examples of the data set for which there are no numbers, ascending."""
        return np.flatnonzero(self.position < 0)

    def take(self, values: Array) -> Array:
        """Numbers in the order of the data set, float [n_theirs]; NaN where there are none.

        values: [n_ours]. Raises ConfigError for another length.
        """
        values = np.asarray(values)
        if values.shape != self.inverse.shape:
            raise ConfigError(
                f"{len(values):,} numbers for an order of {len(self.inverse):,} examples",
                hint="take those that were aligned",
            )
        dtype = values.dtype if values.dtype.kind == "f" else np.float64
        taken = np.full(len(self.position), np.nan, dtype)
        taken[self.found] = values[self.position[self.found]]
        return taken


def align(
    numbers: Estimates | Scores | ExampleIndex,
    to: Any,
    *,
    labels: Any = None,
    split: str = "train",
    order: str = "",
    reference: Reference | None = None,
    allow_missing: bool = False,
) -> Alignment:
    """Bring published or regenerated numbers and a data set together.

    to: file names (list, text, csv, json, parquet), a directory of images, an object with
    `.samples` (ImageFolder) or a Subset around one, ids of TFDS, or images, uint8 [n, height,
    width, channels], which need a reference (memtools.estimates.pixels). labels: int [n], if
    the data set does not say them. order: trust this order, with labels as the only witness;
    `to` may then be the labels alone. allow_missing: accept examples that only one side has.

    Raises AlignmentError for duplicates, labels that disagree, names that are not known, and
    examples that are missing; ConfigError for what cannot be compared at all.
    """
    theirs = listing_of(to, labels)
    index = numbers if isinstance(numbers, ExampleIndex) else _index_of(numbers)
    ours = _Side.of(index, split, _count(numbers, split))
    if order:
        position, proof = _by_declaration(ours, theirs, order, index.about)
    elif theirs.images is not None:
        position, proof = _by_pixels(ours, theirs, reference, index.about, allow_missing)
    elif theirs.names is not None:
        position, proof = _by_name(ours, theirs, split, index.about)
    else:
        raise ConfigError(
            "labels alone do not tell one example from another",
            hint='give names or images; or say order="official" if you know the order',
        )
    inverse = _inverted(position, ours.n, theirs)
    proof += _compare_labels(ours, theirs, position)
    alignment = Alignment(position, inverse, proof)
    _require_match(alignment, ours, theirs, allow_missing)
    return alignment


@dataclasses.dataclass(frozen=True, eq=False)
class _Side:
    """What the numbers know about their examples."""

    n: int
    names: list[str] | None
    labels: Array | None
    synsets: dict[str, int] | None

    @classmethod
    def of(cls, index: ExampleIndex, split: str, count: int | None) -> _Side:
        if split not in ("train", "test"):
            raise ConfigError(f"{split!r} is no split", hint="train or test")
        names = index.filenames if split == "train" else index.test_filenames
        labels = index.labels if split == "train" else index.test_labels
        known = (len(column) for column in (names, labels) if column is not None)
        n = next(known, count)
        if n is None:
            raise ConfigError(
                f"the numbers do not say which {split} examples they are of",
                hint="load the group (imagenet, cifar100), or a file with labels or names",
            )
        stems = None if names is None else [identify(name)[0] for name in names.tolist()]
        return cls(n, stems, labels, _synsets(index))

    def say(self, position: int) -> str:
        return self.names[position] if self.names else f"number {position}"


def _synsets(index: ExampleIndex) -> dict[str, int] | None:
    """The label of each synset, by the names of the training images; None where names are plain."""
    if index.filenames is None or index.labels is None:
        return None
    labels, first = np.unique(index.labels, return_index=True)
    names = [synset_of(identify(str(name))[0]) for name in index.filenames[first]]
    return dict(zip(names, labels.tolist(), strict=True)) if all(names) else None


def _index_of(numbers: Estimates | Scores) -> ExampleIndex:
    if isinstance(numbers, Estimates):
        return numbers.index
    return ExampleIndex(numbers.about, numbers.labels, numbers.filenames, None, None)


def _count(numbers: Estimates | Scores | ExampleIndex, split: str) -> int | None:
    """How many training examples the numbers are of, where neither names nor labels say it."""
    if isinstance(numbers, Scores) and split == "train":
        return len(numbers)
    if isinstance(numbers, Estimates) and split == "train" and "tr_mem" in numbers.arrays:
        return len(numbers.memorization)
    return None


def _by_declaration(
    ours: _Side, theirs: Listing, order: str, about: About
) -> tuple[NDArray[np.int64], str]:
    if about.order and order != about.order:
        raise AlignmentError(
            f"the numbers are in the order {about.order!r}, not {order!r}",
            hint="join by names, ids or pixels instead of by position",
        )
    if theirs.labels is None or ours.labels is None:
        raise AlignmentError(
            "a declared order needs labels on both sides to be checked at all",
            hint="give labels=...",
        )
    if len(theirs) != ours.n:
        raise AlignmentError(
            f"there are {ours.n:,} numbers, and {len(theirs):,} examples in the data set",
            hint="a subset cannot be joined by position: use names, ids or pixels",
        )
    return np.arange(ours.n), (
        f"by the declared order {order!r}; a permutation within a class would not have been seen"
    )


def _by_name(
    ours: _Side, theirs: Listing, split: str, about: About
) -> tuple[NDArray[np.int64], str]:
    names = theirs.names or []
    stems, claims = _identified(names)
    official = official_position(stems[0])
    if official is not None and (ours.names is None or official_position(ours.names[0]) is None):
        return _by_id(ours, stems, split, about), "by the ids of TFDS"
    if ours.names is None:
        raise AlignmentError(
            f"the numbers have no file names, and {names[0]!r} is no id of TFDS",
            hint="join by pixels (a reference), or by order= with labels",
        )
    place = {stem: position for position, stem in enumerate(ours.names)}
    if len(place) < ours.n:
        twice = _twice(ours.names)
        raise AlignmentError(f"the numbers have names twice: {twice}", hint="repair that file")
    position = np.fromiter((place.get(stem, -1) for stem in stems), np.int64, len(stems))
    _require_known_case(position, stems, place)
    _require_claims(ours, position, names, claims)
    return position, "by file name"


def _identified(names: Sequence[str]) -> tuple[list[str], list[str]]:
    stems, claims = [], []
    for name in names:
        stem, claim = identify(name)
        stems.append(stem)
        claims.append(claim)
    return stems, claims


def _by_id(ours: _Side, stems: Sequence[str], split: str, about: About) -> NDArray[np.int64]:
    """The number in an id is the official position."""
    if about.order != "official":
        raise AlignmentError(
            f"ids of TFDS are official positions, and the numbers are in the order"
            f" {about.order or 'not known'!r}",
            hint="align with numbers in the official order",
        )
    found = [official_position(stem) for stem in stems]
    wrong = [stem for stem, each in zip(stems, found, strict=True) if each is None]
    other = [stem for stem, each in zip(stems, found, strict=True) if each and each[0] != split]
    if wrong or other:
        raise AlignmentError(
            f"{len(wrong or other):,} are no ids of {split}: {_some(wrong or other)}",
            hint="give the ids of one split, and that split",
        )
    position = np.array([each[1] for each in found if each], np.int64)
    if (beyond := position >= ours.n).any():
        culprits = [stems[k] for k in np.flatnonzero(beyond).tolist()]
        raise AlignmentError(
            f"{len(culprits):,} ids are beyond the {ours.n:,} examples: {_some(culprits)}",
            hint="is it the data set of these numbers?",
        )
    return position


def _by_pixels(
    ours: _Side,
    theirs: Listing,
    reference: Reference | None,
    about: About,
    allow_missing: bool,
) -> tuple[NDArray[np.int64], str]:
    """Through a reference: the keys of all examples in the order of the numbers."""
    if reference is None:
        raise ConfigError(
            "images are compared with a reference of the official order, and there is none",
            hint="make it once: memtools align --reference DIR --out keys.npz",
        )
    if len(reference.keys) != ours.n or (about.order and about.order != reference.about.order):
        raise AlignmentError(
            f"the reference has {len(reference.keys):,} examples in the order"
            f" {reference.about.order!r}, the numbers {ours.n:,} in {about.order!r}",
            hint="make the reference from a copy in the order of the numbers",
        )
    if ours.labels is not None and not np.array_equal(ours.labels, reference.labels):
        raise AlignmentError(
            "the labels of the reference are not those of the numbers",
            hint="is it the same data set, and the same split?",
        )
    images = theirs.images if theirs.images is not None else np.zeros((0, 1, 1, 1), np.uint8)
    places: dict[bytes, list[int]] = collections.defaultdict(list)
    for place, key in enumerate(reference.keys):
        places[key].append(place)
    position, ambiguous = np.full(len(theirs), -1, np.int64), []
    for k, key in enumerate(keys_of(images)):
        candidates = places.get(key, [])
        if len(candidates) > 1 and theirs.labels is not None:
            label = theirs.labels[k]
            candidates = [each for each in candidates if reference.labels[each] == label]
        if len(candidates) == 1:
            position[k] = candidates[0]
        elif candidates:
            ambiguous.append(k)
    if ambiguous and not allow_missing:
        raise AlignmentError(
            f"{len(ambiguous):,} images are there more than once in the data set itself, and"
            f" nothing tells them apart: {_some(f'number {k}' for k in ambiguous)}",
            hint="allow_missing leaves them without a number; we do not guess",
        )
    said = f"; {len(ambiguous):,} are ambiguous and left out" if ambiguous else ""
    return position, "by their pixels" + said


def _inverted(position: NDArray[np.int64], n_ours: int, theirs: Listing) -> NDArray[np.int64]:
    """Where each of ours stands in theirs; AlignmentError if one stands there twice."""
    inverse = np.full(n_ours, -1, np.int64)
    found = np.flatnonzero(position >= 0)
    inverse[position[found]] = found
    again = found[inverse[position[found]] != found]
    if len(again):
        pairs = ((k, int(inverse[position[k]])) for k in again[:_SHOWN])
        words = "; ".join(f"{_say(theirs, a)} and {_say(theirs, b)}" for a, b in pairs)
        raise AlignmentError(
            f"{len(again):,} examples are there twice in the data set: {words}",
            hint="each example may come once: remove copies, or name another folder",
        )
    return inverse


def _compare_labels(ours: _Side, theirs: Listing, position: NDArray[np.int64]) -> str:
    """What the labels say, in words; AlignmentError if they contradict."""
    if theirs.labels is None or ours.labels is None:
        return "; labels were not there to be compared"
    found = np.flatnonzero(position >= 0)
    mine, other = np.asarray(ours.labels)[position[found]], theirs.labels[found]
    wrong = found[mine != other]
    if not len(wrong):
        return f"; {len(found):,} labels agree"
    if _renumbered(mine, other, np.unique(ours.labels)):
        return "; labels agree, numbered by the classes that the data set has"
    words = "; ".join(
        f"{_say(theirs, k)} is {theirs.labels[k]} there, {ours.labels[position[k]]} here"
        for k in wrong[:_SHOWN].tolist()
    )
    raise AlignmentError(
        f"{len(wrong):,} of {len(found):,} labels disagree: {words}",
        hint="the data set is shifted, relabelled, or another one",
    )


def _renumbered(mine: Array, other: Array, every: Array) -> bool:
    """Whether labels differ only since classes that are not there were left out in counting."""
    there = np.unique(mine)
    return len(there) < len(every) and np.array_equal(np.searchsorted(there, mine), other)


def _require_known_case(
    position: NDArray[np.int64], stems: Sequence[str], place: dict[str, int]
) -> None:
    unknown = np.flatnonzero(position < 0)
    if not len(unknown):
        return
    folded = {stem.casefold() for stem in place}
    case = [stems[k] for k in unknown.tolist() if stems[k].casefold() in folded]
    if case:
        raise AlignmentError(
            f"{len(case):,} names differ in upper and lower case only: {_some(case)}",
            hint="rename them as published",
        )


def _require_claims(
    ours: _Side, position: NDArray[np.int64], names: Sequence[str], claims: Sequence[str]
) -> None:
    """Folders and suffixes that are synsets must be those of the labels."""
    if ours.synsets is None or ours.labels is None:
        return
    labels = ours.synsets
    claimed = np.fromiter(
        (labels.get(claim, -2) if claim else -1 for claim in claims), np.int64, len(claims)
    )
    unknown = np.flatnonzero(claimed == -2)
    if len(unknown):
        raise AlignmentError(
            f"{len(unknown):,} stand under a synset that is not known:"
            f" {_some(names[k] for k in unknown.tolist())}",
            hint="is it the data set of these numbers?",
        )
    looked = (claimed >= 0) & (position >= 0)
    wrong = np.flatnonzero(looked & (np.asarray(ours.labels)[position] != claimed))
    if len(wrong):
        raise AlignmentError(
            f"{len(wrong):,} stand in the folder of another class:"
            f" {_some(names[k] for k in wrong.tolist())}",
            hint="put them where they belong",
        )


def _require_match(alignment: Alignment, ours: _Side, theirs: Listing, allow_missing: bool) -> None:
    extra, missing = alignment.extra, alignment.missing
    n = len(theirs)
    if len(extra) == n:
        raise AlignmentError(
            f"none of the {n:,} examples has a number: {_some(_say(theirs, k) for k in extra)}",
            hint="is it the data set of these numbers, and the same split?",
        )
    if allow_missing or not (len(extra) or len(missing)):
        return
    words = []
    if len(extra):
        words.append(f"{len(extra):,} have no number: {_some(_say(theirs, k) for k in extra)}")
    if len(missing):
        words.append(f"{len(missing):,} are missing: {_some(ours.say(k) for k in missing)}")
    raise AlignmentError(
        f"of {n:,} examples and {ours.n:,} numbers, {int(alignment.found.sum()):,} fit; "
        + "; ".join(words),
        hint="allow_missing (--allow-missing) makes them explicit",
    )


def _say(listing: Listing, k: int) -> str:
    return listing.names[k] if listing.names else f"number {k}"


def _twice(names: Iterable[str]) -> str:
    return _some(name for name, n in collections.Counter(names).items() if n > 1)


def _some(culprits: Iterable[str]) -> str:
    """The first few, in words."""
    shown: list[str] = []
    for culprit in culprits:
        if len(shown) == _SHOWN:
            return ", ".join(shown) + ", ..."
        shown.append(culprit)
    return ", ".join(shown)
