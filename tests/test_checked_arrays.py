"""Arrays by their published names: each has the type and the shape of its name, or is refused."""

import numpy as np
import pytest

from memtools.errors import SchemaError
from memtools.estimates.checked_arrays import CheckedArrays, class_of
from memtools.estimates.npz import Npz

ARRAYS = {
    "tr_mem": np.linspace(0, 1, 6),
    "tr_labels": np.arange(6) % 2,
    "tt_labels": np.arange(4) % 2,
    "tr_filenames": np.array([f"{k}.png" for k in range(6)]),
    "tr_classidx_0": np.array([0, 2, 4]),
    "tt_classidx_0": np.array([0, 2]),
    "infl_matrix_class0": np.zeros((3, 2)),
}


def test_whole_arrays_are_read_as_they_are():
    checked = CheckedArrays(ARRAYS)
    assert list(checked) == list(ARRAYS) and "tr_mem" in checked and "x" not in checked
    for name, array in ARRAYS.items():
        assert checked[name] is array
        assert (checked.shape(name), checked.dtype(name)) == (array.shape, array.dtype)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("tr_mem", np.arange(6), "holds int64, not floating-point"),
        ("tr_mem", np.zeros(()), "needs 1 axes"),
        ("tr_mem", np.zeros(0), "holds no values"),
        ("tr_labels", np.zeros(6), "not integers"),
        ("tr_labels", np.arange(5), "there are 6 train examples"),
        ("tr_labels", np.full(6, -1), "holds -1"),
        ("tr_labels", np.full(6, 2**63, np.uint64), "holds 9223372036854775808"),
        ("tr_filenames", np.arange(6), "not names"),
        ("tr_classidx_0", np.array([0, 2, 6]), "holds 6, not 0 to 5"),
        ("tt_classidx_0", np.array([0, 4]), "holds 4, not 0 to 3"),
        ("tr_classidx_0", np.array([[0, 2, 4]]), "needs 1 axes"),
        ("infl_matrix_class0", np.zeros((2, 3)), "there are 3 train of class examples"),
        ("infl_matrix_class0", np.zeros(6), "needs 2 axes"),
    ],
)
def test_an_array_that_cannot_have_its_name_is_refused_when_it_is_read(name, array, words):
    checked = CheckedArrays({**ARRAYS, name: array})
    with pytest.raises(SchemaError, match=words):
        checked[name]


def test_files_of_a_group_are_checked_against_each_other_without_reading_the_rest(tmp_path):
    np.savez(tmp_path / "influence.npz", **{k: v for k, v in ARRAYS.items() if "class" in k})
    np.savez(tmp_path / "index.npz", tr_labels=np.arange(3), tt_labels=ARRAYS["tt_labels"])
    checked = CheckedArrays(Npz(tmp_path / "influence.npz"), Npz(tmp_path / "index.npz"))
    assert checked.shape("infl_matrix_class0") == (3, 2)
    with pytest.raises(SchemaError, match="tr_classidx_0 holds 4, not 0 to 2"):
        checked["tr_classidx_0"]


def test_a_class_is_written_in_one_way():
    assert class_of("infl_matrix_class12") == ("infl_matrix_class", 12)
    assert class_of("tr_classidx_0") == ("tr_classidx_", 0) and class_of("tr_mem") is None
    for name in (
        "infl_matrix_class",
        "infl_matrix_classX",
        "infl_matrix_class007",
        "tr_classidx_-1",
        "infl_matrix_class\u0663",
        "tt_classidx_" + "9" * 30,
    ):
        with pytest.raises(SchemaError, match="ends in something else than a class"):
            CheckedArrays({name: np.zeros(1)})
