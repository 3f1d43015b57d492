"""TFDS reads a set by name."""

import tempfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from memtools.errors import DiskError
from memtools.tfrecords import builder
from memtools.tfrecords.records import FEATURES
from memtools.tfrecords.sources import open_source


@pytest.fixture(scope="module")
def records(folder, flat, imagenet, tmp_path_factory):
    to = tmp_path_factory.mktemp("tfds")
    builder.build(open_source(folder), to, imagenet.index, split="train", n_shards=8)
    builder.build(open_source(flat), to, imagenet.index, split="validation", n_shards=4)
    return to


def test_every_record_comes_with_named_features(records, imagenet):
    seen = {}
    for each in tfds.builder_from_directory(records).as_dataset(split="train"):
        position = int(each["index"])
        image, of_class = each["image"], each["image"]["class"]
        seen[position] = int(of_class["label"]) - 1
        assert image["filename"].numpy().decode() == imagenet.index.filenames[position]
        assert of_class["synset"].numpy().decode() == imagenet.synsets[seen[position]]
        shape = (int(image["height"]), int(image["width"]), int(image["channels"]))
        assert image["encoded"].shape == shape and image["encoded"].dtype == tf.uint8
    assert seen == dict(enumerate(imagenet.index.labels.tolist()))


def test_pixels_are_those_of_the_records(records):
    encoded = {}
    for record in tf.data.TFRecordDataset(sorted(map(str, records.glob("train-*")))):
        parsed = tf.io.parse_single_example(record, FEATURES)
        encoded[int(parsed["index"])] = parsed["image/encoded"]
    for each in tfds.builder_from_directory(records).as_dataset(split="train"):
        pixels = tf.io.decode_jpeg(encoded.pop(int(each["index"])), channels=3)
        assert np.array_equal(each["image"]["encoded"], pixels)
    assert not encoded


def test_splits_are_counted_and_can_be_cut(records):
    made = tfds.builder_from_directory(records)
    counts = {name: split.num_examples for name, split in made.info.splits.items()}
    assert counts == {"train": 2000, "validation": 1000}
    cut = [
        {int(each["index"]) for each in made.as_dataset(split=split)}
        for split in ("train[:10%]", "train[10%:]")
    ]
    assert [len(part) for part in cut] == [200, 1800] and not cut[0] & cut[1]


def test_a_split_that_is_not_built_is_not_listed(flat, imagenet, tmp_path):
    builder.build(open_source(flat), tmp_path, imagenet.index, split="validation", n_shards=2)
    assert list(tfds.builder_from_directory(tmp_path).info.splits) == ["validation"]


def test_shards_without_records_are_read_like_the_others(imagenet, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in imagenet.index.test_filenames[:3]:
        (source / str(name)).write_bytes(imagenet.data[str(name)])
    options = {"split": "validation", "n_shards": 5, "allow_missing": True}
    builder.build(open_source(source), tmp_path / "to", imagenet.index, **options)
    dataset = tfds.builder_from_directory(tmp_path / "to").as_dataset(split="validation")
    assert {int(each["index"]) for each in dataset} == {0, 1, 2}


def test_a_machine_without_room_for_temporary_files_is_a_disk_error(
    flat, imagenet, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    options = {"split": "validation", "n_shards": 2}
    with pytest.raises(DiskError):
        builder.build(open_source(flat), tmp_path / "to", imagenet.index, **options)
