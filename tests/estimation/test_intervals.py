"""Errors and intervals: the papers' numbers, and what they cover."""

import numpy as np
import pytest

from memtools.estimation.intervals import newcombe, standard_error, wilson


def test_the_examples_of_the_papers():
    low, high = newcombe(*(np.array([n]) for n in (56, 70, 48, 80)))
    assert (low[0], high[0]) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))
    low, high = newcombe(*(np.array([n]) for n in (10, 10, 0, 10)))
    assert (low[0], high[0]) == (pytest.approx(0.6075, abs=1e-4), 1.0)
    low, high = wilson(np.array([81]), np.array([263]))
    assert (low[0], high[0]) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))


def test_the_error_is_that_of_one_more_success_and_failure_on_each_side():
    a, b = (8 + 1) / (10 + 2), (3 + 1) / (20 + 2)
    expected = np.sqrt(a * (1 - a) / 12 + b * (1 - b) / 22)
    found = standard_error(*(np.array([n]) for n in (8, 10, 3, 20)))[0]
    assert found == pytest.approx(expected)
    assert standard_error(*(np.array([n]) for n in (10, 10, 0, 20)))[0] > 0
    assert np.isnan(standard_error(*(np.array([n]) for n in (0, 0, 3, 20)))[0])
    assert np.isnan(newcombe(*(np.array([n]) for n in (0, 0, 3, 20)))).all()


def coverage(inside, outside, n_runs, times=20_000, seed=0):
    """Share of Newcombe's intervals that hold the true difference, subsets of 70 %."""
    rng = np.random.default_rng(seed)
    n_in = rng.binomial(n_runs, 0.7, times)
    right_in, right_out = rng.binomial(n_in, inside), rng.binomial(n_runs - n_in, outside)
    low, high = newcombe(right_in, n_in, right_out, n_runs - n_in)
    return float(((low <= inside - outside) & (inside - outside <= high)).mean())


@pytest.mark.parametrize("n_runs", [400, 2000])
def test_intervals_cover_what_they_say(n_runs):
    rates = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
    table = {(a, b): coverage(a, b, n_runs) for a in rates for b in rates}
    assert all(0.93 <= share <= 0.97 for share in table.values()), table
    assert 0.945 <= np.mean(list(table.values())) <= 0.955


def test_at_the_edge_they_cover_more():
    for inside, outside in ((1.0, 0.5), (1.0, 0.02), (0.999, 0.9), (1.0, 1.0), (0.0, 0.0)):
        assert coverage(inside, outside, 400) >= 0.93


if __name__ == "__main__":
    for n_runs in (400, 2000, 4000):
        for inside in (0.0, 0.02, 0.1, 0.5, 0.9, 0.98, 1.0):
            shares = (coverage(inside, outside, n_runs) for outside in (0.02, 0.5, 0.98, 1.0))
            print(n_runs, inside, *(f"{share:.3f}" for share in shares))
