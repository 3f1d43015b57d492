"""Small data sets of TFDS as arrays, in the official order where their ids say it."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from memtools.artifacts.settings import Settings
from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.training.datasets import NONE, Dataset

_log = logging.getLogger("memtools.training")
_NOT_THERE = (OSError, ValueError, tfds.core.DatasetNotFoundError, tfds.download.DownloadError)
_ID = re.compile(rb"(?:train|test)_(\d+)")


def read(name: str) -> Dataset:
    """A data set of TFDS, downloaded and prepared if need be; in the official order if ids say it.

    Raises ConfigError if it is not there and cannot be downloaded.
    """
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
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"TFDS has no {name} here: {reason}", hint=by_hand) from error
    train, test = (_arrays(builder, split) for split in ("train", "test"))
    return Dataset(
        name,
        "official" if train.official and test.official else "tfds",
        train.labels,
        test.labels,
        NONE,
        train.images,
        test.images,
        (train.rows, test.rows),
    )


def class_names(name: str) -> dict[int, str]:
    """What a prepared data set of TFDS calls its labels; nothing if it does not say."""
    label = tfds.builder(name).info.features["label"]
    names = enumerate(getattr(label, "names", ()))
    return {k: name for k, name in names if name != str(k)}


class _Split(NamedTuple):
    """official: whether ids put it into that order. rows: where TFDS has each example."""

    official: bool
    rows: NDArray[np.int64]
    images: Array
    labels: NDArray[np.int64]


def _arrays(builder: tfds.core.DatasetBuilder, split: str) -> _Split:
    dataset = builder.as_dataset(split=split, shuffle_files=False)
    rows = list(dataset.as_numpy_iterator())
    images = np.stack([row["image"] for row in rows])
    labels = np.array([row["label"] for row in rows], np.int64)
    found = [_ID.fullmatch(row.get("id", b"")) for row in rows]
    if not all(found):
        return _Split(False, np.arange(len(rows)), images, labels)
    place = np.argsort([int(match[1]) for match in found if match])
    return _Split(True, place, images[place], labels[place])
