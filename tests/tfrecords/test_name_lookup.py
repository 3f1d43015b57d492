"""The published index joined onto pipelines, whatever the names look like."""

import numpy as np
import pytest
import tensorflow as tf

from memtools.errors import ConfigError, RecordError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.tfrecords.name_lookup import with_index

NAMES = ["n01443537_7.JPEG", "n01440764_10026.JPEG", "n01440764_3.JPEG"]
VALIDATION = ["ILSVRC2012_val_00000293.JPEG", "ILSVRC2012_val_00000001.JPEG"]
INDEX = ExampleIndex(
    About(dataset="imagenet", order="published"),
    labels=np.array([1, 0, 0]),
    filenames=np.array(NAMES),
    test_labels=np.array([0, 1]),
    test_filenames=np.array(VALIDATION),
)
OFFICIAL = ExampleIndex(About("cifar100", "official"), np.zeros(50), None, np.zeros(10), None)


def found(names, index=INDEX, key="file_name", **options):
    dataset = tf.data.Dataset.from_tensor_slices({key: names})
    return [int(each["index"]) for each in with_index(dataset, index, key=key, **options)]


@pytest.mark.parametrize(
    "name",
    [
        "n01440764_10026.JPEG",
        "n01440764_10026_n01440764.JPEG",
        "train/n01440764/n01440764_10026.JPEG",
        "train\\n01440764\\n01440764_10026.JPEG",
        "/data/tench/n01440764_10026.jpg",
        "n01440764_10026.png",
        "n01440764_10026.WebP",
        "n01440764_10026.JPG",
        "n01440764_10026",
    ],
)
def test_a_name_in_any_writing_is_found(name):
    assert found([name, "n01443537_7.JPEG"]) == [1, 0]


@pytest.mark.parametrize("split", ["test", "val", "validation"])
def test_three_names_of_the_split_find_the_validation_images(split):
    names = ["ILSVRC2012_val_00000001_n01443537.JPEG", "val/ILSVRC2012_val_00000293.jpg"]
    assert found(names, split=split) == [1, 0]


def test_batches_are_indexed_too():
    dataset = tf.data.Dataset.from_tensor_slices({"file_name": NAMES}).batch(2)
    indexed = [each["index"].numpy().tolist() for each in with_index(dataset, INDEX)]
    assert indexed == [[0, 1], [2]]


@pytest.mark.parametrize("name", ["n01440764_9.JPEG", "", "N01440764_10026.JPEG", "n01440764"])
def test_a_name_that_is_not_in_the_index_ends_the_iteration_and_is_shown(name):
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"not in the index:. .{name}"):
        found([NAMES[0], name])


@pytest.mark.parametrize(
    "name",
    ["n01440764_3_n01443537.JPEG", "n01443537/n01440764_3.JPEG", "n09/n01443537/n01440764_3"],
)
def test_a_name_under_the_synset_of_another_class_ends_the_iteration(name):
    with pytest.raises(tf.errors.InvalidArgumentError, match="stands under another class"):
        found([name])


def test_ids_of_tfds_are_positions_in_the_official_order():
    assert found(["train_00007", "train_49"], OFFICIAL, key="id") == [7, 49]
    assert found(["test_00009"], OFFICIAL, key="id", split="val") == [9]
    for name in ("train_00050", "test_00007", "x"):
        with pytest.raises(tf.errors.InvalidArgumentError, match="not in the index"):
            found([name], OFFICIAL, key="id")


def test_what_cannot_be_joined_is_refused():
    with pytest.raises(ConfigError, match="the examples have no 'id': they have file_name"):
        with_index(tf.data.Dataset.from_tensor_slices({"file_name": NAMES}), INDEX, key="id")
    with pytest.raises(ConfigError, match="they have no keys"):
        with_index(tf.data.Dataset.from_tensor_slices(NAMES), INDEX)
    with pytest.raises(ConfigError, match="'dev' is not a split"):
        found(NAMES, split="dev")
    bare = ExampleIndex(About(order="published"), np.zeros(3), None, None, None)
    with pytest.raises(RecordError, match="no names of train"):
        found(NAMES, bare)
