"""Reading: the subset before decoding, every example once, the same pixels."""

import io
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfrecords.conftest import encoded

from memtools.errors import ConfigError, RecordError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.tfrecords import builder
from memtools.tfrecords.reader import read_records, with_index
from memtools.tfrecords.sources import open_source


@pytest.fixture(scope="module")
def records(folder, flat, imagenet, tmp_path_factory):
    to = tmp_path_factory.mktemp("records")
    index = imagenet.index
    builder.build(open_source(folder), to, index, split="train", n_shards=8)
    builder.build(open_source(flat), to, index, split="validation", n_shards=4)
    return to


def indices(dataset):
    return [int(n) for batch in dataset for n in np.atleast_1d(batch["index"].numpy())]


def test_every_example_comes_once_with_its_label(records, imagenet):
    seen = {}
    for example in read_records(records, "train", image_size=16):
        seen[int(example["index"])] = int(example["label"])
        assert example["image"].shape == (16, 16, 3) and example["image"].dtype == tf.float32
    assert seen == dict(enumerate(imagenet.index.labels.tolist()))


def test_a_mask_chooses_by_index(records):
    mask = np.random.default_rng(0).random(2000) < 0.3
    chosen = indices(read_records(records, "train", mask=mask, image_size=16))
    assert sorted(chosen) == np.flatnonzero(mask).tolist()


def test_without_a_seed_the_order_is_always_the_same_and_with_one_it_is_the_seeds(records):
    def order(**options):
        return indices(read_records(records, "train", image_size=16, **options))

    assert order() == order()
    assert order(seed=3) == order(seed=3) != order(seed=4)
    assert sorted(order(seed=3)) == sorted(order())


def test_evaluation_loses_no_example_and_marks_what_is_padding(records):
    batches = list(read_records(records, "validation", batch_size=64, image_size=16))
    assert {batch["image"].shape for batch in batches} == {(64, 16, 16, 3)}
    valid = np.concatenate([batch["valid"].numpy() for batch in batches])
    index = np.concatenate([batch["index"].numpy() for batch in batches])
    assert sorted(index[valid]) == list(range(1000)) and valid.sum() == 1000 < len(valid)


def test_training_batches_have_static_shapes(records):
    dataset = read_records(
        records, "train", batch_size=64, image_size=16, seed=0, dtype=tf.bfloat16
    )
    assert dataset.element_spec["image"].shape == (64, 16, 16, 3)
    assert dataset.element_spec["image"].dtype == tf.bfloat16
    assert sum(1 for _ in dataset) == 2000 // 64


def test_workers_share_the_files(records):
    shares = [
        indices(read_records(records, "train", image_size=16, worker=(n, 3))) for n in range(3)
    ]
    assert sorted(n for share in shares for n in share) == list(range(2000))


def test_a_worker_beyond_the_files_gets_no_examples(records):
    assert indices(read_records(records, "validation", image_size=8, worker=(4, 5))) == []


def test_the_centre_crop_is_that_of_the_decoded_source(records, imagenet):
    example = next(iter(read_records(records, "train", image_size=16)))
    name = str(imagenet.index.filenames[int(example["index"])])
    pixels = tf.io.decode_image(imagenet.data[name], channels=3).numpy().astype(np.float32)
    height, width = pixels.shape[:2]
    side = int(min(height, width) * 16 / 48)
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    crop = tf.image.resize(pixels[top : top + side, left : left + side], [16, 16])
    expected = np.clip(crop.numpy() / 255, 0, 1)
    np.testing.assert_allclose(example["image"].numpy(), expected, atol=2 / 255)


def test_the_published_index_joins_onto_any_data_set_with_names(imagenet):
    names = [f"train/n0/{name}" for name in imagenet.index.filenames[[5, 0, 1999]]]
    dataset = tf.data.Dataset.from_tensor_slices({"file_name": names})
    found = [int(example["index"]) for example in with_index(dataset, imagenet.index)]
    assert found == [5, 0, 1999]
    stranger = tf.data.Dataset.from_tensor_slices({"file_name": ["none.JPEG"]})
    with pytest.raises(tf.errors.InvalidArgumentError, match="not in the index"):
        list(with_index(stranger, imagenet.index))


def test_a_split_that_is_not_there_is_refused(records):
    with pytest.raises(ConfigError, match="'tests' is not a split"):
        read_records(records, "tests")


def test_a_mask_of_another_form_is_refused(records):
    for mask, words in (
        (np.ones(1999, bool), "1,999 entries, the index 2,000"),
        (np.arange(5), "not int64"),
        (np.ones((2000, 1), bool), "not bool"),
    ):
        with pytest.raises(ConfigError, match=words):
            read_records(records, "train", mask=mask)


def test_a_set_with_a_shard_missing_is_not_read(records, tmp_path):
    copy = shutil.copytree(records, tmp_path / "copy")
    (copy / "train-00003-of-00008").unlink()
    with pytest.raises(RecordError, match="train-00003-of-00008 is not there"):
        read_records(copy, "train")
    shutil.copy(records / "train-00003-of-00008", copy)
    (copy / "train-00003-of-00016").write_bytes(b"")
    with pytest.raises(RecordError, match="out of 8 and 16"):
        read_records(copy, "train")


def set_of(root, images):
    """Records of these images, all of one class."""
    names = np.array([f"n00000000_{n}.JPEG" for n in range(len(images))])
    (root / "n00000000").mkdir()
    for name, data in zip(names, images, strict=True):
        (root / "n00000000" / str(name)).write_bytes(data)
    index = ExampleIndex(About(), np.zeros(len(names), int), names, None, None)
    builder.build(open_source(root), root / "records", index, split="train", n_shards=1)
    return root / "records"


def test_a_training_image_is_what_a_plain_pipeline_makes_of_the_source(tmp_path):
    rng = np.random.default_rng(0)
    # Colours of full resolution: otherwise those at the border of a crop lack a neighbour.
    images = [encoded(rng, subsampling=0) for _ in range(30)]
    for example in read_records(set_of(tmp_path, images), "train", image_size=16, seed=5):
        position = int(example["index"])
        pixels = tf.io.decode_image(images[position], channels=3)
        (top, left, _), (height, width, _), _ = tf.image.stateless_sample_distorted_bounding_box(
            pixels.shape,
            [[[0.0, 0.0, 1.0, 1.0]]],
            [5, position],
            min_object_covered=0.1,
            aspect_ratio_range=(3 / 4, 4 / 3),
            area_range=(0.08, 1),
            max_attempts=10,
        )
        crop = pixels[top : top + height, left : left + width]
        image = tf.image.resize(tf.cast(crop, tf.float32), [16, 16])
        image = tf.image.stateless_random_flip_left_right(image, [5, position])
        expected = np.clip(image.numpy() / 255, 0, 1)
        np.testing.assert_allclose(example["image"].numpy(), expected, atol=1e-6)


def test_random_crops_have_the_sizes_of_the_paper_and_are_flipped_half_the_time(tmp_path):
    """In every image red is the column and green the row: a crop says where it was cut."""
    size, width, height = 32, 240, 160
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    stream = io.BytesIO()
    pixels = np.stack([columns, rows, np.full_like(rows, 128)], axis=2)
    Image.fromarray(pixels).save(stream, "JPEG", quality=100, subsampling=0)
    records = set_of(tmp_path, [stream.getvalue()] * 200)
    dataset = read_records(records, "train", image_size=size, seed=0)
    crops = np.stack([each["image"].numpy() for each in dataset]) * 255
    inner, scale = slice(4, size - 4), size / (size - 9)  # borders are not interpolated alike
    across = (crops[:, inner, -5, 0] - crops[:, inner, 4, 0]).mean(1) * scale
    down = (crops[:, -5, inner, 1] - crops[:, 4, inner, 1]).mean(1) * scale
    area, aspect = abs(across) * down / (width * height), abs(across) / down
    assert 0.07 < area.min() < 0.15 and 0.75 < area.max() < 1.03
    assert 0.70 < aspect.min() < 0.82 and 1.22 < aspect.max() < 1.43
    assert 70 < (across < 0).sum() < 130
    assert crops[:, :, :, 0].mean((1, 2)).std() > 15  # not all from the middle


def test_augmentation_is_the_seeds_and_the_examples(records):
    def images(seed):
        dataset = read_records(records, "train", image_size=16, seed=seed).take(20)
        return {int(each["index"]): each["image"].numpy() for each in dataset}

    first, again = images(5), images(5)
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[n], again[n]) for n in first)
    mask = np.zeros(2000, bool)
    mask[list(first)] = True
    others = read_records(records, "train", image_size=16, seed=6, mask=mask)
    changed = [not np.array_equal(first[int(e["index"])], e["image"]) for e in others]
    assert len(changed) == 20 and sum(changed) >= 18


def test_evaluating_a_subset_loses_none_of_it(records):
    mask = np.random.default_rng(1).random(2000) < 0.37
    found = []
    for batch in read_records(records, "train", mask=mask, batch_size=64, image_size=8):
        found += batch["index"].numpy()[batch["valid"].numpy()].tolist()
    assert sorted(found) == np.flatnonzero(mask).tolist()
