"""The released models as their authors made and saved them: Sonnet modules, random weights.

module = trained(SmallInception(10), pixels)
prefix = saved(module, directory)        # .../ckpt-1
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sonnet
import tensorflow as tf

ResNet50 = sonnet.nets.ResNet50


class ConvNormReLU(sonnet.Module):
    def __init__(self, channels, size, stride=1, name=None):
        super().__init__(name=name)
        self.conv = sonnet.Conv2D(channels, size, stride, padding="SAME", with_bias=False)
        self.bn = sonnet.BatchNorm(create_scale=True, create_offset=True)

    def __call__(self, x, is_training):
        return tf.nn.relu(self.bn(self.conv(x), is_training))


class Branches(sonnet.Module):
    def __init__(self, narrow, wide, name=None):
        super().__init__(name=name)
        self.conv1x1, self.conv3x3 = ConvNormReLU(narrow, 1), ConvNormReLU(wide, 3)

    def __call__(self, x, is_training):
        return tf.concat([self.conv1x1(x, is_training), self.conv3x3(x, is_training)], 3)


class Stage(sonnet.Module):
    def __init__(self, blocks, down, name=None):
        super().__init__(name=name)
        self._body = [Branches(narrow, wide) for narrow, wide in blocks]
        self._downsample = ConvNormReLU(down, 3, 2) if down else None

    def __call__(self, x, is_training):
        for block in self._body:
            x = block(x, is_training)
        return self._downsample(x, is_training) if self._downsample else x


class SmallInception(sonnet.Module):
    def __init__(self, num_classes, name=None):
        super().__init__(name=name)
        self.conv1 = ConvNormReLU(96, 3)
        self.stage1 = Stage([(32, 32), (32, 48)], 160)
        self.stage2 = Stage([(112, 48), (96, 64), (80, 80), (48, 96)], 240)
        self.stage3 = Stage([(176, 160), (176, 160)], 0)
        self._pred = sonnet.Linear(num_classes)

    def __call__(self, x, is_training):
        x = self.conv1(x, is_training)
        for stage in (self.stage1, self.stage2, self.stage3):
            x = stage(x, is_training)
        return self._pred(tf.reduce_max(x, [1, 2]))


def pixels(n, size, seed=0):
    """Images within [0, 1], no two parts of them alike: a window that is shifted shows."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((n, size // 4 + 1, size // 4 + 1, 3))
    fine = np.kron(coarse, np.ones((1, 4, 4, 1)))[:, :size, :size]
    return (0.7 * fine + 0.3 * rng.random(fine.shape)).astype(np.float32)


def normalised(n, size, seed=0):
    """The same, as the authors fed them to the ResNet."""
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return (pixels(n, size, seed) - mean) / std


def trained(module, images, size):
    """The module with random weights, and with moving averages that have moved."""
    rng = np.random.default_rng(1)
    tf.random.set_seed(1)
    module(images(2, size), is_training=False)
    for variable in module.trainable_variables:
        name, shape = variable.name.split("/")[-1], variable.shape
        if name == "scale:0":  # of a residual branch smaller, or depth makes rounding errors grow
            scale = 0.25 if "batchnorm_2" in variable.name else 1
            variable.assign(scale * rng.uniform(0.6, 1.4, shape))
        elif name == "offset:0":
            variable.assign(rng.normal(0, 0.2, shape))
        elif len(shape) < 4:  # the last layer, which in the ResNet begins at zero
            variable.assign(rng.normal(0, shape[0] ** -0.5, shape))
    for step in range(3):
        module(images(16, size, seed=100 + step), is_training=True)
    return module


def aux_of(path, mask, train_correct, test_correct, seed=0):
    """An aux_arrays.npz that says so, in a random order, as the released ones."""
    rng = np.random.default_rng(seed)
    parts = {
        "train": (rng.permutation(np.flatnonzero(mask)), train_correct),
        "removed": (rng.permutation(np.flatnonzero(~mask)), train_correct),
        "test": (rng.permutation(len(test_correct)), test_correct),
    }
    arrays = {f"index_{part}": index for part, (index, _) in parts.items()}
    arrays |= {f"correctness_{part}": correct[index] for part, (index, correct) in parts.items()}
    np.savez(path, **arrays, subsample_idx=np.flatnonzero(mask))
    return path


def saved(module, directory: Path, **beside) -> Path:
    """A checkpoint of it, as the authors saved theirs."""
    epoch, step = tf.Variable(99, dtype=tf.int64), tf.Variable(7, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(model=module, epoch=epoch, global_step=step, **beside)
    return Path(checkpoint.save(str(directory / "ckpt")))
