"""Training groups of runs, each on a subset of its own, in one program.

    trainer = Trainer(config, data, choose())    # builds and compiles once
    for record in trainer.train(range(0, 32)): ...

Weights, momenta and moving statistics are values that go through the step and come out of it; the
loop over steps is in the program. Groups are filled up to what the devices take, so that the
program is the same whatever the number of runs. How runs are spread over devices is no part of the
configuration: a run is what its spec says, to the last bit where each device trains its own, to
rounding where several share one.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import memtools
from memtools.arguments import StrPath
from memtools.errors import ConfigError, MemtoolsError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.estimates.npz import Array
from memtools.extras import needing
from memtools.files import disk_errors, human_size, write_atomically
from memtools.progress import bars
from memtools.runs.record import Failure, RunRecord, RunSpec
from memtools.runs.store import RunStore, Sweep
from memtools.training.config import Config
from memtools.training.data_checks import check_dataset
from memtools.training.datasets import Dataset, load_dataset
from memtools.training.feeds import feed_of, n_steps_of
from memtools.training.models import build_model, has_convolutions
from memtools.training.recipe_checks import check_recipe
from memtools.training.records import Records
from memtools.training.scores import record_of
from memtools.training.step import State, Step
from memtools.training.strategy import Devices, choose
from memtools.training.subsets import draw, generator
from memtools.training.unfinished import Unfinished
from memtools.workers import place

with needing("tf"):
    import keras
    import tensorflow as tf

CHECKPOINT_MINUTES = 10.0  # between two of them
_COPIES = 4  # of the weights that training needs at least: themselves, momenta, gradients, the new

Result = RunRecord | Failure


def sweep_of(config: Config, data: Dataset | Records) -> Sweep:
    """What all runs of a configuration have in common; the data are in it by their digest."""
    return Sweep(
        dataset=data.name,
        order=data.order,
        ratio=config.ratio,
        n_train=len(data.train_labels),
        n_test=len(data.test_labels),
        definition=f"{config.model}, {config.epochs} epochs",
        config={**config.to_dict(), "data_sha256": data.digest},
    )


def store_of(root: StrPath, config: Config, data: Dataset | Records) -> RunStore:
    """Return the store for runs of a configuration; its `config.toml` replays it.

    Args:
        root: The directory of the store, which need not exist.
        config: The recipe.
        data: The data of the recipe.

    Raises:
        ConfigError: The recipe cannot be followed with these data, or the directory holds another
            sweep, or one of other data under the same name.
        SchemaError: Pixels are NaN or infinite.
    """
    root = Path(root)
    if isinstance(data, Dataset):
        data = check_dataset(data, data.name)
    check_recipe(config, data)
    sweep = sweep_of(config, data)
    _require_same_data(root, sweep, config.dataset)
    store = RunStore.create(root, sweep, examples_of(data))  # of two at once, one is refused
    with disk_errors(root):
        write_atomically(root / "config.toml", config.to_toml().encode(), ours=True)
    return store


def _require_same_data(root: Path, sweep: Sweep, source: str) -> None:
    """Raise ConfigError if a store was made of data that have changed since."""
    if not (root / "sweep.toml").exists():
        return
    ours, theirs = dict(sweep.config), dict(RunStore.open(root).sweep.config)
    digests = (theirs.pop("data_sha256", None), ours.pop("data_sha256"))
    if ours == theirs and digests[0] != digests[1]:
        raise ConfigError(
            f"{source} has changed since the runs of {root}: its sha256 was {digests[0]},"
            f" and is {digests[1]}",
            hint="choose another directory for runs of the new data",
        )


def examples_of(data: Dataset | Records) -> ExampleIndex:
    """The labels that were trained on, in the order of the data."""
    about = About(dataset=data.name, order=data.order)
    return ExampleIndex(about, data.train_labels, None, data.test_labels, None)


def train_group(
    config: Config, run_ids: Sequence[int], unfinished: Path | None = None, minutes: float = 0
) -> list[Result]:
    """What a worker process is given to do: train some runs, with all that it was given.

    That is its share of the CPUs, or one GPU, where several workers of one machine stand side by
    side; else whatever devices it sees, as a task on a cluster sees its own. The worker keeps its
    trainer for the next group. unfinished, minutes: as for Trainer.
    """
    return list(_own_trainer(config, unfinished, minutes).train(run_ids))


@functools.lru_cache(maxsize=1)
def _own_trainer(config: Config, unfinished: Path | None, minutes: float) -> Trainer:
    number, n_workers = place()
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    n_threads = max(1, (len(cpus) or os.cpu_count() or 1) // n_workers)
    if cpus and n_workers > 1:  # threads that wander from core to core cost a quarter
        own = [cpus[(number * n_threads + i) % len(cpus)] for i in range(n_threads)]
        os.sched_setaffinity(0, own)
    if n_workers > 1:
        tf.config.threading.set_intra_op_parallelism_threads(n_threads)
        tf.config.threading.set_inter_op_parallelism_threads(n_threads)
    devices = choose("one" if n_workers > 1 else "auto")
    return Trainer(config, load_dataset(config), devices, unfinished, minutes)


@dataclasses.dataclass(eq=False)
class Fitted:
    """Trained models.

    state: on the devices. masks: bool [stack, n_train]. lost: int [stack], a step by which the
    loss was no number, or -1.
    """

    state: Any
    masks: NDArray[np.bool_]
    lost: NDArray[np.int64]


class Trainer:
    """A compiled program for one configuration, and the data it works on.

    unfinished: a directory for checkpoints, one every so many minutes; None: none.
    """

    def __init__(
        self,
        config: Config,
        data: Dataset | Records,
        devices: Devices,
        unfinished: Path | None = None,
        minutes: float = CHECKPOINT_MINUTES,
    ) -> None:
        check_recipe(config, data)
        _require_parts(config, devices)
        self.config, self.data, self.devices = config, data, devices
        self.sweep, self.feed = sweep_of(config, data), feed_of(config, data)
        self.n_steps = n_steps_of(config, len(data.train_labels))
        self.capacity = config.stack * (1 if devices.shared else devices.n_replicas)
        self._unfinished, self._seconds = unfinished, 60 * minutes
        self._done: Unfinished | None = None
        with devices.strategy.scope():
            self.model = build_model(
                config.model,
                data.image_shape,
                n_classes=data.n_classes,
                hidden=config.hidden,
                precision=config.precision,
                synchronized=devices.shared and devices.n_replicas > 1,
            )
        _require_memory(self.model, data, self.capacity)
        self.step = Step(config, self.model, data.n_classes, shared=devices.shared)
        self._resident = devices.copy(self.feed.resident)
        self._rates = _learning_rates(config, self.n_steps)
        # Compiled by XLA, except for convolutions on a CPU, which are many times slower there,
        # and for what has to talk to other replicas in between.
        on_cpu = not tf.config.list_physical_devices("GPU")
        jit = not devices.shared and not (has_convolutions(self.model) and on_cpu)
        self._steps_alone = tf.function(self._steps_of_replica, jit_compile=jit, autograph=False)
        self._logits_alone = tf.function(self.step.logits_of_all, jit_compile=jit, autograph=False)
        everywhere = self._shared_steps if devices.shared else self._own_steps
        self._advance = tf.function(everywhere, autograph=False)
        self._predict = tf.function(self._logits_everywhere, autograph=False)

    def train(self, run_ids: Sequence[int]) -> Iterator[Result]:
        """Train up to `capacity` runs at once; their records, or failures.

        Raises MemtoolsError if memory does not suffice; ConfigError for a checkpoint of another
        configuration.
        """
        if self._done:  # whoever asks for more has kept the records of before
            self._done.remove()
        begun = time.monotonic()
        try:
            fitted = self.fit(run_ids)
            train, test = (self._evaluate(fitted.state, side) for side in ("train", "test"))
        except tf.errors.ResourceExhaustedError as error:
            raise MemtoolsError(
                f"out of memory with {self.capacity} models at a time",
                hint="set a smaller stack, or a smaller batch_size",
            ) from error
        facts = {
            "seconds": (time.monotonic() - begun) / len(run_ids),
            "mode": self.devices.mode,
            "replicas": self.devices.n_replicas,
            "memtools": memtools.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        }
        for row, run_id in enumerate(run_ids):
            if fitted.lost[row] >= 0:
                yield Failure(run_id, "the loss is not finite", int(fitted.lost[row]))
                continue
            yield record_of(
                RunSpec(run_id, self.sweep.digest, self.config.seed),
                fitted.masks[row],
                {
                    "train": (train[row], self.data.train_labels),
                    "test": (test[row], self.data.test_labels),
                },
                facts,
                keep_scores=self.config.keep_scores,
            )
        if self._unfinished:
            self._done = self._checkpoint(self._unfinished, run_ids)

    def fit(self, run_ids: Sequence[int]) -> Fitted:
        """Train, from where a killed process left off."""
        if not 0 < len(run_ids) <= self.capacity:
            raise ConfigError(
                f"{len(run_ids)} runs in a group of {self.capacity}", hint="train fewer at a time"
            )
        group = [*run_ids, *[run_ids[-1]] * (self.capacity - len(run_ids))]
        masks = np.stack([self.mask(run_id) for run_id in group])
        augment = np.array([self._seed(run_id, "augment") for run_id in group], np.int32)
        start, lost, state = self._begin(run_ids, group)
        seeds, state = self._to_devices(augment), self._to_devices(state)
        kept = time.monotonic()
        with bars("steps") as show:
            label = f"run {run_ids[0]}" + (f" to {run_ids[-1]}" if len(run_ids) > 1 else "")
            show(label, start, self.n_steps)
            for batch, n_steps in self.feed.chunks(group, masks, start):
                rates = np.zeros(self.feed.chunk, np.float32)
                rates[:n_steps] = self._rates[start : start + n_steps]
                state, losses = self._advance(
                    state,
                    self.devices.scatter(batch, axis=2 if self.devices.shared else 0),
                    tf.constant(rates),
                    tf.constant(n_steps),
                    tf.constant(start),
                    seeds,
                )
                start += n_steps
                loss = self._from_devices(losses)
                lost = np.where((lost < 0) & ~np.isfinite(loss), start, lost)
                show(label, start, self.n_steps)
                if (lost >= 0).all():
                    break
                if time.monotonic() - kept >= self._seconds:
                    self._keep(run_ids, start, lost, state)
                    kept = time.monotonic()
        return Fitted(state, masks, lost)

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

    def initial(self, run_ids: Sequence[int]) -> State:
        """Fresh weights of each run, from its own seed."""
        fresh = [initial_weights(self.model, self._seed(run_id, "init")[0]) for run_id in run_ids]
        weights, statistics = (
            [np.stack(each) for each in zip(*side, strict=True)]
            for side in zip(*fresh, strict=True)
        )
        return weights, [np.zeros_like(each) for each in weights], statistics

    def _seed(self, run_id: int, stream: str) -> list[int]:
        drawn: list[int] = (
            generator(self.config.seed, run_id, stream).integers(2**31, size=2).tolist()
        )
        return drawn

    # ------------------------------------------------------------------ on the devices

    def _to_devices(self, tree: Any) -> Any:
        """Values of all models of a group, to those who train them."""
        return self.devices.copy(tree) if self.devices.shared else self.devices.scatter(tree, 0)

    def _from_devices(self, values: Any) -> Array:
        return self.devices.first(values) if self.devices.shared else self.devices.gather(values, 0)

    def _own_steps(self, state: Any, batch: Any, *rest: Any) -> Any:
        """Each replica does all steps by itself."""
        return self.devices.strategy.run(self._steps_alone, (state, self._resident, batch, *rest))

    def _shared_steps(
        self, state: Any, batch: Any, rates: Any, n_steps: Any, start: Any, seeds: Any
    ) -> Any:
        """All replicas do each step together."""
        run = self.devices.strategy.run

        def step(i: tf.Tensor, state: Any, total: Any) -> Any:
            values = (i, state, total, self._resident, batch, rates, start, seeds)
            return i + 1, *run(self._step_of_replica, values)

        # What goes into the loop must be of the form that `run` returns.
        state = run(self.step.apart, (state,))
        total = run(lambda: tf.zeros([self.config.stack]))
        _, state, total = tf.while_loop(lambda i, *_: i < n_steps, step, (0, state, total))
        return run(self.step.together, (state,)), total

    def _steps_of_replica(
        self,
        state: State,
        resident: Any,
        batch: Any,
        rates: tf.Tensor,
        n_steps: tf.Tensor,
        start: tf.Tensor,
        seeds: tf.Tensor,
    ) -> tuple[State, tf.Tensor]:
        """Many steps of a stack; the state, and the sum of losses of each model, [stack]."""

        def step(i: tf.Tensor, states: Any, total: tf.Tensor) -> Any:
            return i + 1, *self._step_of_replica(
                i, states, total, resident, batch, rates, start, seeds
            )

        begin = (0, self.step.apart(state), tf.zeros([self.config.stack]))
        _, apart, total = tf.while_loop(lambda i, *_: i < n_steps, step, begin)
        return self.step.together(apart), total

    def _step_of_replica(
        self,
        i: tf.Tensor,
        states: Any,
        total: tf.Tensor,
        resident: Any,
        batch: Any,
        rates: tf.Tensor,
        start: tf.Tensor,
        seeds: tf.Tensor,
    ) -> tuple[Any, tf.Tensor]:
        of_step = tf.nest.map_structure(lambda each: each[:, i], batch)
        images, labels = self.feed.examples(resident, of_step)
        moments = tf.concat([seeds[:, :1], seeds[:, 1:] + start + i], 1)
        states, losses = self.step.update_all(states, images, labels, rates[i], moments)
        return states, total + losses

    def _logits_everywhere(self, state: Any, images: Any) -> Any:
        return self.devices.strategy.run(self._logits_alone, (state, images))

    def _evaluate(self, state: Any, split: str) -> NDArray[np.float32]:
        """Logits of every example once, [capacity, n, n_classes]; padding is dropped."""
        shared = self.devices.shared
        labels = self.data.train_labels if split == "train" else self.data.test_labels
        found = np.full((self.capacity, len(labels), self.data.n_classes), np.nan, np.float32)
        for index, images in self.feed.evaluated(split, self.devices.n_replicas if shared else 1):
            part = self.devices.scatter(images, 0) if shared else self.devices.copy(images)
            logits = self.devices.gather(self._predict(state, part), axis=1 if shared else 0)
            found[:, index] = logits[:, : len(index)]
        return found

    # ------------------------------------------------------------------ on disk

    def _checkpoint(self, root: Path, run_ids: Sequence[int]) -> Unfinished:
        identity = f"{self.sweep.digest} {self.devices.mode} {list(run_ids)}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        return Unfinished(root / f"{run_ids[0]:06d}-{digest}", identity)

    def _begin(self, run_ids: Sequence[int], group: Sequence[int]) -> tuple[int, Array, State]:
        """(step, lost, state): the last that was kept, or fresh."""
        state, lost = self.initial(group), np.full(self.capacity, -1)
        if not self._unfinished:
            return 0, lost, state
        start, (lost, *leaves) = self._checkpoint(self._unfinished, run_ids).load(
            [lost, *tf.nest.flatten(state)]
        )
        state = tf.nest.pack_sequence_as(state, leaves)
        start, lost, state = self.devices.from_chief((np.int64(start), lost, state))
        return int(start), lost, state

    def _keep(self, run_ids: Sequence[int], step: int, lost: Array, state: Any) -> None:
        if self._unfinished and self.devices.is_chief:
            leaves = [self._from_devices(each) for each in _leaves(state)]
            self._checkpoint(self._unfinished, run_ids).save(step, [lost, *leaves])


def initial_weights(model: keras.Model, seed: int) -> tuple[list[Array], list[Array]]:
    """(weights, moving statistics) as the layers' initializers make them, from one seed."""
    values: dict[str, Array] = {}
    seeds = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            initializer = getattr(layer, f"{variable.name}_initializer")
            settings = initializer.get_config()
            if "seed" in settings:
                settings["seed"] = int(seeds.integers(2**31))
            fresh = type(initializer).from_config(settings)
            values[variable.path] = np.asarray(fresh(variable.shape, variable.dtype))
    return (
        [values[variable.path] for variable in model.trainable_variables],
        [values[variable.path] for variable in model.non_trainable_variables],
    )


def _leaves(state: Any) -> list[Any]:
    """The values of a state, each of all replicas."""
    return [each for part in state for each in part]


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


def _require_parts(config: Config, devices: Devices) -> None:
    """Raise ConfigError for models or batches that these devices cannot share."""
    if devices.shared and config.stack > 1:
        raise ConfigError(
            f"data-parallel trains one model at a time, and stack is {config.stack}",
            hint="--set stack=1, or --mode replica-parallel",
        )
    if devices.shared and config.batch_size % devices.n_replicas:
        raise ConfigError(
            f"a batch of {config.batch_size} does not divide by {devices.n_replicas} replicas",
            hint="set a batch_size that does",
        )


def _require_memory(model: keras.Model, data: Dataset | Records, n_models: int) -> None:
    """Raise ConfigError if this machine is too small even without activations."""
    if tf.config.list_physical_devices("GPU") or not hasattr(os, "sysconf"):
        return
    has = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    largest = max(len(data.train_labels), len(data.test_labels))
    needs = n_models * 4 * (_COPIES * model.count_params() + largest * data.n_classes)  # its logits
    needs += 2 * data.n_bytes
    if needs > has:
        raise ConfigError(
            f"{n_models} models at a time need at least {human_size(needs)} of memory,"
            f" and there are {human_size(has)}",
            hint="set a smaller stack",
        )
