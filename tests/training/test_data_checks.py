"""Training data that cannot be right are refused before the first step, with what to do."""

import re

import numpy as np
import pytest
import tomli_w
from memtools_cli.main import app
from typer.testing import CliRunner

from memtools.errors import ConfigError, SchemaError
from memtools.training.config import load_config
from memtools.training.data_checks import check_dataset, check_pixels
from memtools.training.datasets import NONE, Dataset, load_dataset

N = 24
IMAGES = np.random.default_rng(0).random((N, 6, 6, 1)).astype(np.float32)
LABELS = np.arange(N) % 3
GOOD = {
    "train_images": IMAGES,
    "train_labels": LABELS,
    "test_images": IMAGES[:12],
    "test_labels": LABELS[:12],
}


def load(tmp_path, changes=(), config=None):
    """Load an npz of good arrays with some of them changed; None leaves an array out."""
    arrays = {name: a for name, a in {**GOOD, **dict(changes)}.items() if a is not None}
    np.savez(tmp_path / "mine.npz", **arrays)
    return load_dataset(config_of(tmp_path, **(config or {})))


def config_of(tmp_path, **settings):
    recipe = {"model": "mlp", "hidden": [4], "epochs": 1, "batch_size": 4, "stack": 2}
    return load_config(
        "mnist-mlp", {"dataset": str(tmp_path / "mine.npz"), "peak_lr": 0.1, **recipe, **settings}
    )


def nan_at(*positions):
    images = IMAGES.copy()
    images[list(positions), 2, 3] = np.nan
    return images


def changed(position, label):
    labels = LABELS.copy()
    labels[position] = label
    return labels


def objects(array):
    found = np.empty(len(array), object)
    found[:] = [np.zeros((k % 2 + 3, 3, 1)) for k in range(len(array))]
    return found


REFUSED = {
    "negative labels": (
        {"train_labels": LABELS - 1},
        "the training labels: example 0 has the label -1",
        "count from 0",
    ),
    "a label of -1": (
        {"test_labels": changed(7, -1)[:12]},
        "the test labels: example 7 has the label -1",
        "leave out examples without a label",
    ),
    "a label far above the number of examples": (
        {"train_labels": changed(4, 1000)},
        "training example 4 has the label 1,000, and there are 24 training examples",
        "np.unique",
    ),
    "an identifier for a label": (
        {"train_labels": changed(4, 10**7)},
        "the training labels: example 4 has the label 10000000",
        "np.unique",
    ),
    "whole floats": (
        {"train_labels": LABELS * 1.0},
        "the training labels are float64, not integers",
        r"labels\.astype\('int64'\)",
    ),
    "fractions": (
        {"train_labels": LABELS / 2},
        "the training labels are float64, not integers",
        "labels are integers that count from 0",
    ),
    "bool labels": (
        {"train_labels": LABELS == 1},
        "the training labels are bool, not integers",
        "astype",
    ),
    "words": (
        {"train_labels": np.array(["cat", "dog", "cow"])[LABELS]},
        "the training labels are text, not integers",
        r"np\.unique",
    ),
    "object labels": (
        {"train_labels": objects(LABELS)},
        "the training labels are Python objects, not integers",
        r"np\.unique",
    ),
    "one-hot labels": (
        {"train_labels": np.eye(3)[LABELS]},
        r"the training labels are one-hot \[24, 3\]",
        r"labels\.argmax\(1\)",
    ),
    "several labels each": (
        {"test_labels": np.ones((12, 3), int)},
        r"the test labels are \[12, 3\], not one for each image",
        "one for each image",
    ),
    "one label for all": (
        {"train_labels": np.array(3)},
        r"the training labels have the shape \(\)",
        "one for each image",
    ),
    "fewer labels": (
        {"train_labels": LABELS[:-1]},
        "23 labels and 24 images do not fit",
        "one label for each image",
    ),
    "labels from 1": (
        {"train_labels": LABELS + 1, "test_labels": LABELS[:12] + 1},
        "labels are from 1 to 3, and none is 0",
        "subtract 1",
    ),
    "identifiers": (
        {"train_labels": changed(5, 2**62).astype(np.uint64)},
        "example 5 has the label 4611686018427387904",
        r"np\.unique",
    ),
    "an unknown class": (
        {"test_labels": changed(4, 5)[:12]},
        "test example 4 has the label 5, and training labels end at 2",
        "leave out test examples",
    ),
    "one class": (
        {"train_labels": LABELS * 0, "test_labels": LABELS[:12] * 0},
        "all training labels are 0",
        "two classes",
    ),
    "16 bits": (
        {"train_images": (IMAGES * 65535).astype(np.uint16)},
        r"the training images are uint16 from \d+ to 6\d+",
        "such as 65535",
    ),
    "int64 pixels": (
        {"test_images": (IMAGES[:12] * 255).astype(np.int64)},
        r"the test images are int64 from \d to 25\d",
        r"images\.astype\('uint8'\)",
    ),
    "0 to 255 as floats": (
        {"train_images": np.round(IMAGES * 255)},
        r"the training images are float32 from 0 to 255, and not within 0 and 1",
        "divide by 255",
    ),
    "normalised pixels": (
        {"train_images": (IMAGES - 0.5) / 0.25},
        r"the training images are float32 from -1\.\d+ to 1\.\d+",
        "before normalisation",
    ),
    "bool pixels": (
        {"train_images": IMAGES > 0.5},
        "the training images are bool",
        "astype",
    ),
    "complex pixels": (
        {"train_images": IMAGES.astype(np.complex64)},
        "the training images are complex64",
        "uint8 from 0 to 255",
    ),
    "file names": (
        {"train_images": np.full(N, "cat.png")},
        "the training images are <U7",
        "uint8 from 0 to 255",
    ),
    "channels first": (
        {"train_images": np.zeros((N, 3, 6, 6), np.uint8)},
        r"the training images have the shape \(24, 3, 6, 6\): channels come before",
        r"images\.transpose\(0, 2, 3, 1\)",
    ),
    "one channel first": (
        {"train_images": np.zeros((N, 1, 28, 28), np.uint8)},
        "channels come before",
        "transpose",
    ),
    "four pixels, channels first": (
        {"train_images": np.zeros((N, 3, 4, 4), np.uint8)},
        "channels come before",
        "transpose",
    ),
    "no pixels": (
        {"train_images": np.zeros((N, 0, 6, 1), np.uint8)},
        r"the training images have the shape \(24, 0, 6, 1\)",
        "height, width",
    ),
    "numbers": ({"train_images": IMAGES[:, 0, 0, 0]}, r"have the shape \(24,\)", "height, width"),
    "films": ({"train_images": IMAGES[None].swapaxes(0, 1)}, "have the shape", "height, width"),
    "sizes that differ": (
        {"train_images": objects(LABELS)},
        "the training images are Python objects",
        "one size",
    ),
    "test images of another size": (
        {"test_images": np.zeros((12, 5, 5, 1), np.float32)},
        "training images are 6 x 6 x 1, test images 5 x 5 x 1",
        "one size",
    ),
    "test images in colour": (
        {"test_images": np.zeros((12, 6, 6, 3), np.float32)},
        "training images are 6 x 6 x 1, test images 6 x 6 x 3",
        "number of channels",
    ),
    "no test examples": (
        {"test_images": IMAGES[:0], "test_labels": LABELS[:0]},
        "has no test examples",
        "some of both",
    ),
    "no training examples": (
        {"train_images": IMAGES[:0], "train_labels": LABELS[:0]},
        "has no training examples",
        "some of both",
    ),
    "no labels": (
        {"train_labels": None, "test_labels": None},
        "lacks train_labels, test_labels",
        "it holds train_images, test_images",
    ),
    "no test split": (
        {"test_images": None, "test_labels": None},
        "lacks test_images, test_labels",
        "should hold",
    ),
    "val instead of test": (
        {
            "test_images": None,
            "test_labels": None,
            "val_images": IMAGES,
            "val_labels": LABELS,
        },
        "lacks test_images, test_labels",
        r"test_images=data\['val_images'\], test_labels=data\['val_labels'\]",
    ),
    "validation instead of test": (
        {"test_images": None, "validation_images": IMAGES},
        "lacks test_images",
        r"test_images=data\['validation_images'\]",
    ),
    "names of Keras": (
        {
            **dict.fromkeys(GOOD),
            "x_train": IMAGES,
            "y_train": LABELS,
            "x_test": IMAGES,
            "y_test": LABELS,
        },
        "lacks train_images, train_labels, test_images",
        r"train_images=data\['x_train'\], train_labels=data\['y_train'\]",
    ),
}


@pytest.mark.parametrize(("changes", "words", "hint"), REFUSED.values(), ids=REFUSED)
def test_data_that_cannot_be_right_are_refused_with_what_to_do(tmp_path, changes, words, hint):
    with pytest.raises(ConfigError, match=words) as raised:
        load(tmp_path, changes)
    assert "\n" not in str(raised.value) and "mine.npz" in str(raised.value)
    assert re.search(hint, raised.value.hint), raised.value.hint


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_named_by_their_image(tmp_path, value):
    images = IMAGES.copy()
    images[17, 2, 3] = value
    with pytest.raises(SchemaError, match=r"the training images hold .* infinite: image 17"):
        load(tmp_path, {"train_images": images})
    images[20:22] = value
    with pytest.raises(SchemaError, match=r"image 17 and 2 others"):
        load(tmp_path, {"train_images": images})


def test_range_and_damage_are_found_beyond_the_first_block(monkeypatch):
    monkeypatch.setattr("memtools.training.data_checks._BLOCK", 2 * IMAGES[0].nbytes)
    check_pixels(IMAGES, "images")
    images = IMAGES.copy()
    images[23, 5, 5] = 1.5
    with pytest.raises(ConfigError, match=r"from .* to 1.5"):
        check_pixels(images, "images")
    with pytest.raises(SchemaError, match="image 11 and 1 others"):
        check_pixels(nan_at(11, 23), "images")


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "mine.npz"
    load(tmp_path)
    whole = path.read_bytes()
    for content in (whole[:-200], b"", b"<html>", whole[:300] + b"\0" * 40 + whole[340:]):
        path.write_bytes(content)
        with pytest.raises(SchemaError, match=r"mine\.npz"):
            load_dataset(config_of(tmp_path))
    path.unlink()
    with pytest.raises(ConfigError, match=r"mine\.npz does not exist"):
        load_dataset(config_of(tmp_path))
    path.mkdir()
    with pytest.raises(ConfigError, match=r"mine\.npz is a directory"):
        load_dataset(config_of(tmp_path))


def test_data_that_are_unusual_but_right_are_taken(tmp_path):
    column = load(tmp_path, {"train_labels": LABELS[:, None].astype(np.uint8)})
    assert column.train_labels.dtype == np.int64 and np.array_equal(column.train_labels, LABELS)
    grey = load(tmp_path, {"train_images": IMAGES[..., 0], "test_images": IMAGES[:12, ..., 0]})
    assert grey.image_shape == (6, 6, 1) and np.array_equal(grey.train_images, IMAGES)
    assert grey.digest == load(tmp_path).digest
    gaps = load(tmp_path, {"train_labels": np.where(LABELS == 2, 5, LABELS)})
    assert gaps.n_classes == 6
    double = load(tmp_path, {"train_images": IMAGES.astype(np.float64)})
    assert double.train_images.dtype == np.float32
    flat = load(tmp_path, {k: GOOD[k].reshape(-1, 36) for k in ("train_images", "test_images")})
    assert flat.image_shape == (36,)
    mixed = load(tmp_path, {"train_images": (IMAGES * 255).astype(np.uint8)})
    assert mixed.train_images.dtype == np.uint8 and mixed.test_images.dtype == np.float32


def test_checks_do_not_copy_large_images():
    images = np.zeros((64, 32, 32, 3), np.float32)
    data = Dataset("x", "file", np.arange(64) % 2, np.arange(64) % 2, NONE, images, images)
    checked = check_dataset(data, "x")
    assert np.shares_memory(checked.train_images, images)


def test_flipping_needs_two_classes_and_a_label(tmp_path):
    with pytest.raises(ConfigError, match="all training labels are 0"):
        load(tmp_path, REFUSED["one class"][0], {"flipped": 0.5})
    with pytest.raises(ConfigError, match=r"flipped is 0.001, which flips none of 24 labels"):
        load(tmp_path, {}, {"flipped": 0.001})


# ---- recipes that the data do not allow, at the command line

RECIPES = {
    "empty subset": ({"ratio": 0.01}, "a subset of 0.01 of 24 examples is empty"),
    "whole set": (
        {"ratio": 0.99, "design": "balanced"},
        "a subset of 0.99 of 24 examples can hold all of them",
    ),
    "class left out": (
        {"ratio": 0.1, "design": "stratified"},
        "a stratified subset holds no example of class 0: it has 8",
    ),
    "large batch": ({"batch_size": 17}, "a batch of 17 is larger than the subset of 16"),
    "unknown model": ({"model": "vgg"}, "there is no model 'vgg'"),
    "many halvings": (
        {"model": "convnet", "hidden": [4, 4, 4]},
        "convnet with 3 layers halves its images 3 times, and images are 6 x 6 x 1",
    ),
    "ImageNet in grey": (
        {"model": "imagenet-resnet50"},
        "imagenet-resnet50 needs 3 channels, and images are 6 x 6 x 1",
    ),
    "TFRecords only": ({"augment": "random-resized-crop"}, "augment is 'random-resized-crop'"),
    "seed": ({"seed": -1}, "seed is -1"),
    "no units": ({"hidden": [0]}, r"hidden is [0]"),
}


def invoke(command, tmp_path, **settings):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(tomli_w.dumps({**config_of(tmp_path).to_dict(), **settings}))
    words = ["train"] if command == "train" else ["sweep", "run"]
    arguments = [*words, str(recipe), "--runs", "0:2", "--to", str(tmp_path / "runs")]
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("command", ["train", "sweep"])
@pytest.mark.parametrize(("settings", "words"), RECIPES.values(), ids=RECIPES)
def test_recipes_that_the_data_do_not_allow_leave_no_store(tmp_path, command, settings, words):
    np.savez(tmp_path / "mine.npz", **GOOD)
    shown = invoke(command, tmp_path, **settings)
    assert shown.exit_code == 2 and isinstance(shown.exception, SystemExit)
    first, second = shown.stderr.splitlines()
    assert words in first and second.strip()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_bad_pixels_exit_with_5_and_bad_labels_with_2(tmp_path, command):
    for changes, code in (({"train_images": nan_at(17)}, 5), ({"train_labels": LABELS - 1}, 2)):
        np.savez(tmp_path / "mine.npz", **{**GOOD, **changes})
        shown = invoke(command, tmp_path)
        assert shown.exit_code == code and len(shown.stderr.splitlines()) == 2, shown.stderr


def test_flat_images_and_small_ones_are_refused_by_convolutions_and_crops(tmp_path):
    flat = {k: GOOD[k].reshape(-1, 36) for k in ("train_images", "test_images")}
    small = {k: GOOD[k][:, :4, :4] for k in ("train_images", "test_images")}
    for arrays, settings, words in (
        (flat, {"model": "resnet18"}, "resnet18 needs height, width and channels"),
        (flat, {"augment": "crop-flip"}, "augment is 'crop-flip', and images are 36"),
        (small, {"augment": "crop-flip"}, "augment is 'crop-flip', and images are 4 x 4 x 1"),
    ):
        np.savez(tmp_path / "mine.npz", **{**GOOD, **arrays})
        shown = invoke("train", tmp_path, **settings)
        assert shown.exit_code == 2 and words in shown.stderr


def test_data_that_changed_between_two_calls_are_refused(tmp_path):
    np.savez(tmp_path / "mine.npz", **GOOD)
    shown = invoke("train", tmp_path)
    assert shown.exit_code == 0, shown.stderr
    np.savez(tmp_path / "mine.npz", **{**GOOD, "train_labels": changed(3, 1)})
    for command in ("train", "sweep"):
        shown = invoke(command, tmp_path)
        assert shown.exit_code == 2
        assert "mine.npz has changed since the runs of" in shown.stderr
    np.savez(tmp_path / "mine.npz", **GOOD)
    assert invoke("train", tmp_path).exit_code == 0
