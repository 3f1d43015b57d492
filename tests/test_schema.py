"""Right by digest is not enough: what arrays must mean."""

import numpy as np
import pytest
from worlds import imagenet_names, published_arrays

from memtools.errors import SchemaError
from memtools.estimates.schema import check, kind_of, open_arrays


@pytest.fixture
def arrays():
    return published_arrays([4, 6, 5], 2)


@pytest.fixture
def pairs():
    return {
        "tr_idx": np.array([3, 1, 3]),
        "tt_idx": np.array([0, 0, 1], np.int16),
        "infl": np.array([0.2, 0.3, 0.9], np.float32),
        "mem": np.array([0.25, 1.0, 0.25]),
    }


def change(arrays, name, edit):
    changed = arrays[name].copy()
    edit(changed)
    return {**arrays, name: changed}


@pytest.mark.parametrize("mem", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.uint16, np.int32, np.int64])
def test_every_width_of_numbers_is_accepted(mem, index):
    arrays = published_arrays([4, 6, 5], 2, dtype=mem)
    arrays = {
        name: array.astype(index) if array.dtype.kind == "i" else array
        for name, array in arrays.items()
    }
    check("influence", arrays)


def test_files_that_complete_each_other_are_each_right(arrays):
    check("influence", {n: a for n, a in arrays.items() if "class" in n})
    index = {n: a for n, a in arrays.items() if "class" not in n}
    check("index", {**index, "tr_filenames": imagenet_names(15).astype("S")})


def test_nan_is_an_example_without_an_estimate(arrays):
    check("influence", change(arrays, "tr_mem", lambda mem: mem.__setitem__(3, np.nan)))
    blank = change(arrays, "infl_matrix_class1", lambda m: m.__setitem__((0, 1), np.nan))
    check("influence", blank)


def test_counts_say_where_nan_must_be(arrays):
    n_in, n_out = np.full(15, 7), np.full(15, 3)
    check("influence", {**arrays, "tr_n_in": n_in, "tr_n_out": n_out})
    n_out[4] = 0
    with pytest.raises(SchemaError, match="tr_mem is NaN where the counts"):
        check("influence", {**arrays, "tr_n_in": n_in, "tr_n_out": n_out})
    right = change(arrays, "tr_mem", lambda mem: mem.__setitem__(4, np.nan))
    check("influence", {**right, "tr_n_in": n_in, "tr_n_out": n_out})


@pytest.mark.parametrize(
    ("name", "edit", "words"),
    [
        ("tr_mem", lambda a: a.__setitem__(0, 1.01), "outside"),
        ("tr_mem", lambda a: a.__setitem__(0, -np.inf), "outside"),
        ("infl_matrix_class2", lambda a: a.__setitem__((1, 1), np.inf), "outside"),
        ("tr_labels", lambda a: a.__setitem__(0, -1), "below 0"),
        ("tr_classidx_1", lambda a: a.__setitem__(0, 15), "beyond the 15 examples"),
        ("tr_classidx_1", lambda a: a.__setitem__(0, -2), "below 0"),
        ("tr_classidx_1", lambda a: a.__setitem__(0, a[1]), "twice"),
        ("tt_classidx_0", lambda a: a.__setitem__(0, a[1]), "twice"),
    ],
)
def test_an_impossible_value_is_named(arrays, name, edit, words):
    with pytest.raises(SchemaError, match=f"^{name} .*{words}"):
        check("influence", change(arrays, name, edit))


def test_a_swap_between_classes_is_seen(arrays):
    swapped = change(arrays, "tr_classidx_0", lambda a: None)
    swapped["tr_classidx_1"] = arrays["tr_classidx_1"].copy()
    swapped["tr_classidx_0"][0], swapped["tr_classidx_1"][0] = (
        arrays["tr_classidx_1"][0],
        arrays["tr_classidx_0"][0],
    )
    with pytest.raises(SchemaError, match="tr_classidx_0 points to examples of another label"):
        check("influence", swapped)


@pytest.mark.parametrize("known", [True, False])
def test_a_dropped_class_is_seen(arrays, known):
    kept = {n: a for n, a in arrays.items() if not n.endswith(("_1", "class1"))}
    if not known:  # without labels: positions are left out
        kept = {n: a for n, a in kept.items() if "class" in n}
    with pytest.raises(SchemaError, match=r"leave out|beyond"):
        check("influence", kept)


@pytest.mark.parametrize("name", ["tr_classidx_1", "tt_classidx_1", "infl_matrix_class1"])
def test_a_missing_array_is_named(arrays, name):
    with pytest.raises(SchemaError, match=f"{name} is missing"):
        check("influence", {n: a for n, a in arrays.items() if n != name})


def test_an_unknown_array_is_named(arrays):
    with pytest.raises(SchemaError, match="tr_memory is an array that no such file has"):
        check("influence", {**arrays, "tr_memory": np.zeros(3)})


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("tr_mem", np.zeros(14, np.float32), "shape|missing|not"),
        ("tr_mem", np.zeros((15, 1), np.float32), "shape"),
        ("tr_mem", np.zeros(15, np.int64), "not floating-point"),
        ("tr_labels", np.zeros(15), "not integers"),
        ("infl_matrix_class0", np.zeros((2, 4), np.float32), r"shape \(2, 4\), not \(4, 2\)"),
        ("tr_filenames", np.array(["same"] * 15), "twice"),
        ("tr_filenames", np.arange(15.0), "not names"),
    ],
)
def test_a_wrong_shape_or_type_is_named(arrays, name, array, words):
    with pytest.raises(SchemaError, match=words):
        check("influence", {**arrays, name: array})


def test_published_pairs_are_right(pairs):
    check("pairs", pairs)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("infl", np.array([0.2, np.nan, 0.9]), "NaN"),
        ("mem", np.array([0.25, 1.5, 0.25]), "outside"),
        ("tt_idx", np.array([0, 0]), "shape"),
        ("tr_idx", np.array([3, 1, -3]), "below 0"),
        ("tt_idx", np.array([0, 0, 0]), "same pair twice"),
    ],
)
def test_wrong_pairs_are_named(pairs, name, array, words):
    with pytest.raises(SchemaError, match=words):
        check("pairs", {**pairs, name: array})


def test_scores_lie_between_0_and_1():
    labels = np.array([0, 1])
    check("cscores", {"scores": np.array([0.0, 1.0]), "labels": labels})
    for wrong in ([0.5, 1.1], [-0.1, 0.5], [np.nan, 0.5]):
        with pytest.raises(SchemaError, match="scores holds"):
            check("cscores", {"scores": np.array(wrong), "labels": labels})
    with pytest.raises(SchemaError, match="labels has the shape"):
        check("cscores", {"scores": np.array([0.5]), "labels": labels})


def test_the_kind_is_told_by_the_names(arrays, pairs):
    assert kind_of(arrays) == "influence"
    assert kind_of({"tr_mem": np.zeros(3)}) == "index"
    assert kind_of(pairs) == "pairs"
    assert kind_of({"scores": np.zeros(3)}) == "scores"
    with pytest.raises(SchemaError, match="has these arrays: weights"):
        kind_of({"weights": np.zeros(3)})


def test_a_file_is_opened_by_its_content_not_its_ending(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3.0))
    (tmp_path / "a.npy").rename(tmp_path / "b.npz")
    assert open_arrays(tmp_path / "b.npz")["scores"].tolist() == [0, 1, 2]
