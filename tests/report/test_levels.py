"""Levels of a score."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from memtools.report.levels import BARS, levels_of


def test_memorization_has_twenty_levels_from_nought_to_one():
    levels = levels_of(np.array([0.0, 0.2, 1.0]))
    assert (levels.n, levels.width) == (20, 0.05)
    assert [levels.edge(k) for k in (0, 3, 20)] == [0.0, 0.15, 1.0]


def test_a_value_on_an_edge_belongs_to_the_level_above_whatever_its_width():
    edges = np.arange(20) / 20
    levels = levels_of(edges)
    for dtype in (np.float64, np.float32, np.float16):
        assert levels.of(edges.astype(dtype)[[7, 13]]).tolist() == [7, 13]
    assert levels.of(np.array([1.0])).tolist() == [19]


def test_what_has_no_estimate_is_on_no_level():
    values = np.array([np.nan, 0.5])
    levels = levels_of(values)
    assert levels.of(values).tolist() == [-1, 10] and levels.bars(values).sum() == 1


def test_negative_values_have_levels_of_their_own():
    levels = levels_of(np.array([-0.12, 0.9]))
    assert levels.edge(0) == -0.15 and levels.edge(levels.n) == 1.0


@pytest.mark.parametrize("high", [3.0, 70.0, 1e6])
def test_large_numbers_have_wide_levels(high):
    levels = levels_of(np.array([-high, high]))
    assert levels.n <= 40 and levels.edge(levels.n) >= high and levels.edge(0) <= -high


@given(arrays(np.float32, st.integers(1, 50), elements=st.floats(-1, 1, width=32)))
@example(np.array([-3.058798e-07, -0.5], np.float32))  # just below an edge
def test_every_number_is_on_a_level_that_holds_it(values):
    levels = levels_of(values)
    place = levels.of(values)
    low = np.array([levels.edge(k) for k in place])
    high = np.array([levels.edge(k + 1) for k in place])
    assert (values >= low - 1e-6).all() and (values <= high + 1e-6).all()
    bars = levels.bars(values)
    counts = np.bincount(place, minlength=levels.n)
    assert bars.reshape(-1, BARS).sum(1).tolist() == counts.tolist()
