"""What a report speaks of."""

import numpy as np
import pytest
from shapes import ABOUT, shapes

from memtools.errors import ConfigError, SchemaError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.scores import Scores
from memtools.report.subject import SHELF, subject_of
from memtools.report.ties import LEAST


def test_each_shelf_has_its_class_in_order_of_memorization():
    estimates, _ = shapes(lost=5)
    subject = subject_of(estimates)
    for shelf, label in enumerate(subject.labels):
        members = subject.train.members(shelf)
        assert set(members) == set(np.flatnonzero(estimates.labels == label))
        values = subject.values[members]
        known = values[~np.isnan(values)]
        assert (np.diff(known) <= 0).all() and np.isnan(values[len(known) :]).all()


def test_ranks_put_the_most_atypical_first_in_either_direction():
    estimates, _ = shapes()
    assert subject_of(estimates).rank[np.argmax(estimates.memorization)] == 0
    about = About(direction="high C-score = typical")
    scores = Scores(about, "c_score", estimates.memorization, estimates.labels)
    subject = subject_of(scores)
    assert subject.rank[np.argmin(estimates.memorization)] == 0
    assert subject.quantity == "C-score" and not subject.atypical


def test_without_a_direction_the_highest_come_first_and_nothing_is_called_atypical():
    scores = Scores(About(), "score", np.array([0.5, 2, 1]))
    subject = subject_of(scores)
    assert (subject.sign, subject.atypical, subject.is_memorization) == (0, False, False)
    assert subject.rank.tolist() == [2, 0, 1]


def test_labels_that_are_not_known_of_all_make_no_classes():
    scores = Scores(About(), "score", np.array([0.5, np.nan]), np.array([3, -1]))
    assert subject_of(scores).labels is None


def test_labels_come_from_the_matrices_where_the_file_has_none():
    estimates, data = shapes(labels=False, names=False)
    subject = subject_of(estimates)
    assert np.array_equal(subject.labels[subject.train.shelf], data.train_labels)
    assert np.array_equal(subject.labels[subject.test.shelf], data.test_labels)


def test_without_labels_examples_stand_by_their_positions():
    estimates, _ = shapes(per_class=400, labels=False, influence=False)
    subject = subject_of(estimates)
    assert subject.labels is None and subject.ties is None
    assert set(subject.train.members(1)) == set(range(SHELF, 2 * SHELF))


def test_test_examples_of_no_label_are_left_out_where_training_examples_have_one():
    estimates, _ = shapes(influence=False)
    arrays = {name: array for name, array in estimates.arrays.items() if name != "tt_labels"}
    assert subject_of(Estimates(arrays, ABOUT)).test.n == 0


def test_ties_are_the_influences_that_stand_out():
    estimates, _ = shapes()
    ties = subject_of(estimates).ties
    assert (np.abs(ties.values) >= LEAST).all()
    n = sum((np.abs(estimates.influence(k).values) >= LEAST).sum() for k in estimates.classes)
    assert len(ties.values) == n
    pairs = estimates.pairs()
    high = ties.high(estimates.memorization)
    found = set(zip(ties.train[high].tolist(), ties.test[high].tolist(), strict=True))
    assert found == set(zip(pairs.train_index.tolist(), pairs.test_index.tolist(), strict=True))
    assert len(ties.negative()) == len(estimates.classes)
    assert ties.counts.sum() == sum(estimates.influence(k).values.size for k in estimates.classes)


def test_matrices_about_another_class_are_refused():
    estimates, _ = shapes()
    arrays = dict(estimates.arrays)
    arrays["tr_classidx_0"], arrays["tr_classidx_1"] = (
        arrays["tr_classidx_1"],
        arrays["tr_classidx_0"],
    )
    with pytest.raises(SchemaError, match="tr_classidx_0 points to examples of another label"):
        subject_of(Estimates(arrays, ABOUT))


def test_columns_of_another_length_are_refused():
    with pytest.raises(SchemaError, match=r"4 scores have labels of \(3,\)"):
        subject_of(Scores(ABOUT, "score", np.zeros(4), np.zeros(3, int)))
    for values in (np.zeros((4, 2)), np.array(["a", "b"])):
        with pytest.raises(SchemaError, match="not one number for each"):
            subject_of(Scores(ABOUT, "score", values))


def test_infinity_is_no_estimate():
    subject = subject_of(Scores(ABOUT, "score", np.array([0.5, np.inf, -np.inf])))
    assert subject.known.tolist() == [True, False, False]


def test_a_list_of_pairs_and_no_example_at_all_are_refused():
    none = np.zeros(0)
    pairs = HighInfluencePairs(ABOUT, none.astype(int), none.astype(int), none, none)
    with pytest.raises(ConfigError, match="lists pairs"):
        subject_of(pairs)
    with pytest.raises(ConfigError, match="no example"):
        subject_of(Scores(ABOUT, "score", none))
