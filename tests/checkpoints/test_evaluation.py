"""A restored model is right where its run says so; another order of examples is noticed."""

import io
import json
import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image
from sonnet_models import aux_of, pixels

from memtools.checkpoints.evaluation import evaluate
from memtools.errors import AlignmentError, ConfigError, DiskError, RecordError

QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
N_TRAIN, N_TEST = 140, 120


class World:
    """Images of which Sonnet's module gets 70 % right, as an npz; the mask of a run."""

    def __init__(self, inception, root):
        rng = np.random.default_rng(0)
        self.data, arrays, self.correct = root / "data.npz", {}, {}
        for split, n, seed in (("train", N_TRAIN, 1), ("test", N_TEST, 2)):
            images = (255 * pixels(n, 32, seed)).astype(np.uint8)
            logits = inception.module(tf.constant(images / np.float32(255)), is_training=False)
            predicted = logits.numpy().argmax(1)
            self.correct[split] = rng.random(n) < 0.7
            arrays[f"{split}_images"] = images
            arrays[f"{split}_labels"] = np.where(
                self.correct[split], predicted, (predicted + 1) % 10
            )
        np.savez(self.data, **arrays)
        self.arrays, self.mask = arrays, rng.random(N_TRAIN) < 0.5


@pytest.fixture(scope="module")
def world(inception, tmp_path_factory):
    return World(inception, tmp_path_factory.mktemp("world"))


@pytest.fixture
def aux(world, tmp_path):
    def write(**changes):
        facts = {"mask": world.mask, **changes}
        correct = [facts.get(split, world.correct[split]) for split in ("train", "test")]
        return aux_of(tmp_path / "aux_arrays.npz", facts["mask"], *correct)

    return write


def counted(parts):
    return {part.name: (part.n, part.n_mismatches) for part in parts}


def test_what_the_run_recorded_is_found_again(inception, world, aux):
    parts = evaluate(inception.model, str(world.data), aux())
    n_in = int(world.mask.sum())
    assert counted(parts) == {"train": (n_in, 0), "removed": (N_TRAIN - n_in, 0), "test": (120, 0)}
    for part, right in zip(
        parts,
        (
            world.correct["train"][world.mask],
            world.correct["train"][~world.mask],
            world.correct["test"],
        ),
        strict=True,
    ):
        assert part.accuracy == part.recorded == pytest.approx(right.mean())


def test_mismatches_are_counted_where_they_are(inception, world, aux):
    test, train = world.correct["test"].copy(), world.correct["train"].copy()
    test[[3, 50, 51]] ^= True
    train[np.flatnonzero(~world.mask)[:2]] ^= True
    parts = evaluate(inception.model, str(world.data), aux(test=test, train=train))
    assert {name: wrong for name, (_, wrong) in counted(parts).items()} == {
        "train": 0,
        "removed": 2,
        "test": 3,
    }
    assert parts[2].accuracy == pytest.approx(world.correct["test"].mean())
    assert parts[2].recorded == pytest.approx(test.mean())


def test_another_order_is_noticed_and_not_counted_as_mismatches(inception, world, aux):
    shuffled = np.random.default_rng(3).permutation(world.correct["test"])
    with pytest.raises(AlignmentError, match=r"agree on test by chance alone: .* of 120") as raised:
        evaluate(inception.model, str(world.data), aux(test=shuffled))
    assert "tfds:cifar10" in raised.value.hint


class FewOfCifar10(tfds.image_classification.Cifar10):
    """The real features, the images of the world, and no download."""

    world = None

    def _split_generators(self, dl_manager):
        return {"train": self._few("train"), "test": self._few("test")}

    def _few(self, split):
        images, labels = (self.world.arrays[f"{split}_{each}"] for each in ("images", "labels"))
        for k, (image, label) in enumerate(zip(images, labels, strict=True)):
            name = f"{split}_{k:05d}"
            yield name, {"id": name, "image": image, "label": int(label)}


def test_cifar_of_tfds_is_compared_in_the_order_of_tfds(
    inception, world, aux, tmp_path, monkeypatch
):
    monkeypatch.setattr(FewOfCifar10, "world", world)
    few = FewOfCifar10(data_dir=tmp_path)
    few.download_and_prepare()
    rows = {
        split: [int(row["id"][-5:]) for row in tfds.as_numpy(few.as_dataset(split=split))]
        for split in ("train", "test")
    }
    assert rows["train"] != sorted(rows["train"])
    path = aux(
        mask=world.mask[rows["train"]],
        train=world.correct["train"][rows["train"]],
        test=world.correct["test"][rows["test"]],
    )
    monkeypatch.setattr(tfds, "builder", lambda name: few)
    parts = evaluate(inception.model, "tfds:cifar10", path)
    assert [part.n_mismatches for part in parts] == [0, 0, 0]
    with pytest.raises(AlignmentError, match="by chance alone"):  # the same, officially ordered
        evaluate(inception.model, str(world.data), path)


def as_the_authors_read_it(data):
    """Their preprocessing: centre crop with 32 pixels of padding, bilinear, normalised."""
    image = tf.image.convert_image_dtype(tf.io.decode_jpeg(data, 3), tf.float32)
    height, width = image.shape[:2]
    side = int(224 / 256 * min(height, width))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    image = tf.image.resize(image[top : top + side, left : left + side], [224, 224])
    return (image - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


def write_records(path, images, labels, order):
    """Records of JPEGs, in an order of their own; each carries its index."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for k in order:
            numbers = {"index": k, "image/class/label": labels[k] + 1}  # 1-based in records
            features = {
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
                for name, number in numbers.items()
            }
            data = tf.train.BytesList(value=[images[k]])
            features["image/encoded"] = tf.train.Feature(bytes_list=data)
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


def jpegs(n, seed):
    """JPEGs with full colour: cropped before or after decoding they are the same to the bit."""
    for image in pixels(n, 260, seed):
        stream = io.BytesIO()
        Image.fromarray((255 * image[:, :243]).astype(np.uint8)).save(
            stream, "JPEG", quality=95, subsampling=0
        )
        yield stream.getvalue()


def test_records_are_compared_by_their_index(resnet, tmp_path):
    rng, correct = np.random.default_rng(0), {}
    for split, n in (("train", 9), ("validation", 6)):
        images = list(jpegs(n, seed=n))
        batch = tf.stack([as_the_authors_read_it(data) for data in images])
        predicted = resnet.module(batch, is_training=False).numpy().argmax(1)
        correct[split] = np.arange(n) % 3 > 0
        labels = np.where(correct[split], predicted, (predicted + 1) % 1000)
        write_records(tmp_path / f"{split}-00000-of-00001", images, labels, rng.permutation(n))
    mask = np.arange(9) % 2 == 0
    aux = aux_of(tmp_path / "aux_arrays.npz", mask, correct["train"], correct["validation"])
    parts = evaluate(resnet.model, f"tfrecords:{tmp_path}", aux)
    assert counted(parts) == {"train": (5, 0), "removed": (4, 0), "test": (6, 0)}


def test_other_examples_are_refused(inception, world, aux, tmp_path):
    path, other = aux(), tmp_path / "other.npz"
    for split, n, chosen in (("train", 140, np.arange(139)), ("test", 120, np.arange(121) % 120)):
        names = f"{split}_images", f"{split}_labels"
        np.savez(other, **{**world.arrays, **{name: world.arrays[name][chosen] for name in names}})
        with pytest.raises(AlignmentError, match=f"they are not the {n} of the file"):
            evaluate(inception.model, str(other), path)
    labels = world.arrays["train_labels"].copy()
    labels[7] = 99
    np.savez(other, **{**world.arrays, "train_labels": labels})
    with pytest.raises(ConfigError, match="a label 99, and the model has 10 classes"):
        evaluate(inception.model, str(other), path)
    with pytest.raises(ConfigError, match=r"images of the shape \[8, 8, 1\]"):
        evaluate(inception.model, "digits", path)


def test_a_file_that_is_no_record_of_a_run_is_refused(inception, world, tmp_path):
    with pytest.raises(DiskError):
        evaluate(inception.model, str(world.data), tmp_path / "none.npz")
    (tmp_path / "aux_arrays.npz").write_bytes(b"PK nothing")
    with pytest.raises(RecordError, match="is damaged"):
        evaluate(inception.model, str(world.data), tmp_path / "aux_arrays.npz")


def test_from_the_command_line(memtools, inception, world, aux):
    test = world.correct["test"].copy()
    test[5] ^= True
    arguments = (inception.run, "--data", world.data, "--aux", aux(test=test))
    shown = memtools("checkpoints", "evaluate", *arguments, "--json", env=QUIET)
    assert shown.returncode == 0, shown.stderr
    parts = json.loads(shown.stdout)
    assert [(part["name"], part["n_mismatches"]) for part in parts] == [
        ("train", 0),
        ("removed", 0),
        ("test", 1),
    ]
    shown = memtools("checkpoints", "evaluate", *arguments, env=QUIET)
    assert shown.returncode == 0 and shown.stderr == ""
    rows = [line.split("\t") for line in shown.stdout.splitlines()]
    assert rows[0] == ["part", "examples", "mismatches", "accuracy", "recorded"]
    right = world.correct["test"].mean()
    assert rows[3] == ["test", "120", "1", f"{right:.4f}", f"{test.mean():.4f}"]
