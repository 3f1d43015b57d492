"""Checks of a configuration against its data, before a store is made or a model is built.

check_recipe(config, load_dataset(config))
"""

from __future__ import annotations

from memtools.errors import ConfigError
from memtools.training.config import Config
from memtools.training.data_checks import check_same_shape, check_trainable
from memtools.training.datasets import Dataset
from memtools.training.models import check_model_input
from memtools.training.records import Records
from memtools.training.step import PAD
from memtools.training.subsets import subset_sizes


def check_recipe(config: Config, data: Dataset | Records) -> None:
    """Raise ConfigError unless a configuration can be followed with some data.

    Args:
        config: The recipe.
        data: Arrays that `check_dataset` has checked, or records.

    Raises:
        ConfigError: The data cannot be trained on, or not with this model, these subsets, this
            batch or this augmentation.
    """
    check_trainable(data, data.name)
    if isinstance(data, Dataset):
        check_same_shape(data, data.name)
    check_model_input(config.model, data.image_shape, config.hidden)
    _require_augmentation(config, data)
    _require_subsets(config, data)


def _require_subsets(config: Config, data: Dataset | Records) -> None:
    """Raise ConfigError unless a subset holds a batch, and leaves something out."""
    n = len(data.train_labels)
    least, most = subset_sizes(data.train_labels, config.ratio, config.design)
    if not least or most >= n:
        raise ConfigError(
            f"a subset of {config.ratio:g} of {n:,} examples"
            f" {'can hold all of them' if least else 'is empty'}",
            hint="set another ratio: some examples must be in a subset, and some outside",
        )
    if config.batch_size > least:
        raise ConfigError(
            f"a batch of {config.batch_size} is larger than the subset of {least}",
            hint="set a smaller batch_size, or a larger ratio",
        )


def _require_augmentation(config: Config, data: Dataset | Records) -> None:
    """Raise ConfigError for an augmentation that these images do not allow."""
    if (config.augment == "random-resized-crop") != isinstance(data, Records):
        raise ConfigError(
            f"augment is {config.augment!r}, and the data are {config.dataset}",
            hint="random-resized-crop is for TFRecords, crop-flip and none are for arrays",
        )
    shape = data.image_shape
    if config.augment == "crop-flip" and (len(shape) != 3 or min(shape[:2]) <= PAD):
        raise ConfigError(
            f"augment is 'crop-flip', and images are {' x '.join(map(str, shape))}",
            hint=f"it shifts images by up to {PAD} pixels, so they have height and width above"
            " that: set augment=none",
        )
