"""A released model in a form that others read, by the suffix of the file.

    convert(Path("cifar100-inception/0.7/17"), Path("17.safetensors"))

    .keras         the whole model: keras.models.load_model reads it without memtools
    .safetensors   the weights, under the names and in the layout of PyTorch, for load_state_dict
    .npz           the same names, layout and facts for NumPy; `about` holds the facts as JSON

A convolution is [out, in, height, width], the last layer [out, in]. The ResNet's names are those of
torchvision's resnet50, the Inception's those of notebooks/inception.py. Neither pads quite as
PyTorch would by itself: `padding`, one of the facts that go with the weights, says where.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from memtools.arguments import StrPath, checked
from memtools.checkpoints.restoration import restore
from memtools.errors import ConfigError
from memtools.estimates.npz import Array, write_npz
from memtools.extras import needing
from memtools.files import disk_errors, scratch_directory, write_atomically
from memtools.training.models import IMAGENET_MEAN, IMAGENET_STD

with needing("tf"):
    import keras

_NAMES = {  # of a layer: Keras's name of a variable, PyTorch's
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_FACTS = {
    "inception": {
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
        "padding": "before a 3x3 convolution of stride 2: zeros, none left and above, one right"
        " and below; else (size - 1) / 2 on all sides",
    },
    "imagenet-resnet50": {
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "padding": "as in torchvision, but max pool: none left and above, one right and below",
    },
}
_CLASSES = {
    ("inception", 10): "CIFAR-10, numbered officially",
    ("inception", 100): "CIFAR-100, fine labels, numbered officially",
    ("imagenet-resnet50", 1000): "ILSVRC 2012, synsets in sorted order",
}


@checked('convert("models/0.7/17", "17.safetensors")')
def convert(checkpoint: StrPath, out: StrPath) -> None:
    """Restore a checkpoint (as of restoration.find) and save it, whole or not at all.

    Raises ConfigError for another suffix, MemtoolsError if safetensors is not installed, and what
    `restore` raises.
    """
    write = _writer(Path(out))  # first: restoring takes seconds
    write(restore(checkpoint), Path(out))


@checked('save(restore("models/0.7/17"), "17.safetensors")')
def save(model: keras.Model, out: StrPath) -> None:
    """A model as `restore` gives it, into a file of the form that its suffix names."""
    _writer(Path(out))(model, Path(out))


def tensors(model: keras.Model) -> dict[str, Array]:
    """The weights of a restored model, float32, under PyTorch's names and in its layout."""
    return {
        f"{layer.name}.{_NAMES[variable.name]}": _in_pytorch(np.asarray(variable))
        for layer in model.layers
        for variable in layer.weights
    }


def facts(model: keras.Model) -> dict[str, str]:
    """What whoever uses the weights of a restored model has to know."""
    n_classes = model.output_shape[-1]
    return {
        "format": "pt",  # as those who write safetensors from PyTorch say it
        "architecture": model.name,
        "n_classes": str(n_classes),
        "classes": _CLASSES.get((model.name, n_classes), "in the order of the data set"),
        "input": "RGB pixels / 255, less the mean, over the std",
        **{
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in _FACTS[model.name].items()
        },
    }


def _in_pytorch(value: Array) -> Array:
    """[height, width, in, out] to [out, in, height, width], [in, out] to [out, in]."""
    moved = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
    return np.ascontiguousarray(moved)


def _writer(out: Path) -> Callable[[keras.Model, Path], None]:
    if out.suffix not in _WRITERS:
        raise ConfigError(
            f"{out} is of no form that we write", hint=f"name it {', '.join(_WRITERS)}"
        )
    if out.suffix == ".safetensors":
        _serializer()
    return _WRITERS[out.suffix]


def _write_keras(model: keras.Model, out: Path) -> None:
    with disk_errors(out), scratch_directory(out) as directory:
        whole = directory / "model.keras"
        model.save(whole)
        write_atomically(out, whole.read_bytes())


def _write_safetensors(model: keras.Model, out: Path) -> None:
    data = _serializer()(tensors(model), facts(model))
    with disk_errors(out):
        write_atomically(out, data)


def _serializer() -> Callable[[dict[str, Array], dict[str, str]], bytes]:
    with needing("checkpoints"):
        from safetensors.numpy import save
    return save


def _write_npz(model: keras.Model, out: Path) -> None:
    write_npz(out, {"about": np.array(json.dumps(facts(model))), **tensors(model)})


_WRITERS: dict[str, Callable[[keras.Model, Path], None]] = {
    ".keras": _write_keras,
    ".safetensors": _write_safetensors,
    ".npz": _write_npz,
}
