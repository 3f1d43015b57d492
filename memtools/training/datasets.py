"""What is trained on: arrays in memory, in an order that has a name.

data = load_dataset(load_config("digits-demo"))
data.train_labels                        # int64 [n_train]

digits     scikit-learn's 1,797 digits: the first 1,200 train, the others test; needs no network
tfds:NAME  a data set of TFDS with `image` and `label`; one whose examples have an `id` such as
`train_01234` (CIFAR) is brought into the official order
FILE.npz   train_images, train_labels, test_images, test_labels; images [n, height, width] are grey
tfrecords:DIR  the indexed ImageNet of `memtools tfrecords build`, streamed; `index` says of which
index it is
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.extras import needing
from memtools.training.config import Config
from memtools.training.data_checks import check_dataset, check_same_shape, check_trainable
from memtools.training.npz_arrays import read_npz_dataset
from memtools.training.subsets import generator

if TYPE_CHECKING:
    from memtools.training.records import Records

Some = TypeVar("Some", bound="Examples")
NONE = np.zeros(0, np.int64)
_DIGITS_TRAIN = 1200


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Labels, in an order that has a name.

    train_labels, test_labels: int64 [n], 0-based. order: as in About. flipped: int64, training
    examples whose label is a wrong one.
    """

    name: str
    order: str
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]
    flipped: NDArray[np.int64]

    @property
    def n_classes(self) -> int:
        """The number of labels."""
        return int(max(self.train_labels.max(), self.test_labels.max())) + 1


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset(Examples):
    """Arrays in memory; `check_dataset` brings arrays of one's own into this form, or refuses them.

    train_images, test_images: uint8 or float32 [n, ...], floats within [0, 1].
    tfds_rows: int64 [n_train], [n_test], which row of TFDS each is; None for other data.
    """

    train_images: Array
    test_images: Array
    tfds_rows: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one image."""
        return tuple(self.train_images.shape[1:])

    @property
    def n_bytes(self) -> int:
        """Of the images that are kept in memory."""
        return int(self.train_images.nbytes + self.test_images.nbytes)

    @property
    def digest(self) -> str:
        """sha256 of all images and labels, hex."""
        sha256 = hashlib.sha256()
        for column in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            sha256.update(np.ascontiguousarray(column).tobytes())
        return sha256.hexdigest()


def load_dataset(config: Config) -> Dataset | Records:
    """The data of a configuration; ConfigError if they are not there.

    Some of the training labels are replaced by others if it says so.
    """
    scheme, colon, name = config.dataset.partition(":")
    if colon and scheme == "tfrecords":
        from memtools.training.records import open_records  # needs TensorFlow

        records = open_records(Path(name), config.index)
        check_trainable(records, config.dataset)
        return _with_flipped(records, config)
    return load_arrays(config)


def load_arrays(config: Config) -> Dataset:
    """As `load_dataset`, for data that fit in memory."""
    data = read_arrays(config.dataset)
    check_trainable(data, config.dataset)
    check_same_shape(data, config.dataset)
    return _with_flipped(data, config)


def read_arrays(source: str) -> Dataset:
    """Return a data set in memory, checked, with the labels that its source has.

    Args:
        source: `digits`, `tfds:NAME`, or the path of an npz. The test split may be empty.

    Raises:
        ConfigError: There is no such data set, or its arrays cannot be trained on.
        SchemaError: The file is damaged, or holds pixels that are NaN or infinite.
    """
    scheme, colon, name = source.partition(":")
    if source == "digits":
        data = _digits()
    elif colon and scheme == "tfds":
        from memtools.training.tfds_arrays import read  # needs TensorFlow

        data = read(name)
    elif Path(source).suffix == ".npz":
        path = Path(source)
        train_images, train_labels, test_images, test_labels = read_npz_dataset(path)
        labels = train_labels, test_labels
        data = Dataset(path.stem, "file", *labels, NONE, train_images, test_images)
    else:
        raise ConfigError(
            f"{source!r} is not a data set that memtools trains on",
            hint="use digits, tfds:NAME, tfrecords:DIR, or the path of an npz",
        )
    return check_dataset(data, source)


def _digits() -> Dataset:
    with needing("demo"):
        from sklearn.datasets import load_digits
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    labels = labels.astype(np.int64)
    n = _DIGITS_TRAIN
    return Dataset("digits", "official", labels[:n], labels[n:], NONE, images[:n], images[n:])


def _with_flipped(data: Some, config: Config) -> Some:
    """The data with a share of the training labels replaced, drawn from the seed."""
    if not config.flipped:
        return data
    rng = generator(config.seed, 0, "flip")
    n = len(data.train_labels)
    chosen = np.sort(rng.permutation(n)[: round(config.flipped * n)])
    if not len(chosen):
        raise ConfigError(
            f"flipped is {config.flipped:g}, which flips none of {n:,} labels",
            hint="set a larger share, or 0",
        )
    labels = data.train_labels.copy()
    shift = rng.integers(1, data.n_classes, len(chosen))
    labels[chosen] = (labels[chosen] + shift) % data.n_classes
    return dataclasses.replace(data, train_labels=labels, flipped=chosen)
