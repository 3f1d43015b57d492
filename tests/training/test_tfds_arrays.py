"""Data sets of TFDS as arrays: their order, their formats, and what cannot be read."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.image_classification.mnist import MNIST

from memtools.datasets import tfds_order
from memtools.errors import ConfigError, MemtoolsError, RecordError
from memtools.training.tfds_arrays import class_names, read

N_TRAIN, N_TEST = 600, 200


def prepared(monkeypatch, builder_class, tmp_path, n_shards=1, **options):
    """Prepare a builder; `tfds.builder` then finds its files."""
    builder = builder_class(data_dir=tmp_path, **options)
    config = tfds.download.DownloadConfig(num_shards=n_shards)
    builder.download_and_prepare(download_config=config)
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    return builder


def made(features, **splits):
    """A builder class with these features, whose splits have these rows."""

    class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features_dict = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=features_dict)

        def _split_generators(self, dl_manager):
            return {name: self._generate_examples(rows) for name, rows in splits.items()}

        def _generate_examples(self, rows):
            yield from enumerate(rows)

    return Made


def rows_of(n, side=4):
    """Rows whose image tells their key in its first two bytes."""
    for k in range(n):
        image = np.zeros((side, side, 3), np.uint8)
        image[0, 0, :2] = divmod(k, 256)
        yield {"image": image, "label": k % 7}


IMAGE, LABEL = tfds.features.Image(shape=(4, 4, 3)), tfds.features.ClassLabel(num_classes=7)
BOTH = {"image": IMAGE, "label": LABEL}


# ---- the order


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """TFDS's own builder of MNIST on idx files of a few images, which tell their position."""
    monkeypatch.setitem(tfds_order.SIZES, "mnist", (N_TRAIN, N_TEST))
    monkeypatch.setitem(tfds_order.SIZES, "kmnist", (N_TRAIN, N_TEST))
    rng = np.random.default_rng(0)
    labels = {}

    def split_generators(self, dl_manager):
        generators = {}
        for split, n in (("train", N_TRAIN), ("test", N_TEST)):
            labels[split] = rng.integers(0, 10, n).astype(np.uint8)
            labels[split][:10] = tfds_order.FIRST_LABELS["mnist", split]
            images = np.zeros((n, 28, 28), np.uint8)
            images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(n), 256)
            paths = tmp_path / f"{split}-images", tmp_path / f"{split}-labels"
            paths[0].write_bytes(struct.pack(">4i", 2051, n, 28, 28) + images.tobytes())
            paths[1].write_bytes(struct.pack(">2i", 2049, n) + labels[split].tobytes())
            generators[split] = self._generate_examples(n, *paths)
        return generators

    monkeypatch.setattr(MNIST, "_split_generators", split_generators)
    return labels


def positions_in(images):
    return images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 1, 0]


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.parametrize("n_shards", [1, 5])
def test_mnist_of_tfds_comes_in_the_official_order(
    small_mnist, tmp_path, monkeypatch, n_shards, file_format
):
    prepared(monkeypatch, MNIST, tmp_path / "data", n_shards, file_format=file_format)
    data = read("mnist")
    assert (data.name, data.order) == ("mnist", "official")
    assert np.array_equal(positions_in(data.train_images), np.arange(N_TRAIN))
    assert np.array_equal(positions_in(data.test_images), np.arange(N_TEST))
    assert np.array_equal(data.train_labels, small_mnist["train"])
    assert np.array_equal(data.test_labels, small_mnist["test"])
    assert data.train_images.shape == (N_TRAIN, 28, 28, 1)
    for split, rows in zip(("train", "test"), data.tfds_rows, strict=True):
        assert np.array_equal(rows, tfds_order.official_to_tfds("mnist", split))


def test_set_that_is_read_from_its_files_alone_has_the_order_too(
    small_mnist, tmp_path, monkeypatch
):
    builder = prepared(monkeypatch, MNIST, tmp_path / "data")
    read_only = tfds.builder_from_directory(str(builder.data_path))
    monkeypatch.setattr(tfds, "builder", lambda name: read_only)
    assert read("mnist").order == "official"


def test_first_labels_that_are_not_official_refute_the_computed_order(
    small_mnist, tmp_path, monkeypatch, caplog
):
    wrong = (9, *tfds_order.FIRST_LABELS["mnist", "test"][1:])
    prepared(monkeypatch, MNIST, tmp_path / "data")
    monkeypatch.setitem(tfds_order.FIRST_LABELS, ("mnist", "test"), wrong)
    assert read("mnist").order == "file"
    assert "the test examples of mnist are not those of TFDS's own builder" in caplog.text


def test_set_of_the_same_name_by_another_builder_is_in_an_order_of_its_own(
    small_mnist, tmp_path, monkeypatch, caplog
):
    class Kmnist(MNIST, skip_registration=True):
        """Another package's set, with the name and the size of one of TFDS."""

    prepared(monkeypatch, Kmnist, tmp_path / "data")
    data = read("kmnist")
    assert data.order == "file" and "not those of TFDS's own builder" in caplog.text
    order = tfds_order.tfds_order("kmnist", "train")
    assert np.array_equal(positions_in(data.train_images), order)


def test_set_of_another_size_is_in_an_order_of_its_own(small_mnist, tmp_path, monkeypatch):
    prepared(monkeypatch, MNIST, tmp_path / "data")
    monkeypatch.setitem(tfds_order.SIZES, "mnist", (N_TRAIN, N_TEST + 1))
    assert read("mnist").order == "file"


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_rows_of_several_shards_are_read_one_shard_after_the_other(
    tmp_path, monkeypatch, file_format
):
    both = made(BOTH, train=list(rows_of(300)), test=list(rows_of(90)))
    prepared(monkeypatch, both, tmp_path, n_shards=6, file_format=file_format)
    data = read("made")
    assert data.order == "tfds"
    for split, images in (("train", data.train_images), ("test", data.test_images)):
        n = len(images)
        expected = sorted(range(n), key=tfds.core.hashing.Hasher(split).hash_key)
        assert images[:, 0, 0, 0].astype(int).tolist() == [k // 256 for k in expected]
        assert images[:, 0, 0, 1].tolist() == [k % 256 for k in expected]


@pytest.mark.parametrize("ids", ["complete", "partial"])
@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_ids_give_the_official_order_only_where_all_are_there(
    tmp_path, monkeypatch, ids, file_format
):
    def with_ids(split, n):
        first = 1 if ids == "partial" else 0
        for k, row in enumerate(rows_of(n)):
            yield row | {"id": f"{split}_{k + first:05d}"}

    features = BOTH | {"id": tfds.features.Text()}
    rows = {"train": list(with_ids("train", 50)), "test": list(with_ids("test", 20))}
    prepared(monkeypatch, made(features, **rows), tmp_path, file_format=file_format)
    data = read("made")
    assert data.order == ("official" if ids == "complete" else "tfds")
    in_order = np.array_equal(data.train_images[:, 0, 0, 1], np.arange(50))
    assert in_order == (ids == "complete")


# ---- splits and features


def test_split_that_stands_for_test_is_named_behind_the_data_set(tmp_path, monkeypatch):
    both = made(BOTH, train=list(rows_of(20)), validation=list(rows_of(9)))
    prepared(monkeypatch, both, tmp_path)
    with pytest.raises(ConfigError, match="has no split 'test'; its splits are train, valid") as e:
        read("made")
    assert e.value.hint.endswith("such as tfds:made:validation")
    data = read("made:validation")
    assert data.name == "made" and (len(data.train_labels), len(data.test_labels)) == (20, 9)
    assert class_names("made:validation") == {}
    with pytest.raises(ConfigError, match="has no split 'extra'; its splits are train, validation"):
        read("made:1.0.0:extra")
    with pytest.raises(ConfigError, match="has no split 'train'"):
        read("made:train")


def test_set_with_one_split_is_refused(tmp_path, monkeypatch):
    prepared(monkeypatch, made(BOTH, train=list(rows_of(20))), tmp_path)
    with pytest.raises(ConfigError, match="has no split 'test'; its splits are train") as raised:
        read("made")
    assert "npz" in raised.value.hint


@pytest.mark.parametrize(
    ("features", "row", "words"),
    [
        ({"image": IMAGE}, {}, "has no `label` that is one integer; its features are image"),
        ({"picture": IMAGE, "label": LABEL}, {"label": 0}, "has no `image`; its features are"),
        (
            {"image": IMAGE, "label": tfds.features.Tensor(shape=(3,), dtype=np.int64)},
            {"label": [1, 0, 1]},
            "has no `label` that is one integer",
        ),
        ({"image": IMAGE, "label": np.float32}, {"label": 0.5}, "has no `label` that is one"),
        ({"image": tfds.features.Text(), "label": LABEL}, {"image": "x", "label": 0}, "no `image`"),
    ],
)
def test_set_without_images_and_labels_is_refused_in_a_line(
    tmp_path, monkeypatch, features, row, words
):
    picture = next(iter(rows_of(1)))["image"]
    filled = {name: row.get(name, picture) for name in features}
    prepared(monkeypatch, made(features, train=[filled], test=[filled]), tmp_path)
    with pytest.raises(ConfigError, match=words) as raised:
        read("made")
    assert "\n" not in str(raised.value) and "npz" in raised.value.hint


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_images_of_different_sizes_are_refused_with_two_sizes(tmp_path, monkeypatch, file_format):
    features = {"image": tfds.features.Image(shape=(None, None, 3)), "label": LABEL}
    rows = [*rows_of(3), *rows_of(1, side=6)]
    prepared(monkeypatch, made(features, train=rows, test=rows), tmp_path, file_format=file_format)
    with pytest.raises(ConfigError, match=r"differ in size: example 0 is \d x \d x 3, example \d"):
        read("made")


# ---- pixels, damage, absence


@pytest.mark.parametrize("encoding", ["jpeg", None])
def test_jpeg_has_the_pixels_of_pil_in_both_formats(tmp_path, monkeypatch, encoding):
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 12, 3), np.uint8)
    files, pixels = [], []
    for k, each in enumerate(noise):
        buffer = io.BytesIO()
        Image.fromarray(each).resize((32, 32)).save(buffer, "JPEG", quality=80)
        path = tmp_path / f"{k}.jpg"
        path.write_bytes(buffer.getvalue())
        files.append(str(path))
        pixels.append(np.asarray(Image.open(path)))
    default = tf.io.decode_jpeg(buffer.getvalue(), 3).numpy()
    assert not np.array_equal(default, pixels[-1])
    features = {
        "image": tfds.features.Image(shape=(32, 32, 3), encoding_format=encoding),
        "label": tfds.features.ClassLabel(num_classes=8),
    }
    rows = [{"image": path, "label": k} for k, path in enumerate(files)]
    for file_format in ("tfrecord", "array_record"):
        two = made(features, train=rows, test=rows)
        prepared(monkeypatch, two, tmp_path / file_format, file_format=file_format)
        data = read("made")
        assert np.array_equal(data.train_images, np.stack(pixels)[data.train_labels])


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.parametrize("damage", ["cut", "gone", "empty"])
def test_damaged_files_are_said_in_a_line(tmp_path, monkeypatch, file_format, damage):
    both = made(BOTH, train=list(rows_of(300)), test=list(rows_of(20)))
    builder = prepared(monkeypatch, both, tmp_path, n_shards=3, file_format=file_format)
    shard = sorted(builder.data_path.glob("made-train*"))[1]
    if damage == "gone":
        shard.unlink()
    else:
        shard.write_bytes(b"" if damage == "empty" else shard.read_bytes()[:-40])
    with pytest.raises(RecordError, match="the train split of tfds:made") as raised:
        read("made")
    assert "\n" not in str(raised.value) and "tfds build made" in raised.value.hint


@pytest.mark.parametrize("name", ["mnist:9.9.9", "emnist/none", "no_such_set", "huggingface:mnist"])
def test_set_that_tfds_does_not_have_is_refused_in_a_line(monkeypatch, name):
    monkeypatch.setenv("MEMTOOLS_OFFLINE", "1")
    with pytest.raises(ConfigError, match=f"TFDS has no {name} ") as raised:
        read(name)
    assert "\n" not in str(raised.value)


def test_set_whose_files_must_be_fetched_by_hand_is_refused_in_a_line(tmp_path, monkeypatch):
    builder = tfds.builder("imagenet2012", data_dir=tmp_path)
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    with pytest.raises(MemtoolsError, match="TFDS has no imagenet2012 here: Manual directory"):
        read("imagenet2012:validation")
