"""One record: the features that readers of ImageNet TFRecords expect, and `index`.

    serialized = encode(index=7, image=..., height=375, ..., label=0, ...)
    tf.io.parse_example(batch, FEATURES)

Labels are 0-based everywhere in memtools, and 1-based in records, as in every existing set;
this file is the edge at which they are converted.
"""

from __future__ import annotations

from memtools.extras import needing

with needing("tf"):
    import tensorflow as tf

TEXT, NUMBER = tf.io.FixedLenFeature([], tf.string), tf.io.FixedLenFeature([], tf.int64)
FEATURES = {
    "index": NUMBER,
    "image/encoded": TEXT,
    "image/height": NUMBER,
    "image/width": NUMBER,
    "image/channels": NUMBER,
    "image/colorspace": TEXT,
    "image/format": TEXT,
    "image/filename": TEXT,
    "image/class/label": NUMBER,
    "image/class/synset": TEXT,
    "image/class/text": TEXT,
}
FIRST_LABEL = 1  # in records


def shard_name(split: str, number: int, n_shards: int) -> str:
    """The classic name: `train-00000-of-01024`."""
    return f"{split}-{number:05d}-of-{n_shards:05d}"


def encode(
    *,
    index: int,
    image: bytes,
    height: int,
    width: int,
    filename: bytes,
    label: int,
    synset: bytes,
    text: bytes,
) -> bytes:
    """A serialized tf.train.Example; image: an RGB JPEG. label: 0-based."""
    values: dict[str, int | bytes] = {
        "index": index,
        "image/encoded": image,
        "image/height": height,
        "image/width": width,
        "image/channels": 3,
        "image/colorspace": b"RGB",
        "image/format": b"JPEG",
        "image/filename": filename,
        "image/class/label": label + FIRST_LABEL,
        "image/class/synset": synset,
        "image/class/text": text,
    }
    example = tf.train.Example()
    for name in FEATURES:  # filled in place: a third of the time of nested constructors
        value, feature = values[name], example.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        else:
            feature.int64_list.value.append(value)
    # Deterministic: maps have no order of their own, and equal sets must be equal files.
    return bytes(example.SerializeToString(deterministic=True))
