"""The networks, their sizes derived by hand."""

import numpy as np
import pytest
import tensorflow as tf

from memtools.errors import ConfigError
from memtools.training.models import build_model, has_convolutions


def trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def conv_norm(size, inside, outside):
    """A convolution without bias, and scale and offset of its norm."""
    return size * size * inside * outside + 2 * outside


def test_the_mlp_is_that_of_the_demo():
    model = build_model("mlp", (28, 28, 1), n_classes=10, hidden=(512, 256))
    assert trainable(model) == 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10
    assert not has_convolutions(model)


def test_the_small_inception_has_the_parameters_of_the_released_one():
    total = conv_norm(3, 3, 96)
    inside = 96
    for blocks, down in (
        (((32, 32), (32, 48)), 160),
        (((112, 48), (96, 64), (80, 80), (48, 96)), 240),
        (((176, 160), (176, 160)), 0),
    ):
        for narrow, wide in blocks:
            total += conv_norm(1, inside, narrow) + conv_norm(3, inside, wide)
            inside = narrow + wide
        if down:
            total += conv_norm(3, inside, down)
            inside = down
    total += inside * 10 + 10
    assert total == 1_895_786  # as the released checkpoints have
    assert trainable(build_model("inception", (32, 32, 3), n_classes=10)) == total


def preactivation(blocks, bottleneck, n_classes):
    total, inside = 3 * 3 * 3 * 64, 64
    for stage, n_blocks in enumerate(blocks):
        channels = 64 << stage
        out = channels * (4 if bottleneck else 1)
        for block in range(n_blocks):
            total += 2 * inside
            if bottleneck:
                total += inside * channels + 2 * channels + 9 * channels**2 + 2 * channels
                total += channels * out
            else:
                total += 9 * inside * channels + 2 * channels + 9 * channels * out
            if inside != out or (stage > 0 and block == 0):
                total += inside * out
            inside = out
    return total + 2 * inside + inside * n_classes + n_classes


@pytest.mark.parametrize(
    ("name", "blocks", "bottleneck"),
    [
        ("resnet18", (2, 2, 2, 2), False),
        ("resnet50", (3, 4, 6, 3), True),
    ],
)
def test_the_cifar_residual_networks_are_pre_activation(name, blocks, bottleneck):
    model = build_model(name, (32, 32, 3), n_classes=100)
    assert trainable(model) == preactivation(blocks, bottleneck, 100)
    assert not np.any(model.trainable_variables[-2].numpy())  # zero-initialised logits


def test_the_imagenet_resnet_is_version_one():
    model = build_model("imagenet-resnet50", (224, 224, 3), n_classes=1000)
    assert trainable(model) == 25_557_032  # He et al. 2016, as every library counts it
    strides = [
        (layer.kernel_size[0], layer.strides[0])
        for layer in model.layers
        if hasattr(layer, "kernel_size") and layer.strides[0] == 2
    ]
    assert strides.count((3, 2)) == 3 and strides[0] == (7, 2)  # stride in the 3x3 convolution


def test_the_small_conv_net_has_a_pool_after_each_convolution():
    model = build_model("convnet", (32, 32, 3), n_classes=10, hidden=(16, 32))
    assert trainable(model) == 9 * 3 * 16 + 16 + 9 * 16 * 32 + 32 + 8 * 8 * 32 * 10 + 10


@pytest.mark.parametrize("name", ["mlp", "convnet", "resnet18", "inception"])
def test_every_model_gives_logits(name):
    model = build_model(name, (32, 32, 3), n_classes=7, hidden=(5,))
    assert model(tf.zeros([2, 32, 32, 3])).shape == (2, 7)


def test_a_name_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="no model 'vgg'"):
        build_model("vgg", (8, 8, 1), n_classes=2)
