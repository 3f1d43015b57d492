"""On which devices models train, and how they fill them.

devices = choose("auto", "auto")         # a GPU or the CPU; all GPUs; the processes of TF_CONFIG
part = devices.scatter(batches, axis=0)  # to each replica its own

one          the first GPU, else the CPU
mirrored     all GPUs of this machine
multiworker  the processes that TF_CONFIG names; each runs the same command
tpu          the TPU of this machine, or of TPU_NAME

stacked           models side by side in one program on one device
replica-parallel  each replica trains a stack of its own, and nothing is reduced
data-parallel     one model; each replica has a part of every batch, and gradients are summed
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.extras import needing

with needing("tf"):
    import tensorflow as tf

StrategyName = Literal["auto", "one", "mirrored", "multiworker", "tpu"]
Mode = Literal["auto", "data-parallel", "replica-parallel", "stacked"]
Tree = Any
"""A nest of arrays or tensors; after `scatter` and `copy`, of one value for each replica."""


@dataclasses.dataclass(frozen=True)
class Devices:
    """A distribution strategy, and what its replicas do with it; mode: never `auto`."""

    strategy: tf.distribute.Strategy
    mode: Mode

    @property
    def n_replicas(self) -> int:
        """How many models, or parts of a batch, are worked on at a time."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def shared(self) -> bool:
        """Whether all replicas train one model."""
        return self.mode == "data-parallel"

    @property
    def is_chief(self) -> bool:
        """Whether this process keeps the results."""
        cluster = self.strategy.cluster_resolver
        return not self._spans_hosts or (cluster.task_type, cluster.task_id) in (
            ("chief", 0),
            ("worker", 0),
        )

    @property
    def _spans_hosts(self) -> bool:
        return isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)

    def copy(self, tree: Tree) -> Tree:
        """The same for each replica."""
        return tf.nest.map_structure(lambda each: self._values(lambda _: each), tree)

    def scatter(self, tree: Tree, axis: int) -> Tree:
        """To each replica its part of every array along an axis."""

        def cut(each: Array) -> Tree:
            parts = np.split(np.asarray(each), self.n_replicas, axis)
            return self._values(lambda replica: parts[replica])

        return tf.nest.map_structure(cut, tree)

    def gather(self, values: Tree, axis: int) -> Array:
        """The parts of all replicas, along an axis; the opposite of `scatter`."""
        if self._spans_hosts:
            return np.asarray(self.strategy.gather(values, axis))
        return np.concatenate(self.strategy.experimental_local_results(values), axis)

    def first(self, values: Tree) -> Array:
        """What the first replica of this process has."""
        return np.asarray(self.strategy.experimental_local_results(values)[0])

    def from_chief(self, tree: Tree) -> Tree:
        """The chief's arrays, in every process."""
        if not self._spans_hosts:
            return tree

        def summed(each: tf.Tensor) -> tf.Tensor:
            here = tf.identity(each)  # on this replica's device, which an argument does not know
            return tf.distribute.get_replica_context().all_reduce("sum", here)

        def all_summed(values: Tree) -> Tree:
            return tf.nest.map_structure(summed, values)

        def said(each: Array) -> Tree:
            nothing = np.zeros_like(each)
            return self._values(lambda replica: nothing if replica else each)

        values = tf.nest.map_structure(lambda each: said(np.asarray(each)), tree)
        total = tf.function(lambda values: self.strategy.run(all_summed, (values,)))
        return tf.nest.map_structure(self.first, total(values))

    def _values(self, of_replica: Callable[[int], Any]) -> Tree:
        """One value for each replica, on its device."""
        places = self.strategy.extended.worker_devices

        def value(context: tf.distribute.experimental.ValueContext) -> tf.Tensor:
            replica = context.replica_id_in_sync_group
            with tf.device(places[replica % len(places)]):
                return tf.identity(of_replica(replica))

        return self.strategy.experimental_distribute_values_from_function(value)


def choose(strategy: StrategyName = "auto", mode: Mode = "auto") -> Devices:
    """The devices to train on; ConfigError if they are not there, or the mode does not fit.

    To be called before TensorFlow has computed anything, if it is to span processes.
    """
    _require_gpu_asked_for()
    if strategy == "auto":
        strategy = _best()
    chosen = _STRATEGIES[strategy]()
    n_replicas = chosen.num_replicas_in_sync
    if mode == "auto":
        mode = "stacked" if n_replicas == 1 else "replica-parallel"
        mode = "data-parallel" if strategy == "multiworker" else mode
    if mode == "stacked" and n_replicas > 1:
        raise ConfigError(
            f"stacked fills one device, and {strategy} has {n_replicas}",
            hint="use --mode replica-parallel: each device trains a stack",
        )
    if mode == "replica-parallel" and strategy == "multiworker":
        raise ConfigError(
            "replica-parallel stays on one machine",
            hint="start memtools train on each machine with other --runs, and estimate from all",
        )
    return Devices(chosen, mode)


def _best() -> StrategyName:
    if len(_cluster().get("worker", [])) + len(_cluster().get("chief", [])) > 1:
        return "multiworker"
    if tf.config.list_physical_devices("TPU") or os.environ.get("TPU_NAME"):
        return "tpu"
    return "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one"


def _one() -> tf.distribute.Strategy:
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return tf.distribute.OneDeviceStrategy(f"/{kind}:0")


def _mirrored() -> tf.distribute.Strategy:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise ConfigError(
            f"mirrored needs several devices; TensorFlow sees one {devices[0].device_type}",
            hint="use --strategy one; for GPUs, pip install 'memtools[gpu]'",
        )
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _multiworker() -> tf.distribute.Strategy:
    if not _cluster():
        raise ConfigError(
            "multiworker needs TF_CONFIG, which names no cluster",
            hint='each process sets it: {"cluster": {"worker": ["host:port", ...]},'
            ' "task": {"type": "worker", "index": 0}}',
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def _tpu() -> tf.distribute.Strategy:
    name = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(name)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, NotImplementedError, ImportError, OSError, tf.errors.OpError) as error:
        raise ConfigError(
            f"there is no TPU here: {(str(error).splitlines() or [type(error).__name__])[0]}",
            hint="on a TPU machine, pip install 'memtools[tpu]'; elsewhere use --strategy auto",
        ) from error


_STRATEGIES: dict[StrategyName, Callable[[], tf.distribute.Strategy]] = {
    "one": _one,
    "mirrored": _mirrored,
    "multiworker": _multiworker,
    "tpu": _tpu,
}


def _cluster() -> dict[str, Any]:
    try:
        found = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"TF_CONFIG is no JSON object: {error}", hint="unset it") from error
    return dict(found)


def _require_gpu_asked_for() -> None:
    """TensorFlow trains on the CPU without a word where a GPU was asked for."""
    asked = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if asked not in ("", "-1", "none") and not tf.config.list_physical_devices("GPU"):
        raise ConfigError(
            f"CUDA_VISIBLE_DEVICES={asked} asks for a GPU, and TensorFlow sees none",
            hint="pip install 'memtools[gpu]' and a driver; or CUDA_VISIBLE_DEVICES=-1 for the CPU",
        )
