"""What is known of the numbers' quality."""

import numpy as np
import pytest
from estimation.worlds_of_runs import random_bits, stored

from memtools.errors import ConfigError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates
from memtools.estimation.estimator import estimate
from memtools.report.quality import Quality, quality_of
from memtools.report.subject import subject_of


@pytest.fixture
def store(tmp_path):
    return stored(tmp_path / "runs", random_bits(np.random.default_rng(0), 40, 60, 12))


def test_the_file_alone_says_runs_and_errors(store):
    estimates = estimate([store], converged=0)
    quality = quality_of(subject_of(estimates))
    assert quality.n_runs == 40 and quality.n_lost == 0
    assert quality.errors[1] == pytest.approx(np.median(estimates.standard_error))
    assert (quality.inside, quality.curve, quality.false_pairs) == (None, (), None)


def test_runs_say_accuracies_halves_and_chance(store):
    quality = quality_of(subject_of(estimate([store], converged=0)), [store])
    inside = [record.accuracy_in for record in store]
    assert quality.inside == pytest.approx(np.quantile(inside, (0.05, 0.5, 0.95)))
    assert [halves.n_runs for halves in quality.curve] == [10, 20]
    first, second = quality.curve[-1].memorization
    assert quality.curve[-1].pearson == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert quality.false_pairs > 0 and quality.significant >= 0


def test_runs_of_other_numbers_are_refused(store, tmp_path):
    other = stored(tmp_path / "other", random_bits(np.random.default_rng(1), 40, 60, 12))
    subject = subject_of(estimate([store], converged=0))
    with pytest.raises(ConfigError, match="not those of these numbers"):
        quality_of(subject, [other])
    fewer = stored(tmp_path / "fewer", random_bits(np.random.default_rng(0), 40, 60, 12), range(39))
    with pytest.raises(ConfigError, match="39 runs"):
        quality_of(subject, [fewer])


def test_numbers_that_say_nothing_are_not_recorded():
    quality = quality_of(subject_of(Estimates({"tr_mem": np.array([0.5, np.nan])}, About())))
    assert quality == Quality(n_lost=1)
