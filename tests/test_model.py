"""Estimates: lazy columns, influence by class, pairs, and the way to disk and back."""

from collections.abc import Mapping

import numpy as np
import pytest
from worlds import imagenet_names, published_arrays

from memtools.errors import SchemaError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates, as_text
from memtools.estimates.npz import Npz
from memtools.estimates.schema import check, open_arrays

ABOUT = About(dataset="cifar100", order="official", direction="high = atypical", source="mine.npz")


class Watched(Mapping):
    """Arrays that note which of them are read."""

    def __init__(self, arrays):
        self.arrays, self.read = arrays, []

    def __getitem__(self, name):
        self.read.append(name)
        return self.arrays[name]

    def __contains__(self, name):
        return name in self.arrays

    def __iter__(self):
        return iter(self.arrays)

    def __len__(self):
        return len(self.arrays)


@pytest.fixture
def arrays():
    return published_arrays([40, 60, 50], 20)


def test_only_what_is_asked_for_is_read(arrays):
    watched = Watched(arrays)
    estimates = Estimates(watched, ABOUT)
    assert estimates.classes == [0, 1, 2]
    assert watched.read == []
    estimates.influence(1)
    assert watched.read == ["tr_classidx_1", "tt_classidx_1", "infl_matrix_class1"]
    assert estimates.memorization is estimates.memorization
    assert watched.read.count("tr_mem") == 1


def test_influence_comes_with_its_train_and_test_indices(arrays):
    of_class = Estimates(arrays, ABOUT).influence(1)
    assert of_class.values.shape == (60, 20) == np.asarray(of_class).shape
    assert (arrays["tr_labels"][of_class.train_index] == 1).all()
    assert (arrays["tt_labels"][of_class.test_index] == 1).all()
    assert of_class.train_index.dtype == of_class.test_index.dtype == np.int64


def test_pairs_are_those_of_the_plain_definition(arrays):
    estimates = Estimates(arrays, ABOUT)
    expected = {
        (train, test)
        for label in range(3)
        for i, train in enumerate(arrays[f"tr_classidx_{label}"].tolist())
        for j, test in enumerate(arrays[f"tt_classidx_{label}"].tolist())
        if arrays["tr_mem"][train] >= 0.5 and arrays[f"infl_matrix_class{label}"][i, j] >= 0.05
    }
    pairs = estimates.pairs(min_mem=0.5, min_infl=0.05)
    assert set(zip(pairs.train_index.tolist(), pairs.test_index.tolist(), strict=True)) == expected
    assert len(pairs) == len(expected) > 20
    assert (pairs.memorization >= 0.5).all() and (pairs.influence >= 0.05).all()
    np.testing.assert_array_equal(pairs.memorization, arrays["tr_mem"][pairs.train_index])
    assert pairs.n_train == len({train for train, _ in expected})
    assert pairs.n_test == len({test for _, test in expected})


def test_nan_is_in_no_pair(arrays):
    arrays["tr_mem"] = np.full(150, np.nan, np.float32)
    assert len(Estimates(arrays, ABOUT).pairs(-1, -1)) == 0


def test_what_is_not_there_is_said_not_guessed(arrays):
    influence_only = {name: array for name, array in arrays.items() if "class" in name}
    estimates = Estimates(influence_only, ABOUT)
    assert estimates.labels is None and estimates.filenames is None and estimates.n_in is None
    with pytest.raises(SchemaError, match=r"mine\.npz holds no memorization values \(tr_mem\)"):
        _ = estimates.memorization
    with pytest.raises(SchemaError, match="no influence matrix of class 7"):
        estimates.influence(7)
    with pytest.raises(SchemaError, match="holds no influence matrices"):
        Estimates({"tr_mem": arrays["tr_mem"]}, ABOUT).pairs()


def test_a_round_trip_keeps_every_array_to_the_byte(arrays, tmp_path):
    arrays["tr_filenames"] = imagenet_names(150).astype("S")
    arrays["tr_mem_se"] = np.full(150, 0.02, np.float32)
    Estimates(arrays, ABOUT).save(tmp_path / "a.npz")
    with Npz(tmp_path / "a.npz") as found:
        assert set(found) == {*arrays, "about"}
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            assert found[name].tobytes() == array.tobytes()
        check("influence", found)
    again = Estimates(open_arrays(tmp_path / "a.npz"), ABOUT)
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_scores_bring_along_what_is_known(arrays):
    arrays["tr_filenames"] = imagenet_names(150).astype("S")
    arrays["tr_n_in"] = np.full(150, 70)
    scores = Estimates(arrays, ABOUT).scores
    assert scores.quantity == "memorization" and len(scores) == 150
    assert scores.values is arrays["tr_mem"] and scores.labels is arrays["tr_labels"]
    assert scores.n_in is arrays["tr_n_in"] and scores.n_out is None
    assert scores.filenames[3] == "n00000000_3.JPEG"
    assert scores.about.direction == "high = atypical"


def test_names_are_text_whatever_they_were():
    assert as_text(None) is None
    assert as_text(np.array([b"a.JPEG", b"bc"])).tolist() == ["a.JPEG", "bc"]
    assert as_text(np.array(["ü"])).tolist() == ["ü"]
    assert as_text(np.array(["ü".encode(), b"a"])).tolist() == ["ü", "a"]
    assert as_text(np.array([], "S3")).tolist() == []
    every_second = np.array([b"a", b"b", b"c"])[::2]
    assert as_text(every_second).tolist() == ["a", "c"]


def test_the_repr_tells_what_this_is(arrays):
    shown = repr(Estimates(arrays, ABOUT))
    assert "memorization of 150 training examples, influence by 3 classes" in shown
    assert "order:      official" in shown and "direction:  high = atypical" in shown
    assert repr(Estimates({}, About())) == "Estimates: none"


def test_the_index_says_which_example_is_where(arrays):
    index = Estimates(arrays, ABOUT).index
    assert index.labels is arrays["tr_labels"] and index.test_labels is arrays["tt_labels"]
    assert index.filenames is None and index.about.order == "official"
