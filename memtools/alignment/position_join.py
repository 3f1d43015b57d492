"""A join by position: only in a known order, and only between lists of one length.

    position, proof = join_positions(ours, theirs, declared="official")

A data set object of a known class tells the position of each of its examples in the official order,
also of a subset of it. Any other data set needs an order that the user declares. The numbers may be
in another order if one can be computed from the other, see memtools.alignment.orders.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memtools.alignment import orders
from memtools.alignment.known_examples import KnownExamples
from memtools.datasets.identity import as_names, identify
from memtools.datasets.listing import Listing
from memtools.errors import AlignmentError
from memtools.estimates.npz import Array
from memtools.estimates.positions import looks_like_positions, parse_positions

CAVEAT = "a permutation within a class would not have been seen"


def join_positions(
    ours: KnownExamples, theirs: Listing, declared: str
) -> tuple[NDArray[np.int64], str]:
    """Return the position of each example in the order of the numbers, and how it is known.

    Args:
        ours: The examples of the numbers.
        theirs: The data set. Its `index` is used if it has one; all its examples count from 0
            otherwise.
        declared: The order that the user declares for the data set, and for the numbers if theirs
            is not recorded; empty if the data set itself tells its order.

    Returns:
        int64 [n_theirs], -1 beyond the end of partial numbers; and the proof in words.

    Raises:
        ConfigError: The declared order is not an order.
        AlignmentError: The lengths differ, or the orders do, or names contradict the order.
    """
    if declared:
        orders.require_order(declared)
    if declared and theirs.index is None and theirs.names is not None:
        _require_no_numbers(theirs.names)
    if ours.names is not None and len(ours.names):
        _require_no_numbers(as_names(ours.names))
    order = declared or theirs.order
    if not ours.about.order and not declared:
        raise AlignmentError(
            f"the order of the numbers is not recorded, so they cannot be joined to {_name(theirs)}"
            " by position",
            hint=f'declare it if you know it: order="{order}" (--order {order})',
        )
    _require_length(ours, theirs)
    counted: Array = np.arange(len(theirs)) if theirs.index is None else theirs.index
    wanted = ours.about.order or order
    dataset = ours.about.dataset or theirs.dataset
    position = orders.convert(counted, order=order, to=wanted, dataset=dataset, split=ours.split)
    beyond = position >= ours.n
    if beyond.any() and not ours.partial:
        raise AlignmentError(
            f"the data set names position {int(position.max()):,}, and there are {ours.n:,}"
            " numbers",
            hint="check that it is the data set of these numbers, and the same split",
        )
    proof = _proof(theirs, order, wanted)
    if declared and (ours.names is not None or theirs.names is not None):
        proof += "; the names that one side has were not used"
    return np.where(beyond, -1, position), proof


def _require_no_numbers(names: Sequence[str]) -> None:
    """Raise AlignmentError for names such as 17.png, whose numbers are not those of the rows."""
    if not identify(names[0])[0].isdecimal():
        return
    numbers = parse_positions(np.array([identify(name)[0] for name in names]))
    if numbers is not None and looks_like_positions(numbers):
        raise AlignmentError(
            f"the names are numbers, {names[0]} the first, and not in the order of the rows",
            hint="if they are positions, give them as a column `index`, counted from 0;"
            " if they mean nothing, leave them out",
        )


def _require_length(ours: KnownExamples, theirs: Listing) -> None:
    """Raise AlignmentError unless both sides count the same examples."""
    dataset = theirs.dataset or ours.about.dataset
    n = len(theirs) if theirs.index is None else orders.n_examples(dataset, ours.split)
    if n is None or n == ours.n or (ours.partial and n > ours.n):
        return
    raise AlignmentError(
        f"there are {ours.n:,} numbers, and {n:,} examples in the data set",
        hint="if the numbers are of some examples only, say of which: index= (--index FILE);"
        " if the data set is a part, join by names, ids or pixels",
    )


def _proof(theirs: Listing, order: str, wanted: str) -> str:
    computed = f", and the order {wanted!r} of the numbers is computed" if order != wanted else ""
    if theirs.order:
        return f"by position in the {order} order of {_name(theirs)}{computed}"
    return f"by the declared order {order!r}{computed}; {CAVEAT}"


def _name(theirs: Listing) -> str:
    return theirs.what or "the data set"
