"""Small data sets of TFDS as arrays, in the official order where it is known.

    read("mnist")                    # its splits train and test
    read("emnist/balanced:3.*.*")    # a configuration and a version, as TFDS writes them
    read("imagenette:validation")    # for a set without a split called test: what stands for it

Rows are read shard by shard, in the sequence that TFDS stores: `as_dataset` would otherwise
interleave blocks of 16 rows of several shards. The official order comes from the ids of the
examples (CIFAR, SVHN), or is computed from the hash by which TFDS sorts them
(memtools.datasets.tfds_order; checked for TFDS 3.0 to 4.9.10). TFDS stores no keys. A computed
order is therefore taken only for a set that a builder of TFDS itself made, with as many examples
as the official files; and of MNIST and FashionMNIST the first official labels must come out.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memtools.artifacts.settings import Settings
from memtools.datasets.tfds_order import FIRST_LABELS, known_size, official_to_tfds
from memtools.errors import ConfigError, RecordError
from memtools.estimates.npz import Array
from memtools.extras import needing
from memtools.training.datasets import NONE, Dataset

with needing("tf"):
    import tensorflow as tf
    import tensorflow_datasets as tfds

_log = logging.getLogger("memtools.training")
_NOT_THERE = (
    AssertionError,  # an unknown version; files that must be downloaded by hand
    ImportError,  # a package that only this builder needs
    OSError,
    ValueError,
    tfds.core.DatasetNotFoundError,
    tfds.download.DownloadError,
)
_DAMAGED = (tf.errors.OpError, AssertionError, IndexError, OSError, RuntimeError, ValueError)
_ID = re.compile(r"(train|test)_(\d+)")
_NAMESPACES = ("huggingface", "kubric", "robotics")  # of TFDS, with a colon behind
_NPZ_HINT = "write train_images, train_labels, test_images, test_labels as an npz, and give that"


def read(name: str) -> Dataset:
    """Return a data set of TFDS, downloaded and prepared if need be.

    Args:
        name: As for `tfds.builder`; the split that stands for `test` may follow behind a colon.

    Raises:
        ConfigError: It is not there and cannot be downloaded; it has no such split, no images of
            one size, or no labels.
        RecordError: Its files are damaged.
    """
    name, held_out = _parse(name)
    builder = _prepared(name)
    _require_images_and_labels(builder, name)
    train, test = (_read_split(builder, name, split) for split in _splits(builder, name, held_out))
    return Dataset(
        name,
        train.order if train.order == test.order else "file",
        train.labels,
        test.labels,
        NONE,
        train.images,
        test.images,
        (train.rows, test.rows),
    )


def class_names(name: str) -> dict[int, str]:
    """What a prepared data set of TFDS calls its labels; nothing if it does not say."""
    label = tfds.builder(_parse(name)[0]).info.features["label"]
    names = enumerate(getattr(label, "names", ()))
    return {k: name for k, name in names if name != str(k)}


# ---- the builder and its splits


def _parse(name: str) -> tuple[str, str]:
    """Return what tfds.builder takes, and the split behind it or ""."""
    head, _, tail = name.rpartition(":")
    if head and head not in _NAMESPACES and re.fullmatch(r"[a-z]\w*", tail):
        return head, tail
    return name, ""


def _prepared(name: str) -> tfds.core.DatasetBuilder:
    by_hand = f"where there is a network: tfds build {name}; then copy ~/tensorflow_datasets"
    try:
        builder = tfds.builder(name)
        if not builder.is_prepared():
            if Settings.of().offline:
                raise ConfigError(f"TFDS has no {name} prepared, and we are offline", hint=by_hand)
            _log.warning("TFDS downloads %s; without a network it gives up after minutes", name)
            if not sys.stderr.isatty():
                tfds.disable_progress_bar()
            with contextlib.redirect_stdout(sys.stderr):  # where it tells what it does
                builder.download_and_prepare()
    except _NOT_THERE as error:
        raise ConfigError(f"TFDS has no {name} here: {_first_line(error)}", hint=by_hand) from error
    return builder


def _splits(builder: tfds.core.DatasetBuilder, name: str, held_out: str) -> tuple[str, str]:
    """Return the splits to train on and to test on; ConfigError where one of them is missing."""
    names = sorted(builder.info.splits)
    test = held_out or "test"
    if "train" in names and test in names and test != "train":
        return "train", test
    others = [each for each in names if each != "train"]
    hint = f"choose one for the test examples, such as tfds:{name}:{others[-1]}" if others else ""
    raise ConfigError(
        f"tfds:{name} has no split {test if 'train' in names else 'train'!r}; its splits are"
        f" {', '.join(names)}",
        hint=hint if others and "train" in names else _NPZ_HINT,
    )


def _require_images_and_labels(builder: tfds.core.DatasetBuilder, name: str) -> None:
    features = builder.info.features
    names = list(features) if isinstance(features, tfds.features.FeaturesDict) else []
    image = features["image"] if "image" in names else None
    if not isinstance(image, tfds.features.Image):
        raise ConfigError(
            f"tfds:{name} has no `image`; its features are {', '.join(names)}", hint=_NPZ_HINT
        )
    label = features["label"] if "label" in names else None
    if label is None or label.shape != () or not np.issubdtype(label.np_dtype, np.integer):
        raise ConfigError(
            f"tfds:{name} has no `label` that is one integer; its features are {', '.join(names)}",
            hint=_NPZ_HINT,
        )


# ---- the rows


class _Split(NamedTuple):
    """order: `official`, `tfds` or `file`. rows: where TFDS has each example."""

    order: str
    rows: NDArray[np.int64]
    images: Array
    labels: NDArray[np.int64]


def _read_split(builder: tfds.core.DatasetBuilder, name: str, split: str) -> _Split:
    n = int(builder.info.splits[split].num_examples)
    labels, ids = np.empty(n, np.int64), []
    images: Array | None = None
    try:
        for k, row in enumerate(_rows(builder, split)):
            if images is None:
                images = np.empty((n, *row["image"].shape), row["image"].dtype)
            elif row["image"].shape != images.shape[1:]:
                raise ConfigError(
                    f"the images of tfds:{name} differ in size: example 0 is"
                    f" {_size(images.shape[1:])}, example {k} is {_size(row['image'].shape)}",
                    hint="resize them; " + _NPZ_HINT,
                )
            images[k], labels[k] = row["image"], row["label"]
            ids.append(row.get("id", b""))
    except _DAMAGED as error:
        raise RecordError(
            f"the {split} split of tfds:{name} cannot be read: {_first_line(error)}",
            hint=f"delete {builder.data_path} and run: tfds build {name}",
        ) from error
    if images is None or len(ids) != n:
        raise RecordError(
            f"the {split} split of tfds:{name} has {len(ids):,} of {n:,} examples",
            hint=f"delete {builder.data_path} and run: tfds build {name}",
        )
    order, place = _order_of(builder, split, ids, labels)
    return _Split(order, place, images[place], labels[place])


def _rows(builder: tfds.core.DatasetBuilder, split: str) -> Iterator[dict[str, Any]]:
    """Yields the rows of a split, shard by shard."""
    if builder.info.file_format in tfds.core.FileFormat.with_random_access():
        yield from builder.as_data_source(split=split)
        return
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=_decoders(builder.info.features["image"]),
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )
    yield from dataset.as_numpy_iterator()


def _decoders(image: tfds.features.Image) -> dict[str, Callable[..., Any]] | None:
    """Return a decoder of JPEG that gives the pixels that other libraries give; None for PNG.

    TensorFlow's default is less exact: of one file it would make another digest and other pixel
    keys than PIL, which decodes array_record files.
    """
    channels = image.shape[-1]
    if image.encoding_format == "png" or image.np_dtype != np.uint8 or channels not in (1, 3):
        return None

    @tfds.decode.make_decoder(output_dtype=tf.uint8)  # type: ignore[untyped-decorator]
    def decode(data: tf.Tensor, feature: tfds.features.Image) -> tf.Tensor:
        pixels = tf.io.decode_jpeg(data, channels, dct_method="INTEGER_ACCURATE")  # PNG, too
        pixels.set_shape(feature.shape)
        return pixels

    return {"image": decode()}


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


# ---- the order


def _order_of(
    builder: tfds.core.DatasetBuilder, split: str, ids: list[bytes], labels: NDArray[np.int64]
) -> tuple[str, NDArray[np.int64]]:
    """Return the best order that is known, and the row of each example in it."""
    positions = _positions(ids, split)
    if positions is not None:
        return "official", np.argsort(positions)
    config = f"/{builder.builder_config.name}" if builder.builder_config else ""
    dataset = builder.name + config
    if split not in ("train", "test") or known_size(dataset, split) is None:
        return "tfds", np.arange(len(labels))
    rows = official_to_tfds(dataset, split)
    first = FIRST_LABELS.get((dataset, split), ())
    made_by_tfds = builder.info.module_name.startswith("tensorflow_datasets.")
    if (
        rows is not None
        and len(rows) == len(labels)
        and made_by_tfds
        and not builder.info.disable_shuffling
        and labels[rows[: len(first)]].tolist() == list(first)
    ):
        return "official", rows
    _log.warning("the %s examples of %s are not those of TFDS's own builder", split, dataset)
    return "file", np.arange(len(labels))


def _positions(ids: list[bytes], split: str) -> NDArray[np.int64] | None:
    """Return the official position of each row; None unless the ids are those of all examples."""
    found = [_ID.fullmatch(each.decode("utf-8", "replace")) for each in ids]
    if not all(match and match[1] == split for match in found):
        return None
    positions = np.array([int(match[2]) for match in found if match], np.int64)
    complete = np.array_equal(np.sort(positions), np.arange(len(positions)))
    return positions if complete else None
