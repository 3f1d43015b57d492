"""A join by pixels, through a reference that holds the key of each example in a known order.

position, proof = join_pixels(ours, theirs, reference, allow_missing=False)
"""

from __future__ import annotations

import collections
import dataclasses
import os

import numpy as np
from numpy.typing import NDArray

from memtools.alignment import orders
from memtools.alignment.known_examples import KnownExamples
from memtools.alignment.pixels import Reference, keys_of
from memtools.datasets.image_pixels import read_images
from memtools.datasets.listing import Listing
from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.npz import Array
from memtools.wording import list_first


def join_pixels(
    ours: KnownExamples, theirs: Listing, reference: Reference | None, *, allow_missing: bool
) -> tuple[NDArray[np.int64], str]:
    """Return the position of each image in the order of the numbers, and how it is known.

    Args:
        ours: The examples of the numbers.
        theirs: The data set, with images uint8 [n_theirs, height, width, channels].
        reference: The keys of all examples, in the order of the numbers or in one that leads to it.
        allow_missing: Leave images without a number that occur more than once in the data set.

    Returns:
        int64 [n_theirs], -1 for an image that the reference lacks; and the proof in words.

    Raises:
        ConfigError: There is no reference.
        AlignmentError: The reference is of other examples, most images are not in it, or copies
            cannot be told apart.
    """
    if reference is None or theirs.images is None:
        raise ConfigError(
            f"there is no reference of the official order to join by pixels, and nothing else tells"
            f" the examples apart: {theirs.what or 'the data set'}",
            hint="make it once: memtools align --reference DIR --out keys.npz",
        )
    to_ours = _order_of(reference, ours)
    if ours.labels is not None and _contradict(np.asarray(ours.labels)[to_ours], reference.labels):
        raise AlignmentError(
            "the labels of the reference are not those of the numbers",
            hint="check that it is the same data set, and the same split",
        )
    found, ambiguous = _look_up(theirs.images, theirs.labels, reference)
    n_lost = int(np.count_nonzero(found < 0)) - len(ambiguous)
    if 2 * n_lost > len(found):  # a few are other images; most are the same, decoded in another way
        raise AlignmentError(
            f"{n_lost:,} of {len(found):,} images have the pixels of no example of the reference",
            hint=reference.mismatch_hint,
        )
    if ambiguous and not allow_missing:
        raise AlignmentError(
            f"{len(ambiguous):,} images occur more than once in the data set itself, and"
            f" nothing tells them apart: {list_first(f'number {k}' for k in ambiguous)}",
            hint="allow_missing (--allow-missing) leaves them without a number",
        )
    note = f"; {len(ambiguous):,} are ambiguous and left out" if ambiguous else ""
    return np.where(found >= 0, to_ours[found], -1), "by their pixels" + note


def _contradict(ours: Array, theirs: Array) -> bool:
    """Return whether known labels differ; -1 stands for a label that is not known."""
    return bool(((ours != theirs) & (ours >= 0)).any())


def with_images(theirs: Listing) -> Listing:
    """Return the listing with the pixels of its image files, if it names nothing but files."""
    names = theirs.names
    if theirs.images is not None or names is None or not all(map(os.path.isfile, names)):
        return theirs
    return dataclasses.replace(theirs, images=read_images(names))


def _order_of(reference: Reference, ours: KnownExamples) -> NDArray[np.int64]:
    """Return the position in the order of the numbers of each example of the reference."""
    about, n = ours.about, len(reference.keys)
    if n != ours.n:
        raise AlignmentError(
            f"the reference has {n:,} examples, and there are {ours.n:,} numbers",
            hint="make the reference from a copy of this data set and split",
        )
    if not orders.same_dataset(about.dataset or reference.about.dataset, reference.about.dataset):
        raise AlignmentError(
            f"the reference is of {reference.about.dataset}, the numbers of {about.dataset}",
            hint="make the reference from a copy of this data set",
        )
    if not about.order:
        raise AlignmentError(
            "the order of the numbers is not recorded",
            hint="declare it when you load them: memtools.load(path, order=...) (--order)",
        )
    return orders.convert(
        np.arange(n),
        order=reference.about.order,
        to=about.order,
        dataset=reference.about.dataset,
        split=ours.split,
    )


def _look_up(
    images: Array, labels: Array | None, reference: Reference
) -> tuple[NDArray[np.int64], list[int]]:
    """Return the position of each image in the reference, or -1, and which are ambiguous."""
    places: dict[bytes, list[int]] = collections.defaultdict(list)
    for place, key in enumerate(reference.keys):
        places[key].append(place)
    found, ambiguous = np.full(len(images), -1, np.int64), []
    for k, key in enumerate(keys_of(images)):
        candidates = places.get(key, [])
        if len(candidates) > 1 and labels is not None:
            candidates = [each for each in candidates if reference.labels[each] == labels[k]]
        if len(candidates) == 1:
            found[k] = candidates[0]
        elif candidates:
            ambiguous.append(k)
    return found, ambiguous
