"""Training a stack of models, each on a subset of its own, in one program.

    trainer = Trainer(config, data)          # builds and compiles once
    for record in trainer.train(range(0, 32)): ...

The step is a pure function of values: weights, momenta and moving statistics go in and come
out, so it compiles under XLA, stacks by vectorisation, and a run cannot see its neighbours. The
data live on the device; batches are indices. Epochs flow into each other: batches are cut from
one permutation of the subset after the other, so each example comes once in each, and all
batches have one size. Groups are filled up to the size of the stack, so that the program is the
same whatever the number of runs.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import memtools
from memtools.errors import ConfigError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.estimates.npz import Array
from memtools.runs.record import Failure, RunRecord, RunSpec
from memtools.runs.store import Sweep
from memtools.training.config import Config
from memtools.training.datasets import Dataset, load_dataset
from memtools.training.models import build_model, has_convolutions
from memtools.training.subsets import draw, generator, size_of

CHUNK = 500  # steps between two looks at the clock
_EVALUATE = 512  # examples
_PAD = 4  # pixels around an image that is cropped

Result = RunRecord | Failure
State = tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]
"""Weights, momenta, moving statistics; each [stack, ...]."""


def sweep_of(config: Config, data: Dataset) -> Sweep:
    """What all runs of a configuration have in common; the data are in it by their digest."""
    digest = hashlib.sha256()
    for column in (data.train_images, data.train_labels, data.test_images, data.test_labels):
        digest.update(np.ascontiguousarray(column).tobytes())
    return Sweep(
        dataset=data.name,
        order=data.order,
        ratio=config.ratio,
        n_train=len(data.train_labels),
        n_test=len(data.test_labels),
        definition=f"{config.model}, {config.epochs} epochs",
        config={**config.to_dict(), "data_sha256": digest.hexdigest()},
    )


def examples_of(data: Dataset) -> ExampleIndex:
    """The labels that were trained on, in the order of the data."""
    about = About(dataset=data.name, order=data.order)
    return ExampleIndex(about, data.train_labels, None, data.test_labels, None)


def train_group(config: Config, run_ids: Sequence[int], n_threads: int = 0) -> list[Result]:
    """Train some runs, with the trainer that this process has for the configuration.

    n_threads: processors to use; 0: all of them. What a worker process is given to do.
    """
    return list(_trainer(config, n_threads).train(run_ids))


@functools.lru_cache(maxsize=1)
def _trainer(config: Config, n_threads: int) -> Trainer:
    if n_threads:
        tf.config.threading.set_intra_op_parallelism_threads(n_threads)
        tf.config.threading.set_inter_op_parallelism_threads(n_threads)
    data = load_dataset(config.dataset, flipped=config.flipped, seed=config.seed)
    return Trainer(config, data)


class Trainer:
    """A compiled program for one configuration, and the data it works on."""

    def __init__(self, config: Config, data: Dataset) -> None:
        subset = size_of(len(data.train_labels), config.ratio)
        if config.batch_size > subset:
            raise ConfigError(
                f"a batch of {config.batch_size} is larger than the subset of {subset}",
                hint="set a smaller batch_size, or a larger ratio",
            )
        self.config, self.data, self.sweep = config, data, sweep_of(config, data)
        shape = data.train_images.shape[1:]
        self.model = build_model(
            config.model, shape, n_classes=data.n_classes, hidden=config.hidden
        )
        self._images = tf.constant(data.train_images)
        self._labels = tf.constant(data.train_labels, tf.int32)
        self._decayed = [v.path.endswith("kernel") for v in self.model.trainable_variables]
        self.n_steps = -(-config.epochs * subset // config.batch_size)
        self._rates = _learning_rates(config, self.n_steps)
        # Compiled by XLA, except for convolutions on a CPU, which are many times slower there.
        convolves = has_convolutions(self.model)
        on_cpu = not tf.config.list_physical_devices("GPU")
        compile_ = tf.function(jit_compile=not (convolves and on_cpu))
        self._unroll = convolves
        self._advance = compile_(self._steps)
        self._predict = compile_(self._logits)

    def train(self, run_ids: Sequence[int]) -> Iterator[Result]:
        """Train up to `stack` runs at once; their records, or failures."""
        begun = time.monotonic()
        state, masks, lost = self.fit(run_ids)
        seconds = (time.monotonic() - begun) / len(run_ids)
        train = self._evaluate(state, self.data.train_images)
        test = self._evaluate(state, self.data.test_images)
        for row, run_id in enumerate(run_ids):
            if lost[row] >= 0:
                yield Failure(run_id, "the loss is not finite", int(lost[row]))
            else:
                yield self._record(run_id, masks[row], train[row], test[row], seconds)

    def fit(self, run_ids: Sequence[int]) -> tuple[State, Array, Array]:
        """(weights and all, masks bool [stack, n_train], steps at which a loss was lost or -1)."""
        stack = self.config.stack
        if len(run_ids) > stack:
            raise ConfigError(f"{len(run_ids)} runs in a stack of {stack}", hint="train fewer")
        group = [*run_ids, *[run_ids[-1]] * (stack - len(run_ids))]
        masks = np.stack([self.mask(run_id) for run_id in group])
        batches = np.stack(
            [self._batches(run_id, mask) for run_id, mask in zip(group, masks, strict=True)]
        )
        seeds = tf.constant([self._seed(run_id, "augment") for run_id in group], tf.int32)
        state, lost = self._initial(group), np.full(stack, -1)
        for start in range(0, self.n_steps, CHUNK):
            stop = min(start + CHUNK, self.n_steps)
            some = np.zeros((stack, CHUNK, self.config.batch_size), np.int32)
            some[:, : stop - start] = batches[:, start:stop]
            rates = np.zeros(CHUNK, np.float32)
            rates[: stop - start] = self._rates[start:stop]
            state, losses = self._advance(
                state, tf.constant(some), tf.constant(rates), stop - start, start, seeds
            )
            lost = np.where((lost < 0) & ~np.isfinite(losses.numpy()), stop, lost)
        return state, masks, lost

    def mask(self, run_id: int) -> NDArray[np.bool_]:
        """The subset of a run, bool [n_train]."""
        config = self.config
        return draw(
            self.data.train_labels,
            ratio=config.ratio,
            design=config.design,
            seed=config.seed,
            run_id=run_id,
        )

    def _batches(self, run_id: int, mask: Array) -> NDArray[np.int32]:
        """Indices of each step, [n_steps, batch_size]."""
        inside = np.flatnonzero(mask).astype(np.int32)
        rng, size = generator(self.config.seed, run_id, "shuffle"), self.config.batch_size
        n_epochs = -(-self.n_steps * size // len(inside))
        order = np.concatenate([rng.permutation(inside) for _ in range(n_epochs)])
        return order[: self.n_steps * size].reshape(self.n_steps, size)

    def _seed(self, run_id: int, stream: str) -> list[int]:
        drawn: list[int] = (
            generator(self.config.seed, run_id, stream).integers(2**31, size=2).tolist()
        )
        return drawn

    def _initial(self, run_ids: Sequence[int]) -> State:
        """Fresh weights of each run, from its own seed."""
        fresh = [initial_weights(self.model, self._seed(run_id, "init")[0]) for run_id in run_ids]
        weights, statistics = (
            [tf.stack(each) for each in zip(*side, strict=True)]
            for side in zip(*fresh, strict=True)
        )
        return weights, [tf.zeros_like(each) for each in weights], statistics

    def _steps(
        self,
        state: State,
        batches: tf.Tensor,
        rates: tf.Tensor,
        n_steps: tf.Tensor,
        start: tf.Tensor,
        seeds: tf.Tensor,
    ) -> tuple[State, tf.Tensor]:
        """Many steps of all models; the state, and the mean loss of each, [stack]."""

        def step(i: tf.Tensor, state: State, total: tf.Tensor) -> Any:
            index = batches[:, i]
            images = _as_float(tf.gather(self._images, index))
            labels = tf.gather(self._labels, index)
            moments = tf.concat([seeds[:, :1], seeds[:, 1:] + tf.cast(start + i, tf.int32)], 1)
            rate = tf.fill([self.config.stack], rates[i])
            state, loss = self._over_models(self._step, (*state, images, labels, rate, moments))
            return i + 1, state, total + loss

        zero = tf.zeros([self.config.stack])
        n_steps = tf.cast(n_steps, tf.int32)
        _, state, total = tf.while_loop(lambda i, *_: i < n_steps, step, (0, state, zero))
        return state, total / tf.cast(n_steps, tf.float32)

    def _step(self, values: Any) -> tuple[State, tf.Tensor]:
        """One step of one model: values in, values out."""
        weights, momenta, statistics, images, labels, rate, moment = values
        config = self.config
        if config.augment == "crop-flip":
            images = _crop_and_flip(images, moment)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits, statistics = self.model.stateless_call(
                weights, statistics, images, training=True
            )
            target = tf.one_hot(labels, self.data.n_classes)
            smoothing = config.label_smoothing
            target = target * (1 - smoothing) + smoothing / self.data.n_classes
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))
        gradients = tape.gradient(loss, weights)
        if config.weight_decay:
            gradients = [
                g + config.weight_decay * w if decayed else g
                for g, w, decayed in zip(gradients, weights, self._decayed, strict=True)
            ]
        momenta = [config.momentum * m + g for m, g in zip(momenta, gradients, strict=True)]
        if config.nesterov:
            gradients = [config.momentum * m + g for m, g in zip(momenta, gradients, strict=True)]
        moves = gradients if config.nesterov else momenta
        weights = [w - rate * move for w, move in zip(weights, moves, strict=True)]
        return (weights, momenta, list(statistics)), loss

    def _over_models(self, work: Callable[[Any], Any], values: Any) -> Any:
        """`work` for each model of the stack: vectorised, or one by one where that cannot be."""
        if not self._unroll:
            return tf.vectorized_map(work, values)
        results = [
            work(tf.nest.map_structure(lambda each, k=k: each[k], values))
            for k in range(self.config.stack)
        ]
        return tf.nest.map_structure(lambda *each: tf.stack(each), *results)

    def _logits(self, state: State, images: tf.Tensor) -> tf.Tensor:
        """[stack, n, n_classes], without training."""

        def one(values: Any) -> tf.Tensor:
            weights, statistics = values
            logits, _ = self.model.stateless_call(
                weights, statistics, _as_float(images), training=False
            )
            return logits

        weights, _, statistics = state
        return self._over_models(one, (weights, statistics))

    def _evaluate(self, state: State, images: Array) -> NDArray[np.float32]:
        """Logits of every example once, [stack, n, n_classes]; the last batch is filled up."""
        parts = []
        for start in range(0, len(images), _EVALUATE):
            some = images[start : start + _EVALUATE]
            filled = np.zeros((_EVALUATE, *some.shape[1:]), some.dtype)
            filled[: len(some)] = some
            parts.append(self._predict(state, tf.constant(filled)).numpy()[:, : len(some)])
        return np.concatenate(parts, axis=1)

    def _record(
        self, run_id: int, mask: Array, train: Array, test: Array, seconds: float
    ) -> RunRecord:
        of_train, of_test = (
            _scores(logits, labels)
            for logits, labels in ((train, self.data.train_labels), (test, self.data.test_labels))
        )
        kept = {}
        if self.config.keep_scores:
            for kind in ("probability", "margin"):
                for side, scores in (("train", of_train), ("test", of_test)):
                    kept[f"{side}_{kind}"] = scores[kind].astype(np.float16)
        correct = of_train["margin"] > 0
        facts = {
            "loss_in": float(of_train["loss"][mask].mean()),
            "loss_out": float(of_train["loss"][~mask].mean()),
            "loss_test": float(of_test["loss"].mean()),
            "accuracy_in": float(correct[mask].mean()),
            "accuracy_out": float(correct[~mask].mean()),
            "accuracy_test": float((of_test["margin"] > 0).mean()),
            "seconds": seconds,
            "memtools": memtools.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        }
        spec = RunSpec(run_id, self.sweep.digest, self.config.seed)
        return RunRecord(spec, mask, correct, of_test["margin"] > 0, **kept, facts=facts)


def initial_weights(model: keras.Model, seed: int) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """(weights, moving statistics) as the layers' initializers make them, from one seed."""
    values: dict[str, tf.Tensor] = {}
    seeds = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            initializer = getattr(layer, f"{variable.name}_initializer")
            settings = initializer.get_config()
            if "seed" in settings:
                settings["seed"] = int(seeds.integers(2**31))
            fresh = type(initializer).from_config(settings)
            values[variable.path] = tf.convert_to_tensor(fresh(variable.shape, variable.dtype))
    return (
        [values[variable.path] for variable in model.trainable_variables],
        [values[variable.path] for variable in model.non_trainable_variables],
    )


def _learning_rates(config: Config, n_steps: int) -> NDArray[np.float32]:
    """Of each step, [n_steps]."""
    done = (np.arange(n_steps) + 0.5) / n_steps
    rates = np.full(n_steps, config.peak_lr)
    if config.schedule == "linear":
        rates *= np.interp(done, [0, config.warmup, 1], [0 if config.warmup else 1, 1, 0])
    elif config.schedule == "steps":
        rates *= 0.1 ** np.searchsorted(np.sort(config.drops), done, side="right")
        rates *= np.minimum(1, done / config.warmup) if config.warmup else 1
    return rates.astype(np.float32)


def _as_float(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 255 if images.dtype == tf.uint8 else images


def _crop_and_flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Zero-padded by 4, cropped and flipped at random: one draw for each image."""
    n, height, width = images.shape[0], images.shape[1], images.shape[2]
    top = tf.random.stateless_uniform([n], seed, 0, 2 * _PAD + 1, tf.int32)
    left = tf.random.stateless_uniform([n], seed + 1, 0, 2 * _PAD + 1, tf.int32)
    flip = tf.random.stateless_uniform([n], seed + 2) < 0.5
    padded = tf.pad(images, [[0, 0], [_PAD, _PAD], [_PAD, _PAD], [0, 0]])
    columns = tf.range(width)[None] + tf.zeros([n, 1], tf.int32)
    columns = tf.where(flip[:, None], width - 1 - columns, columns) + left[:, None]
    rows = tf.range(height)[None] + top[:, None]
    return tf.gather(tf.gather(padded, rows, batch_dims=1), columns, axis=2, batch_dims=1)


def _scores(logits: Array, labels: Array) -> dict[str, Array]:
    """Of each example: probability of the true label, margin, loss; float64 [n]."""
    logits = logits.astype(np.float64)
    of_label = np.take_along_axis(logits, labels[:, None], 1)[:, 0]
    others = logits.copy()
    np.put_along_axis(others, labels[:, None], -np.inf, 1)
    top = logits.max(1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(logits - top).sum(1))
    return {
        "probability": np.exp(of_label - log_sum),
        "margin": np.clip(of_label - others.max(1), -6e4, 6e4),
        "loss": log_sum - of_label,
    }
