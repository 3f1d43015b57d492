"""What a file says about itself."""

from pathlib import Path

import numpy as np
import pytest

from memtools.errors import SchemaError
from memtools.estimates.about import About, read_about, save
from memtools.estimates.schema import open_arrays

ABOUT = About(dataset="cifar10", order="tfds", definition="ü", source="runs/", digest="md5:0")


def test_meaning_survives_the_file_but_source_and_digest_are_those_of_the_file(tmp_path):
    save(tmp_path / "a.npz", {"scores": np.zeros(2)}, ABOUT)
    found = read_about(open_arrays(tmp_path / "a.npz"), tmp_path / "a.npz")
    assert found == About(
        dataset="cifar10", order="tfds", definition="ü", source=str(tmp_path / "a.npz")
    )


def test_a_file_that_says_nothing_is_known_by_its_path():
    assert read_about({}, Path("x.npz")) == About(source="x.npz")


@pytest.mark.parametrize("said", ["no json", "[]", '{"dataset": 1, "unknown": 2}', "3"])
def test_nonsense_is_refused(said):
    with pytest.raises(SchemaError, match=r"not what memtools writes|about is not JSON"):
        read_about({"about": np.array(said)}, Path("x.npz"))


def test_lines_name_what_is_known_only():
    assert About(order="tfds", doubt="maybe").lines() == ["order:      tfds", "doubt:      maybe"]
