"""Where the images of a report come from, brought together with its numbers before any is read.

    images = open_images("tfds:cifar100", subject)

digits, tfds:NAME, FILE.npz   arrays, as memtools.training.datasets has them
CONFIG.toml                   what a configuration trains on, flipped labels and all
tfrecords:DIR                 a set that `memtools tfrecords build` made
DIR, FILE, an object          whatever `memtools align` takes as a data set: images in a folder for
                              each class; such folders, or flat ones, in `train` and in `val`,
                              `validation` or `test`; an official copy of CIFAR or MNIST; a list of
                              files; parquet; a data set of torchvision or Hugging Face

Only images that are shown are read: files one by one, TFRecords in one pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memtools.errors import ConfigError
from memtools.estimates.npz import Npz
from memtools.report.array_images import open_arrays
from memtools.report.listed_images import open_listed
from memtools.report.pictures import Images
from memtools.report.record_images import open_records
from memtools.report.subject import Subject
from memtools.training.config import load_config
from memtools.training.datasets import Dataset, load_arrays, read_arrays

_HINT = (
    "digits, tfds:NAME, a folder, tfrecords:DIR, FILE.npz, a list of image files, or the TOML of a"
    " configuration"
)


def open_images(source: Any, subject: Subject) -> Images:
    """Return the images of a source, aligned with the subject; none is read yet.

    Args:
        source: A path, a word such as `tfds:cifar100`, a `Dataset`, or a data set object.
        subject: The numbers.

    Raises:
        AlignmentError: Number, labels or names contradict.
        ConfigError: It is not a source of images.
        SchemaError: A file is damaged, or pixels are NaN or infinite.
    """
    if isinstance(source, Dataset):
        return open_arrays(source, subject, {})
    if not isinstance(source, (str, Path)):
        return open_listed(source, subject)
    path, config = Path(source), None
    if path.suffix == ".toml":
        config = load_config(str(path))
    scheme, _, rest = (config.dataset if config else str(source)).partition(":")
    if scheme == "tfrecords":
        return open_records(Path(rest), subject)
    if config:
        return open_arrays(load_arrays(config), subject, _names_of(scheme, rest))
    if scheme in ("digits", "tfds") or _is_dataset(path):
        return open_arrays(read_arrays(str(source)), subject, _names_of(scheme, rest))
    if not path.exists():
        raise ConfigError(f"{str(source)!r} is not a source of images", hint=_HINT)
    return open_listed(path, subject)


def _is_dataset(path: Path) -> bool:
    """Return whether a file has the arrays that training takes."""
    if path.suffix != ".npz" or not path.is_file():
        return False
    with Npz(path) as arrays:
        return "train_images" in arrays and "test_images" in arrays


def _names_of(scheme: str, name: str) -> dict[int, str]:
    """Return the class names that TFDS has, by label."""
    if scheme != "tfds":
        return {}
    from memtools.training.tfds_arrays import class_names  # needs TensorFlow

    return class_names(name)
