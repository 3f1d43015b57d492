"""One shard: its images read, looked at, converted if need be, written and digested.

    facts = write_shard(Task(store, "train-00000-of-01024", shard, source, {}, decode=False))

This is what a worker process does, so it imports TensorFlow and nothing of TFDS.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping

import numpy as np

from memtools.errors import DiskError, RecordError
from memtools.extras import needing
from memtools.files import digest_file
from memtools.tfrecords.images import Image, describe
from memtools.tfrecords.ledger import ShardFacts
from memtools.tfrecords.plan import Shard
from memtools.tfrecords.records import encode
from memtools.tfrecords.sources import Source
from memtools.tfrecords.storage import Store

with needing("tf"):
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Task:
    """One shard to be written. decode: whether to decode every image, as a check."""

    store: Store
    name: str
    shard: Shard
    source: Source
    texts: Mapping[bytes, bytes]
    decode: bool


def write_shard(task: Task) -> ShardFacts:
    """One shard under its final name, whole and durable."""
    converted: dict[str, str] = {}
    n_records = len(task.shard.index)
    with task.store.scratch(task.name) as temporary:
        try:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for row in range(n_records):
                    writer.write(_record(task, row, converted))
        except tf.errors.OpError as error:  # images were looked at; this is about the file
            raise DiskError(
                f"{temporary}: {error.message}",
                hint="free some space, then run the same command again: it goes on",
            ) from error
        sha256 = digest_file(temporary, ("sha256",))["sha256"]
        return ShardFacts(n_records, temporary.stat().st_size, sha256, converted)


def _record(task: Task, row: int, converted: dict[str, str]) -> bytes:
    shard = task.shard
    name, synset = bytes(shard.names[row]), bytes(shard.synsets[row])
    stored, folder = bytes(shard.files[row]), bytes(shard.folders[row])
    data = task.source.read(stored, folder, shard.places[row])
    try:
        image = describe(data)
        if not image.is_rgb_jpeg:
            converted[name.decode()] = "CMYK" if image.kind == "JPEG" else image.kind
            data = to_rgb_jpeg(data, image)
        elif task.decode:
            _pixels(data, image)
    except (RecordError, tf.errors.InvalidArgumentError) as error:
        raise RecordError(
            f"{name.decode()}: {getattr(error, 'message', error)}",
            hint="get the image again, or list its name in a --skip-bad file",
        ) from error
    return encode(
        index=int(shard.index[row]),
        image=data,
        height=image.height,
        width=image.width,
        filename=name,
        label=int(shard.labels[row]),
        synset=synset,
        text=task.texts.get(synset, synset),
    )


def to_rgb_jpeg(data: bytes, image: Image) -> bytes:
    """The image as an RGB JPEG of quality 100, as in the existing sets."""
    return bytes(tf.io.encode_jpeg(_pixels(data, image), format="rgb", quality=100).numpy())


def _pixels(data: bytes, image: Image) -> tf.Tensor:
    """The decoded image, uint8 [height, width, 3]; InvalidArgumentError if it does not decode."""
    decode: Callable[..., tf.Tensor] = {
        "JPEG": tf.io.decode_jpeg,
        "PNG": tf.io.decode_png,
        "GIF": lambda data, channels: tf.io.decode_gif(data)[0, :, :, :channels],
        "WEBP": _decode_webp,
    }[image.kind]
    return decode(data, channels=3)


def _decode_webp(data: bytes, channels: int) -> tf.Tensor:  # noqa: ARG001
    """Decode with Pillow: not every supported TensorFlow reads WebP."""
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(data)) as image:
            return tf.constant(np.asarray(image.convert("RGB")))
    except (OSError, ValueError) as error:
        raise RecordError(f"the WebP does not decode: {error}") from error
