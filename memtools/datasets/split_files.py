"""Files of arrays that hold several splits: those of medmnist, Keras and memtools.

read_splits(Path("pathmnist.npz"), "val")    # val_images and val_labels
read_splits(Path("mnist.npz"), "test")       # x_test and y_test
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from memtools.datasets.example_columns import IMAGES, LABELS, NAMES, read_columns
from memtools.datasets.listing import Listing
from memtools.datasets.splits import parse_split
from memtools.errors import ConfigError
from memtools.estimates import columns as roles
from memtools.estimates.npz import Array, Npz

_WORDS = {"train": ("train", "tr"), "val": ("val", "validation"), "test": ("test", "tt")}
_WANTED = {
    "train": ("train",),
    "test": ("test", "val"),
    "val": ("val", "test"),
    "validation": ("val", "test"),
}
_KNOWN = {*IMAGES, *LABELS, *NAMES, *roles.POSITIONS}


def read_splits(path: Path, split: str) -> Listing:
    """Return the examples of one split of an npz; of all, where its arrays name no split.

    Args:
        path: The npz.
        split: `train`, `test`, `val` or `validation`. Of a file with all three, `val` and
            `validation` mean its own arrays; else they mean the test split.

    Returns:
        The listing.

    Raises:
        ConfigError: It has no array that we know, or none of this split.
        SchemaError: It is damaged.
    """
    parsed = parse_split(split)
    with Npz(path) as arrays:
        members = _members(arrays)
        splits = {name for name, _ in members}
        wanted = next((name for name in _WANTED[split] if name in splits), "")
        if not wanted and splits - {""}:
            raise ConfigError(
                f"{path} has no {split} split: it has {', '.join(sorted(splits - {''}))}",
                hint="name another split",
            )
        columns = {role: arrays[key] for (name, role), key in members.items() if name == wanted}
        columns = _beside(arrays, members, columns, alone=len(splits - {""}) < 2) | columns
        if not columns:
            raise ConfigError(
                f"{path} is not a list of examples: its arrays are {', '.join(arrays)}",
                hint=f"it needs an array of names ({', '.join(NAMES[:2])}), images or labels",
            )
        listing = read_columns(columns, str(path))
    if wanted in ("train", "test") and wanted == parsed:
        return Listing(listing.names, listing.labels, listing.images, listing.index, split=wanted)
    return listing


def _beside(
    arrays: Npz,
    members: Mapping[tuple[str, str], str],
    columns: Mapping[str, Array],
    *,
    alone: bool,
) -> dict[str, Array]:
    """Return arrays whose names tell no split, if they belong to the examples of the wanted one.

    Those of another length belong to it only if it is the only split. Of unknown names only
    integers are taken: they may be positions.
    """
    n = next((len(column) for column in columns.values() if column.ndim), 0)
    found = {}
    for role, key in ((role, key) for (name, role), key in members.items() if not name):
        shape = arrays.shape(key)
        if role not in columns and columns and shape and (alone or shape[0] == n):
            found[role] = arrays[key]
    for key in set(arrays) - set(members.values()):
        if arrays.shape(key) in ((n,), (n, 1)) and arrays.dtype(key).kind in "iu":
            found[key] = arrays[key]
    return found


def _members(keys: Collection[str]) -> dict[tuple[str, str], str]:
    """Return the key of each (split, role): `train_images`, `x_train` and `images` alike."""
    members: dict[tuple[str, str], str] = {}
    for key in keys:
        folded = key.casefold()
        if folded in _KNOWN:
            members["", folded] = key
            continue
        for split, words in _WORDS.items():
            word = "|".join(words)
            match = re.fullmatch(rf"(?:{word})_(?P<a>.+)|(?P<b>.+)_(?:{word})", folded)
            role = match and (match["a"] or match["b"])
            if role in _KNOWN:
                members.setdefault((split, role), key)
    return members
