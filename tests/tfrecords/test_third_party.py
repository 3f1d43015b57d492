"""A reader that knows nothing of memtools, nor of TensorFlow."""

import importlib.util
import json
import subprocess
import sys

import pytest

from memtools.tfrecords import builder
from memtools.tfrecords.sources import open_source

READ = """
import json, sys, zlib
from tfrecord.reader import tfrecord_loader
kinds = json.loads(sys.argv[2])
for record in tfrecord_loader(sys.argv[1], None, kinds):
    plain = {
        name: bytes(value).hex() if kinds[name] == "byte" else int(value[0])
        for name, value in record.items()
    }
    print(json.dumps(plain))
assert "tensorflow" not in sys.modules
"""
NUMBERS = ("index", "image/height", "image/width", "image/channels", "image/class/label")
TEXTS = (
    "image/encoded",
    "image/colorspace",
    "image/format",
    "image/filename",
    "image/class/synset",
    "image/class/text",
)


def test_the_tfrecord_package_reads_every_feature(flat, imagenet, tmp_path):
    if importlib.util.find_spec("tfrecord") is None:
        pytest.skip("needs the package tfrecord")
    builder.build(open_source(flat), tmp_path, imagenet.index, split="validation", n_shards=2)
    kinds = json.dumps(dict.fromkeys(NUMBERS, "int") | dict.fromkeys(TEXTS, "byte"))
    seen = set()
    for number in range(2):
        path = str(tmp_path / f"validation-{number:05d}-of-00002")
        command = [sys.executable, "-c", READ, path, kinds]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for record in map(json.loads, shown.splitlines()):
            texts = {name: bytes.fromhex(record[name]) for name in TEXTS}
            position, name = record["index"], texts["image/filename"].decode()
            label = int(imagenet.index.test_labels[position])
            seen.add(position)
            assert name == imagenet.index.test_filenames[position]
            assert texts["image/encoded"] == imagenet.data[name]
            assert texts["image/class/synset"].decode() == imagenet.synsets[label]
            assert (texts["image/colorspace"], texts["image/format"]) == (b"RGB", b"JPEG")
            assert (record["image/class/label"], record["image/channels"]) == (label + 1, 3)
    assert seen == set(range(1000))
