"""Which image goes into which shard: decided from names alone, before any image is read.

    plan = make_plan(source.listing(), index, split="train", seed=0, n_shards=1024)
    plan.shards[0].index               # positions in the published order, shuffled

The permutation is one of the whole index, drawn from the seed: it knows nothing of the
source, so a folder and a tar give identical shards.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from memtools.alignment.name_table import NameTable
from memtools.datasets.class_folders import folder_kind, misplaced, word_labels
from memtools.datasets.image_stems import parse_names
from memtools.datasets.names import NameColumn
from memtools.errors import ConfigError, RecordError
from memtools.estimates.model import ExampleIndex
from memtools.estimates.npz import Array
from memtools.tfrecords.ledger import stored_split
from memtools.tfrecords.source_listing import Listing

SHOWN = 20  # names of each kind of trouble; the rest is a count
N_SHARDS = {"train": 1024, "validation": 128}  # of the classic sets


@dataclasses.dataclass(frozen=True)
class Shard:
    """What one file holds, in order.

    number: of n_shards, 0-based. index: int64 [n], positions in the published order. names:
    bytes [n], as published. labels: int64 [n], 0-based. synsets: bytes [n]. files, folders:
    bytes [n], the name and the folder under which the source keeps the image; places: int64
    [n, 2], offset and size in it.
    """

    number: int
    index: Array
    names: Array
    labels: Array
    synsets: Array
    files: Array
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
    class_folders: str = "auto",
    texts: Mapping[bytes, bytes] | None = None,
) -> list[Shard]:
    """The shards of one split: the index's order, shuffled, dealt out evenly.

    Args:
        listing: What the source holds; names may be in any writing of `identity.identify`.
        index: The published names and labels.
        split: One of `train`, `test`, `val` and `validation`.
        seed: The seed of the permutation.
        n_shards: The number of files.
        allow_missing: Whether the source may lack images of the index.
        skip: Names to leave out.
        class_folders: How class folders are named: one of `class_folders.KINDS`.
        texts: The words of each synset, to check folders of words.

    Raises:
        RecordError: If names are missing, unknown, there twice, or in a folder of another class,
            with the first 20 of each.
        ConfigError: If the index has no names of this split, or if the class folders are not of
            one kind.
    """
    names, labels, synsets = columns_of(index, split)
    table = _table(names)
    skipped = _marked(names, table, skip)
    positions, claims = _positions(table, listing.names)
    wrong = _wrong_claims(positions, claims, synsets)
    wrong |= _in_wrong_folders(listing, positions, labels, synsets, class_folders, texts)
    rows = _rows(listing, names, positions, skipped, wrong, allow_missing)
    permutation = np.random.default_rng(np.random.SeedSequence(seed)).permutation(len(names))
    permutation = permutation[rows[permutation] >= 0]
    shards = []
    for number, chosen in enumerate(np.array_split(permutation, n_shards)):
        row, published = rows[chosen], names[chosen]
        files = listing.names[row]
        shards.append(
            Shard(
                number,
                chosen,
                published,
                labels[chosen],
                synsets[chosen],
                # One array where both agree: pickled once, it takes the room of one.
                published if np.array_equal(files, published) else files,
                listing.folders[listing.codes[row]],
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
    split = stored_split(split)
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


def _table(names: Array) -> NameTable:
    """Return the table of the published names; RecordError if an image is there twice."""
    table = NameTable(parse_names(NameColumn.from_array(names))[0])
    if len(table.repeated):
        raise RecordError(
            "the index is not one of distinct images: " + _words("twice", names[table.repeated]),
            hint="check the index file",
        )
    return table


def _positions(table: NameTable, names: Array) -> tuple[Array, Array]:
    """Return the position of each name in the index, int64 [n], or -1; and its claimed synset."""
    stems, claims = parse_names(NameColumn.from_array(names))
    return table.find(stems), claims


def _wrong_claims(positions: Array, claims: Array, synsets: Array) -> Array:
    """Return which names have the synset of another class behind them, bool [n]."""
    wrong = np.zeros(len(positions), np.bool_)
    claimed = np.flatnonzero((claims >= 0) & (positions >= 0))
    if len(claimed):
        text = np.array([b"n%08d" % code for code in claims[claimed].tolist()], "S")
        wrong[claimed] = text != synsets[positions[claimed]]
    return wrong


def _in_wrong_folders(
    listing: Listing,
    positions: Array,
    labels: Array,
    synsets: Array,
    class_folders: str,
    texts: Mapping[bytes, bytes] | None,
) -> Array:
    """Return which images stand in the folder of another class, bool [n]."""
    classes = sorted(set(listing.classes) - {""})
    if not classes or not len(labels):
        return np.zeros(len(positions), np.bool_)
    code = {name: n for n, name in enumerate(classes)}
    codes = np.array([code.get(name, -1) for name in listing.classes])[listing.codes]
    found = np.where(positions >= 0, labels[positions], -1)
    by_label = np.zeros(int(labels.max()) + 1, synsets.dtype)
    by_label[labels] = synsets
    words = [(texts or {}).get(bytes(each), b"").decode("utf-8", "replace") for each in by_label]
    return misplaced(
        codes,
        found,
        classes,
        folder_kind(classes, class_folders),
        synsets=by_label.astype(str).tolist(),
        words=word_labels(words) if texts else None,
    )


def _rows(
    listing: Listing,
    names: Array,
    positions: Array,
    skipped: Array,
    wrong: Array,
    allow_missing: bool,
) -> Array:
    """For each name of the index its row in the listing; -1 where it is left out."""
    found = np.flatnonzero(positions >= 0)
    rows = np.full(len(names), -1)
    rows[positions[found][::-1]] = found[::-1]  # of several, the first stays
    again = found[rows[positions[found]] != found]
    rows[skipped] = -1
    missing = names[(rows < 0) & ~skipped]
    troubles = {
        "missing": missing[:0] if allow_missing else missing,
        "not in the index": listing.names[positions < 0],
        "there twice": listing.names[again],
        "in a folder of another class": listing.names[wrong],
    }
    named = {what: which for what, which in troubles.items() if len(which)}
    if named:
        raise RecordError(
            "the images are not those of the index: "
            + "; ".join(_words(what, which) for what, which in named.items()),
            hint="complete the source, or add --allow-missing for a deliberate subset"
            if named.keys() == {"missing"}
            else "is it the right source for this index and split? put these names right first",
        )
    return rows


def _marked(names: Array, table: NameTable, skip: Sequence[str]) -> Array:
    """Which names are to be left out, bool [n]; ConfigError for one that is not there."""
    marked = np.zeros(len(names), np.bool_)
    if not skip:
        return marked
    wanted = np.array([name.encode() for name in skip], "S")
    positions, _ = _positions(table, wanted)
    unknown = wanted[positions < 0]
    if len(unknown):
        raise ConfigError(
            "to be left out, but not in the index: " + _words("names", unknown),
            hint="list base names of the index, one in a line",
        )
    marked[positions] = True
    return marked


def _words(what: str, names: Array) -> str:
    shown = ", ".join(name.decode("utf-8", "replace") for name in names[:SHOWN])
    rest = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{len(names):,} {what} ({shown}{rest})"
