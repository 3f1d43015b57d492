"""TFDS reads a set by name."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from memtools.tfrecords import builder
from memtools.tfrecords.sources import open_source


@pytest.fixture(scope="module")
def records(folder, flat, imagenet, tmp_path_factory):
    to = tmp_path_factory.mktemp("tfds")
    builder.build(open_source(folder), to, imagenet.index, split="train", n_shards=8)
    train_only = tfds.builder_from_directory(to).info.splits
    assert list(train_only) == ["train"]
    builder.build(open_source(flat), to, imagenet.index, split="validation", n_shards=4)
    return to


def test_every_record_comes_with_named_features(records, imagenet):
    seen = {}
    for each in tfds.builder_from_directory(records).as_dataset(split="train"):
        position = int(each["index"])
        image, of_class = each["image"], each["image"]["class"]
        seen[position] = int(of_class["label"]) - 1
        assert image["filename"].numpy().decode() == imagenet.index.filenames[position]
        shape = (int(image["height"]), int(image["width"]), 3)
        assert image["encoded"].shape == shape and image["encoded"].dtype == tf.uint8
    assert seen == dict(enumerate(imagenet.index.labels.tolist()))


def test_pixels_are_those_of_the_source(records, imagenet):
    for each in tfds.builder_from_directory(records).as_dataset(split="validation").take(5):
        data = imagenet.data[each["image"]["filename"].numpy().decode()]
        assert np.array_equal(each["image"]["encoded"], tf.io.decode_jpeg(data, channels=3))


def test_splits_are_counted_and_can_be_cut(records):
    made = tfds.builder_from_directory(records)
    counts = {name: split.num_examples for name, split in made.info.splits.items()}
    assert counts == {"train": 2000, "validation": 1000}
    assert len(list(made.as_dataset(split="train[:10%]"))) == 200
