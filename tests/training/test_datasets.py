"""Arrays in an order that has a name."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from memtools.errors import ConfigError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates
from memtools.report.images import open_images
from memtools.report.subject import subject_of
from memtools.training.config import load_config
from memtools.training.datasets import load_dataset
from memtools.training.tfds_arrays import class_names


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


def test_what_is_not_a_data_set_is_called_that():
    with pytest.raises(ConfigError, match="'cifar' is not a data set"):
        data_of("cifar")


class FewOfCifar100(tfds.image_classification.Cifar100):
    """The real features, few examples, and no download."""

    def _split_generators(self, dl_manager):
        return {"train": self._few("train", 40), "test": self._few("test", 10)}

    def _few(self, split, n):
        for k in np.random.default_rng(0).permutation(n):
            pixels = np.full((32, 32, 3), k, np.uint8)
            name = f"{split}_{k:05d}"
            yield name, {"id": name, "image": pixels, "label": k % 5, "coarse_label": k % 2}


def test_cifar_of_tfds_comes_in_the_official_order(tmp_path, monkeypatch):
    builder = FewOfCifar100(data_dir=tmp_path)
    builder.download_and_prepare()
    read = [row["id"] for row in tfds.as_numpy(builder.as_dataset(split="train"))]
    assert read != sorted(read)  # TFDS has an order of its own
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    data = data_of("tfds:cifar100")
    assert (data.name, data.order) == ("cifar100", "official")
    assert np.array_equal(data.train_images[:, 0, 0, 0], np.arange(40))
    assert np.array_equal(data.train_labels, np.arange(40) % 5)
    assert np.array_equal(data.test_images[:, 5, 5, 2], np.arange(10))
    assert [f"train_{k:05d}".encode() for k in np.argsort(data.tfds_rows[0])] == read
    assert np.array_equal(np.sort(data.tfds_rows[1]), np.arange(10))
    assert class_names("cifar100") == {}  # numbers are no names
    builder.info.features["label"].names = [f"fruit {k}" for k in range(100)]
    assert class_names("cifar100")[3] == "fruit 3"
    builder = tfds.testing.DummyMnist(data_dir=tmp_path)  # has no ids
    builder.download_and_prepare()
    assert data_of("tfds:mnist").order == "tfds"


def test_a_report_shows_the_images_of_tfds_beside_their_numbers(tmp_path, monkeypatch):
    builder = FewOfCifar100(data_dir=tmp_path)
    builder.download_and_prepare()
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    labels = {"tr_labels": np.arange(40) % 5, "tt_labels": np.arange(10) % 5}
    about = About(dataset="cifar100", order="official")
    subject = subject_of(Estimates({"tr_mem": np.linspace(0, 1, 40), **labels}, about))
    images = open_images("tfds:cifar100", subject)
    for pictures, chosen in ((images.train, [7, 39]), (images.test, [4])):
        look = pictures.gather(chosen)
        assert [np.asarray(look(k)).max() for k in chosen] == chosen


def test_what_tfds_does_not_have_is_said_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMTOOLS_OFFLINE", "1")
    empty = tfds.builder("mnist", data_dir=tmp_path)
    monkeypatch.setattr(tfds, "builder", lambda name: empty)
    with pytest.raises(ConfigError, match="no mnist prepared, and we are offline") as raised:
        data_of("tfds:mnist")
    assert "tfds build mnist" in raised.value.hint
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="TFDS has no mnits here"):
        data_of("tfds:mnits")
