"""What is trained on: arrays in memory, in an order that has a name.

data = load_dataset("digits", flipped=0.02, seed=0)
data.train_images                        # [n_train, ...], uint8 or float32

digits     scikit-learn's 1,797 digits: the first 1,200 train, the others test; needs no network
tfds:NAME  a data set of TFDS with `image` and `label`; one whose examples have an `id` such as
`train_01234` (CIFAR) is brought into the official order
FILE.npz   train_images, train_labels, test_images, test_labels
"""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memtools.errors import ConfigError, MemtoolsError
from memtools.estimates.npz import Array
from memtools.files import disk_errors
from memtools.training.subsets import generator

_DIGITS_TRAIN = 1200


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """train_images, test_images: uint8 or float32 [n, ...], floats within [0, 1].

    train_labels, test_labels: int64 [n], 0-based. order: as in About. flipped: int64, training
    examples whose label is a wrong one.
    """

    name: str
    order: str
    train_images: Array
    train_labels: NDArray[np.int64]
    test_images: Array
    test_labels: NDArray[np.int64]
    flipped: NDArray[np.int64]

    @property
    def n_classes(self) -> int:
        """The number of labels."""
        return int(max(self.train_labels.max(), self.test_labels.max())) + 1


def load_dataset(name: str, *, flipped: float = 0.0, seed: int = 0) -> Dataset:
    """A data set by its name in a configuration; ConfigError if it is not there.

    flipped: share of the training labels replaced by another, drawn from the seed.
    """
    if name == "digits":
        data = _digits()
    elif name.startswith("tfds:"):
        from memtools.training.tfds_arrays import read  # needs TensorFlow

        data = Dataset(name.removeprefix("tfds:"), *read(name.removeprefix("tfds:")), _none())
    else:
        data = _npz(Path(name))
    return _with_flipped(data, flipped, seed) if flipped else data


def _digits() -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise MemtoolsError(
            "the digits need scikit-learn, which is not installed",
            hint="pip install 'memtools[demo]'",
        ) from error
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    labels = labels.astype(np.int64)
    n = _DIGITS_TRAIN
    return Dataset("digits", "official", images[:n], labels[:n], images[n:], labels[n:], _none())


def _npz(path: Path) -> Dataset:
    names = ("train_images", "train_labels", "test_images", "test_labels")
    if path.suffix != ".npz":
        raise ConfigError(
            f"{str(path)!r} is no data set", hint="use digits, tfds:NAME, or the path of an npz"
        )
    try:
        with disk_errors(path), np.load(path, allow_pickle=False) as npz:
            train_images, train_labels, test_images, test_labels = (npz[name] for name in names)
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: {error}", hint=f"it should hold {', '.join(names)}") from error
    for images, labels in ((train_images, train_labels), (test_images, test_labels)):
        if len(images) != len(labels) or labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise ConfigError(
                f"{path}: images {images.shape} and labels {labels.shape} do not fit",
                hint="labels are integers, one for each image",
            )
    return Dataset(
        path.stem,
        "file",
        _plain(train_images),
        train_labels.astype(np.int64),
        _plain(test_images),
        test_labels.astype(np.int64),
        _none(),
    )


def _plain(images: Array) -> Array:
    return images if images.dtype == np.uint8 else images.astype(np.float32)


def _with_flipped(data: Dataset, share: float, seed: int) -> Dataset:
    rng = generator(seed, 0, "flip")
    n = len(data.train_labels)
    chosen = np.sort(rng.permutation(n)[: round(share * n)])
    labels = data.train_labels.copy()
    shift = rng.integers(1, data.n_classes, len(chosen))
    labels[chosen] = (labels[chosen] + shift) % data.n_classes
    return dataclasses.replace(data, train_labels=labels, flipped=chosen)


def _none() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)
