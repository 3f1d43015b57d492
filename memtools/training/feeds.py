"""What each step trains on: indices into data that live on the device, or images that stream.

    feed = feed_of(config, data)
    for batch, n_steps in feed.chunks(run_ids, masks, start=0): ...

Epochs flow into each other: batches are cut from one permutation of the subset after the other, so
each example comes once in each, and all batches have one size. What a run sees depends on its
subset and its seeds alone, and can be taken up at any step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.npz import Array
from memtools.extras import needing
from memtools.tfrecords.reader import naming_damage, read_records
from memtools.training.config import Config
from memtools.training.datasets import Dataset
from memtools.training.records import Records
from memtools.training.subsets import generator, size_of

with needing("tf"):
    import tensorflow as tf

_EVALUATED = 512  # examples at a time
_CHUNK = 500  # steps between two looks at the clock

Batch = Any
"""A nest of arrays [stack, n_steps, batch_size, ...]."""


class Feed(Protocol):
    """Where images and labels come from."""

    @property
    def resident(self) -> tuple[Array, ...]:
        """What every device holds."""

    @property
    def chunk(self) -> int:
        """Steps of one batch that is handed to the devices."""

    def chunks(
        self, run_ids: Sequence[int], masks: Array, start: int
    ) -> Iterator[tuple[Batch, int]]:
        """(batches of `chunk` steps of all runs, how many of these are to be done)."""

    def examples(self, resident: Sequence[tf.Tensor], batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Images and labels of one step, on the device."""

    def evaluated(self, split: str, multiple: int) -> Iterator[tuple[Array, Array]]:
        """All examples once: (index [n], images [m, ...]); m, a multiple, may be above n."""


def feed_of(config: Config, data: Dataset | Records) -> Feed:
    """Return the feed for some data, which `check_recipe` has checked."""
    return Streamed(config, data) if isinstance(data, Records) else InMemory(config, data)


def n_steps_of(config: Config, n_train: int) -> int:
    """Steps of a run: as many as fill its epochs, the last one up."""
    return -(-config.epochs * size_of(n_train, config.ratio) // config.batch_size)


@dataclasses.dataclass(eq=False)
class InMemory:
    """Data that fit on the device: batches are indices."""

    config: Config
    data: Dataset
    chunk: int = _CHUNK

    @property
    def resident(self) -> tuple[Array, ...]:
        """Images, a row each, since rows are gathered fastest; labels."""
        images, labels = self.data.train_images, self.data.train_labels
        return images.reshape(len(images), -1), labels.astype(np.int32)

    def chunks(
        self, run_ids: Sequence[int], masks: Array, start: int
    ) -> Iterator[tuple[Batch, int]]:
        """Indices, int32 [stack, chunk, batch_size]."""
        every = np.stack(
            [self.order(run_id, mask) for run_id, mask in zip(run_ids, masks, strict=True)]
        )
        for begin in range(start, every.shape[1], self.chunk):
            some = every[:, begin : begin + self.chunk]
            rest = self.chunk - some.shape[1]
            yield np.pad(some, ((0, 0), (0, rest), (0, 0))), some.shape[1]

    def order(self, run_id: int, mask: Array) -> NDArray[np.int32]:
        """The indices of each step of a run, [n_steps, batch_size]."""
        inside = np.flatnonzero(mask).astype(np.int32)
        size = self.config.batch_size
        n_steps = n_steps_of(self.config, len(mask))
        rng = generator(self.config.seed, run_id, "shuffle")
        n_epochs = -(-n_steps * size // len(inside))
        order = np.concatenate([rng.permutation(inside) for _ in range(n_epochs)])
        return order[: n_steps * size].reshape(n_steps, size)

    def examples(self, resident: Sequence[tf.Tensor], batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Looked up."""
        images, labels = resident
        shape = [*batch.shape, *self.data.image_shape]
        return tf.reshape(tf.gather(images, batch), shape), tf.gather(labels, batch)

    def evaluated(self, split: str, multiple: int) -> Iterator[tuple[Array, Array]]:
        """In their order; the last batch is filled up with zeros."""
        images = self.data.train_images if split == "train" else self.data.test_images
        size = _EVALUATED + -_EVALUATED % multiple
        for start in range(0, len(images), size):
            some = images[start : start + size]
            filled = np.zeros((size, *some.shape[1:]), some.dtype)
            filled[: len(some)] = some
            yield np.arange(start, start + len(some)), filled


@dataclasses.dataclass(eq=False)
class Streamed:
    """Indexed TFRecords: images are read, cropped and flipped on the host."""

    config: Config
    data: Records
    chunk: int = 1
    resident: tuple[Array, ...] = ()

    def chunks(
        self, run_ids: Sequence[int], masks: Array, start: int
    ) -> Iterator[tuple[Batch, int]]:
        """(images [stack, 1, batch_size, ...], labels int32 [stack, 1, batch_size])."""
        runs = [
            self._batches(run_id, mask, start) for run_id, mask in zip(run_ids, masks, strict=True)
        ]
        for _ in range(start, n_steps_of(self.config, masks.shape[1])):
            images, index = zip(*(next(run) for run in runs), strict=True)
            labels = self.data.train_labels[np.stack(index)].astype(np.int32)
            yield (np.stack(images)[:, None], labels[:, None]), 1

    def _batches(self, run_id: int, mask: Array, start: int) -> Iterator[tuple[Array, Array]]:
        """Images and indices of each step, across the ends of epochs."""
        size, inside = self.config.batch_size, int(mask.sum())
        epoch, seen = divmod(start * size, inside)
        seeds = generator(self.config.seed, run_id, "shuffle")
        seeds.integers(2**31, size=epoch)  # those of the epochs that are over
        held: list[tuple[Array, Array]] = []
        while True:
            examples = read_records(
                self.data.root, "train", mask=mask, seed=int(seeds.integers(2**31))
            )
            whole = size - sum(len(index) for _, index in held)
            for part in (
                examples.skip(seen).take(whole).batch(size),
                examples.skip(seen + whole).batch(size),
            ):
                for batch in self._iterate(part.prefetch(2), "train"):
                    held.append((batch["image"], batch["index"]))
                    if sum(len(index) for _, index in held) == size:
                        images, index = zip(*held, strict=True)
                        yield np.concatenate(images), np.concatenate(index)
                        held = []
            seen = 0

    def examples(
        self,
        resident: Sequence[tf.Tensor],  # noqa: ARG002 - nothing is
        batch: Batch,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """They are the batch."""
        images, labels = batch
        return images, labels

    def evaluated(self, split: str, multiple: int) -> Iterator[tuple[Array, Array]]:
        """The centre crop of each, in the order of the files."""
        name = "train" if split == "train" else "validation"
        size = self.config.batch_size + -self.config.batch_size % multiple
        for batch in self._iterate(read_records(self.data.root, name, batch_size=size), name):
            yield batch["index"][batch["valid"]], batch["image"]

    def _iterate(self, batches: tf.data.Dataset, split: str) -> Iterator[dict[str, Array]]:
        """Yield batches; RecordError that names the shards if some are damaged."""
        with naming_damage(self.data.root, split):
            yield from batches.as_numpy_iterator()
