"""The order of TFDS, computed, beside that of TFDS's own code."""

import hashlib
import inspect
import struct

import numpy as np
import pytest
import scipy.io
import tensorflow_datasets as tfds
from tensorflow_datasets.core import hashing, shuffle

from memtools.datasets.tfds_order import (
    SIZES,
    known_size,
    official_to_tfds,
    tfds_ids,
    tfds_order,
)
from memtools.errors import ConfigError

CIFAR = ("cifar10", "cifar100", "cifar10_h", "cifar10_n", "cifar100_n")
DISTINCT = sorted(
    {
        (split, n)
        for sizes in SIZES.values()
        for split, n in zip(("train", "test"), sizes, strict=True)
    }
)


def test_order_of_mnist_is_the_one_that_its_c_scores_follow():
    order = tfds_order("mnist", "train")
    assert order[:5].tolist() == [16399, 1680, 47917, 17307, 27051]
    digest = hashlib.sha256(order.astype("<i8").tobytes()).hexdigest()
    assert digest == "fda8ca9064f2101e62385c07c57d28728b5717870b3486d016fa612af88ac5f2"


@pytest.mark.parametrize(("split", "n"), DISTINCT)
def test_every_order_of_the_table_is_that_of_the_hasher_of_tfds(split, n):
    hash_key = hashing.Hasher(split).hash_key
    expected = sorted(range(n), key=hash_key)
    names = [name for name in SIZES if known_size(name, split) == n]
    assert names
    for name in names:
        np.testing.assert_array_equal(tfds_order(name, split), expected)


@pytest.mark.parametrize("key", [int, str, lambda k: str(k).encode(), np.array])
def test_shuffler_of_tfds_gives_the_order_of_mnist_for_keys_of_every_kind(tmp_path, key):
    shuffler = shuffle.Shuffler(tmp_path, "test")
    for k in range(10_000):
        shuffler.add(key(k), struct.pack("<q", k))
    found = [struct.unpack("<q", data)[0] for _, data in shuffler]
    assert found == tfds_order("mnist", "test").tolist()


@pytest.mark.parametrize("n_shards", [1, 7])
@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_shards_that_tfds_writes_one_after_the_other_hold_the_order(
    tmp_path, n_shards, file_format
):
    builder = Numbered(data_dir=tmp_path, file_format=file_format)
    builder.n_shards = n_shards
    builder.download_and_prepare()
    assert builder.info.splits["test"].num_shards == n_shards
    for split in ("train", "test"):
        if file_format == "tfrecord":
            config = tfds.ReadConfig(interleave_cycle_length=1)
            rows = builder.as_dataset(split=split, read_config=config).as_numpy_iterator()
        else:
            rows = iter(builder.as_data_source(split=split))
        found = [int(row["k"]) for row in rows]
        expected = sorted(range(500), key=hashing.Hasher(split).hash_key)
        assert found == expected
        np.testing.assert_array_equal(_prefix(tfds_order("mnist", split), 500), expected)


def _prefix(order, n):
    """Return the order of the first n examples alone: keys keep their hash."""
    return order[order < n]


class Numbered(tfds.core.GeneratorBasedBuilder):
    """A builder that yields the keys of those of the table."""

    VERSION = tfds.core.Version("1.0.0")
    n_shards = 1

    def _info(self):
        features = tfds.features.FeaturesDict({"k": np.int64})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(), "test": self._generate_examples()}

    def _generate_examples(self):
        yield from ((k, {"k": k}) for k in range(500))

    def download_and_prepare(self):
        config = tfds.download.DownloadConfig(num_shards=self.n_shards)
        super().download_and_prepare(download_config=config)


# ---- the keys that the builders of TFDS yield


def keys_of_builder(name, tmp_path, n=20):
    """Run the generator of a real builder on a small file of the official format."""
    builder = tfds.builder(name, data_dir=tmp_path)
    if "mnist" in name:
        images, labels = tmp_path / "images", tmp_path / "labels"
        images.write_bytes(bytes(16 + n * 28 * 28))
        labels.write_bytes(bytes(8 + n))
        rows = builder._generate_examples(n, images, labels)
    elif name == "svhn_cropped":
        path = tmp_path / "train_32x32.mat"
        images = np.zeros((32, 32, 3, n), np.uint8)
        scipy.io.savemat(path, {"X": images, "y": np.ones((n, 1), np.uint8)})
        rows = builder._generate_examples("train_", str(path))
    elif name == "stl10":
        paths = [tmp_path / "train_X.bin", tmp_path / "train_y.bin"]
        paths[0].write_bytes(bytes(n * 3 * 96 * 96))
        paths[1].write_bytes(bytes([1] * n))
        rows = builder._generate_examples([str(path) for path in paths])
    else:
        size = 3073 + name.startswith("cifar100")
        halves = [tmp_path / "1.bin", tmp_path / "2.bin"]
        for half in halves:  # positions count on from file to file
            half.write_bytes(bytes(n // 2 * size))
        rows = builder._generate_examples("test_", [str(half) for half in halves])
    return list(rows)


@pytest.mark.parametrize(
    "name",
    [*CIFAR[:2], "mnist", "fashion_mnist", "kmnist", "emnist/balanced", "svhn_cropped", "stl10"],
)
def test_builders_of_tfds_yield_the_position_in_the_official_file_as_the_key(name, tmp_path):
    rows = keys_of_builder(name, tmp_path)
    assert [key for key, _ in rows] == list(range(20))
    assert all(type(key) is int for key, _ in rows)
    if "id" in rows[0][1]:
        split = "train" if name == "svhn_cropped" else "test"
        computed = tfds_ids(name, split)
        ids = [computed[row] for row in official_to_tfds(name, split)[:20]]
        assert [row["id"] for _, row in rows] == ids


def test_sizes_of_emnist_are_those_of_the_builder_of_tfds():
    for config in tfds.builder_cls("emnist").BUILDER_CONFIGS:
        expected = (config.train_examples, config.test_examples)
        assert SIZES[f"emnist/{config.name}"] == expected
    assert SIZES["emnist"] == SIZES[f"emnist/{tfds.builder_cls('emnist').BUILDER_CONFIGS[0].name}"]


def test_cifar_with_human_labels_has_the_keys_of_cifar_in_the_source_of_tfds():
    for name in CIFAR[2:]:
        source = inspect.getsource(tfds.builder_cls(name)._generate_examples)
        assert "yield index, record" in source and "index = 0" in source


# ---- the functions


def test_inverse_gives_the_row_of_each_position():
    order, inverse = tfds_order("cifar10", "test"), official_to_tfds("cifar10", "test")
    np.testing.assert_array_equal(order[inverse], np.arange(10_000))
    np.testing.assert_array_equal(inverse[order], np.arange(10_000))
    assert order.dtype == inverse.dtype == np.int64


def test_split_goes_by_all_its_names_and_version_is_ignored():
    expected = tfds_order("mnist", "test")
    for name, split in (("mnist", "val"), ("mnist:3.0.1", "validation"), ("mnist:3.*.*", "test")):
        np.testing.assert_array_equal(tfds_order(name, split), expected)
    assert not np.array_equal(tfds_order("mnist", "train")[:10], expected[:10])
    with pytest.raises(ConfigError, match="'dev' is not a split"):
        tfds_order("mnist", "dev")


def test_data_set_that_is_not_in_the_table_has_no_computed_order():
    assert tfds_order("imagenet2012", "train") is None
    assert official_to_tfds("imagenet", "test") is None
    assert known_size("", "train") is None
    assert tfds_ids("mnist", "train") is None


def test_ids_of_cifar_stand_in_the_order_of_the_rows():
    ids = tfds_ids("cifar100", "train")
    assert ids[:3] == ["train_16399", "train_01680", "train_47917"] and len(ids) == 50_000


def test_orders_are_computed_once_and_cannot_be_changed():
    order = tfds_order("mnist", "train")
    assert order is tfds_order("fashion_mnist", "train")
    for values in (order, official_to_tfds("mnist", "train")):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1
