"""Who is in: fair, pure, and no stream shared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtools.errors import ConfigError
from memtools.training.subsets import STREAMS, draw, generator, period, size_of

LABELS = np.arange(103) % 4


def masks(n_runs, design, ratio=0.7, seed=0, labels=LABELS):
    options = {"ratio": ratio, "design": design, "seed": seed}
    return np.array([draw(labels, run_id=run, **options) for run in range(n_runs)])


@pytest.mark.parametrize("design", ["uniform", "balanced", "stratified"])
def test_a_subset_has_its_size_and_depends_on_seed_and_run_alone(design):
    found = masks(30, design)
    sizes = found.sum(1)
    assert (abs(sizes - 0.7 * 103) <= 4).all() and found.dtype == np.bool_
    assert np.array_equal(found[17], draw(LABELS, ratio=0.7, design=design, seed=0, run_id=17))
    assert len(np.unique(found, axis=0)) == 30
    assert not (found == masks(30, design, seed=1)).all(1).any()


def test_uniform_subsets_hold_seventy_percent_and_not_thirty():
    found = masks(2000, "uniform")
    assert (found.sum(1) == size_of(103, 0.7)).all() and size_of(103, 0.7) == 72
    share = found.mean(0)
    assert abs(share - 72 / 103).max() < 4.5 * np.sqrt(0.21 / 2000)
    together = (found[:, :, None] & found[:, None, :]).mean(0)[np.triu_indices(103, 1)]
    assert abs(together.mean() - 72 * 71 / (103 * 102)) < 1e-3


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 80), st.sampled_from([0.1, 0.25, 0.5, 0.7, 0.9]), st.integers(1, 3))
def test_a_balanced_design_uses_every_example_equally_often(n, ratio, periods):
    n_runs = periods * period(ratio)
    found = masks(n_runs, "balanced", ratio, labels=np.zeros(n, int))
    assert (found.sum(0) == round(ratio * n_runs)).all()
    assert abs(found.sum(1) - ratio * n).max() <= 1


def test_complements_share_nothing_and_miss_nothing():
    found = masks(10, "complementary", 0.5)
    assert (found[0::2] ^ found[1::2]).all()
    assert len(np.unique(found, axis=0)) == 10
    with pytest.raises(ConfigError, match=r"ratio 0\.5"):
        masks(1, "complementary", 0.7)


def test_stratified_subsets_have_the_share_of_each_class():
    for mask in masks(5, "stratified"):
        for label in range(4):
            of_class = label == LABELS
            assert mask[of_class].sum() == size_of(of_class.sum(), 0.7)


def test_no_two_purposes_and_no_two_runs_share_random_numbers():
    drawn = [
        tuple(generator(seed, run, stream).integers(2**63, size=4))
        for seed in (0, 1)
        for run in range(20)
        for stream in STREAMS
    ]
    assert len(set(drawn)) == len(drawn)
