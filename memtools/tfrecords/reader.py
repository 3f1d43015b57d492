"""Indexed TFRecords as a tf.data pipeline that decodes only what it needs.

    train = read_records(directory, "train", mask=in_subset, seed=0, batch_size=256)
    test = read_records(directory, "validation", batch_size=256)

A subset is a boolean mask over the published order. Records are parsed in batches and
looked up in it before any image is decoded: comparing each record with the 896,817
numbers of a 70 % subset costs more than reading it does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memtools.arguments import StrPath, checked
from memtools.errors import ConfigError, RecordError
from memtools.extras import needing
from memtools.tfrecords.completeness import FRAMING, find_damage, require_whole
from memtools.tfrecords.ledger import Ledger, Split, stored_split
from memtools.tfrecords.name_lookup import with_index as with_index
from memtools.tfrecords.records import FEATURES, FIRST_LABEL
from memtools.tfrecords.storage import Store, open_store

with needing("tf"):
    import tensorflow as tf

IMAGE_SIZE = 224  # pixels (Feldman & Zhang 2020, ResNet-50 on ImageNet)
CENTRE_PADDING = 32  # of the centre crop for evaluation, in pixels of the resized image
PARSE = 512  # records that are parsed and looked up together
SHUFFLE = 10_000  # records; shards are shuffled already when they are built

_NEEDED = ("index", "image/encoded", "image/class/label")
_CLASS = ("image/class/synset", "image/class/text")
_CUT = "a shard does not end with a whole record:"
_AREA, _ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)  # of the random-resized crop


@checked('memtools.read_records("/data/imagenet", "train", batch_size=256)')
def read_records(
    directory: StrPath,
    split: str,
    *,
    mask: ArrayLike | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    image_size: int = IMAGE_SIZE,
    dtype: tf.DType | str = tf.float32,
    worker: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """The examples of a split: `image`, `label` (0-based), `index`; and `valid`, see below.

    split: `train`, or one of `test`, `val` and `validation`, which are the same records. mask:
    bool [n], by index: which examples to read; all of them without it. seed: shuffle files and
    records, and augment (random-resized crop: area 8 to 100 %, aspect 3/4 to 4/3; flip), in the
    same way each time it is iterated; give each epoch another. Without a seed: the order of the
    files, and the centre crop with 32 px padding. worker: (i, n) reads every n-th file from the
    i-th on.

    image: `dtype` [batch_size, image_size, image_size, 3], within [0, 1]. label, index: int64
    [batch_size]. With a batch size all shapes are static, as a TPU needs: with a seed the
    rest that fills no batch is dropped; without one it is padded, and `valid`, bool
    [batch_size], tells padding from examples, so that none is lost. Without a batch size: single
    examples.

    Every shard is compared with `dataset.json` before the pipeline is made: those that are
    missing, cut, empty or too long are named (in a directory without that file, only the number
    of shards and the beginning of each can be checked; a file cut between two records is then not
    noticed). While it is read, a shard that ends within the header of a record, which TensorFlow
    passes over, ends the iteration with InvalidArgumentError, and damaged bytes end it with
    DataLossError; iterate within `naming_damage` for a RecordError that names the shard.

    Raises ConfigError if there are no records of that split, or for a mask of another length;
    RecordError if shards are missing or not as built, or if the set is still being built.
    """
    store, split = open_store(os.fspath(directory)), stored_split(split)
    ledger = Ledger.open(store)
    sizes = require_whole(store, split, ledger)
    mask = None if mask is None else np.asarray(mask)
    _require_mask(mask, ledger.splits.get(split))
    examples = _selected(_records(store, sizes, seed, worker), mask)
    if seed is not None:
        examples = examples.shuffle(SHUFFLE, seed=seed, reshuffle_each_iteration=False)

    def decode(record: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        encoded, index = record["image/encoded"], record["index"]
        image = (
            _centre_crop(encoded, image_size)
            if seed is None
            else _random_crop(encoded, image_size, tf.stack([tf.cast(seed, tf.int64), index]))
        )
        image = tf.cast(tf.clip_by_value(image / 255.0, 0.0, 1.0), dtype)
        return {"image": image, "label": record["image/class/label"] - FIRST_LABEL, "index": index}

    examples = examples.map(decode, tf.data.AUTOTUNE, deterministic=True)
    if batch_size is not None:
        examples = examples.batch(batch_size, drop_remainder=seed is not None)
        if seed is None:
            examples = examples.map(lambda batch: _padded(batch, batch_size))
    return examples.prefetch(tf.data.AUTOTUNE)


def read_encoded(
    directory: Path | str, split: str, *, mask: NDArray[np.bool_] | None = None
) -> tf.data.Dataset:
    """The examples of a split with their images as they are stored, in the order of the files.

    mask: as for `read_records`, and so is what is raised. `image`: string, a JPEG; `label`: int64,
    0-based; `index`: int64; `synset`, `text`: string, of the class.
    """
    store, split = open_store(directory), stored_split(split)
    ledger = Ledger.open(store)
    sizes = require_whole(store, split, ledger)
    _require_mask(mask, ledger.splits.get(split))
    examples = _selected(_records(store, sizes, None, (0, 1)), mask, (*_NEEDED, *_CLASS))

    def rename(record: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {
            "image": record["image/encoded"],
            "label": record["image/class/label"] - FIRST_LABEL,
            "index": record["index"],
            "synset": record["image/class/synset"],
            "text": record["image/class/text"],
        }

    return examples.map(rename).prefetch(tf.data.AUTOTUNE)


@contextlib.contextmanager
def naming_damage(directory: Path | str, split: str) -> Iterator[None]:
    """Turn what TensorFlow raises for damaged records into a RecordError that names the shards.

    Args:
        directory: The set that is iterated within this context.
        split: The split that is read.

    Raises:
        RecordError: If a shard cannot be read to its end; all shards of the split are read once
            more to find every one of them.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        if isinstance(error, tf.errors.InvalidArgumentError) and _CUT not in error.message:
            raise
        found = find_damage(open_store(directory), stored_split(split))
        raise found or RecordError(
            f"{directory}: {error.message}", hint="read it again: the disk may be at fault"
        ) from error


def _require_mask(mask: NDArray[np.bool_] | None, split: Split | None) -> None:
    """A mask of another length would select something else, or nothing."""
    if mask is None:
        return
    if mask.dtype != np.bool_ or mask.ndim != 1:
        raise ConfigError(
            f"a mask is bool [n], not {mask.dtype} {list(mask.shape)}",
            hint="from indices: mask = np.zeros(n, bool); mask[indices] = True",
        )
    if split is not None and len(mask) != split.n_examples:
        raise ConfigError(
            f"the mask has {len(mask):,} entries, the index {split.n_examples:,} examples",
            hint="a mask has one entry for each example of the index, in its order",
        )


def _records(
    store: Store, sizes: Mapping[str, int], seed: int | None, worker: tuple[int, int]
) -> tf.data.Dataset:
    """Serialized records in batches, many files at a time."""
    names = list(sizes)[worker[0] :: worker[1]]
    dataset = tf.data.Dataset.from_tensor_slices(
        (
            tf.constant([store.path(name) for name in names], tf.string),
            tf.constant([sizes[name] for name in names], tf.int64),
        )
    )
    if seed is not None:
        dataset = dataset.shuffle(len(sizes), seed=seed, reshuffle_each_iteration=False)
    return dataset.interleave(
        _whole_file,
        cycle_length=8 if seed is not None else 1,  # one at a time keeps the order of the files
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _whole_file(file: tf.Tensor, n_bytes: tf.Tensor) -> tf.data.Dataset:
    """The records of a file in batches; in the end they must have taken all of its bytes.

    TensorFlow takes a file that ends within the header of a record for one that ends before it.
    An empty batch at the end marks the place of the check.
    """
    batches = tf.data.TFRecordDataset(file).batch(PARSE)
    end = tf.data.Dataset.from_tensors(tf.zeros([0], tf.string))

    def count(n_read: tf.Tensor, batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        lengths = tf.cast(tf.strings.length(batch), tf.int64)
        n_read += tf.reduce_sum(lengths + FRAMING)
        whole = (tf.size(batch) > 0) | (n_read == n_bytes)
        check = tf.debugging.Assert(whole, [_CUT, file])
        with tf.control_dependencies([check] if check is not None else []):
            return n_read, tf.identity(batch)

    return batches.concatenate(end).scan(tf.constant(0, tf.int64), count)


def _selected(
    batches: tf.data.Dataset, mask: NDArray[np.bool_] | None, needed: tuple[str, ...] = _NEEDED
) -> tf.data.Dataset:
    """Single records of the subset, parsed but not decoded."""
    features = {name: FEATURES[name] for name in needed}
    table = None if mask is None else tf.constant(mask, tf.bool)

    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        records = tf.io.parse_example(serialized, features)
        if table is None:
            return dict(records)
        keep = tf.gather(table, records["index"])
        return {name: tf.boolean_mask(column, keep) for name, column in records.items()}

    return batches.map(parse, tf.data.AUTOTUNE, deterministic=True).unbatch()


def _centre_crop(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """The middle square, resized: `size` of `size + 32` of the shorter side."""
    shape = tf.io.extract_jpeg_shape(encoded)[:2]
    shorter = tf.cast(tf.reduce_min(shape), tf.float32)
    side = tf.cast(shorter * size / (size + CENTRE_PADDING), tf.int32)
    top, left = (shape[0] - side + 1) // 2, (shape[1] - side + 1) // 2
    return _cropped(encoded, tf.stack([top, left, side, side]), size)


def _random_crop(encoded: tf.Tensor, size: int, seed: tf.Tensor) -> tf.Tensor:
    """A random-resized crop, flipped half the time; the same for the same seed and example."""
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.io.extract_jpeg_shape(encoded),
        tf.zeros([1, 0, 4]),
        seed,
        aspect_ratio_range=_ASPECT,
        area_range=_AREA,
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    image = _cropped(encoded, tf.concat([begin[:2], extent[:2]], 0), size)
    return tf.image.stateless_random_flip_left_right(image, seed)


def _cropped(encoded: tf.Tensor, window: tf.Tensor, size: int) -> tf.Tensor:
    """float32 [size, size, 3] within [0, 255], of a window [top, left, height, width]."""
    image = tf.image.decode_and_crop_jpeg(encoded, window, channels=3)
    image = tf.image.resize(image, [size, size])  # bilinear, as the released models saw it
    return tf.ensure_shape(image, [size, size, 3])


def _padded(batch: Mapping[str, tf.Tensor], size: int) -> dict[str, tf.Tensor]:
    """The batch filled up with zeros to its size, and `valid` to tell which are examples."""
    n = tf.shape(batch["index"])[0]
    padded = {}
    for name, column in batch.items():
        rest = [[0, size - n], *[[0, 0]] * (len(column.shape) - 1)]
        padded[name] = tf.ensure_shape(tf.pad(column, rest), [size, *column.shape[1:]])
    return {**padded, "valid": tf.range(size) < n}
