"""Indexed TFRecords as training data: streamed, each example of a subset once in an epoch."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from memtools.errors import ConfigError, MemtoolsError, RecordError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.estimates.npz import write_npz
from memtools.tfrecords.builder import build
from memtools.tfrecords.sources import open_source
from memtools.training.config import load_config
from memtools.training.datasets import load_dataset
from memtools.training.feeds import feed_of
from memtools.training.recipe_checks import check_recipe
from memtools.training.strategy import choose
from memtools.training.trainer import Trainer

SYNSETS = ["n00000001", "n00000002", "n00000003"]


def picture(label, number):
    """All of one class have one colour, and a few pixels of their own."""
    pixels = np.zeros((40, 36, 3), np.uint8)
    pixels[..., label] = 200
    pixels[:4, :4] = number * 5
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """(directory of a set, its index) of 30 training and 9 validation images."""
    root = tmp_path_factory.mktemp("records")
    rng = np.random.default_rng(0)
    labels, test_labels = rng.permutation(np.arange(30) % 3), rng.permutation(np.arange(9) % 3)
    index = ExampleIndex(
        About(dataset="imagenet", order="published"),
        labels,
        np.array([f"{SYNSETS[label]}_{k}.JPEG" for k, label in enumerate(labels)]),
        test_labels,
        np.array([f"ILSVRC2012_val_{k + 1:08d}.JPEG" for k in range(9)]),
    )
    for k, (name, label) in enumerate(zip(index.filenames, labels, strict=True)):
        path = root / "train" / SYNSETS[label] / str(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(label, k))
    (root / "validation").mkdir()
    for k, (name, label) in enumerate(zip(index.test_filenames, test_labels, strict=True)):
        (root / "validation" / str(name)).write_bytes(picture(label, k))
    for split, n_shards in (("train", 4), ("validation", 2)):
        build(open_source(root / split), root / "set", index, split=split, n_shards=n_shards)
    write_npz(root / "index.npz", index.arrays)
    return root / "set", root / "index.npz"


def config_of(records, **settings):
    root, index = records
    return load_config(
        "imagenet-resnet50",
        {
            "dataset": f"tfrecords:{root}",
            "index": str(index),
            "model": "mlp",
            "hidden": [4],
            "epochs": 3,
            "batch_size": 8,
            "peak_lr": 0.001,
            **settings,
        },
    )


def test_each_example_of_the_subset_comes_once_in_each_epoch(records):
    config = config_of(records)
    data = load_dataset(config)
    feed = feed_of(config, data)
    mask = np.zeros(30, np.bool_)
    mask[np.random.default_rng(1).permutation(30)[:21]] = True
    seen = [labels[0, 0] for (_, labels), _ in feed.chunks([5], mask[None], 0)]
    assert len(seen) == 8 and {len(each) for each in seen} == {8}  # 3 x 21 examples, filled up
    indices = [index for _, index in zip(range(8), feed._batches(5, mask, 0), strict=False)]
    order = np.concatenate([index for _, index in indices])
    for epoch in range(3):
        assert np.array_equal(np.sort(order[21 * epoch :][:21]), np.flatnonzero(mask))
    assert not np.array_equal(order[:21], order[21:42])
    assert np.array_equal(np.concatenate(seen), data.train_labels[order])
    late = next(feed._batches(5, mask, 5))
    assert np.array_equal(late[0], indices[5][0]) and np.array_equal(late[1], indices[5][1])


def test_a_run_on_records_scores_every_example_once(records):
    config = config_of(records, epochs=20, hidden=[], peak_lr=0.0005)
    data = load_dataset(config)
    assert (data.name, data.order, data.n_classes) == ("imagenet", "file", 3)
    trainer = Trainer(config, data, choose())
    (run,), (again,) = trainer.train([0]), trainer.train([0])
    assert np.array_equal(run.train_margin, again.train_margin)
    assert run.mask.sum() == 21 and np.isfinite(run.train_margin).all()
    assert run.accuracy_in > 0.9 and run.test_accuracy > 0.8  # colours are easy


def test_a_set_of_another_index_is_refused(records, tmp_path):
    root, path = records
    with np.load(path) as arrays:
        changed = dict(arrays)
    changed["tr_labels"] = changed["tr_labels"][::-1]
    write_npz(tmp_path / "other.npz", changed)
    with pytest.raises(ConfigError, match="built with another index"):
        load_dataset(config_of((root, tmp_path / "other.npz")))


def test_augmentations_belong_to_their_data(records):
    config = config_of(records, augment="crop-flip")
    with pytest.raises(ConfigError, match="augment is 'crop-flip', and the data are tfrecords"):
        check_recipe(config, load_dataset(config))


def test_labels_of_an_index_that_cannot_be_right_are_refused(records, tmp_path):
    root, path = records
    with np.load(path) as arrays:
        changed = dict(arrays)
    changed["tt_labels"] = changed["tt_labels"].astype(np.int64)
    for label, words in ((-1, "holds -1, not 0"), (3, "0 to 3|label 3")):
        changed["tt_labels"][4] = label
        write_npz(tmp_path / f"{label}.npz", changed)
        with pytest.raises(MemtoolsError, match=words):
            load_dataset(config_of((root, tmp_path / f"{label}.npz")))


def test_a_shard_that_was_cut_is_named_before_training_and_a_damaged_one_while_it_is_read(
    records, tmp_path
):
    root, index = records
    shutil.copytree(root, tmp_path / "set")
    config = config_of((tmp_path / "set", index))
    shard = tmp_path / "set" / "validation-00001-of-00002"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    with pytest.raises(RecordError, match="validation-00001-of-00002 has"):
        load_dataset(config)
    shard.write_bytes(whole[:600] + b"damage" + whole[606:])
    feed = feed_of(config, load_dataset(config))
    with pytest.raises(RecordError, match="validation-00001-of-00002 is damaged"):
        list(feed.evaluated("test", 1))
