"""Images of a report out of the data set objects and files that align understands."""

import dataclasses
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image
from shapes import ABOUT, shapes

from memtools.errors import AlignmentError, ConfigError, SchemaError
from memtools.estimates.model import Estimates
from memtools.report.images import open_images
from memtools.report.subject import subject_of


@pytest.fixture(scope="module")
def world():
    """Estimates of shapes, and their images."""
    return shapes(n_classes=3, per_class=10, tests=4)


@pytest.fixture(scope="module")
def numbers(world):
    """The estimates without names: labels in order are all that there is."""
    estimates, _ = world
    names = ("tr_filenames", "tt_filenames")
    arrays = {name: array for name, array in estimates.arrays.items() if name not in names}
    return subject_of(Estimates(arrays, ABOUT))


def pixels(pictures, k):
    return np.asarray(pictures.gather([k])(k).convert("RGB"))


def png(image):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


class Cifar:
    """As torchvision's: pixels and labels as attributes, a transform in front of its elements."""

    def __init__(self, images, labels, classes=None):
        self.data, self.targets = images, labels.tolist()
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.data)

    def __getitem__(self, k):
        return np.zeros((3, 16, 16), np.float32), self.targets[k]


class Folder:
    """As torchvision's ImageFolder."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)


class Subset:
    """As torch.utils.data.Subset."""

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, indices

    def __len__(self):
        return len(self.indices)


class Dataset:
    """As Hugging Face's: an Arrow table, and elements that are decoded when they are asked for."""

    __module__ = "datasets.arrow_dataset"

    def __init__(self, table, rows=None):
        self.data, self.read = table, []
        self._indices = None if rows is None else pa.table({"indices": rows})
        self._rows = range(len(table)) if rows is None else rows

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, k):
        self.read.append(k)
        image = self.data["image"][int(self._rows[k])].as_py()
        return {"image": Image.open(io.BytesIO(image["bytes"])), "label": 0}


def table_of(images, names, labels):
    encoded = [{"bytes": png(i), "path": str(n)} for i, n in zip(images, names, strict=True)]
    return pa.table({"image": encoded, "label": labels})


def test_attributes_of_torchvision_are_shown_without_their_transform(world, numbers):
    data = world[1]
    words = ["disc", "ring", "bar"]
    images = open_images(Cifar(data.train_images, data.train_labels, words), numbers)
    assert np.array_equal(pixels(images.train, 7), data.train_images[7])
    assert images.test is None and images.class_names == dict(enumerate(words))
    assert "30 labels agree" in images.proof
    with pytest.raises(AlignmentError, match="labels disagree"):
        open_images(Cifar(data.train_images, np.roll(data.train_labels, 1)), numbers)


def test_a_mapping_of_splits_has_training_and_test_images(world, numbers):
    data = world[1]
    parts = {
        "train": Cifar(data.train_images, data.train_labels),
        "validation": Cifar(data.test_images, data.test_labels),
    }
    images = open_images(parts, numbers)
    assert np.array_equal(pixels(images.train, 29), data.train_images[29])
    assert np.array_equal(pixels(images.test, 11), data.test_images[11])


def test_a_subset_of_an_image_folder_shows_its_part(world, tmp_path):
    estimates, data = world
    samples = []
    for k, image in enumerate(data.train_images):
        path = tmp_path / str(estimates.filenames[k])
        Image.fromarray(image).save(path)
        samples.append((str(path), int(data.train_labels[k])))
    chosen = [21, 4, 13]
    shuffled = np.random.default_rng(0).permutation(30)
    folder = Folder([samples[k] for k in shuffled])
    at = [int(np.flatnonzero(shuffled == k)[0]) for k in chosen]
    images = open_images(Subset(folder, at), subject_of(estimates))
    assert np.flatnonzero(images.train.there).tolist() == sorted(chosen)
    for k in chosen:
        assert np.array_equal(pixels(images.train, k), data.train_images[k])
    assert images.train.gather([0])(0) is None


def test_hugging_face_is_joined_by_path_and_decodes_only_what_is_shown(world):
    estimates, data = world
    table = table_of(data.train_images, estimates.filenames, data.train_labels)
    rows = np.random.default_rng(1).permutation(30)
    source = Dataset(table, rows)
    images = open_images(source, subject_of(estimates))
    source.read.clear()
    assert np.array_equal(pixels(images.train, 17), data.train_images[17])
    assert source.read == [int(np.flatnonzero(rows == 17)[0])]
    assert "by file name" in images.proof


def test_a_parquet_file_of_images_is_read_by_row_group(world, tmp_path):
    estimates, data = world
    order = np.random.default_rng(2).permutation(30)
    names = estimates.filenames[order]
    table = table_of(data.train_images[order], names, data.train_labels[order])
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet", row_group_size=7)
    images = open_images(tmp_path / "train.parquet", subject_of(estimates))
    for k in range(30):
        assert np.array_equal(pixels(images.train, k), data.train_images[k])


def test_a_list_of_files_is_relative_to_itself(world, tmp_path):
    estimates, data = world
    for k, image in enumerate(data.train_images):
        Image.fromarray(image).save(tmp_path / str(estimates.filenames[k]))
    lines = [
        f"{name},{label}"
        for name, label in zip(estimates.filenames, data.train_labels, strict=True)
    ]
    (tmp_path / "list.csv").write_text("\n".join(["filename,label", *lines[::-1]]))
    images = open_images(tmp_path / "list.csv", subject_of(estimates))
    assert np.array_equal(pixels(images.train, 3), data.train_images[3])
    (tmp_path / "away").mkdir()
    (tmp_path / "list.csv").rename(tmp_path / "away" / "list.csv")
    with pytest.raises(ConfigError, match="has no images: it has names, and none of them is a fil"):
        open_images(tmp_path / "away" / "list.csv", subject_of(estimates))


def test_files_of_keras_and_medmnist_have_both_splits(world, numbers, tmp_path):
    data = world[1]
    np.savez(
        tmp_path / "keras.npz",
        x_train=data.train_images,
        y_train=data.train_labels[:, None],
        x_test=data.test_images,
        y_test=data.test_labels[:, None],
    )
    np.savez(
        tmp_path / "medmnist.npz",
        train_images=data.train_images,
        train_labels=data.train_labels[:, None].astype(np.uint8),
        val_images=data.test_images[:2],
        val_labels=data.test_labels[:2, None].astype(np.uint8),
        test_images=data.test_images,
        test_labels=data.test_labels[:, None].astype(np.uint8),
    )
    for name in ("keras", "medmnist"):
        images = open_images(str(tmp_path / f"{name}.npz"), numbers)
        assert np.array_equal(pixels(images.train, 12), data.train_images[12])
        assert np.array_equal(pixels(images.test, 5), data.test_images[5])


def test_sources_without_images_or_without_labels_are_refused(world, numbers):
    estimates, data = world
    with pytest.raises(ConfigError, match="has no images: it has names, and none of them is a fil"):
        open_images(list(map(str, estimates.filenames)), subject_of(estimates))
    with pytest.raises(AlignmentError, match=r"which train image is which .*have no labels and no"):
        open_images(data.train_images, numbers)
    with pytest.raises(ConfigError):
        open_images(42, numbers)


def test_elements_that_are_not_images_are_refused_with_the_way_out(world):
    estimates, data = world

    class Tensors(Dataset):
        def __getitem__(self, k):
            return {"image": np.zeros((3, 16, 16), np.float32)}

    table = table_of(data.train_images, estimates.filenames, data.train_labels)
    with pytest.raises(ConfigError, match="elements of Tensors are not images") as raised:
        open_images(Tensors(table), subject_of(estimates))
    assert "transform=None" in raised.value.hint


def test_pixels_that_are_not_finite_are_refused_in_reports_as_in_training(world, numbers):
    data = world[1]
    images = data.train_images.astype(np.float32) / 255
    images[9, 0, 0] = np.nan
    with pytest.raises(SchemaError, match=r"the training images hold .*: image 9\b"):
        open_images(dataclasses.replace(data, train_images=images), numbers)
    with pytest.raises(ConfigError, match="the training images are bool"):
        open_images(dataclasses.replace(data, train_images=images > 0.5), numbers)
    with pytest.raises(ConfigError, match="Python objects"):
        open_images(dataclasses.replace(data, train_images=images.astype(object)), numbers)
