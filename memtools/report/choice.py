"""Which examples a report shows: some of each level, the pairs, some of each class.

    choice = choose(subject, levels, max_images=70_000, train=None, test=None)
    choice.levels[19]                  # int64 [n], training examples of the highest level

A report of a million examples cannot hold them all. Each level gets as many, drawn evenly from
all classes; what is left of the limit is shared by the classes, where influential and atypical
examples come first, and then an even spread over the ranks.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.npz import Array
from memtools.report.levels import Levels
from memtools.report.pictures import Mask
from memtools.report.subject import Subject
from memtools.report.ties import Ties

MAX_IMAGES = 70_000  # all of CIFAR-100, or some 60 for each class of ImageNet
PER_LEVEL = 100
ON_PAGE, PAGES, BESIDE = 20, 50, 12  # rows on a page of pairs, pages, test examples in a row

Index = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A training example and the test examples it does most to.

    entries: int64 [n], of the ties, the strongest first. n_all: how many there are.
    """

    train: int
    entries: Index
    n_all: int


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """What is shown.

    levels: training examples of each level. helpful, harmful: rows of pairs. tops: the most
    atypical of each class, int64 [n_shelves], -1 where there is none; or None. train, test: those
    of each shelf that keep an image of their own, in the order of the shelf.
    """

    levels: list[Index]
    helpful: list[Row]
    harmful: list[Row]
    tops: Index | None
    train: list[Index]
    test: list[Index]

    def all_train(self) -> list[int]:
        """Every training example of which there is a thumbnail, ascending."""
        rows = [row.train for row in (*self.helpful, *self.harmful)]
        tops = [] if self.tops is None else self.tops[self.tops >= 0].tolist()
        return _distinct([*self.levels, *self.train], [*rows, *tops])

    def all_test(self, ties: Ties | None) -> list[int]:
        """Every test example of which there is one, ascending."""
        rows = (*self.helpful, *self.harmful)
        return _distinct([*self.test, *(ties.test[row.entries] for row in rows if ties)], [])


def choose(
    subject: Subject, levels: Levels, *, max_images: int, train: Mask | None, test: Mask | None
) -> Choice:
    """What to show with at most so many images.

    train, test: bool [n], which examples have one; None where a split has none.
    """
    per_level = min(PER_LEVEL, max_images // 4 // levels.n)
    of_levels = _samples(subject, levels, per_level, train)
    most = max_images // 8
    ties = subject.ties
    helpful = [] if ties is None else _rows(ties, ties.high(subject.values), most)
    harmful = [] if ties is None else _rows(ties, ties.negative(), most)
    tops = None
    if subject.labels is not None and subject.n_shelves <= max_images // 8:
        tops = _tops(subject)
    used = sum(map(len, of_levels)) + (0 if tops is None else len(tops))
    used += sum(1 + len(row.entries) for row in (*helpful, *harmful))
    n_each = max(0, max_images - used) // subject.n_shelves
    return Choice(of_levels, helpful, harmful, tops, *_on_shelves(subject, n_each, train, test))


def _distinct(parts: Sequence[Index], others: Sequence[int]) -> list[int]:
    return sorted({int(k) for part in parts for k in part.tolist()} | set(others))


def _tops(subject: Subject) -> Index:
    """The first example of each shelf; -1 where it has none."""
    begins, ends = subject.train.bounds[:-1], subject.train.bounds[1:]
    return np.where(ends > begins, subject.train.order[np.minimum(begins, subject.train.n - 1)], -1)


def _samples(subject: Subject, levels: Levels, n: int, there: Mask | None) -> list[Index]:
    """At most n examples of each level: one of each class, then a second of each, ...

    Those that have an image come first.
    """
    rng = np.random.default_rng(0)
    level = levels.of(subject.values)
    shuffled = rng.permutation(subject.train.n)
    turn = np.empty(len(shuffled), np.int64)
    lacks = np.zeros(len(shuffled), np.bool_) if there is None else ~there[shuffled]
    key = (2 * level[shuffled] + lacks) * subject.n_shelves + subject.train.shelf[shuffled]
    by_key = np.argsort(key, kind="stable")
    begins = np.r_[True, np.diff(key[by_key]) != 0]
    turn[by_key] = np.arange(len(key)) - np.flatnonzero(begins)[np.cumsum(begins) - 1]
    in_turn = shuffled[np.lexsort((turn, lacks, level[shuffled]))]
    bounds = np.searchsorted(level[in_turn], np.arange(levels.n + 1))
    return [in_turn[a:b][:n] for a, b in itertools.pairwise(bounds)]


def _rows(ties: Ties, entries: Index, most: int) -> list[Row]:
    """A row for each training example of these pairs, the strongest first, of `most` examples."""
    if not len(entries):
        return []
    sizes = np.abs(ties.values[entries])
    entries = entries[np.lexsort((-sizes, ties.train[entries]))]
    train = ties.train[entries]
    starts = np.flatnonzero(np.diff(train)) + 1
    rows = [Row(int(ties.train[e[0]]), e[:BESIDE], len(e)) for e in np.split(entries, starts)]
    rows.sort(key=lambda row: -abs(float(ties.values[row.entries[0]])))
    taken = np.cumsum([1 + len(row.entries) for row in rows])
    return rows[: min(ON_PAGE * PAGES, int(np.searchsorted(taken, most, "right")))]


def _on_shelves(
    subject: Subject, n: int, train_there: Mask | None, test_there: Mask | None
) -> tuple[list[Index], list[Index]]:
    """As many examples of each shelf, training and test together, of those that have an image."""
    ties, n_train, n_test = subject.ties, subject.train.n, subject.test.n
    strengths = (None, None) if ties is None else ties.strengths(n_train, n_test)
    train, test = [], []
    for shelf in range(subject.n_shelves):
        ours = _having(subject.train.members(shelf), train_there)
        theirs = _having(subject.test.members(shelf), test_there)
        of_test = min(len(theirs), max(n - len(ours), n // 3, 0))
        train.append(_some(ours, max(n - of_test, 0), strengths[0]))
        test.append(_some(theirs, of_test, strengths[1]))
    return train, test


def _having(members: Index, there: Mask | None) -> Index:
    return members[:0] if there is None else members[there[members]]


def _some(members: Index, n: int, strengths: Array | None) -> Index:
    """So many of the members: a third by their ties, a third from the top, the rest evenly."""
    if len(members) <= n:
        return members
    chosen = np.zeros(len(members), np.bool_)
    chosen[: n // 3] = True
    if strengths is not None:
        of_members = strengths[members]
        strongest = np.argsort(-of_members, kind="stable")[: n // 3]
        chosen[strongest[of_members[strongest] > 0]] = True
    rest = np.flatnonzero(~chosen)
    chosen[rest[np.linspace(0, len(rest) - 1, n - chosen.sum()).astype(np.int64)]] = True
    return members[chosen]
