"""Facts about arrays, and histograms in text."""

import numpy as np
import pytest
from worlds import published_arrays

from memtools.errors import SchemaError
from memtools.estimates.npz import Npz, write_npz
from memtools.estimates.summary import bars, histogram, outline, summarise


def test_arrays_of_each_class_are_one_line():
    arrays = published_arrays([4, 6, 5], 2)
    arrays["tr_mem"][3] = np.nan
    facts = {each.name: each for each in summarise(arrays)}
    matrices = facts["infl_matrix_class{K}"]
    assert (matrices.count, matrices.shapes) == (3, ((4, 2), (6, 2)))
    every = np.concatenate([arrays[f"infl_matrix_class{k}"].ravel() for k in range(3)])
    assert (matrices.low, matrices.high) == (float(every.min()), float(every.max()))
    assert facts["tr_mem"].n_nan == 1 and facts["tr_mem"].low >= 0
    assert matrices.in_words[:3] == ("infl_matrix_class{K} (3)", "float32", "4x2 to 6x2")


def test_an_outline_has_all_but_the_ranges_and_reads_no_numbers(tmp_path):
    arrays = published_arrays([4000, 6000, 5000], 2)
    write_npz(tmp_path / "a.npz", arrays)
    data = (tmp_path / "a.npz").read_bytes()
    numbers = arrays["tr_mem"].tobytes()
    assert data.count(numbers) == 1
    (tmp_path / "a.npz").write_bytes(data.replace(numbers, numbers[::-1]))
    with Npz(tmp_path / "a.npz") as damaged:
        with pytest.raises(SchemaError):
            summarise(damaged)
        of_file = outline(damaged)
    assert of_file == outline(arrays)
    facts = [each.in_words[:3] for each in summarise(arrays)]
    assert [each.in_words for each in of_file] == [(*words, "") for words in facts]


def test_names_and_empty_arrays_have_no_range():
    names, empty, blank = summarise(
        {"names": np.array(["a"]), "empty": np.zeros(0), "blank": np.array([np.nan])}
    )
    assert names.low is empty.low is blank.low is None
    assert blank.in_words[3] == ", 1 NaN"


def test_a_histogram_counts_everything_but_nan():
    values = np.array([0, 0.01, 0.5, 1.0, np.nan])
    counts, edges = histogram(values)
    assert counts.sum() == 4 and counts[0] == 2 and counts[-1] == 1
    assert (len(counts), edges[0], edges[-1]) == (18, 0.0, 1.0)
    assert histogram(np.array([-0.5, 1.0]))[1][0] == -0.5


def test_the_highest_bar_is_as_wide_as_asked():
    lines = bars([10, 5, 0], [0, 1 / 3, 2 / 3, 1], width=8)
    assert [line.count("█") for line in lines] == [8, 4, 0]
    assert lines[0].split()[:4] == ["0.00", "to", "0.33", "10"]
    assert bars([0], [0, 1]) == ["  0.00 to  1.00         0 "]


def test_infinite_numbers_do_not_spoil_a_range_or_its_json():
    (facts,) = summarise({"a": np.array([-np.inf, 0.5, np.nan, np.inf])})
    assert (facts.low, facts.high, facts.n_nan) == (0.5, 0.5, 1)
    assert histogram(np.array([np.inf, 0.5]))[0].sum() == 1
