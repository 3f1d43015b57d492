"""High-influence pairs: thresholds, counts, files."""

import numpy as np
import pytest

from memtools.errors import ConfigError
from memtools.estimates.about import About
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.schema import check, open_arrays

PAIRS = HighInfluencePairs(
    About(dataset="cifar100"),
    train_index=np.array([5, 3, 5, 9]),
    test_index=np.array([0, 0, 1, 2]),
    memorization=np.array([0.25, 0.5, 0.25, 1.0]),
    influence=np.array([0.15, 0.2, 0.3, 0.4]),
)


def test_distinct_examples_are_counted():
    assert (len(PAIRS), PAIRS.n_train, PAIRS.n_test) == (4, 3, 3)


def test_thresholds_include_their_own_value():
    assert len(PAIRS.pairs(0.25, 0.15)) == 4
    assert PAIRS.pairs(0.5, 0.2).train_index.tolist() == [3, 9]
    assert PAIRS.pairs(0.5, 0.21).test_index.tolist() == [2]


@pytest.mark.parametrize(("mem", "infl"), [(0.24, 0.15), (0.25, 0.14), (0, 0.9)])
def test_a_list_does_not_answer_for_pairs_that_it_never_held(mem, infl):
    with pytest.raises(ConfigError, match="complete only from memorization"):
        PAIRS.pairs(mem, infl)
    with pytest.raises(ConfigError):
        PAIRS.pairs(0.6, 0.3).pairs(0.5, 0.3)


def test_files_keep_the_thresholds(tmp_path):
    PAIRS.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as found:
        assert set(found) == {"about", "tr_idx", "tt_idx", "infl", "mem"}
        assert found["tr_idx"].tolist() == [5, 3, 5, 9]
    PAIRS.pairs(0.5, 0.2).save(tmp_path / "b.npz")
    arrays = open_arrays(tmp_path / "b.npz")
    check("pairs", arrays)
    assert (float(arrays["min_mem"]), float(arrays["min_infl"])) == (0.5, 0.2)


def test_the_repr_counts():
    assert "4 pairs of 3 training and 3 test examples" in repr(PAIRS)
    assert "dataset:    cifar100" in repr(PAIRS)
