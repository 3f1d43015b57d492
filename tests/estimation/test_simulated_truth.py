"""A world whose truth is known: memorized examples, twins, wrong labels, and the irrelevant."""

import numpy as np
import pytest
from worlds_of_runs import labelled, packed

from memtools.estimates.about import About
from memtools.estimation.estimator import finish
from memtools.estimation.reliability import expected_false_pairs
from memtools.estimation.statistics import Statistics

N_TRAIN, N_TEST, N_RUNS, N_CLASSES = 400, 200, 1000, 4
MEMORIZED, MISLABELLED = np.arange(0, 40), np.arange(40, 80)
TWINS = np.arange(80, 160).reshape(40, 2)  # either of two is enough for both


@pytest.fixture(scope="module")
def world():
    """(mask, train_correct, test_correct, rates inside, rates outside) of uniform 70 % subsets."""
    rng = np.random.default_rng(7)
    mask = np.argsort(rng.random((N_RUNS, N_TRAIN)), axis=1) < 0.7 * N_TRAIN
    inside, outside = np.full(N_TRAIN, 0.97), np.full(N_TRAIN, 0.95)
    inside[MEMORIZED], outside[MEMORIZED] = 0.98, 0.3
    inside[MISLABELLED], outside[MISLABELLED] = 0.95, 0.02
    rates = np.where(mask, inside, outside)
    for pair in TWINS:
        either = mask[:, pair].any(1)
        rates[:, pair] = np.where(either, 0.95, 0.3)[:, None]
        other_out = (0.3 * N_TRAIN - 1) / (N_TRAIN - 1)  # once one is out
        inside[pair], outside[pair] = 0.95, 0.95 * (1 - other_out) + 0.3 * other_out
    train = rng.random(rates.shape) < rates
    base = rng.uniform(0.1, 0.9, N_TEST)
    test_rates = np.tile(base, (N_RUNS, 1))
    for k, i in enumerate(MEMORIZED):
        test_rates[:, partner(k)] = np.where(mask[:, i], 0.8, 0.3)
    test = rng.random(test_rates.shape) < test_rates
    return mask, train, test, inside, outside


def partner(k):
    """The test example that memorized example k helps on: of the same class."""
    return N_TEST - 1 - k


@pytest.fixture(scope="module")
def estimates(world):
    examples = labelled(N_TRAIN, N_TEST, N_CLASSES)
    statistics = Statistics.empty(examples, N_TRAIN, N_TEST).add(packed(world[:3]))
    return statistics, finish(statistics, examples, About())


def test_memorization_is_unbiased_and_its_errors_are_right(world, estimates):
    *_, inside, outside = world
    made = estimates[1]
    z = (made.memorization - (inside - outside)) / made.standard_error
    for group in (MEMORIZED, MISLABELLED, TWINS.ravel(), np.arange(160, N_TRAIN)):
        assert abs(z[group].mean()) < 4 / np.sqrt(len(group))
    assert 0.9 < z.std() < 1.1
    truth = inside - outside
    covered = (made.arrays["tr_mem_low"] <= truth) & (truth <= made.arrays["tr_mem_high"])
    assert 0.92 <= covered.mean() <= 0.98


def test_the_memorized_are_found_and_the_others_are_not(estimates):
    found = set(np.flatnonzero(estimates[1].memorization >= 0.25).tolist())
    near = set(TWINS.ravel().tolist())  # their memorization is .19: chance lifts one or two
    assert found - near == {*MEMORIZED.tolist(), *MISLABELLED.tolist()}
    assert len(found & near) <= 8


def test_planted_pairs_are_found_and_false_ones_are_as_many_as_chance_makes(estimates):
    statistics, made = estimates
    pairs = made.pairs()
    found = set(zip(pairs.train_index.tolist(), pairs.test_index.tolist(), strict=True))
    planted = {(int(i), partner(k)) for k, i in enumerate(MEMORIZED)}
    assert planted <= found
    expected = expected_false_pairs(statistics, made.memorization)
    assert abs(len(found - planted) - expected) <= 4 * np.sqrt(expected) + 2


def test_influence_is_unbiased(world, estimates):
    made = estimates[1]
    errors = []
    for label in made.classes:
        block = made.influence(label)
        truth = np.zeros(block.values.shape)
        for k, i in enumerate(MEMORIZED):
            truth[np.ix_(block.train_index == i, block.test_index == partner(k))] = 0.5
        se = made.arrays[f"infl_se_class{label}"]
        errors.append(((block.values - truth) / se).ravel())
    z = np.concatenate(errors)
    assert abs(z.mean()) < 0.05 and 0.9 < z.std() < 1.1
