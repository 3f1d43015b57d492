"""Examples that have the same name, in two lists of names.

    join_names(ours, theirs, labels=, synsets=) -> int64 [n_theirs]: positions in ours, or -1
    class_synsets(names, labels) -> {synset: label} | None, from the names of training images
    official_positions(names) -> ("train" | "test", int64 [n]) | None, from the ids of TFDS
    require_plausible_agreement(positions, n_ours, theirs)   after a join, with allow_missing, too

`ours` and `theirs` may be all that NameColumn.of accepts. 1,281,167 names are joined in 0.8 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.alignment.name_table import NameTable
from memtools.datasets.image_stems import parse_names, synset_codes
from memtools.datasets.names import NameColumn
from memtools.errors import AlignmentError
from memtools.estimates import tfds_ids
from memtools.estimates.npz import Array
from memtools.wording import SHOWN, list_first

LEAST_SHARE = 0.5
"""The share of the smaller side that must be found; see `require_plausible_agreement`."""

_Names = NameColumn | list[Any] | tuple[Any, ...]

_PART = 1 << 17  # names of a list that are columns at the same time


def join_names(
    ours: Any,
    theirs: Any,
    *,
    labels: Array | None = None,
    synsets: Mapping[str, int] | None = None,
) -> NDArray[np.int64]:
    """Return where each example of a data set stands among the published ones, by its name.

    Names are compared without folder, extension and the suffix of Hugging Face. A name that comes
    twice in `theirs` is found twice.

    Args:
        ours: Published names, n_ours.
        theirs: Names of the data set, n_theirs.
        labels: The labels of the published examples, int [n_ours], or None.
        synsets: The label of each synset, from `class_synsets`; None to read it from `ours` if it
            is needed. A folder or suffix that is a synset must be that of the label. Names of
            validation images do not tell it: give that of the training images.

    Returns:
        Positions in `ours`, int64 [n_theirs]; -1 where no published example has the name.

    Raises:
        AlignmentError: Published names come twice; names differ in upper and lower case only; a
            folder or suffix is a synset that is not known, or that of another class.
        ConfigError: An element is not a name.
    """
    published = parse_names(NameColumn.of(ours))[0]
    table = NameTable(published)
    if len(table.repeated):
        twice = dict.fromkeys(table.names[k] for k in table.repeated.tolist())
        raise AlignmentError(
            f"the published names come twice: {list_first(twice)}",
            hint="repair that file",
        )
    names = theirs if isinstance(theirs, (list, tuple)) else NameColumn.of(theirs)
    positions, claims = _find(table, names)
    _require_known_case(positions, names, published)
    doubtful = np.flatnonzero(claims >= 0)
    if len(doubtful) and labels is not None:
        known = _class_synsets(published, labels) if synsets is None else synsets
        if known is not None:
            _require_claims(positions, names, claims, np.asarray(labels), known)
    return positions


def _find(table: NameTable, names: _Names) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the positions of names, int64 [n], and the synsets that they claim, int32 [n].

    The claim is -1 where there is none, and where the name itself begins with that synset. A list
    is read in parts: as a whole it would take as much memory again.
    """
    positions, claims = np.empty(len(names), np.int64), np.empty(len(names), np.int32)
    for k in range(0, len(names), _PART):
        stems, claimed = parse_names(NameColumn.of(names[k : k + _PART]))
        positions[k : k + _PART] = table.find(stems)
        claims[k : k + _PART] = np.where(claimed == synset_codes(stems), -1, claimed)
    return positions, claims


def class_synsets(names: Any, labels: Array) -> dict[str, int] | None:
    """Return the label of each synset, as the names of training images tell it.

    Args:
        names: Names of training images, n.
        labels: Their labels, int [n].

    Returns:
        {synset: label}; None where a name does not begin with a synset, or where images of one
        synset have several labels.
    """
    return _class_synsets(parse_names(NameColumn.of(names))[0], labels)


def _class_synsets(stems: NameColumn, labels: Array) -> dict[str, int] | None:
    codes = synset_codes(stems)
    if not len(codes) or codes.min() < 0:
        return None
    known, first = np.unique(codes, return_index=True)
    found = np.asarray(labels)[first]
    if (found[np.searchsorted(known, codes)] != labels).any():
        return None
    return {f"n{code:08d}": int(label) for code, label in zip(known, found, strict=True)}


def official_positions(names: Any) -> tuple[str, NDArray[np.int64]] | None:
    """Return the split and the official positions that ids of TFDS such as train_01234 name.

    An id has neither folder nor extension: test_0.JPEG is an image of another data set.

    Args:
        names: Names or ids, n.

    Returns:
        The split, `train` or `test`, and the positions, int64 [n]; None if the first name is not
        an id of TFDS.

    Raises:
        AlignmentError: The first name is such an id, and others are not, or are of another split.
    """
    first = NameColumn.of(names[:1])  # most lists hold file names, and are not read for this
    if not len(first) or not tfds_ids.is_id(first[0]):
        return None
    return tfds_ids.official_positions(list(NameColumn.of(names)))


def require_plausible_agreement(positions: NDArray[np.int64], n_ours: int, theirs: Any) -> None:
    """Raise AlignmentError if so few names agree that they may agree by chance.

    At least half of the smaller side must be found. Data sets that are numbered anew within their
    classes share some names with ImageNet: 48 of 2,000 names of Tiny ImageNet are official names
    of other images, 2.4 %, since official numbers leave gaps (1,300 images of a class have numbers
    up to 10,000 and more, so a number is taken with a chance below 13 %). A half is more than that
    by a factor of four at least, and still lets pass what people do on purpose: a subset of
    ImageNet has all of its names found, however small it is; a superset finds all of ours; and of
    two halves of ImageNet that overlap, the user can name the common part. Where it is by chance
    that more agree (a handful of names), the rule cannot tell: labels and pixels can.

    Args:
        positions: What `join_names` returned, int64 [n_theirs].
        n_ours: How many published examples there are.
        theirs: Names of the data set, n_theirs, for the message.

    Raises:
        AlignmentError: Fewer are found than half of both sides.
    """
    found = np.flatnonzero(positions >= 0)
    n_theirs = len(positions)
    if not len(found):
        raise AlignmentError(
            f"none of the {n_theirs:,} examples has a number: {list_first(theirs)}",
            hint="is it the data set of these numbers, and the same split?",
        )
    if len(found) >= LEAST_SHARE * min(n_ours, n_theirs):
        return
    names = NameColumn.of(theirs)
    unknown = np.flatnonzero(positions < 0)
    raise AlignmentError(
        f"only {len(found):,} of {n_theirs:,} names are among the {n_ours:,} published ones"
        f" ({len(found) / n_theirs:.1%}), as by chance: found are"
        f" {list_first(names[k] for k in found[: SHOWN + 1].tolist())}; not found are"
        f" {list_first(names[k] for k in unknown[: SHOWN + 1].tolist())}",
        hint="it seems to be another data set with similar names (Tiny ImageNet?); if some of the"
        " examples are the published ones, give those alone",
    )


def _require_known_case(positions: NDArray[np.int64], names: _Names, published: NameColumn) -> None:
    unknown = np.flatnonzero(positions < 0)
    if not len(unknown):
        return
    stems = parse_names(_take(names, unknown))[0]
    culprits = np.flatnonzero(NameTable(_fold_case(published)).find(_fold_case(stems)) >= 0)
    if len(culprits):
        raise AlignmentError(
            f"{len(culprits):,} names differ in upper and lower case only:"
            f" {list_first(stems[k] for k in culprits.tolist())}",
            hint="rename them as published",
        )


def _fold_case(names: NameColumn) -> NameColumn:
    """Return the names as str.casefold gives them."""
    data = names.data
    if len(data) and data.max() >= 128:
        return NameColumn.from_strings([name.casefold() for name in names])
    upper = (data >= ord("A")) & (data <= ord("Z"))
    return NameColumn(data + 32 * upper.astype(np.uint8), names.starts, names.ends)


def _require_claims(
    positions: NDArray[np.int64],
    names: _Names,
    claims: NDArray[np.int32],
    labels: Array,
    synsets: Mapping[str, int],
) -> None:
    """Raise AlignmentError if a folder or suffix is not the synset of its example.

    A name that stands under the synset with which it begins claims nothing (`_find`). If such a
    name is not published, it is an example more: data sets are larger than what was published.
    """
    doubtful = np.flatnonzero(claims >= 0)
    codes = np.array(sorted(int(synset[1:]) for synset in synsets), np.int64)
    values = np.array([synsets[f"n{code:08d}"] for code in codes.tolist()], np.int64)
    slots = np.searchsorted(codes, claims[doubtful]).clip(0, len(codes) - 1)
    unknown = doubtful[codes[slots] != claims[doubtful]]
    if len(unknown):
        raise AlignmentError(
            f"{len(unknown):,} stand under a synset that is not known:"
            f" {list_first(_take(names, unknown[: SHOWN + 1]))}",
            hint="is it the data set of these numbers?",
        )
    found = positions[doubtful]
    wrong = doubtful[(found >= 0) & (labels[found] != values[slots])]
    if len(wrong):
        raise AlignmentError(
            f"{len(wrong):,} stand in the folder of another class:"
            f" {list_first(_take(names, wrong[: SHOWN + 1]))}",
            hint="put them where they belong",
        )


def _take(names: _Names, chosen: NDArray[np.int64]) -> NameColumn:
    if isinstance(names, NameColumn):
        return names.take(chosen)
    return NameColumn.of([names[k] for k in chosen.tolist()])
