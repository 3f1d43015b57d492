"""Every pair, decided in integers."""

from fractions import Fraction

import numpy as np
import pytest
from worlds_of_runs import exact, packed, random_bits, stored

from memtools.estimation import counts, pair_scan
from memtools.estimation.estimator import estimate
from memtools.estimation.pair_scan import high_influence, scan


@pytest.fixture(params=["numba", "numpy"])
def way(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(counts, "kernels", None)
    else:
        pytest.importorskip("numba")


def matrix(bits):
    """Influence, float64 [n_train, n_test], NaN where there is none."""
    mask, _, test = bits
    values = [
        [exact(mask[:, i], test[:, j]) for j in range(test.shape[1])] for i in range(mask.shape[1])
    ]
    return np.array([[np.nan if v is None else float(v) for v in row] for row in values])


@pytest.fixture(scope="module")
def bits():
    mask, train, test = random_bits(np.random.default_rng(0), 90, 70, 30)
    mask[:, 8], mask[:, 9] = True, False
    mask[:, 20] = mask[:, 21]  # equals: the smaller index stays
    test[:, 5] = test[:, 6]
    return mask, train, test


@pytest.mark.parametrize("negative", [False, True])
def test_a_scan_is_the_dense_matrix_sorted(way, bits, negative):
    influence = matrix(bits)
    found = scan(packed(bits), per_test=7, per_train=4, least=0.12, negative=negative)
    i, j = np.nonzero(np.abs(influence) >= 0.12)
    assert np.array_equal(found.pairs.train_index, i)
    assert np.array_equal(found.pairs.test_index, j)
    assert np.array_equal(found.pairs.influence, influence[i, j])
    signed = np.nan_to_num(-influence if negative else influence, nan=-np.inf)
    of_test = np.argsort(-signed, axis=0, kind="stable")[:7].T
    assert np.array_equal(found.per_test.index, of_test)
    assert np.array_equal(found.per_test.influence, np.take_along_axis(influence.T, of_test, 1))
    of_train = np.argsort(-signed, axis=1, kind="stable")[:, :4]
    of_train[[8, 9]] = -1
    assert np.array_equal(found.per_train.index, of_train)
    assert np.isnan(found.per_train.influence[[8, 9]]).all()


def test_some_rows_are_named_by_their_own_index(way, bits):
    rows = np.array([50, 3, 8, 20])
    found = scan(packed(bits), rows=rows, per_test=2, least=0.1)
    assert set(found.pairs.train_index) <= set(rows.tolist())
    best = rows[np.argsort(-np.nan_to_num(matrix(bits)[rows], nan=-9), axis=0, kind="stable")[:2]].T
    assert np.array_equal(found.per_test.index, best)


def test_a_threshold_is_reached_by_equality(way):
    mask = np.arange(40) < 20
    right = np.concatenate([np.arange(20) < 13, np.arange(20) < 10])  # 13/20 - 10/20 = .15
    assert exact(mask, right) == Fraction(3, 20)
    bits = mask[:, None], right[:, None], np.stack([right, ~right], axis=1)
    pairs = scan(packed(bits), least=0.15).pairs
    assert pairs.test_index.tolist() == [0, 1] and pairs.influence.tolist() == [0.15, -0.15]
    assert len(scan(packed(bits), least=0.1500001).pairs.influence) == 0


def test_more_pairs_than_there_is_room_for_are_all_found(bits, monkeypatch):
    pytest.importorskip("numba")
    expected = scan(packed(bits), per_test=3, per_train=3, least=0.01)
    monkeypatch.setattr(pair_scan, "_ROOM", 5)
    monkeypatch.setattr(pair_scan, "ROWS", 16)
    found = scan(packed(bits), per_test=3, per_train=3, least=0.01)
    for kept in ("pairs", "per_test", "per_train"):
        for name, array in vars(getattr(expected, kept)).items():
            assert np.array_equal(array, getattr(getattr(found, kept), name), equal_nan=True)


def test_pairs_across_classes_contain_those_within(bits, tmp_path):
    store = stored(tmp_path / "runs", bits)
    across = high_influence([store], 0.0, 0.1)
    within = estimate([store]).pairs(0.0, 0.1)
    found = set(zip(across.train_index.tolist(), across.test_index.tolist(), strict=True))
    inner = set(zip(within.train_index.tolist(), within.test_index.tolist(), strict=True))
    assert inner < found
    labels, test_labels = store.examples.labels, store.examples.test_labels
    assert {(i, j) for i, j in found if labels[i] == test_labels[j]} == inner
