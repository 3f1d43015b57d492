"""Run by test_strategy.py in a process of its own: training on logical devices of the CPU."""

import dataclasses
import sys

import numpy as np
import tensorflow as tf

from memtools.training.config import load_config
from memtools.training.datasets import Dataset, load_dataset
from memtools.training.strategy import choose
from memtools.training.trainer import Trainer


def bars():
    """60 small pictures with a bright bar where the label says."""
    labels = np.arange(60) % 3
    pixels = np.random.default_rng(0).integers(0, 255, (60, 12, 12, 3), np.uint8)
    pixels[np.arange(60), labels * 4] = 255
    none = np.zeros(0, np.int64)
    return Dataset("bars", "file", labels[:40], labels[40:], none, pixels[:40], pixels[40:])


CONV = load_config(
    "cifar10-resnet18", {"model": "resnet18", "epochs": 1, "batch_size": 4, "peak_lr": 1e-3}
)


def digits(**settings):
    return load_config("digits-demo", {"epochs": 4, "hidden": [16], **settings})


def trainer_of(config, devices):
    return Trainer(config, bars() if config is CONV else load_dataset(config), devices)


def margins(trainer, runs):
    return {f"{run.spec.run_id}": run.test_margin for run in trainer.train(runs)}


def state_of(trainer):
    state = trainer.fit([0]).state
    return [
        trainer.devices.strategy.experimental_local_results(each) for part in state for each in part
    ]


def main(target):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
    found = {}

    def keep(name, values):
        found.update({f"{name}/{key}": value for key, value in values.items()})

    one, mirrored = choose("one"), choose("mirrored")  # TensorFlow allows one for all devices
    shared = dataclasses.replace(mirrored, mode="data-parallel")
    replicas = trainer_of(digits(stack=1), mirrored)
    assert (replicas.devices.mode, replicas.capacity) == ("replica-parallel", 4)
    keep("replica-parallel", margins(replicas, [0, 1, 2, 3]))
    keep("other neighbours", margins(replicas, [7, 2]))
    keep("alone", margins(trainer_of(digits(stack=1), one), [2]))
    keep("stacks", margins(trainer_of(digits(stack=2), mirrored), range(8)))
    keep("one stack", margins(trainer_of(digits(stack=2), one), [5, 4]))
    for name, config in (("digits", digits(stack=1)), ("bars", CONV)):
        alone, together = (state_of(trainer_of(config, devices)) for devices in (one, shared))
        for k, (each, all_) in enumerate(zip(alone, together, strict=True)):
            found[f"{name}/one/{k}"] = each[0]
            assert len(all_) == 4
            for other in all_:
                assert np.array_equal(all_[0], other), "replicas differ"
            found[f"{name}/shared/{k}"] = all_[0]
    np.savez(target, **found)


if __name__ == "__main__":
    main(sys.argv[1])
