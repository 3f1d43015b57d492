"""Scores: one number for each example."""

import numpy as np

from memtools.estimates.about import About
from memtools.estimates.schema import check, open_arrays
from memtools.estimates.scores import Scores


def test_a_file_of_scores_is_what_published_c_scores_are(tmp_path):
    scores = Scores(
        About(direction="high = typical"), "c_score", np.array([0.5, 1.0]), np.array([3, 4])
    )
    scores.save(tmp_path / "a.npz")
    arrays = open_arrays(tmp_path / "a.npz")
    check("cscores", arrays)
    assert arrays["scores"].tolist() == [0.5, 1.0] and arrays["labels"].tolist() == [3, 4]
    assert "filenames" not in arrays


def test_the_repr_says_what_and_how_many():
    shown = repr(Scores(About(order="tfds"), "c_score", np.zeros(60000)))
    assert shown.splitlines()[0] == "Scores: c_score of 60,000 examples"
    assert "order:      tfds" in shown
