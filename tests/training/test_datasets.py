"""Arrays in an order that has a name."""

import numpy as np
import pytest

from memtools.errors import ConfigError
from memtools.training.config import load_config
from memtools.training.datasets import load_dataset


def data_of(name, **settings):
    return load_dataset(load_config("mnist-mlp", {"dataset": name, **settings}))


def test_digits_are_at_hand_and_two_percent_can_be_flipped():
    data, flipped = data_of("digits"), data_of("digits", flipped=0.02)
    assert data.train_images.shape == (1200, 8, 8, 1) and data.test_images.shape == (597, 8, 8, 1)
    assert data.train_images.dtype == np.float32 and data.train_images.max() == 1.0
    assert data.n_classes == 10 and len(data.flipped) == 0
    changed = np.flatnonzero(data.train_labels != flipped.train_labels)
    assert np.array_equal(changed, flipped.flipped) and len(changed) == 24
    assert np.array_equal(data.test_labels, flipped.test_labels)
    other = data_of("digits", flipped=0.02, seed=1)
    assert not np.array_equal(other.flipped, flipped.flipped)


def test_an_npz_of_ones_own(tmp_path):
    arrays = {
        "train_images": np.zeros((6, 4, 4, 3), np.uint8),
        "train_labels": np.arange(6) % 3,
        "test_images": np.ones((2, 4, 4, 3)),
        "test_labels": np.array([0, 2], np.uint8),
    }
    np.savez(tmp_path / "mine.npz", **arrays)
    data = data_of(str(tmp_path / "mine.npz"))
    assert (data.name, data.order, data.n_classes) == ("mine", "file", 3)
    assert data.train_images.dtype == np.uint8 and data.test_images.dtype == np.float32
    np.savez(tmp_path / "short.npz", **{**arrays, "train_labels": np.arange(5)})
    with pytest.raises(ConfigError, match="do not fit"):
        data_of(str(tmp_path / "short.npz"))
    del arrays["test_labels"]
    np.savez(tmp_path / "less.npz", **arrays)
    with pytest.raises(ConfigError, match="test_labels"):
        data_of(str(tmp_path / "less.npz"))


def test_what_is_no_data_set_is_called_that():
    with pytest.raises(ConfigError, match="'cifar' is no data set"):
        data_of("cifar")
