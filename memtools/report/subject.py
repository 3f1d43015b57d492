"""What a report speaks of, whichever object it came in: a score for each training example.

    subject = subject_of(memtools.load("cifar100"))     # Estimates; or Scores, such as C-scores
    subject.values, subject.order                       # the score; the most atypical first
    subject.ties                                        # influence, where there is any

Examples stand on shelves: one for each class, or, where no label is known, one for every 1,024
positions.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from memtools.datasets.identity import identify, synset_of
from memtools.errors import ConfigError, SchemaError
from memtools.estimates import schema
from memtools.estimates.about import About, sign_of
from memtools.estimates.model import Estimates, ExampleIndex
from memtools.estimates.npz import Array
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.scores import Scores
from memtools.report.ties import Ties, ties_of

SHELF = 1024  # examples on a shelf where there are no labels


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """The examples of one split.

    n: how many. names: str [n], or None. shelf: int64 [n], a position in the subject's shelves.
    order: int64 [n], shelf by shelf, the most atypical first. bounds: int64 [n_shelves + 1],
    where each shelf begins in that order.
    """

    n: int
    names: Array | None
    shelf: NDArray[np.int64]
    order: NDArray[np.int64]
    bounds: NDArray[np.int64]

    def members(self, shelf: int) -> NDArray[np.int64]:
        """The examples of a shelf, the most atypical first."""
        return self.order[self.bounds[shelf] : self.bounds[shelf + 1]]


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """One score for each training example, and what is known about it.

    quantity: what the score is. sign: 1 if a high one means an atypical example, -1 if a typical
    one, 0 if that is not recorded: then the highest come first. values: float64 [n_train], NaN
    where there is no estimate; errors, low, high: float [n_train]; n_in, n_out: int [n_train]; all
    None where not known. labels: of the shelves, int64 [n_shelves]; None where there are none.
    rank: int64 [n_train], 0 for the first: the most atypical of all.
    """

    about: About
    quantity: str
    sign: int
    values: NDArray[np.float64]
    errors: Array | None
    low: Array | None
    high: Array | None
    n_in: Array | None
    n_out: Array | None
    index: ExampleIndex
    labels: NDArray[np.int64] | None
    train: Side
    test: Side
    ties: Ties | None

    @property
    def atypical(self) -> bool:
        """True if a high score means an atypical example."""
        return self.sign > 0

    @property
    def is_memorization(self) -> bool:
        """True if the score is memorization, whose threshold is known."""
        return self.quantity.startswith("memorization")

    @property
    def n_shelves(self) -> int:
        """How many shelves there are."""
        return len(self.train.bounds) - 1

    @functools.cached_property
    def known(self) -> NDArray[np.bool_]:
        """Which examples have a score, bool [n_train]."""
        return ~np.isnan(self.values)

    @functools.cached_property
    def rank(self) -> NDArray[np.int64]:
        """Of each example among all, int64 [n_train], 0 for the most atypical; NaN come last."""
        rank = np.empty(len(self.values), np.int64)
        rank[np.argsort(self._key, kind="stable")] = np.arange(len(rank))
        return rank

    @property
    def _key(self) -> NDArray[np.float64]:
        return self.values if self.sign < 0 else -self.values


def subject_of(numbers: Estimates | Scores | HighInfluencePairs) -> Subject:
    """What to report of what `memtools.load` returns.

    Raises ConfigError for a list of pairs, and for a score of no example; SchemaError for
    estimates without memorization, and for arrays that cannot be what they should be.
    """
    if isinstance(numbers, HighInfluencePairs):
        raise ConfigError(
            f"{numbers.about.source or 'this'} lists pairs, and a report is about all examples",
            hint="give the influence file, or the group of the data set: it holds these pairs too",
        )
    estimates = numbers if isinstance(numbers, Estimates) else None
    if estimates is not None:
        _require_meaning(estimates)
    scores = numbers.scores if isinstance(numbers, Estimates) else numbers
    if not len(scores):
        raise ConfigError(
            "there is no example to report on", hint="look at the file: memtools info"
        )
    arrays: Mapping[str, Array] = {} if estimates is None else estimates.arrays
    index = _index(numbers)
    if estimates is None:
        _require_columns(scores)
    labels, shelves = _shelves(index, len(scores))
    values = np.asarray(scores.values, np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    sign = sign_of(scores.about.direction)
    key = values if sign < 0 else -values
    n_shelves = int(max((s.max(initial=-1) for s in shelves), default=-1)) + 1
    return Subject(
        about=scores.about,
        quantity=_quantity(arrays, scores.quantity),
        sign=sign,
        values=values,
        errors=scores.standard_error,
        low=arrays.get("tr_mem_low"),
        high=arrays.get("tr_mem_high"),
        n_in=scores.n_in,
        n_out=scores.n_out,
        index=index,
        labels=labels,
        train=_side(index.filenames, shelves[0], key, n_shelves),
        test=_side(index.test_filenames, shelves[1], None, n_shelves),
        ties=None if estimates is None else ties_of(estimates),
    )


def class_names(index: ExampleIndex) -> dict[int, str]:
    """The synset of each label, where the names of its images say it; else nothing."""
    if index.labels is None or index.filenames is None:
        return {}
    labels, first = np.unique(index.labels, return_index=True)
    names = [synset_of(identify(str(name))[0]) for name in index.filenames[first]]
    return dict(zip(labels.tolist(), names, strict=True)) if all(names) else {}


def _require_meaning(estimates: Estimates) -> None:
    try:
        schema.check(schema.kind_of(estimates.arrays), estimates.arrays)
    except SchemaError as error:
        source = estimates.about.source or "the estimates"
        raise SchemaError(f"{source}: {error}", hint=error.hint) from error


def _require_columns(scores: Scores) -> None:
    shape, hint = (len(scores),), "memtools verify says what is wrong with the file"
    if np.shape(scores.values) != shape or np.asarray(scores.values).dtype.kind not in "fiu":
        raise SchemaError("the scores are not one number for each example", hint=hint)
    for name in ("labels", "filenames", "standard_error", "n_in", "n_out"):
        column = getattr(scores, name)
        if column is not None and np.shape(column) != shape:
            raise SchemaError(f"{shape[0]:,} scores have {name} of {np.shape(column)}", hint=hint)


def _quantity(arrays: Mapping[str, Array], quantity: str) -> str:
    if "quantity" in arrays:
        return f"memorization of the {arrays['quantity']}"
    return quantity.replace("_", "-").replace("c-score", "C-score")


def _index(numbers: Estimates | Scores) -> ExampleIndex:
    """What is known of the examples; labels are taken from the influence matrices if need be."""
    if isinstance(numbers, Scores):
        labels = numbers.labels
        if labels is not None and (np.asarray(labels) < 0).any():
            labels = None  # of some examples it is not known
        return ExampleIndex(numbers.about, labels, numbers.filenames, None, None)
    index = numbers.index
    return dataclasses.replace(
        index,
        labels=_labels(numbers, index.labels, "tr"),
        test_labels=_labels(numbers, index.test_labels, "tt"),
    )


def _labels(estimates: Estimates, labels: Array | None, side: str) -> Array | None:
    """Labels as given, or as the matrices of the classes have them; None if neither says."""
    if labels is not None or not estimates.classes:
        return labels
    places = {k: estimates.arrays[f"{side}_classidx_{k}"] for k in estimates.classes}
    found = np.full(sum(map(len, places.values())), -1)
    for label, place in places.items():
        found[place] = label
    return found


def _shelves(
    index: ExampleIndex, n_train: int
) -> tuple[NDArray[np.int64] | None, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The labels of the shelves, and on which shelf each example of each split stands.

    Where training examples have labels and test examples have none, the latter are left out.
    """
    if index.labels is None:
        names = index.test_filenames
        n_test = 0 if names is None else len(names)
        return None, (np.arange(n_train) // SHELF, np.arange(n_test) // SHELF)
    sides = [np.asarray(index.labels, np.int64)]
    sides.append(np.zeros(0, np.int64) if index.test_labels is None else index.test_labels)
    labels, shelf = np.unique(np.concatenate(sides), return_inverse=True)
    return labels.astype(np.int64), (shelf[:n_train], shelf[n_train:])


def _side(names: Array | None, shelf: Array, key: Array | None, n_shelves: int) -> Side:
    order = np.lexsort((shelf,) if key is None else (key, shelf))
    bounds = np.searchsorted(shelf[order], np.arange(n_shelves + 1))
    return Side(len(shelf), names if len(shelf) else None, shelf, order, bounds)
