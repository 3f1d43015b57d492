"""The role of each column of a table; the score is never guessed."""

import numpy as np
import pytest

from memtools.errors import ConfigError, SchemaError
from memtools.estimates.columns import find_roles

VALUES = np.array([0.5, 0.25, 1.0])


def roles(column="", **columns):
    return find_roles({k: np.asarray(v) for k, v in columns.items()}, where="t.csv", column=column)


@pytest.mark.parametrize("name", ["score", "Scores", "memorization", "MEM", "influence", "c_score"])
def test_the_only_column_of_a_known_name_is_the_score(name):
    assert roles(**{"el2n": VALUES, name: VALUES}).score == name


def test_other_columns_are_named_by_the_user_and_listed_in_the_error():
    with pytest.raises(ConfigError, match="which column holds the scores") as caught:
        roles(index=[0, 1, 2], el2n=VALUES)
    assert "--column NAME" in caught.value.hint and "index, el2n" in caught.value.hint
    with pytest.raises(ConfigError, match="has score and mem: which column"):
        roles(score=VALUES, mem=VALUES)
    assert roles("mem", score=VALUES, mem=VALUES).score == "mem"
    assert roles("EL2N", el2n=VALUES).score == "el2n"
    with pytest.raises(ConfigError, match="has no column 'grand'"):
        roles("grand", el2n=VALUES)


@pytest.mark.parametrize(
    "name", ["index", "idx", "id", "image_id", "position", "", "Unnamed: 0", "Index"]
)
def test_integers_under_a_known_name_are_positions(name):
    found = roles(**{name: [4, 0, 2], "score": VALUES})
    assert found.position == name and found.name is None
    assert roles(**{name: [4.0, 0.0, 2.0], "score": VALUES}).position == name


def test_an_index_of_pandas_gives_way_to_positions_that_have_a_name():
    found = roles(**{"Unnamed: 0": [0, 1, 2], "idx": [7, 5, 6], "score": VALUES})
    assert found.position == "idx"
    with pytest.raises(ConfigError, match="'index' and 'id' both hold integers and differ"):
        roles(index=[0, 1, 2], id=[7, 5, 6], score=VALUES)
    assert roles(index=[0, 1, 2], id=[0, 1, 2], score=VALUES).position == "index"


def test_most_of_the_numbers_from_1_on_may_count_from_1_and_few_tell_nothing():
    many = np.delete(np.arange(1, 51), [3, 9])
    with pytest.raises(SchemaError, match="48 of 1 to 50, and 0 is missing; positions count from"):
        roles(index=many, score=np.ones(48))
    sparse, few = np.arange(1, 101, 3), np.array([1, 3])
    for positions in (sparse, few, np.delete(np.arange(50), [3, 9]), np.arange(2, 50)):
        assert roles(index=positions, score=np.ones(len(positions))).position == "index"


def test_positions_with_gaps_or_fractions_are_refused_rather_than_left_aside():
    for wrong, words in (
        ([0, np.nan, 2], r"column index is nan in row 3"),
        ([0, 1.5, 2], r"column index is 1\.5 in row 3"),
    ):
        with pytest.raises(SchemaError, match=words):
            roles(index=wrong, score=VALUES)


def test_names_with_gaps_are_refused_and_images_are_no_names():
    with pytest.raises(SchemaError, match="column filename holds names and gaps"):
        roles(filename=np.array(["a", None, "b"], object), score=VALUES)
    assert roles(image=np.full(3, None, object), score=VALUES).name is None


def test_ids_of_text_are_names():
    found = roles(id=["train_00001", "train_00000", "train_00002"], score=VALUES)
    assert (found.position, found.name) == (None, "id")


def test_a_column_without_a_name_that_is_not_the_first_holds_no_positions():
    assert roles(**{"score": VALUES, "": [0, 1, 2]}).position is None


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ([1, 2, 3], "holds 1 to 3; positions count from 0"),
        ([3, 1, 2], "positions count from 0"),
        ([0, 5, 5], r"position 5 comes twice \(rows 3 and 4\)"),
        ([0, -1, 5], r"position -1 \(row 3\) is below 0"),
        ([0, 1, 10**12], "too large for a position"),
        ([0, 1, 2_000_000_000], "too large for a position"),
    ],
)
def test_positions_that_cannot_be_are_refused(positions, words):
    with pytest.raises(SchemaError, match=words):
        roles(index=positions, score=VALUES)


def test_names_are_distinct_and_the_word_of_a_class_is_not_one():
    found = roles(name=["cat", "cat", "dog"], path=["a/1", "a/2", "b/1"], score=VALUES)
    assert found.name == "path"
    assert roles(name=["cat", "cat", "dog"], score=VALUES).name is None
    with pytest.raises(SchemaError, match=r"filename: a comes twice \(row 3\)"):
        roles(filename=["a", "a", "b"], score=VALUES)


def test_labels_are_integers_or_are_said_not_to_be_used():
    assert roles(fine_label=[3, 4, 5], score=VALUES).label == "fine_label"
    found = roles(label=["cat", "dog", "cat"], score=VALUES)
    assert found.label is None and "does not hold integers" in found.notes[0]
    found = roles(label=[1, 2, 3], target=[1, 2, 4], score=VALUES)
    assert found.label is None and "label and target differ" in found.notes[0]
