"""Small data sets of TFDS as arrays, in the official order where their ids say it."""

from __future__ import annotations

import re

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.training.datasets import NONE, Dataset

_ID = re.compile(rb"(?:train|test)_(\d+)")


def read(name: str) -> Dataset:
    """A prepared data set, in the official order if its ids say it.

    Raises ConfigError if it is not there and cannot be downloaded.
    """
    try:
        builder = tfds.builder(name)
        builder.download_and_prepare()
    except (
        OSError,
        ValueError,
        tfds.core.DatasetNotFoundError,
        tfds.download.DownloadError,
    ) as error:
        raise ConfigError(
            f"TFDS has no {name} here: {str(error).splitlines()[0]}",
            hint=f"where there is a network: tfds build {name}; then copy ~/tensorflow_datasets",
        ) from error
    sides = [_arrays(builder, split) for split in ("train", "test")]
    orders = {order for order, _, _ in sides}
    order = orders.pop() if len(orders) == 1 else "tfds"
    (_, train_images, train_labels), (_, test_images, test_labels) = sides
    return Dataset(name, order, train_labels, test_labels, NONE, train_images, test_images)


def _arrays(builder: tfds.core.DatasetBuilder, split: str) -> tuple[str, Array, NDArray[np.int64]]:
    dataset = builder.as_dataset(split=split, shuffle_files=False)
    rows = list(dataset.as_numpy_iterator())
    images = np.stack([row["image"] for row in rows])
    labels = np.array([row["label"] for row in rows], np.int64)
    found = [_ID.fullmatch(row.get("id", b"")) for row in rows]
    if not all(found):
        return "tfds", images, labels
    place = np.argsort([int(match[1]) for match in found if match])
    return "official", images[place], labels[place]
