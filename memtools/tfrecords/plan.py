"""Which image goes into which shard: decided from names alone, before any image is read.

    plan = make_plan(source.listing(), index, split="train", seed=0, n_shards=1024)
    plan.shards[0].index               # positions in the published order, shuffled

The permutation is one of the whole index, drawn from the seed: it knows nothing of the
source, so a folder and a tar give identical shards.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from memtools.errors import ConfigError, RecordError
from memtools.estimates.model import ExampleIndex
from memtools.estimates.npz import Array
from memtools.tfrecords.sources import Listing

SHOWN = 20  # names of each kind of trouble; the rest is a count
N_SHARDS = {"train": 1024, "validation": 128}  # of the classic sets


@dataclasses.dataclass(frozen=True)
class Shard:
    """What one file holds, in order.

    number: of n_shards, 0-based. index: int64 [n], positions in the published order. names:
    bytes [n]. labels: int64 [n], 0-based. synsets: bytes [n]. folders: bytes [n], where the
    source keeps the image; places: int64 [n, 2], offset and size in it.
    """

    number: int
    index: Array
    names: Array
    labels: Array
    synsets: Array
    folders: Array
    places: Array


def make_plan(
    listing: Listing,
    index: ExampleIndex,
    *,
    split: str,
    seed: int,
    n_shards: int,
    allow_missing: bool = False,
    skip: Sequence[str] = (),
) -> list[Shard]:
    """The shards of one split: the index's order, shuffled, dealt out evenly.

    allow_missing: whether the source may lack images of the index. skip: names to leave out.

    Raises RecordError if names are missing, unknown, there twice, or in a folder of another
    class, with the first 20 of each; ConfigError if the index has no names of this split.
    """
    names, labels, synsets = columns_of(index, split)
    skipped = _marked(names, skip)
    rows = _rows(listing, names, synsets, skipped, allow_missing)
    permutation = np.random.default_rng(np.random.SeedSequence(seed)).permutation(len(names))
    permutation = permutation[rows[permutation] >= 0]
    shards = []
    for number, chosen in enumerate(np.array_split(permutation, n_shards)):
        row = rows[chosen]
        shards.append(
            Shard(
                number,
                chosen,
                names[chosen],
                labels[chosen],
                synsets[chosen],
                listing.synsets[row],
                listing.places[row],
            )
        )
    return shards


def synsets_of(index: ExampleIndex) -> Array:
    """The synset of each label, bytes [n_classes], out of the training names themselves."""
    names, labels = index.filenames, index.labels
    if names is None or labels is None:
        raise ConfigError(
            "the index has no names and labels of the training images",
            hint="use the published imagenet-index, or a file of its form",
        )
    if len(labels) != len(names):
        raise RecordError(
            f"the index has {len(names):,} names and {len(labels):,} labels of the training images",
            hint="check the index file",
        )
    known, first = np.unique(labels, return_index=True)
    if not np.array_equal(known, np.arange(len(known))):
        raise RecordError("the labels of the index leave one out", hint="check the index file")
    return np.array([str(name).partition("_")[0].encode() for name in names[first]], "S")


def columns_of(index: ExampleIndex, split: str) -> tuple[Array, Array, Array]:
    """(names as bytes, labels, synsets) of a split, each [n]; ConfigError if there are none."""
    names, labels = {
        "train": (index.filenames, index.labels),
        "validation": (index.test_filenames, index.test_labels),
    }[split]
    if names is None or labels is None:
        raise ConfigError(
            f"the index has no names and labels of the {split} images",
            hint="use the published imagenet-index, or a file of its form",
        )
    synsets, labels = synsets_of(index), labels.astype(np.int64)
    if len(labels) != len(names):
        raise RecordError(
            f"the index has {len(names):,} names and {len(labels):,} labels of the {split} images",
            hint="check the index file",
        )
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(synsets)):
        raise RecordError(
            f"the labels of the {split} images go from {labels.min()} to {labels.max()},"
            f" and there are {len(synsets):,} classes from 0 on",
            hint="check the index file: are its labels counted from 1?",
        )
    return np.char.encode(names, "utf-8"), labels, synsets[labels]


def digest_of_index(index: ExampleIndex, split: str) -> str:
    """sha256 of what the index says of a split: sets built with another one differ in it."""
    sha256 = hashlib.sha256()
    for column in columns_of(index, split):
        sha256.update(np.ascontiguousarray(column).tobytes())
    return sha256.hexdigest()


def _rows(
    listing: Listing, names: Array, synsets: Array, skipped: Array, allow_missing: bool
) -> Array:
    """For each name of the index its row in the listing; -1 where it is left out."""
    order = np.argsort(listing.names, kind="stable")
    found = listing.names[order]
    twice = found[1:][found[1:] == found[:-1]]
    if len(found):
        at = np.minimum(np.searchsorted(found, names), len(found) - 1)
        rows = np.where(found[at] == names, order[at], -1)
    else:
        rows = np.full(len(names), -1)
    met = np.zeros(len(listing.names), np.bool_)
    met[rows[rows >= 0]] = True
    unknown = listing.names[~met]
    unknown = unknown[~np.isin(unknown, twice)]
    folders = listing.synsets[rows] if len(found) else np.zeros(len(names), "S1")
    mislabelled = (rows >= 0) & (folders != b"") & (folders != synsets)
    rows[skipped] = -1
    missing = names[(rows < 0) & ~skipped]
    troubles = {
        "missing": missing[:0] if allow_missing else missing,
        "not in the index": unknown,
        "there twice": twice,
        "in a folder of another class": names[mislabelled],
    }
    wrong = {what: which for what, which in troubles.items() if len(which)}
    if wrong:
        raise RecordError(
            "the images are not those of the index: "
            + "; ".join(_words(what, which) for what, which in wrong.items()),
            hint="complete the source, or add --allow-missing for a deliberate subset"
            if wrong.keys() == {"missing"}
            else "is it the right source for this index and split? put these names right first",
        )
    return rows


def _marked(names: Array, skip: Sequence[str]) -> Array:
    """Which names are to be left out, bool [n]; ConfigError for one that is not there."""
    wanted = np.array([name.encode() for name in skip], "S")
    unknown = wanted[~np.isin(wanted, names)]
    if len(unknown):
        raise ConfigError(
            "to be left out, but not in the index: " + _words("names", unknown),
            hint="list base names of the index, one in a line",
        )
    return np.isin(names, wanted)


def _words(what: str, names: Array) -> str:
    shown = ", ".join(name.decode("utf-8", "replace") for name in names[:SHOWN])
    rest = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{len(names):,} {what} ({shown}{rest})"
