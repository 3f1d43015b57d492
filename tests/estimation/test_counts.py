"""Exact integers, with numba and without."""

import subprocess
import sys

import numpy as np
import pytest
from worlds_of_runs import packed, random_bits, stored

from memtools.estimation import counts
from memtools.estimation.bits import RunBits

numba = pytest.importorskip("numba")
SIZES = [(1, 1, 1), (63, 5, 3), (64, 65, 257), (65, 300, 40), (513, 70, 300), (576, 2100, 260)]


@pytest.fixture(params=["numba", "numpy"])
def way(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(counts, "kernels", None)
    return request.param


@pytest.mark.parametrize(("n_runs", "n_train", "n_test"), SIZES)
def test_joint_counts_are_the_integer_product(way, n_runs, n_train, n_test):
    bits = random_bits(np.random.default_rng(n_runs), n_runs, n_train, n_test)
    outcomes = packed(bits)
    expected = bits[0].T.astype(np.int64) @ bits[2].astype(np.int64)
    assert np.array_equal(counts.joint(outcomes.mask, outcomes.test_correct), expected)


@pytest.mark.parametrize(("n_runs", "n_train", "n_test"), SIZES)
def test_influence_is_one_fraction_rounded_once(way, n_runs, n_train, n_test):
    mask, _, test = bits = random_bits(np.random.default_rng(n_runs), n_runs, n_train, n_test)
    outcomes = packed(bits)
    n_in, n_correct = mask.sum(0)[:, None], test.sum(0)
    joint = mask.T.astype(np.int64) @ test.astype(np.int64)
    divisor = np.where(n_in * (n_runs - n_in) == 0, np.nan, n_in * (n_runs - n_in))
    expected = ((joint * n_runs - n_in * n_correct) / divisor).astype(np.float32)
    found = counts.influence(outcomes.mask, outcomes.test_correct)
    assert found.dtype == np.float32 and np.array_equal(found, expected, equal_nan=True)


@pytest.mark.parametrize("n_runs", [1, 63, 64, 65, 130])
def test_bits_come_back_as_they_were_packed(n_runs):
    rows = np.random.default_rng(0).random((n_runs, 33)) < 0.5
    bits = RunBits.pack(rows, 33)
    assert bits.n_runs == n_runs and np.array_equal(bits.totals(), rows.sum(0))
    chosen = np.array([n_runs - 1, 0])
    assert np.array_equal(bits.runs(chosen).totals(), rows[chosen].sum(0))
    assert np.array_equal(bits.columns(np.array([5, 2])).totals(), rows[:, [5, 2]].sum(0))
    others = RunBits.pack(~rows, 33)
    assert not bits.both(others).any() and np.array_equal(bits.both(bits), bits.totals())


WITHOUT_NUMBA = """
import sys, importlib.util, pathlib
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "numba" else find(name, *rest)
from memtools.estimation import counts
from memtools.estimation.estimator import estimate
from memtools.runs.store import RunStore
assert counts.kernels is None
estimate([RunStore.open(pathlib.Path(sys.argv[1]))]).save(pathlib.Path(sys.argv[2]))
assert "numba" not in sys.modules
"""


def test_without_numba_the_estimates_are_the_same_bytes(tmp_path):
    from memtools.estimation.estimator import estimate

    store = stored(tmp_path / "runs", random_bits(np.random.default_rng(0), 40, 30, 20))
    estimate([store]).save(tmp_path / "with.npz")
    command = [sys.executable, "-c", WITHOUT_NUMBA, str(store.root), str(tmp_path / "without.npz")]
    subprocess.run(command, check=True)
    assert (tmp_path / "with.npz").read_bytes() == (tmp_path / "without.npz").read_bytes()


def test_kernels_compile_where_no_directory_for_their_cache_can_be_written_to():
    from memtools.estimation import kernels

    namespace = {}
    exec("def add(a, b):\n    return a + b", namespace)  # numba has no place for what has no file
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(cache=True)(namespace["add"])
    assert kernels._compiled(namespace["add"])(1, 2) == 3
