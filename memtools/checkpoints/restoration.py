"""The released models: checkpoints of Sonnet modules, restored as Keras models of our own.

    model = restore(Path("imagenet-resnet50/0.7/17"))     # or .../checkpoints/ckpt-99[.index]
    model.name, model.output_shape                        # "imagenet-resnet50", (None, 1000)
    logits = model(images, training=False)                # pixels within [0, 1]

Sonnet is not needed. A TensorFlow checkpoint names each variable by the attributes that lead to it
from `tf.train.Checkpoint(model=...)`, here those of the authors' class and of
`sonnet.nets.ResNet50`: `model/conv1/bn/scale/.ATTRIBUTES/VARIABLE_VALUE`. Every variable of the
model is accounted for. What else a checkpoint holds beside the model nobody has written down, so
that is passed over, whatever it is, and said: epoch, global step, an optimizer with its slots.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memtools.arguments import StrPath, checked
from memtools.errors import ConfigError, RecordError, SchemaError
from memtools.extras import needing
from memtools.training.models import build_model

with needing("tf"):
    import keras
    import tensorflow as tf

_log = logging.getLogger("memtools.checkpoints")
_MODEL, _VALUE = "model/", "/.ATTRIBUTES/VARIABLE_VALUE"
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # the names again, in every checkpoint
_SHOWN = 3  # culprits in a message

_PARTS = {  # of a layer: Keras's name of a variable, Sonnet's
    "kernel": "w",
    "bias": "b",
    "gamma": "scale",
    "beta": "offset",
    "moving_mean": "moving_mean/average",
    "moving_variance": "moving_variance/average",
}
_COMPANION = re.compile(r".*/moving_(mean|variance)/_(hidden|counter)" + _VALUE)  # for training
_SLOT = "/.OPTIMIZER_SLOT/"

Shapes = Mapping[str, Sequence[int]]


@checked('restore("models/0.7/17")')
def restore(path: StrPath, architecture: str | None = None) -> keras.Model:
    """The model of a checkpoint, for RGB images of any size, with pixels within [0, 1].

    path: as of `find`. architecture: `inception` or `imagenet-resnet50`; without it, what the
    checkpoint holds. The model bears its name; it has as many classes as the checkpoint's.

    Raises ConfigError if there is no checkpoint; SchemaError if a variable is missing, left over
    or of another shape; RecordError if the files are cut, damaged, or one is not there.
    """
    prefix = find(Path(path))
    with _damage(prefix):
        reader = tf.train.load_checkpoint(str(prefix))
        shapes: Shapes = reader.get_variable_to_shape_map()
    name = _recognise(prefix, shapes) if architecture is None else _known(architecture)
    logits = _key(name, _LOGITS[name], "bias")
    if logits not in shapes:
        raise _refusal(prefix, name, [f"{_plain(logits)} is missing"])
    model = build_model(name, (None, None, 3), n_classes=shapes[logits][-1])
    variables = variable_map(model)
    _require_all(prefix, shapes, variables, name)
    with _damage(prefix):
        for key, variable in variables.items():
            variable.assign(reader.get_tensor(key).reshape(variable.shape))
    return model


def find(path: Path) -> Path:
    """The prefix of a checkpoint, `.../ckpt-99`.

    path: that, its `.index` file, or a directory that holds exactly one checkpoint, also one
    level down, in `checkpoints`, as the directory of a released run does.

    Raises ConfigError if there is none, or if there are several.
    """
    if not path.is_dir():
        prefix = path.with_suffix("") if path.suffix == ".index" else path
        if Path(f"{prefix}.index").is_file():
            return prefix
        raise ConfigError(f"there is no checkpoint {prefix}", hint=_WHAT)
    found = sorted(path.glob("*.index")) or sorted(path.glob("checkpoints/*.index"))
    if len(found) != 1:
        names = ", ".join(each.stem for each in found[:_SHOWN])
        holds = f"{len(found)} checkpoints: {names}" if found else "no checkpoint"
        raise ConfigError(f"{path} holds {holds}", hint=_WHAT)
    return found[0].with_suffix("")


_WHAT = "give the prefix .../ckpt-99 of the one you mean, or a directory that holds one alone"


def variable_map(model: keras.Model) -> dict[str, Any]:
    """The variable that each key of a checkpoint belongs to; of a model as `restore` builds it."""
    return {
        _key(model.name, layer.name, variable.name): variable
        for layer in model.layers
        for variable in layer.weights
    }


def _key(architecture: str, layer: str, variable: str) -> str:
    return f"{_MODEL}{_MODULES[architecture](layer)}/{_PARTS[variable]}{_VALUE}"


def _in_inception(layer: str) -> str:
    """`stage1.body.0.conv3x3.bn` is at `stage1/_body/0/conv3x3/bn`."""
    private = ("body", "downsample", "pred")
    return "/".join(f"_{word}" if word in private else word for word in layer.split("."))


def _in_resnet(layer: str) -> str:
    """`layer2.0.conv1` is at `_block_groups/1/_blocks/0/_layers/0/0`, its norm at `.../0/1`."""
    if layer in _STEM:
        return _STEM[layer]
    group, block, what = layer.removeprefix("layer").split(".", 2)
    at = f"_block_groups/{int(group) - 1}/_blocks/{block}"
    if what in _SHORTCUT:
        return f"{at}/{_SHORTCUT[what]}"
    return f"{at}/_layers/{int(what[-1]) - 1}/{('conv', 'bn').index(what[:-1])}"


_STEM = {"conv1": "_initial_conv", "bn1": "_initial_batchnorm", "fc": "_logits"}
_SHORTCUT = {"downsample.0": "_proj_conv", "downsample.1": "_proj_batchnorm"}
_MODULES: dict[str, Callable[[str], str]] = {
    "inception": _in_inception,
    "imagenet-resnet50": _in_resnet,
}
_LOGITS = {"inception": "pred", "imagenet-resnet50": "fc"}


def _recognise(prefix: Path, shapes: Shapes) -> str:
    """The architecture, by the name of its last layer."""
    for name, layer in _LOGITS.items():
        if _key(name, layer, "bias") in shapes:
            return name
    some = [_plain(key) for key in sorted(shapes) if key != _GRAPH][:_SHOWN]
    raise SchemaError(
        f"{prefix} holds no model that we know, but {', '.join(some)}, ...",
        hint=f"known are the released ones: {', '.join(_LOGITS)}",
    )


def _known(architecture: str) -> str:
    if architecture not in _LOGITS:
        raise ConfigError(
            f"no models of the architecture {architecture!r} were released",
            hint=f"known are {', '.join(_LOGITS)}",
        )
    return architecture


def _require_all(
    prefix: Path, shapes: Shapes, variables: Mapping[str, Any], architecture: str
) -> None:
    """Raise SchemaError unless checkpoint and model have the same variables, of the same shapes."""
    beside = [key for key in shapes if not key.startswith(_MODEL) or _SLOT in key]
    known = {*variables, *beside, *filter(_COMPANION.fullmatch, shapes)}
    faults = [
        *(f"{_plain(key)} is missing" for key in variables if key not in shapes),
        *(
            f"{_plain(key)} is {list(shapes[key])}, not {_shape(variable)}"
            for key, variable in variables.items()
            if key in shapes and list(shapes[key]) != _shape(variable)
        ),
        *(f"{_plain(key)} is left over" for key in sorted(shapes) if key not in known),
    ]
    if faults:
        raise _refusal(prefix, architecture, faults)
    slots = "slots of an optimizer"
    names = {slots if _SLOT in key else _plain(key).split("/")[0] for key in beside} - {_GRAPH}
    if names:
        _log.info("%s: passed over, beside the model: %s", prefix, ", ".join(sorted(names)))


def _refusal(prefix: Path, architecture: str, faults: Sequence[str]) -> SchemaError:
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return SchemaError(
        f"{prefix} is no {architecture}: {'; '.join(faults[:_SHOWN])}{more}",
        hint="it is of another architecture, or was saved otherwise than the released ones",
    )


def _shape(variable: Any) -> list[int]:
    """As Sonnet keeps it: moving averages are those of images."""
    kept = [1, 1, 1] if variable.name.startswith("moving_") else []
    return [*kept, *variable.shape]


def _plain(key: str) -> str:
    """A key as people read it."""
    return key.removesuffix(_VALUE)


@contextlib.contextmanager
def _damage(prefix: Path) -> Iterator[None]:
    """Say in our words what TensorFlow makes of damaged files."""
    try:
        yield
    except (tf.errors.OpError, IndexError) as error:  # IndexError: a file that is cut
        raise RecordError(
            f"{prefix} cannot be read: {error}",
            hint="one of its files is damaged, cut or not there: get the run again",
        ) from error
