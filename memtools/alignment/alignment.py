"""From the order of published numbers to that of the user's own data set, proven.

    alignment = align(estimates, to=torchvision.datasets.ImageFolder(root))
    alignment.take(estimates.memorization)   # float [n_theirs], in the order of the data set
    alignment.proof                          # how the two were brought together

The files of this family follow three orders, and a join by position can be silently wrong; so
examples are joined by what they are: a file name, an id of TFDS, their pixels, or the position that
a data set object in a known order itself tells. A declared order is believed only if the lengths
are equal and every label agrees, and even then a permutation within classes cannot be seen.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.alignment import orders
from memtools.alignment.known_examples import KnownExamples, require_same_data
from memtools.alignment.name_join import (
    join_names,
    official_positions,
    require_plausible_agreement,
)
from memtools.alignment.pixel_join import join_pixels, with_images
from memtools.alignment.pixels import Reference
from memtools.alignment.position_join import join_positions
from memtools.arguments import StrPath, checked
from memtools.datasets.data_sources import listing_of
from memtools.datasets.listing import Listing
from memtools.datasets.splits import Split, parse_split
from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.about import Declaration
from memtools.estimates.model import Estimates, ExampleIndex
from memtools.estimates.npz import Array
from memtools.estimates.scores import Scores
from memtools.wording import SHOWN, list_first


@dataclasses.dataclass(frozen=True, eq=False)
class Alignment:
    """The example of the numbers that each example of a data set is.

    Attributes:
        position: int64 [n_theirs], in the order of the numbers; -1 where they have none.
        inverse: int64 [n_ours], in the data set; -1 where it has none.
        proof: How that is known, in words.
        what: What `inverse` counts in, such as `torchvision CIFAR100, Subset`.
        order: The order in which the examples of the data set stand; empty where it has no name.
        split: `train` or `test`: which examples were aligned.
    """

    position: NDArray[np.int64]
    inverse: NDArray[np.int64]
    proof: str
    what: str = "the data set"
    order: str = ""
    split: Split = "train"

    @property
    def found(self) -> NDArray[np.bool_]:
        """The examples of the data set that have numbers, bool [n_theirs]."""
        return self.position >= 0

    @property
    def missing(self) -> NDArray[np.int64]:
        """Positions of the numbers whose example the data set lacks, ascending."""
        return np.flatnonzero(self.inverse < 0)

    @property
    def extra(self) -> NDArray[np.int64]:
        """Examples of the data set for which there are no numbers, ascending."""
        return np.flatnonzero(self.position < 0)

    @checked("alignment.take(estimates.memorization)")
    def take(self, values: Array) -> Array:
        """Return numbers in the order of the data set, float [n_theirs]; NaN where there are none.

        values: [n_ours]. Raises ConfigError for another length.
        """
        values = np.asarray(values)
        numeric = values.dtype.kind in "fiub"
        if values.shape != self.inverse.shape or not numeric:
            what = f"{values.size:,} numbers" if numeric else "what is not an array of numbers"
            raise ConfigError(
                f"{what} for an order of {len(self.inverse):,} examples",
                hint="take the numbers that were aligned, such as estimates.memorization",
            )
        dtype = values.dtype if values.dtype.kind == "f" else np.float64
        taken = np.full(len(self.position), np.nan, dtype)
        taken[self.found] = values[self.position[self.found]]
        return taken


@checked("memtools.align(estimates, to=dataset)")
def align(
    numbers: Estimates | Scores | ExampleIndex,
    to: Any = None,
    *,
    labels: Any = None,
    split: str = "train",
    order: str = "",
    reference: Reference | StrPath | None = None,
    allow_missing: bool = False,
) -> Alignment:
    """Bring published or regenerated numbers and a data set together.

    Args:
        numbers: What `memtools.load` or `memtools.estimate` returns.
        to: File names (a list, or a file of them), a directory of images, a data set object of
            torchvision or Hugging Face, a `Subset` of one, ids of TFDS, or images, uint8
            [n, height, width, channels], which need a reference (memtools.alignment.pixels). With
            a declared order also the labels alone; or None for all examples in that order.
        labels: int [n], if the data set does not tell them.
        split: `train` or `test`; `val` and `validation` mean `test`.
        order: An order that the user declares: `official`, `published`, `tfds` or `file`. It is
            that of the data set, unless its object or its ids tell their positions, and that of
            the numbers, if theirs is not recorded. A data set in a declared order must have all
            examples, and equal labels where both sides have some. Where both sides have file names
            these are joined instead.
        reference: The keys of the pixels of all examples; or the path of a file of them, or of an
            official copy of CIFAR or MNIST.
        allow_missing: Accept examples that only one side has.

    Returns:
        The positions both ways, and how they are known.

    Raises:
        AlignmentError: Names or examples occur twice, labels disagree, names are not known,
            examples are missing, or an order does not lead to the other.
        ConfigError: The two cannot be compared at all.
    """
    side = parse_split(split)
    if isinstance(reference, str | os.PathLike):
        reference = Reference.of_path(reference, split)
    ours = KnownExamples.of(numbers, side)
    theirs = _all_examples(ours, order) if to is None else listing_of(to, labels, split=split)
    theirs = _with_positions_of_ids(ours, theirs)
    declared = order
    if order and theirs.order:
        ours = dataclasses.replace(ours, about=Declaration(order=order).complete(ours.about))
        order = ""
    require_same_data(ours, theirs)
    position, proof = _join(ours, theirs, order, reference, allow_missing)
    named = _order_of(ours, theirs, declared, position)
    inverse = _inverted(position, ours.n, theirs)
    by_position = bool(order or theirs.order)
    proof += _compare_labels(ours, theirs, position, renumbered=not by_position)
    what = theirs.what or "the data set"
    alignment = Alignment(position, inverse, proof, what, named, side)
    _require_match(alignment, ours, theirs, allow_missing)
    return alignment


def _all_examples(ours: KnownExamples, order: str) -> Listing:
    """Return a listing of all examples of the numbers' data set, in a declared order."""
    if not order:
        raise ConfigError(
            "no data set was given",
            hint="give one (--to DATA), or an order to bring the numbers into (--order ORDER)",
        )
    orders.require_order(order)
    name = ours.about.dataset or "the data set"
    known = orders.n_examples(name, ours.split) if ours.partial else None
    return Listing(index=np.arange(known or ours.n), what=f"{name} in the order {order!r}")


def _order_of(
    ours: KnownExamples, theirs: Listing, declared: str, position: NDArray[np.int64]
) -> str:
    """Return the order in which all examples stand one after the other; "" for any other list."""
    order = theirs.order or declared or ours.about.order
    wanted = ours.about.order or order
    if not order or len(position) < ours.n:
        return ""
    every, dataset = np.arange(len(position)), ours.about.dataset or theirs.dataset
    try:
        expected = orders.convert(every, order=order, to=wanted, dataset=dataset, split=ours.split)
    except AlignmentError:  # joined by names or pixels, and the orders have nothing in common
        return ""
    found = position >= 0
    return order if np.array_equal(position[found], expected[found]) else ""


def _join(
    ours: KnownExamples,
    theirs: Listing,
    order: str,
    reference: Reference | None,
    allow_missing: bool,
) -> tuple[NDArray[np.int64], str]:
    """Return the positions of their examples in the numbers, by the best that both sides know."""
    named = ours.names is not None and theirs.names is not None
    if order and not named:  # names tell examples apart, a declaration is only believed
        return join_positions(ours, theirs, order)
    if reference is not None:
        pictured = theirs if ours.names is not None else with_images(theirs)
        if pictured.images is not None:
            return join_pixels(ours, pictured, reference, allow_missing=allow_missing)
    if theirs.order:
        position, proof = join_positions(ours, theirs, "")
        return position, proof if theirs.names is None else "by the ids of TFDS"
    if theirs.names is not None:
        return _join_by_name(ours, theirs.names)
    if theirs.images is not None:
        return join_pixels(ours, theirs, None, allow_missing=allow_missing)
    raise ConfigError(
        "labels or positions alone do not tell one example from another",
        hint='give names or images; or say order="official" (--order official) if you know it',
    )


def _with_positions_of_ids(ours: KnownExamples, theirs: Listing) -> Listing:
    """Return the listing with the official positions that its names are, if they are ids of TFDS.

    Where the numbers name their examples by such ids, too, the names are joined as they are.
    """
    if theirs.names is None or theirs.order:
        return theirs
    if ours.names is not None and official_positions(ours.names[:1]) is not None:
        return theirs
    ids = official_positions(theirs.names)
    if ids is None:
        return theirs
    split, index = ids
    return dataclasses.replace(theirs, index=index, order="official", split=split)


def _join_by_name(ours: KnownExamples, names: Sequence[str]) -> tuple[NDArray[np.int64], str]:
    if ours.names is None:
        raise AlignmentError(
            f"the numbers have no file names, and {names[0]!r} is not an id of TFDS",
            hint="join by pixels (a reference), or by order= with labels",
        )
    position = join_names(ours.names, names, labels=ours.labels, synsets=ours.synsets)
    require_plausible_agreement(position, ours.n, names)
    return position, "by file name"


def _inverted(position: NDArray[np.int64], n_ours: int, theirs: Listing) -> NDArray[np.int64]:
    """Return where each of ours stands in theirs; AlignmentError if one stands there twice."""
    inverse = np.full(n_ours, -1, np.int64)
    found = np.flatnonzero(position >= 0)
    inverse[position[found]] = found
    again = found[inverse[position[found]] != found]
    if len(again):
        pairs = ((k, int(inverse[position[k]])) for k in again[:SHOWN].tolist())
        words = "; ".join(f"{_describe(theirs, a)} and {_describe(theirs, b)}" for a, b in pairs)
        raise AlignmentError(
            f"{len(again):,} examples are there twice in the data set: {words}",
            hint="each example may come once: remove copies, or name another folder",
        )
    return inverse


def _compare_labels(
    ours: KnownExamples, theirs: Listing, position: NDArray[np.int64], *, renumbered: bool
) -> str:
    """Return what the labels tell, in words; AlignmentError if they contradict.

    renumbered: accept labels that differ only because the data set lacks some classes.
    """
    if theirs.labels is None or ours.labels is None:
        return "; labels were not there to be compared"
    found = np.flatnonzero(position >= 0)
    found = found[np.asarray(ours.labels)[position[found]] >= 0]  # -1: the numbers do not tell it
    mine, other = np.asarray(ours.labels)[position[found]], theirs.labels[found]
    wrong = found[mine != other]
    if not len(wrong):
        return f"; {len(found):,} labels agree"
    if renumbered and _are_renumbered(mine, other, np.unique(ours.labels)):
        return "; labels agree, numbered by the classes that the data set has"
    words = "; ".join(
        f"{_describe(theirs, k)} is {theirs.labels[k]} there, {ours.labels[position[k]]} here"
        for k in wrong[:SHOWN].tolist()
    )
    raise AlignmentError(
        f"{len(wrong):,} of {len(found):,} labels disagree: {words}",
        hint="the data set is shifted, relabelled, or another one",
    )


def _are_renumbered(mine: Array, other: Array, every: Array) -> bool:
    """Return whether labels differ only because absent classes were left out in counting."""
    there = np.unique(mine)
    return len(there) < len(every) and np.array_equal(np.searchsorted(there, mine), other)


def _require_match(
    alignment: Alignment, ours: KnownExamples, theirs: Listing, allow_missing: bool
) -> None:
    extra, missing = alignment.extra, alignment.missing
    n = len(theirs)
    if len(extra) == n:
        raise AlignmentError(
            f"none of the {n:,} examples has a number:"
            f" {list_first(_describe(theirs, k) for k in extra.tolist())}",
            hint="check that it is the data set of these numbers, and the same split",
        )
    words = []
    if len(extra) and not ours.partial:
        shown = list_first(_describe(theirs, k) for k in extra.tolist())
        words.append(f"{len(extra):,} have no number: {shown}")
    if len(missing) and not theirs.chosen:
        shown = list_first(ours.describe(k) for k in missing.tolist())
        words.append(f"{len(missing):,} are missing: {shown}")
    if words and not allow_missing:
        raise AlignmentError(
            f"of {n:,} examples and {ours.n:,} numbers, {int(alignment.found.sum()):,} fit; "
            + "; ".join(words),
            hint="allow_missing (--allow-missing) makes them explicit",
        )


def _describe(listing: Listing, k: int) -> str:
    return listing.names[k] if listing.names is not None else f"number {k}"
