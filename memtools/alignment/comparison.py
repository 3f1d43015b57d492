"""Score against score: brought together first, and with their directions in mind.

found = compare(memtools.load("cifar100-pairs"), memtools.load("cifar100-cscores"))
found.spearman                           # direction-corrected: they agree
found.spearman_raw                       # negative: a C-score is high where memorization is low
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from memtools.alignment import orders
from memtools.alignment.alignment import align
from memtools.alignment.name_join import official_positions
from memtools.alignment.ranking import Overlap, overlap_of_tops
from memtools.alignment.ranking import correlation as correlation
from memtools.alignment.ranking import ranks as ranks
from memtools.alignment.ranking import spearman as spearman
from memtools.arguments import checked
from memtools.errors import AlignmentError, ConfigError, SchemaError
from memtools.estimates.about import sign_of
from memtools.estimates.model import Estimates
from memtools.estimates.npz import Array
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.scores import Scores

_LEAST = 3  # examples for which a correlation is given


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Two scores of the same examples.

    first, second: float64 [n], of the examples that have both. labels: int [n], or None. sign:
    -1 if the directions are opposite, else 1. proof: how the examples were brought together. top_k:
    the number that `overlap` looks at.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    labels: Array | None
    sign: int
    proof: str
    top_k: int

    @property
    def n(self) -> int:
        """How many examples have both."""
        return len(self.first)

    @property
    def spearman_raw(self) -> float:
        """Rank correlation of the numbers as they are; NaN if one of them is constant."""
        return spearman(self.first, self.second)

    @property
    def spearman(self) -> float:
        """Rank correlation, positive where both call the same examples atypical."""
        return self.sign * self.spearman_raw

    @property
    def pearson_raw(self) -> float:
        """Linear correlation of the numbers as they are."""
        return correlation(self.first, self.second)

    @property
    def pearson(self) -> float:
        """Linear correlation, with the directions in mind."""
        return self.sign * self.pearson_raw

    @property
    def overlap(self) -> float:
        """Share of the `top_k` highest of the first that are among those of the second.

        Highest in the direction of the first. Where examples tie at the boundary, it is the mean
        over all ways to break the ties; see `top_overlap`.
        """
        return self.top_overlap.share

    @functools.cached_property
    def top_overlap(self) -> Overlap:
        """The overlap, what chance alone gives, and how many examples tie at the boundary."""
        return overlap_of_tops(self.first, self.sign * self.second, self.top_k)

    @property
    def n_infinite(self) -> int:
        """How many examples have an infinite score on either side: Pearson's is NaN then."""
        return int((np.isinf(self.first) | np.isinf(self.second)).sum())

    @property
    def by_class(self) -> dict[int, tuple[int, float]]:
        """For each label how many examples there are, and their direction-corrected Spearman."""
        if self.labels is None:
            return {}
        found = {}
        for label in np.unique(self.labels).tolist():
            of_class = self.labels == label
            value = spearman(self.first[of_class], self.second[of_class])
            found[label] = (int(of_class.sum()), self.sign * value)
        return found


@checked('memtools.compare(memtools.load("cifar100-pairs"), memtools.load("cifar100-cscores"))')
def compare(
    first: Estimates | Scores | HighInfluencePairs,
    second: Estimates | Scores | HighInfluencePairs,
    *,
    top_k: int | None = None,
) -> Comparison:
    """Compare two scores, on the examples that both know.

    They are joined by file name where both have names, by ids of TFDS, else by position where both
    are of one data set, in one order or in orders of which one leads to the other, and of one
    length; labels must agree wherever both have them.

    Args:
        first: What `memtools.load` returns.
        second: The same.
        top_k: How many of the highest the overlap is of; a tenth of the examples without it.

    Raises:
        AlignmentError: They cannot be brought together.
        ConfigError: A direction is not recorded, or less than three examples have both.
    """
    a, b = scores_of(first), scores_of(second)
    sign = _sign(a) * _sign(b)
    places, proof = _together(a, b)
    mine, other = np.asarray(a.values, np.float64), np.full(len(a), np.nan)
    other[places >= 0] = np.asarray(b.values, np.float64)[places[places >= 0]]
    both = ~(np.isnan(mine) | np.isnan(other))
    n = int(both.sum())
    if n < _LEAST:
        raise ConfigError(
            f"{n} examples have both scores", hint="are they of the same data set and split?"
        )
    labels = a.labels
    if labels is None and b.labels is not None:
        labels = np.asarray(b.labels)[np.maximum(places, 0)]
    wanted = max(1, n // 10) if top_k is None else top_k
    if not 0 < wanted <= n:
        raise ConfigError(f"the top {wanted} of {n} examples", hint="choose fewer, above 0")
    kept = None if labels is None else np.asarray(labels)[both]
    return Comparison(mine[both], other[both], kept, sign, proof, wanted)


def scores_of(numbers: Estimates | Scores | HighInfluencePairs) -> Scores:
    """One number for each training example; NaN for those that a list of pairs leaves out."""
    if isinstance(numbers, Estimates):
        return numbers.scores
    if isinstance(numbers, Scores):
        return numbers
    values = np.full(int(numbers.train_index.max(initial=-1)) + 1, np.nan)
    values[numbers.train_index] = numbers.memorization
    differing = np.flatnonzero(values[numbers.train_index] != numbers.memorization)
    if len(differing):
        raise SchemaError(
            f"{numbers.about.source or 'the pairs'}: training example"
            f" {numbers.train_index[differing[0]]} has different memorization in two pairs",
            hint="memorization is of the training example alone: repair the list",
        )
    return Scores(numbers.about, "memorization", values, partial=True)


def _sign(scores: Scores) -> int:
    """Return 1 if high is atypical, -1 if high is typical."""
    sign = sign_of(scores.about.direction)
    if not sign:
        raise ConfigError(
            f"the direction of {scores.about.source or 'these scores'} is not recorded: is a high"
            f" {scores.quantity} typical or atypical?",
            hint="say it: --direction-a, --direction-b; in Python load(..., direction=...)",
        )
    return sign


def _together(a: Scores, b: Scores) -> tuple[NDArray[np.int64], str]:
    """For each example of `a` its position in `b`, or -1; and how that is known."""
    if a.filenames is not None and (b.filenames is not None or _has_ids(a)):
        alignment = align(b, to=a.filenames, labels=a.labels, allow_missing=True)
        return alignment.position, alignment.proof
    if b.filenames is not None and _has_ids(b):
        alignment = align(a, to=b.filenames, labels=b.labels, allow_missing=True)
        return alignment.inverse, alignment.proof
    _require_one_origin(a, b)
    order, other = a.about.order, b.about.order
    positions = np.arange(len(a))
    dataset = a.about.dataset
    places = orders.convert(positions, order=order, to=other, dataset=dataset, split="train")
    places = np.where(places < len(b), places, -1)
    checked = _compare_labels(a, b, places)
    computed = "" if order == other else f", from which {other!r} is computed"
    return places, f"by position, in the order {order!r}{computed}; {checked}"


def _has_ids(scores: Scores) -> bool:
    return scores.filenames is not None and official_positions(scores.filenames) is not None


def _require_one_origin(a: Scores, b: Scores) -> None:
    """Raise AlignmentError unless positions of both count in known orders of the same examples."""
    first, second = a.about, b.about
    if not first.dataset or not orders.same_dataset(first.dataset, second.dataset):
        raise AlignmentError(
            _contrast("data set", first.dataset, second.dataset),
            hint="compare scores of one data set; for files of your own say which: --dataset",
        )
    is_known = first.order and second.order and "file" not in (first.order, second.order)
    if not is_known:
        raise AlignmentError(
            _contrast("order", first.order, second.order),
            hint="without file names only scores in one known order can be compared;"
            " for files of your own say it: --order, --order-a, --order-b",
        )
    short, long = (a, b) if len(a) < len(b) else (b, a)
    if len(short) < len(long) and not short.partial:
        raise AlignmentError(
            f"one has {len(a):,} values, the other {len(b):,}: they are not of the same examples",
            hint="if one is of some examples only, say of which: --index, --index-a, --index-b",
        )
    n = orders.n_examples(first.dataset, "train")
    for each in (a, b):
        if first.order != second.order and len(each) != n and not each.partial:
            raise AlignmentError(
                f"one is in the order {first.order!r}, the other in {second.order!r}, and"
                f" {len(each):,} values are not all {n or 'examples'} of {first.dataset}",
                hint="the order of a part cannot be computed: say which positions it has, --index",
            )


def _contrast(what: str, first: str, second: str) -> str:
    """Return what two scores record about their data set or order, in words."""
    if first != second:
        shown = [each or "not recorded" for each in (first, second)]
        return f"the {what} of the first scores is {shown[0]}, that of the second is {shown[1]}"
    if not first:
        return f"neither of the scores records its {what}"
    return f"the {what} of both is {first!r}: each follows an order of its own file"


def _compare_labels(a: Scores, b: Scores, places: NDArray[np.int64]) -> str:
    """Return what the labels tell, in words; AlignmentError if they disagree."""
    if a.labels is None or b.labels is None:
        return "labels were not there to be compared"
    mine, other = np.asarray(a.labels), np.asarray(b.labels)[np.maximum(places, 0)]
    known = (places >= 0) & (mine >= 0) & (other >= 0)
    wrong = int((mine[known] != other[known]).sum())
    if wrong:
        raise AlignmentError(
            f"their labels disagree, {wrong:,} of {int(known.sum()):,}",
            hint="one of them is in another order, or of other examples",
        )
    return "all labels agree"
