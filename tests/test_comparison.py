"""Two scores of the same examples, direction-aware."""

from pathlib import Path

import numpy as np
import pytest

from memtools.artifacts.loader import load
from memtools.errors import AlignmentError, ConfigError, SchemaError
from memtools.estimates.about import About
from memtools.estimates.comparison import compare, ranks, read_scores, spearman
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
        (scores(values, "typical", dataset="cifar10"), "one is of cifar100, the other of cifar10"),
        (scores(values, "typical", "tfds"), "order 'official', the other in 'tfds'"),
        (scores(values, "typical", labels=np.arange(10) % 3), "labels disagree"),
    ):
        mine = scores(values, "typical", labels=np.arange(10) % 2)
        with pytest.raises(AlignmentError, match=words):
            compare(mine, other)
    with pytest.raises(AlignmentError, match="in the order 'file', the other in 'file'"):
        compare(scores(values, "typical", "file"), scores(values, "typical", "file"))
    with pytest.raises(ConfigError, match=r"what a high score .* means is not known"):
        compare(scores(values, "typical"), scores(values, "good"))
    with pytest.raises(ConfigError, match="2 examples have both"):
        compare(scores(values, "typical"), scores([np.nan] * 8 + [1, 2], "typical"))
    with pytest.raises(ConfigError, match="the top 11 of 10"):
        compare(scores(values, "typical"), scores(values, "typical"), top_k=11)


def test_equals_share_their_rank_and_what_is_constant_has_no_correlation():
    assert ranks(np.array([3.0, 1, 3, 2])).tolist() == [2.5, 0, 2.5, 1]
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))


def test_numbers_of_ones_own_say_what_they_mean(tmp_path):
    values = np.array([0.5, 0.25, np.nan])
    np.save(tmp_path / "mine.npy", values)
    found = read_scores(tmp_path / "mine.npy", direction="typical", dataset="d", order="official")
    assert np.array_equal(found.values, values, equal_nan=True)
    assert (found.about.direction, found.about.order) == ("high = typical", "official")
    (tmp_path / "mine.csv").write_text("index,label,filename,el2n\n2,5,c,0.5\n0,3,a,\n1,4,b,0.25\n")
    found = read_scores(tmp_path / "mine.csv", direction="atypical")
    assert np.array_equal(found.values, [np.nan, 0.25, 0.5], equal_nan=True)
    assert found.labels.tolist() == [3, 4, 5] and found.filenames.tolist() == ["a", "b", "c"]
    (tmp_path / "gaps.csv").write_text("index,label,score\n4,5,0.5\n0,3,1\n")
    found = read_scores(tmp_path / "gaps.csv", direction="atypical")
    assert len(found) == 5 and found.labels is None and np.isnan(found.values[1:4]).all()
    for content in ("", "score\nmuch\n", "index,score\n1,2\n1,3\n", "index,score\n-1,2\n"):
        (tmp_path / "bad.csv").write_text(content)
        with pytest.raises(SchemaError, match="no table of scores"):
            read_scores(tmp_path / "bad.csv", direction="typical")
    np.save(tmp_path / "bad.npy", np.zeros((2, 2)))
    with pytest.raises(SchemaError, match="scores are numbers"):
        read_scores(tmp_path / "bad.npy", direction="typical")


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not there")
def test_the_published_pairs_and_cscores_of_cifar100_agree():
    pairs = load(SHARED / "cifar100_high_infl_pairs_infl0.15_mem0.25.npz")
    cscores = load(SHARED / "cifar100-cscores-orig-order.npz")
    found = compare(pairs, cscores)
    assert found.n == 964
    assert round(found.spearman, 2) == 0.79 and round(found.spearman_raw, 2) == -0.79
