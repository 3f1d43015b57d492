"""Which examples are shown."""

import numpy as np
import pytest
from shapes import shapes

from memtools.report.choice import BESIDE, PER_LEVEL, choose
from memtools.report.levels import levels_of
from memtools.report.subject import subject_of


def chosen(max_images=70_000, train=None, **options):
    subject = subject_of(shapes(**options)[0])
    levels = levels_of(subject.values)
    there = np.ones(subject.train.n, bool) if train is None else train(subject)
    test = np.ones(subject.test.n, bool)
    return subject, levels, choose(subject, levels, max_images=max_images, train=there, test=test)


def test_where_there_is_room_everything_keeps_an_image():
    subject, levels, choice = chosen()
    assert sorted(np.concatenate(choice.train)) == list(range(subject.train.n))
    assert sorted(np.concatenate(choice.test)) == list(range(subject.test.n))
    place = levels.of(subject.values)
    for level, examples in enumerate(choice.levels):
        assert len(examples) == min(PER_LEVEL, (place == level).sum())
        assert (place[examples] == level).all()


@pytest.mark.parametrize("max_images", [1000, 1500, 3000])
def test_the_limit_holds_for_all_thumbnails_together(max_images):
    _, _, choice = chosen(max_images, per_class=500)
    rows = (*choice.helpful, *choice.harmful)
    n = sum(map(len, choice.levels)) + sum(1 + len(row.entries) for row in rows)
    n += len(choice.tops) + sum(map(len, (*choice.train, *choice.test)))
    assert max_images * 0.8 < n <= max_images


def test_a_level_is_sampled_evenly_from_all_classes():
    subject, _, choice = chosen(1000, per_class=500)
    for examples in choice.levels:
        n = np.bincount(subject.train.shelf[examples], minlength=subject.n_shelves)
        if len(examples) >= 12:
            assert n.max() - n.min() <= 1


def test_of_a_class_the_most_memorized_and_an_even_spread_are_kept():
    subject, _, choice = chosen(1000, per_class=500)
    for shelf, kept in enumerate(choice.train):
        members = subject.train.members(shelf)
        place = np.flatnonzero(np.isin(members, kept))
        assert place[0] == 0 and place[-1] == len(members) - 1
        assert np.array_equal(members[place], kept)


def test_examples_with_an_image_come_before_those_without():
    def some(subject):
        return np.arange(subject.train.n) % 20 == 0

    subject, levels, choice = chosen(1000, some, per_class=500)
    there = some(subject)
    place = levels.of(subject.values)
    for level, examples in enumerate(choice.levels):
        n_with = int(((place == level) & there).sum())
        assert there[examples].sum() == min(n_with, len(examples))
    assert there[np.concatenate(choice.train)].all()


def test_rows_begin_with_the_strongest_pair_and_go_on_in_order_of_influence():
    subject, _, choice = chosen()
    values = subject.ties.values
    firsts = [values[row.entries[0]] for row in choice.helpful]
    assert firsts == sorted(firsts, reverse=True) and len(firsts) > 20
    for row in choice.helpful:
        assert (subject.ties.train[row.entries] == row.train).all()
        assert (np.diff(values[row.entries]) <= 0).all()
        assert len(row.entries) == min(row.n_all, BESIDE)
    assert all(values[row.entries[0]] <= -0.15 for row in choice.harmful) and choice.harmful


def test_the_same_input_gives_the_same_choice():
    first, second = chosen(1000, per_class=500)[2], chosen(1000, per_class=500)[2]
    for a, b in zip(first.levels + first.train, second.levels + second.train, strict=True):
        assert np.array_equal(a, b)
