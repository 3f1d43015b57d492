"""Indexed TFRecords as a tf.data pipeline that decodes only what it needs.

    train = read_records(directory, "train", mask=in_subset, seed=0, batch_size=256)
    test = read_records(directory, "validation", batch_size=256)

A subset is a boolean mask over the published order. Records are parsed in batches and
looked up in it before any image is decoded: comparing each record with the 896,817
numbers of a 70 % subset costs more than reading it does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from memtools.errors import ConfigError, RecordError
from memtools.estimates.model import ExampleIndex
from memtools.tfrecords.ledger import Ledger, Split
from memtools.tfrecords.records import FEATURES, FIRST_LABEL
from memtools.tfrecords.storage import Store, open_store

IMAGE_SIZE = 224  # pixels (Feldman & Zhang 2020, ResNet-50 on ImageNet)
CENTRE_PADDING = 32  # of the centre crop for evaluation, in pixels of the resized image
PARSE = 512  # records that are parsed and looked up together
SHUFFLE = 10_000  # records; shards are shuffled already when they are built

_NEEDED = ("index", "image/encoded", "image/class/label")
_CLASS = ("image/class/synset", "image/class/text")
_AREA, _ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)  # of the random-resized crop


def read_records(
    directory: Path | str,
    split: str,
    *,
    mask: NDArray[np.bool_] | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    image_size: int = IMAGE_SIZE,
    dtype: tf.DType = tf.float32,
    worker: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """The examples of a split: `image`, `label` (0-based), `index`; and `valid`, see below.

    mask: bool [n], by index: which examples to read; all of them without it. seed: shuffle
    files and records, and augment (random-resized crop: area 8 to 100 %, aspect 3/4 to 4/3;
    flip), in the same way each time it is iterated; give each epoch another. Without a seed: the
    order of the files, and the centre crop with 32 px padding. worker: (i, n) reads every n-th
    file from the i-th on.

    image: `dtype` [batch_size, image_size, image_size, 3], within [0, 1]. label, index: int64
    [batch_size]. With a batch size all shapes are static, as a TPU needs: with a seed the
    rest that fills no batch is dropped; without one it is padded, and `valid`, bool
    [batch_size], tells padding from examples, so that none is lost. Without a batch size: single
    examples.

    Raises ConfigError if there are no records of that split, or for a mask of another length;
    RecordError if shards are missing.
    """
    store = open_store(directory)
    files = [store.path(name) for name in _shards(store, split)]
    _require_mask(mask, Ledger.open(store).splits.get(split))
    examples = _selected(_records(files, seed, worker), mask)
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
    store = open_store(directory)
    files = [store.path(name) for name in _shards(store, split)]
    _require_mask(mask, Ledger.open(store).splits.get(split))
    examples = _selected(_records(files, None, (0, 1)), mask, (*_NEEDED, *_CLASS))

    def rename(record: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {
            "image": record["image/encoded"],
            "label": record["image/class/label"] - FIRST_LABEL,
            "index": record["index"],
            "synset": record["image/class/synset"],
            "text": record["image/class/text"],
        }

    return examples.map(rename).prefetch(tf.data.AUTOTUNE)


def with_index(
    dataset: tf.data.Dataset, index: ExampleIndex, *, key: str = "file_name", split: str = "train"
) -> tf.data.Dataset:
    """A data set of dictionaries with the published `index` of each example added, by its name.

    Works on `tfds.load("imagenet2012")` and on anything else with names. key: where the name is;
    directories before it do not matter. A name that the index does not know ends the iteration
    with InvalidArgumentError.

    Raises RecordError if the index has no names of this split.
    """
    names = index.filenames if split == "train" else index.test_filenames
    if names is None:
        raise RecordError(f"the index has no names of {split}", hint="use the published index")
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant(np.char.encode(names, "utf-8")), tf.range(len(names), dtype=tf.int64)
        ),
        default_value=-1,
    )

    def add(example: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        name = tf.strings.regex_replace(example[key], "^.*/", "")
        found = table.lookup(name)
        known = tf.debugging.assert_greater_equal(
            found, tf.constant(0, tf.int64), message="a file name is not in the index"
        )
        with tf.control_dependencies([known] if known is not None else []):
            return {**example, "index": tf.identity(found)}

    return dataset.map(add, tf.data.AUTOTUNE)


def _shards(store: Store, split: str) -> list[str]:
    """The names of a split's shards: all of one set."""
    pattern = re.compile(re.escape(split) + r"-(\d{5})-of-(\d{5})")
    found = {name: match for name in store.names() if (match := pattern.fullmatch(name))}
    if not found:
        raise ConfigError(
            f"{store.path()} holds no records of {split!r}",
            hint="memtools tfrecords build makes them",
        )
    totals = {int(match[2]) for match in found.values()}
    if totals != {len(found)}:
        raise RecordError(
            f"{store.path()} holds {len(found)} shards of {split} out of"
            f" {' and '.join(map(str, sorted(totals)))}",
            hint="finish its build, or take foreign shards away",
        )
    return sorted(found)


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


def _records(files: list[str], seed: int | None, worker: tuple[int, int]) -> tf.data.Dataset:
    """Serialized records in batches, many files at a time."""
    dataset = tf.data.Dataset.from_tensor_slices(
        tf.constant(files[worker[0] :: worker[1]], tf.string)
    )
    if seed is not None:
        dataset = dataset.shuffle(len(files), seed=seed, reshuffle_each_iteration=False)
    return dataset.interleave(
        lambda file: tf.data.TFRecordDataset(file).batch(PARSE),
        cycle_length=8 if seed is not None else 1,  # one at a time keeps the order of the files
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


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
