"""The networks, in Keras: classifiers of images that return logits.

    model = build_model("mlp", (8, 8, 1), n_classes=10, hidden=(128,))

    mlp                 flatten, dense layers with ReLU (the authors' MNIST demo: 512-256)
    convnet             3x3 convolutions with ReLU, a max pool after each; hidden: their channels
    resnet18, resnet50  pre-activation residual networks for 32x32 images, as the paper's CIFAR-100
                        runs: 3x3 stem without pooling, 64 to 512 channels, zero-initialised logits
    inception           the small Inception of the released CIFAR models
    imagenet-resnet50   post-activation ResNet-50 (version 1), stride in the 3x3 convolution; takes
                        mean and deviation off the pixels itself

Batch normalisation has momentum .9 and epsilon 1e-5 everywhere. Layouts: Feldman & Zhang 2020,
appendix, and the released checkpoints. Layers of the last two bear the names under which PyTorch
knows them, those of torchvision for the ResNet: released weights find their place by these.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from memtools.errors import ConfigError
from memtools.extras import needing
from memtools.training.config import Precision

with needing("tf"):
    import keras
    from keras import layers

Tensor = Any

IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # of pixels in [0, 1]


def build_model(
    name: str,
    shape: Sequence[int | None],
    *,
    n_classes: int,
    hidden: Sequence[int] = (),
    precision: Precision = "float32",
    synchronized: bool = False,
) -> keras.Model:
    """A fresh network for images [*shape], within [0, 1]; ConfigError for a name that is none.

    shape: height, width, channels; None for any height and width, which convolutions allow.
    precision: what layers compute in; weights and logits are float32. synchronized: whether norms
    take their statistics from all replicas.
    """
    check_model_input(name, shape, hidden)
    image = keras.Input(tuple(shape))
    with _policy("mixed_bfloat16" if precision == "bfloat16" else "float32"):
        model = keras.Model(image, _BODIES[name](image, n_classes, hidden), name=name)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.synchronized = synchronized
    return model


def check_model_input(name: str, shape: Sequence[int | None], hidden: Sequence[int] = ()) -> None:
    """Raise ConfigError for an unknown model, or for images that it cannot take.

    Args:
        name: The name of a model.
        shape: Height, width, channels of an image, None for any; or its number of pixels.
        hidden: As of the configuration; each layer of `convnet` halves height and width.
    """
    if name not in _BODIES:
        raise ConfigError(f"there is no model {name!r}", hint=f"known are {', '.join(_BODIES)}")
    images = f"images are {' x '.join('any' if n is None else str(n) for n in shape)}"
    if name == "mlp":
        return
    if len(shape) != 3:
        raise ConfigError(
            f"{name} needs height, width and channels, and {images}",
            hint="reshape them to [n, height, width, channels], or set model=mlp",
        )
    if name == "imagenet-resnet50" and shape[2] != len(IMAGENET_MEAN):
        raise ConfigError(
            f"{name} needs 3 channels, and {images}",
            hint="repeat the channel: np.repeat(images, 3, -1); or set another model",
        )
    side = min((n for n in shape[:2] if n is not None), default=None)
    if name == "convnet" and side is not None and side >> len(hidden) == 0:
        raise ConfigError(
            f"{name} with {len(hidden)} layers halves its images {len(hidden)} times, and {images}",
            hint="set fewer numbers in hidden",
        )


def has_convolutions(model: keras.Model) -> bool:
    """Whether some layer convolves."""
    return any(isinstance(layer, layers.Conv2D) for layer in model.layers)


def _mlp(x: Tensor, n_classes: int, hidden: Sequence[int]) -> Tensor:
    x = layers.Flatten()(x)
    for units in hidden:
        x = layers.Dense(units, activation="relu")(x)
    return _logits(n_classes)(x)


def _convnet(x: Tensor, n_classes: int, hidden: Sequence[int]) -> Tensor:
    for channels in hidden:
        x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    return _logits(n_classes)(layers.Flatten()(x))


def _preactivation(blocks: Sequence[int], bottleneck: bool) -> Callable[..., Tensor]:
    """3x3 stem; stages of blocks; norm, ReLU, mean pool, logits."""

    def body(x: Tensor, n_classes: int, _hidden: Sequence[int]) -> Tensor:
        x = _conv(x, 64, 3)
        for stage, n_blocks in enumerate(blocks):
            for block in range(n_blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                x = _preactivation_block(x, 64 << stage, stride, bottleneck)
        x = layers.GlobalAveragePooling2D()(_norm_relu(x))
        return _logits(n_classes, "zeros")(x)

    return body


def _preactivation_block(x: Tensor, channels: int, stride: int, bottleneck: bool) -> Tensor:
    out = channels * (4 if bottleneck else 1)
    active = _norm_relu(x)
    shortcut = x if stride == 1 and x.shape[-1] == out else _conv(active, out, 1, stride)
    if bottleneck:
        y = _norm_relu(_conv(active, channels, 1))
        y = _norm_relu(_conv(y, channels, 3, stride))
        y = _conv(y, out, 1)
    else:
        y = _norm_relu(_conv(active, channels, 3, stride))
        y = _conv(y, out, 3)
    return layers.Add()([y, shortcut])


def _inception(x: Tensor, n_classes: int, _hidden: Sequence[int]) -> Tensor:
    stages = (
        (((32, 32), (32, 48)), 160),
        (((112, 48), (96, 64), (80, 80), (48, 96)), 240),
        (((176, 160), (176, 160)), 0),
    )
    x = _unit(x, 96, 3, name="conv1")
    for stage, (blocks, down) in enumerate(stages, 1):
        for block, (narrow, wide) in enumerate(blocks):
            at = f"stage{stage}.body.{block}"
            sides = [
                _unit(x, narrow, 1, name=f"{at}.conv1x1"),
                _unit(x, wide, 3, name=f"{at}.conv3x3"),
            ]
            x = layers.Concatenate()(sides)
        if down:
            x = _unit(x, down, 3, 2, name=f"stage{stage}.downsample")
    return _logits(n_classes, name="pred")(layers.GlobalMaxPooling2D()(x))


def _unit(x: Tensor, channels: int, size: int, stride: int = 1, *, name: str) -> Tensor:
    """Convolution, norm, ReLU."""
    return _norm_relu(_conv(x, channels, size, stride, name=f"{name}.conv"), name=f"{name}.bn")


def _imagenet_resnet50(x: Tensor, n_classes: int, _hidden: Sequence[int]) -> Tensor:
    x = layers.Normalization(mean=IMAGENET_MEAN, variance=[std**2 for std in IMAGENET_STD])(x)
    x = _norm_relu(_centred_conv(x, 64, 7, 2, name="conv1"), name="bn1")
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for stage, n_blocks in enumerate((3, 4, 6, 3)):
        for block in range(n_blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _bottleneck(x, 64 << stage, stride, block == 0, f"layer{stage + 1}.{block}")
    return _logits(n_classes, name="fc")(layers.GlobalAveragePooling2D()(x))


def _bottleneck(x: Tensor, channels: int, stride: int, projects: bool, at: str) -> Tensor:
    """1x1, 3x3 with the stride, 1x1; added to the input, which is projected where that is said."""
    out = 4 * channels
    y = _norm_relu(_conv(x, channels, 1, name=f"{at}.conv1"), name=f"{at}.bn1")
    y = _norm_relu(_centred_conv(y, channels, 3, stride, name=f"{at}.conv2"), name=f"{at}.bn2")
    y = _norm(_conv(y, out, 1, name=f"{at}.conv3"), gamma="zeros", name=f"{at}.bn3")
    if projects:
        x = _conv(x, out, 1, stride, name=f"{at}.downsample.0")
        x = _norm(x, name=f"{at}.downsample.1")
    return layers.ReLU()(layers.Add()([x, y]))


def _centred_conv(x: Tensor, channels: int, size: int, stride: int, *, name: str) -> Tensor:
    """Padded alike at both ends, as by Sonnet and PyTorch; "same" pads less at the begin.

    That is where it strides along an even side.
    """
    if stride == 1:
        return _conv(x, channels, size, name=name)
    x = layers.ZeroPadding2D(size // 2)(x)
    return _conv(x, channels, size, stride, name=name, padding="valid")


def _logits(
    n_classes: int, kernel: str = "glorot_uniform", name: str | None = None
) -> layers.Dense:
    return layers.Dense(n_classes, kernel_initializer=kernel, dtype="float32", name=name)


def _conv(
    x: Tensor,
    channels: int,
    size: int,
    stride: int = 1,
    *,
    name: str | None = None,
    padding: str = "same",
) -> Tensor:
    return layers.Conv2D(
        channels,
        size,
        stride,
        padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _norm(x: Tensor, gamma: str = "ones", name: str | None = None) -> Tensor:
    return layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, name=name
    )(x)


def _norm_relu(x: Tensor, name: str | None = None) -> Tensor:
    return layers.ReLU()(_norm(x, name=name))


@contextlib.contextmanager
def _policy(name: str) -> Iterator[None]:
    """Layers that are made within compute in this precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


_BODIES: dict[str, Callable[..., Tensor]] = {
    "mlp": _mlp,
    "convnet": _convnet,
    "resnet18": _preactivation((2, 2, 2, 2), bottleneck=False),
    "resnet50": _preactivation((3, 4, 6, 3), bottleneck=True),
    "inception": _inception,
    "imagenet-resnet50": _imagenet_resnet50,
}
