"""Images of a report, brought together with its numbers."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from shapes import ABOUT, shapes

from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.model import Estimates
from memtools.report.images import open_images
from memtools.report.pictures import SIDE
from memtools.report.subject import subject_of


def without(estimates, *names):
    return Estimates({n: a for n, a in estimates.arrays.items() if n not in names}, estimates.about)


@pytest.fixture
def world():
    return shapes()


def folders(root, estimates, data, *, tests=True):
    """An ImageFolder of the training images, and one of the test images beside it."""
    for split, images, labels, names in (
        ("train", data.train_images, data.train_labels, estimates.filenames),
        ("val", data.test_images, data.test_labels, estimates.test_filenames),
    ):
        for k, image in enumerate(images if tests or split == "train" else []):
            path = root / split / f"class-{labels[k]}" / str(names[k])
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return root


def pixels(image):
    return np.asarray(image.convert("RGB"))


def test_arrays_are_joined_by_their_labels(world):
    estimates, data = world
    images = open_images(data, subject_of(estimates))
    assert np.array_equal(pixels(images.train.gather([5])(5)), data.train_images[5])
    assert np.array_equal(pixels(images.test.gather([3])(3)), data.test_images[3])
    assert images.side == 16 and images.small and "labels agree" in images.proof


def test_images_in_another_number_or_order_are_refused(world):
    estimates, data = world
    subject = subject_of(estimates)
    fewer = dataclasses.replace(
        data, train_labels=data.train_labels[:-1], train_images=data.train_images[:-1]
    )
    with pytest.raises(AlignmentError, match="240 numbers, and 239 examples"):
        open_images(fewer, subject)
    shifted = dataclasses.replace(data, train_labels=np.roll(data.train_labels, 1))
    with pytest.raises(AlignmentError, match="labels disagree"):
        open_images(shifted, subject)
    other = dataclasses.replace(data, order="official")
    with pytest.raises(AlignmentError, match=r"'file', and the examples in .* 'official'"):
        open_images(other, subject)


def test_an_npz_is_read_and_floats_and_grey_images_are_shown(world, tmp_path):
    estimates, data = world
    grey = data.train_images[..., :1].astype(np.float32) / 255
    np.savez(
        tmp_path / "data.npz",
        train_images=grey,
        train_labels=data.train_labels,
        test_images=data.test_images,
        test_labels=data.test_labels,
    )
    images = open_images(tmp_path / "data.npz", subject_of(estimates))
    shown = pixels(images.train.gather([5])(5))
    assert np.array_equal(shown, np.repeat(data.train_images[5][..., :1], 3, 2))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda images: images.astype(np.float32), r"float32 from .*, and not within 0 and 1"),
        (lambda images: images.astype(np.int64), "not within 0 and 1"),
        (lambda images: images.transpose(0, 3, 1, 2), r"shape \(240, 3, 16, 16\)"),
        (lambda images: images.reshape(240, -1), r"shape \(240, 768\)"),
        (lambda images: images[:, 0, 0, 0], r"shape \(240,\)"),
        (lambda images: images[:, :0, :0], r"shape \(240, 0, 0, 3\)"),
        (lambda images: images[None].swapaxes(0, 1), r"shape \(240, 1, 16, 16, 3\)"),
    ],
    ids=["0 to 255", "integers", "channels first", "flat RGB", "no image", "empty", "too deep"],
)
def test_pixels_that_would_be_shown_wrongly_are_refused(world, change, words):
    estimates, data = world
    other = dataclasses.replace(data, train_images=change(data.train_images))
    with pytest.raises(ConfigError, match=words):
        open_images(other, subject_of(estimates))
    other = dataclasses.replace(data, test_images=change(np.tile(data.test_images, (5, 1, 1, 1))))
    with pytest.raises(ConfigError, match="the test images are"):
        open_images(other, subject_of(estimates))


def test_flat_grey_images_are_squares_and_no_test_images_are_none(world):
    estimates, data = world
    grey = data.train_images[..., 0].reshape(240, -1)
    none = dataclasses.replace(
        data, train_images=grey, test_images=grey[:0], test_labels=data.test_labels[:0]
    )
    images = open_images(none, subject_of(estimates))
    assert images.test is None
    assert np.array_equal(pixels(images.train.gather([5])(5))[..., 1], data.train_images[5, ..., 0])


def test_a_folder_is_joined_by_file_name(world, tmp_path):
    estimates, data = world
    root = folders(tmp_path, estimates, data)
    images = open_images(root, subject_of(estimates))
    for k in (0, 17, 239):
        assert np.array_equal(pixels(images.train.gather([k])(k)), data.train_images[k])
    assert np.array_equal(pixels(images.test.gather([9])(9)), data.test_images[9])
    assert images.class_names == {k: f"class-{k}" for k in range(6)}
    assert images.side == 16 and "by file name" in images.proof


def test_a_folder_of_training_images_alone_will_do(world, tmp_path):
    estimates, data = world
    root = folders(tmp_path, estimates, data, tests=False)
    images = open_images(root / "train", subject_of(estimates))
    assert images.test is None
    assert np.array_equal(pixels(images.train.gather([8])(8)), data.train_images[8])


def test_a_missing_and_a_damaged_file_are_no_image(world, tmp_path):
    estimates, data = world
    root = folders(tmp_path, estimates, data)
    subject = subject_of(estimates)
    first, second = (root / "train" / f"class-{data.train_labels[k]}" for k in (3, 4))
    (first / str(estimates.filenames[3])).unlink()
    (second / str(estimates.filenames[4])).write_bytes(b"\x89PNG\r\n\x1a\nno image")
    look = open_images(root, subject).train.gather([3, 4, 5])
    assert look(3) is None and look(4) is None and look(5) is not None


def test_a_folder_whose_classes_contradict_is_refused(world, tmp_path):
    estimates, data = world
    root = folders(tmp_path, estimates, data)
    (root / "train" / "class-0").rename(root / "train" / "swap")
    (root / "train" / "class-1").rename(root / "train" / "class-0")
    (root / "train" / "swap").rename(root / "train" / "class-1")
    with pytest.raises(AlignmentError, match="labels disagree"):
        open_images(root, subject_of(estimates))


def test_numbers_without_names_take_a_folder_in_its_order_if_labels_agree(tmp_path):
    estimates, data = shapes()
    order = np.argsort(data.train_labels, kind="stable")
    sorted_data = dataclasses.replace(
        data, train_labels=data.train_labels[order], train_images=data.train_images[order]
    )
    root = folders(tmp_path, estimates, sorted_data, tests=False)
    arrays = {
        "tr_mem": estimates.memorization[order],
        "tr_labels": sorted_data.train_labels,
    }
    images = open_images(root, subject_of(Estimates(arrays, ABOUT)))
    assert np.array_equal(pixels(images.train.gather([70])(70)), sorted_data.train_images[70])
    assert "declared order" in images.proof
    with pytest.raises(AlignmentError, match="labels disagree"):
        open_images(root, subject_of(without(estimates, "tr_filenames", "tt_filenames")))


def test_large_images_become_thumbnails(tmp_path):
    estimates, data = shapes(n_classes=2, per_class=4, tests=2, side=300)
    images = open_images(folders(tmp_path, estimates, data), subject_of(estimates))
    assert images.side == SIDE and not images.small


def test_what_is_no_source_of_images_is_said(world, tmp_path):
    for source in ("digit", tmp_path / "nothing", "photo.jpg"):
        with pytest.raises(ConfigError, match="not a source of images"):
            open_images(source, subject_of(world[0]))


def test_digits_and_the_configuration_of_a_sweep(tmp_path):
    pytest.importorskip("sklearn")
    from memtools.training.config import load_config
    from memtools.training.datasets import load_arrays

    config = load_config("digits-demo")
    data = load_arrays(config)
    arrays = {"tr_mem": np.zeros(1200), "tr_labels": data.train_labels}
    about = dataclasses.replace(ABOUT, order="official")
    subject = subject_of(Estimates(arrays, about))
    (tmp_path / "config.toml").write_text(config.to_toml())
    images = open_images(tmp_path / "config.toml", subject)
    assert pixels(images.train.gather([0])(0)).shape == (8, 8, 3) and images.test is None
    with pytest.raises(AlignmentError, match="24 of 1,200 labels disagree"):
        open_images("digits", subject)  # whose labels are the right ones
