"""Two scores of the same examples, direction-aware."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from memtools.alignment.comparison import compare
from memtools.alignment.ranking import correlation, overlap_of_tops, ranks, spearman
from memtools.artifacts.loader import load
from memtools.datasets.tfds_order import tfds_order
from memtools.errors import AlignmentError, ConfigError, SchemaError
from memtools.estimates.about import About
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.scores import Scores

SHARED = Path(__file__).parents[2] / "shared" / "data"


def scores(values, direction, order="official", names=None, labels=None, dataset="cifar100"):
    about = About(dataset=dataset, order=order, direction=f"high = {direction}")
    return Scores(about, "score", np.asarray(values, float), labels, names)


def test_opposite_directions_agree():
    values = np.random.default_rng(0).random(100)
    found = compare(scores(values, "atypical"), scores(1 - values, "typical"))
    assert found.spearman == pytest.approx(1) and found.spearman_raw == pytest.approx(-1)
    assert found.pearson == pytest.approx(1) and found.pearson_raw == pytest.approx(-1)
    assert found.overlap == 1 and (found.n, found.top_k) == (100, 10)


def test_names_join_what_stands_in_other_orders():
    rng = np.random.default_rng(1)
    values, order = rng.random(20), rng.permutation(20)
    names = np.array([f"{k}.png" for k in range(20)])
    a = scores(values, "typical", "published", names)
    b = scores(values[order][:15], "typical", "file", names[order][:15])
    found = compare(a, b)
    assert found.n == 15 and found.spearman == pytest.approx(1) and "by file name" in found.proof


def test_pairs_are_compared_on_the_examples_that_they_have():
    pairs = HighInfluencePairs(
        About(dataset="cifar100", order="official", direction="high memorization = atypical"),
        np.array([7, 2, 2, 9]),
        np.array([1, 2, 3, 4]),
        np.array([0.9, 0.5, 0.5, 0.3]),
        np.full(4, 0.2),
    )
    other = scores(np.arange(12.0), "atypical", labels=np.arange(12) % 2)
    found = compare(pairs, other)
    assert found.n == 3 and found.first.tolist() == [0.5, 0.9, 0.3]
    assert found.second.tolist() == [2, 7, 9] and found.labels.tolist() == [0, 1, 1]


def test_classes_have_correlations_of_their_own():
    values = np.r_[np.arange(5.0), np.arange(5.0)[::-1]]
    labels = np.repeat([3, 8], 5)
    a = scores(np.tile(np.arange(5.0), 2), "typical", labels=labels)
    found = compare(a, scores(values, "typical", labels=labels)).by_class
    assert found[3] == (5, pytest.approx(1)) and found[8] == (5, pytest.approx(-1))


def test_what_cannot_be_compared_is_refused():
    values = np.arange(10.0)
    for other, words in (
        (
            scores(values, "typical", dataset="cifar10"),
            "the data set of the first scores is cifar100, that of the second is cifar10",
        ),
        (scores(values, "typical", dataset=""), "that of the second is not recorded"),
        (scores(values, "typical", "tfds"), "order 'official', the other in 'tfds'"),
        (scores(values, "typical", ""), "that of the second is not recorded"),
        (scores(values, "typical", labels=np.arange(10) % 3), "labels disagree"),
        (scores(values[:9], "typical"), "one has 10 values, the other 9"),
        (scores(np.arange(11.0), "typical"), "one has 10 values, the other 11"),
    ):
        mine = scores(values, "typical", labels=np.arange(10) % 2)
        with pytest.raises(AlignmentError, match=words):
            compare(mine, other)
        with pytest.raises(AlignmentError):
            compare(other, mine)
    with pytest.raises(
        AlignmentError, match="the order of both is 'file': each follows an order of its own"
    ):
        compare(scores(values, "typical", "file"), scores(values, "typical", "file"))
    with pytest.raises(ConfigError, match="is not recorded: is a high score typical or atypical"):
        compare(scores(values, "typical"), scores(values, "good"))
    with pytest.raises(ConfigError, match="2 examples have both"):
        compare(scores(values, "typical"), scores([np.nan] * 8 + [1, 2], "typical"))
    with pytest.raises(ConfigError, match="the top 11 of 10"):
        compare(scores(values, "typical"), scores(values, "typical"), top_k=11)


def test_partial_scores_are_compared_where_they_are_and_never_beyond_the_others_end():
    whole = scores(np.arange(10.0), "typical", labels=np.arange(10) % 3)
    part = dataclasses.replace(
        scores([np.nan, 7, np.nan, 9, 8], "typical", labels=np.array([-1, 1, -1, 0, 1])),
        partial=True,
    )
    found = compare(part, whole)
    assert (found.n, found.second.tolist()) == (3, [1, 3, 4]) and "all labels agree" in found.proof
    assert compare(whole, part).second.tolist() == [7, 9, 8]
    wrong = dataclasses.replace(part, labels=np.array([-1, 2, -1, 0, 1]))
    with pytest.raises(AlignmentError, match="labels disagree, 1 of 3"):
        compare(wrong, whole)
    with pytest.raises(AlignmentError, match="one has 5 values, the other 4"):
        compare(part, scores(np.arange(4.0), "typical"))


def test_an_order_that_leads_to_the_other_is_computed():
    rng = np.random.default_rng(0)
    official, order = rng.random(60_000), tfds_order("mnist", "train")
    a = scores(official, "typical", "official", dataset="mnist")
    b = scores(official[order], "typical", "tfds", dataset="mnist")
    for found in (compare(a, b), compare(b, a)):
        assert found.spearman == pytest.approx(1) and "is computed" in found.proof
    with pytest.raises(AlignmentError, match="59,999 values are not all 60000 of mnist"):
        compare(
            scores(official[:-1], "typical", dataset="mnist"),
            scores(official[order][:-1], "typical", "tfds", dataset="mnist"),
        )


def test_ids_of_tfds_are_official_positions():
    rng = np.random.default_rng(0)
    values, order = rng.random(50_000), rng.permutation(50_000)[:15]
    ids = np.array([f"train_{k:05d}" for k in order])
    mine = scores(values[order], "typical", "file", names=ids)
    whole = scores(values, "typical")
    for found in (compare(mine, whole), compare(whole, mine)):
        assert (found.n, found.spearman) == (15, pytest.approx(1)) and "ids" in found.proof


def test_infinity_is_an_extreme_and_nan_a_gap():
    a = scores([-np.inf, 1, 2, 3, np.inf, np.nan], "typical")
    found = compare(a, scores([0, 1, 2, 3, 4, 5], "typical"), top_k=1)
    assert (found.n, found.spearman, found.overlap, found.n_infinite) == (5, pytest.approx(1), 1, 2)
    assert np.isnan(found.pearson)


def test_a_wrong_order_of_tied_scores_overlaps_as_much_as_chance_gives():
    rng = np.random.default_rng(0)
    values = np.where(np.arange(10_000) < 7_600, 1.0, rng.random(10_000))
    wrong = compare(scores(values, "typical"), scores(values[rng.permutation(10_000)], "typical"))
    right = compare(scores(values, "typical"), scores(values, "typical"))
    assert wrong.overlap == pytest.approx(0.1, abs=0.005) and right.overlap == pytest.approx(
        1000 / 7600
    )
    tops = wrong.top_overlap
    assert (tops.by_chance, tops.n_tied) == (0.1, (7600, 7600))
    assert tops.at_best == right.overlap
    found = compare(scores(np.arange(20.0), "typical"), scores(np.arange(20.0), "typical"))
    assert (found.overlap, found.top_overlap.n_tied, found.top_overlap.at_best) == (1, (0, 0), 1)


def test_ties_inside_the_top_compete_for_nothing():
    tops = overlap_of_tops(np.array([3.0, 3, 2, 1]), np.array([9.0, 1, 8, 0]), 2)
    assert (tops.share, tops.n_tied) == (0.5, (0, 0))


def test_pairs_that_contradict_each_other_are_refused():
    about, index = About(), np.array([1, 1])
    pairs = HighInfluencePairs(
        about, index, np.array([0, 1]), np.array([0.5, 0.6]), np.full(2, 0.2)
    )
    with pytest.raises(SchemaError, match="example 1 has different memorization in two pairs"):
        compare(pairs, pairs)


def test_equals_share_their_rank_and_what_is_constant_has_no_correlation():
    assert ranks(np.array([3.0, 1, 3, 2])).tolist() == [2.5, 0, 2.5, 1]
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))


@pytest.mark.parametrize("factor", [1e200, 1e-200, 1e307, 1e-300, -1e200, 1.0])
def test_the_correlation_does_not_depend_on_the_unit(factor):
    values = np.random.default_rng(0).random(50)
    assert correlation(values * factor, values) == pytest.approx(np.sign(factor))
    assert correlation(values * factor, values * factor) == pytest.approx(1)
    assert np.isnan(correlation(np.full(50, 0.1 * factor), values))


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not there")
def test_the_published_pairs_and_cscores_of_cifar100_agree():
    pairs = load(SHARED / "cifar100_high_infl_pairs_infl0.15_mem0.25.npz")
    cscores = load(SHARED / "cifar100-cscores-orig-order.npz")
    found = compare(pairs, cscores)
    assert found.n == 964
    assert round(found.spearman, 2) == 0.79 and round(found.spearman_raw, 2) == -0.79
