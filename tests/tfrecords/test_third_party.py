"""A reader that knows nothing of memtools, and little of TensorFlow."""

import pytest

from memtools.tfrecords import builder
from memtools.tfrecords.sources import open_source


def test_the_tfrecord_package_reads_every_feature(flat, imagenet, tmp_path):
    reader = pytest.importorskip("tfrecord.reader")
    builder.build(open_source(flat), tmp_path, imagenet.index, split="validation", n_shards=2)
    kinds = {
        "index": "int",
        "image/encoded": "byte",
        "image/height": "int",
        "image/width": "int",
        "image/channels": "int",
        "image/colorspace": "byte",
        "image/format": "byte",
        "image/filename": "byte",
        "image/class/label": "int",
        "image/class/synset": "byte",
        "image/class/text": "byte",
    }
    seen = set()
    for number in range(2):
        path = str(tmp_path / f"validation-{number:05d}-of-00002")
        for record in reader.tfrecord_loader(path, None, kinds):
            position = int(record["index"][0])
            name = bytes(record["image/filename"]).decode()
            seen.add(position)
            assert name == imagenet.index.test_filenames[position]
            assert bytes(record["image/encoded"]) == imagenet.data[name]
            assert record["image/class/label"][0] == imagenet.index.test_labels[position] + 1
            assert bytes(record["image/colorspace"]) == b"RGB"
            assert record["image/channels"][0] == 3
    assert seen == set(range(1000))
