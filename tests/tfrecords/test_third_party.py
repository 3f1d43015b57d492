"""A reader that knows nothing of memtools, nor of TensorFlow."""

import importlib.util
import pickle
import subprocess
import sys

import pytest
import tensorflow as tf

from memtools.tfrecords import builder
from memtools.tfrecords.sources import open_source

KINDS = {
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
# In a process of its own: both define the same messages, and one process takes them only once.
READ = """
import pickle, sys
from tfrecord.reader import tfrecord_loader
kinds = pickle.loads(sys.stdin.buffer.read())
found = [
    {key: value if isinstance(value, bytes) else int(value[0]) for key, value in record.items()}
    for path in sys.argv[1:]
    for record in tfrecord_loader(path, None, kinds)
]
sys.stdout.buffer.write(pickle.dumps(found))
"""


@pytest.mark.skipif(not importlib.util.find_spec("tfrecord"), reason="needs the package tfrecord")
def test_the_tfrecord_package_reads_every_feature(flat, imagenet, tmp_path):
    texts = {synset.encode(): f"words of {synset}".encode() for synset in imagenet.synsets}
    options = {"split": "validation", "n_shards": 2, "texts": texts}
    builder.build(open_source(flat), tmp_path, imagenet.index, **options)
    shards = map(str, sorted(tmp_path.glob("validation-*")))
    command = [sys.executable, "-c", READ, *shards]
    done = subprocess.run(command, input=pickle.dumps(KINDS), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    seen = set()
    for record in pickle.loads(done.stdout):
        position = record.pop("index")
        seen.add(position)
        name = str(imagenet.index.test_filenames[position])
        label = int(imagenet.index.test_labels[position])
        synset = imagenet.synsets[label].encode()
        height, width, _ = tf.io.extract_jpeg_shape(imagenet.data[name]).numpy().tolist()
        assert record == {
            "image/encoded": imagenet.data[name],
            "image/height": height,
            "image/width": width,
            "image/channels": 3,
            "image/colorspace": b"RGB",
            "image/format": b"JPEG",
            "image/filename": name.encode(),
            "image/class/label": label + 1,
            "image/class/synset": synset,
            "image/class/text": texts[synset],
        }
    assert seen == set(range(1000))
