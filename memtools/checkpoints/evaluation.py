"""Whether a restored model gets right what its run says it got right.

    parts = evaluate(restore(run), "tfds:cifar10", run / "aux_arrays.npz")
    [(part.name, part.n_mismatches) for part in parts]    # train, removed, test

A run's aux_arrays.npz counts examples in the order that the authors read them in: of CIFAR that is
the order of TFDS, of ImageNet that of the published index. `tfds:NAME` knows which row of TFDS
each example is, and the records of `memtools tfrecords build` carry the index; other data must be
in the order of the file. The file does not say which image an index means: that the order is
another shows in agreement by chance alone, and then the comparison is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from memtools.arguments import StrPath, checked
from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.npz import Array
from memtools.extras import needing
from memtools.file_kinds import require_regular
from memtools.files import disk_errors
from memtools.progress import bars
from memtools.runs.imported_runs import Outcome
from memtools.runs.importers import read_aux
from memtools.runs.record import Bits
from memtools.tfrecords.reader import naming_damage, read_records
from memtools.training.datasets import read_arrays
from memtools.training.step import as_float

with needing("tf"):
    import keras
    import tensorflow as tf

_BATCH = 100  # images at a time
_TELLING = 20  # mismatches by chance: from here on their number means something
_NO_BETTER = 0.6  # of them: on the digits runs in one order have .1 to .4, in two .9 to 1
_HINT = "CIFAR: --data tfds:cifar10, whose ids tell the order; ImageNet: tfrecords:DIR"

Batches = Iterator[tuple[Array, Array, Array]]
"""(images [n, height, width, 3], labels [n], index [n]: number in the order of the file)."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a run's examples: train, removed or test.

    n: examples. n_mismatches: those that the restored model gets right and the run did not, or the
    other way round. accuracy, recorded: of the restored model, and as the run says.
    """

    name: str
    n: int
    n_mismatches: int
    accuracy: float
    recorded: float

    @property
    def by_chance(self) -> float:
        """Mismatches to expect if the two had nothing to do with each other."""
        p, q = self.accuracy, self.recorded
        return self.n * (p * (1 - q) + q * (1 - p))


@checked('evaluate(restore("models/0.7/17"), "tfds:cifar10", "aux_arrays.npz")')
def evaluate(model: keras.Model, data: str, aux: StrPath) -> list[Part]:
    """Compare a restored model, in evaluation mode, with the aux_arrays.npz of its run.

    data: `tfds:NAME`, `tfrecords:DIR`, or the path of an npz, as of memtools.training.datasets.

    Raises AlignmentError if the data are not the examples of the file, or not in its order;
    ConfigError for data that are none, or none for this model; RecordError for a damaged file.
    """
    aux = Path(aux)
    require_regular(aux)
    with disk_errors(aux):
        run = read_aux(str(aux), 0, aux.read_bytes())
    batches = _of_records(data) if data.startswith("tfrecords:") else _of_arrays(data)
    train = _correct(model, batches["train"], len(run.mask), f"{data}, training examples")
    test = _correct(model, batches["test"], len(run.test_correct), f"{data}, test examples")
    parts = _parts(run, train, test)
    _require_same_order(parts, data, aux)
    return parts


def _parts(run: Outcome, train: Bits, test: Bits) -> list[Part]:
    return [
        Part(
            name,
            len(computed),
            int((computed != recorded).sum()),
            float(computed.mean()),
            float(recorded.mean()),
        )
        for name, computed, recorded in (
            ("train", train[run.mask], run.train_correct[run.mask]),
            ("removed", train[~run.mask], run.train_correct[~run.mask]),
            ("test", test, run.test_correct),
        )
        if len(computed)
    ]


def _correct(model: keras.Model, batches: Batches, n: int, what: str) -> Bits:
    """Which examples the model gets right, bool [n], in the order of the file."""
    predict = tf.function(
        lambda images: tf.argmax(model(as_float(images), training=False), -1),
        reduce_retracing=True,
    )
    correct, times = np.zeros(n, np.bool_), np.zeros(n, np.int64)
    with bars("images") as show:
        for images, labels, index in batches:
            _require_fit(model, images, labels, what)
            if index.max() >= n:
                raise _other_examples(what, n)
            correct[index] = predict(tf.constant(images)).numpy() == labels
            np.add.at(times, index, 1)
            show(what, int(times.sum()), n)
    if (times != 1).any():
        raise _other_examples(what, n)
    return correct


def _of_arrays(source: str) -> dict[str, Batches]:
    data = read_arrays(source)
    rows = data.tfds_rows or (np.arange(len(data.train_labels)), np.arange(len(data.test_labels)))

    def cut(images: Array, labels: Array, index: Array) -> Batches:
        for start in range(0, len(labels), _BATCH):
            some = slice(start, start + _BATCH)
            yield images[some], labels[some], index[some]

    return {
        "train": cut(data.train_images, data.train_labels, rows[0]),
        "test": cut(data.test_images, data.test_labels, rows[1]),
    }


def _of_records(source: str) -> dict[str, Batches]:
    def read(split: str) -> Batches:
        root = source.removeprefix("tfrecords:")
        with naming_damage(root, split):
            for batch in read_records(root, split, batch_size=_BATCH).as_numpy_iterator():
                valid = batch["valid"]
                yield batch["image"][valid], batch["label"][valid], batch["index"][valid]

    return {"train": read("train"), "test": read("validation")}


def _require_fit(model: keras.Model, images: Array, labels: Array, what: str) -> None:
    n_classes, channels = model.output_shape[-1], model.input_shape[-1]
    if images.ndim != 4 or images.shape[-1] != channels:
        raise ConfigError(
            f"{what}: images of the shape {list(images.shape[1:])}",
            hint=f"the model takes images of {channels} channels",
        )
    if labels.max() >= n_classes:
        raise ConfigError(
            f"{what}: there is a label {labels.max()}, and the model has {n_classes} classes",
            hint="evaluate it on the data set that it was trained on",
        )


def _other_examples(what: str, n: int) -> AlignmentError:
    return AlignmentError(
        f"{what}: they are not the {n:,} of the file",
        hint="evaluate the run on the data set that it was trained on",
    )


def _require_same_order(parts: list[Part], data: str, aux: Path) -> None:
    """Raise AlignmentError where model and file agree by chance alone."""
    for part in parts:
        if part.by_chance > _TELLING and part.n_mismatches > part.by_chance * _NO_BETTER:
            raise AlignmentError(
                f"{aux} and the model agree on {part.name} by chance alone: they differ on"
                f" {part.n_mismatches:,} of {part.n:,} examples, by chance {part.by_chance:,.0f}",
                hint=f"{data} has another order than the file, or the run is another. {_HINT}",
            )
