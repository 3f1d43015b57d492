"""Split halves, chance, and how many more runs."""

import math

import numpy as np
import pytest
from worlds_of_runs import labelled, packed, random_bits, stored

from memtools.errors import ConfigError
from memtools.estimation import reliability
from memtools.estimation.estimator import estimate
from memtools.estimation.statistics import Statistics


def hypergeometric_tail(n, inside, right, least):
    terms = (
        math.comb(right, k) * math.comb(n - right, inside - k)
        for k in range(max(least, 0), min(inside, right) + 1)
    )
    return sum(terms) / math.comb(n, inside)


def test_tails_are_hypergeometric():
    cases = [(40, 28, 20, 17), (40, 28, 40, 28), (40, 28, 0, 0), (40, 28, 20, 21), (40, 5, 3, -2)]
    for n, inside, right, least in cases:
        columns = (np.array([value]) for value in (inside, right, least))
        found = reliability.upper_tail(n, *columns)[0]
        assert found == pytest.approx(hypergeometric_tail(n, inside, right, least), rel=1e-9)


def test_false_pairs_are_as_many_as_chance_makes():
    rng = np.random.default_rng(0)
    n_runs, n_train, n_test = 60, 80, 50
    examples = labelled(n_train, n_test, 2)
    found, expected = [], []
    for _ in range(40):
        mask = np.zeros((n_runs, n_train), bool)
        for row in mask:
            row[rng.permutation(n_train)[:56]] = True
        train = rng.random((n_runs, n_train)) < 0.5
        test = rng.random((n_runs, n_test)) < rng.random(n_test)
        statistics = Statistics.empty(examples, n_train, n_test).add(packed((mask, train, test)))
        everyone = np.ones(n_train)
        expected.append(reliability.expected_false_pairs(statistics, everyone, 0.25, 0.15))
        n_in = statistics.n_in
        for label, (rows, columns) in statistics.classes.items():
            inside = n_in[rows][:, None]
            infl = statistics.joint[label] * n_runs - statistics.test_correct[columns] * inside
            found.append((infl / (inside * (n_runs - inside)) >= 0.15).sum())
    assert sum(found) == pytest.approx(sum(expected), rel=0.05) and sum(found) > 1000


def test_benjamini_hochberg_steps_up():
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.5])
    assert reliability.benjamini_hochberg(p, 5, 0.05).tolist() == [True, True, True, True, False]
    assert reliability.benjamini_hochberg(p, 50, 0.05).tolist() == [False] * 5
    assert reliability.benjamini_hochberg(np.zeros(0), 0, 0.05).tolist() == []


def test_halves_of_the_same_world_agree_and_of_noise_do_not():
    rng = np.random.default_rng(1)
    mask, train, test = random_bits(rng, 400, 90, 30)
    memorized = np.arange(90) < 45
    train = rng.random((400, 90)) < np.where(memorized & ~mask, 0.2, 0.95)
    halves = reliability.split_half(packed((mask, train, test)), labelled(90, 30, 3))
    assert halves.n_runs == 200 and halves.pearson > 0.95 and halves.spearman > 0.6
    noise = packed(random_bits(rng, 400, 90, 30))
    assert abs(reliability.split_half(noise, labelled(90, 30, 3)).spearman) < 0.4
    sizes = [each.n_runs for each in reliability.convergence(noise, labelled(90, 30, 3))]
    assert sizes == [12, 25, 50, 100, 200]
    with pytest.raises(ConfigError, match="no two halves of 300"):
        reliability.split_half(noise, labelled(90, 30, 3), n_runs=300)


def test_half_the_error_takes_four_times_the_runs(tmp_path):
    bits = random_bits(np.random.default_rng(0), 50, 30, 12)
    estimates = estimate([stored(tmp_path / "runs", bits)])
    mean = float(estimates.standard_error.mean())
    assert reliability.runs_for(estimates, 50, mean / 2) == pytest.approx(200, abs=1)


def test_a_strong_pair_is_significant_and_noise_is_not():
    rng = np.random.default_rng(3)
    mask, train, test = random_bits(rng, 300, 40, 20)
    noise = Statistics.empty(labelled(40, 20, 1), 40, 20).add(packed((mask, train, test)))
    assert reliability.significant_pairs(noise) <= 2
    test[:, 4] = np.where(mask[:, 7], 0.9, 0.2) > rng.random(300)
    planted = Statistics.empty(labelled(40, 20, 1), 40, 20).add(packed((mask, train, test)))
    assert 1 <= reliability.significant_pairs(planted) <= 3
