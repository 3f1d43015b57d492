"""Everything that decides what a run becomes, in one value.

    config = load_config("digits-demo", {"epochs": 20})
    config.to_toml()                         # the file that replays it

A preset, or a TOML file of one's own; what it leaves out has the defaults below.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib.resources
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import tomli_w

from memtools.documents import parse_toml, read_toml
from memtools.errors import ConfigError

Schedule = Literal["constant", "linear", "steps"]
Design = Literal["uniform", "balanced", "complementary", "stratified"]
Augmentation = Literal["none", "crop-flip", "random-resized-crop"]
Precision = Literal["float32", "bfloat16"]
_COMPLEMENTARY = "0.5 where design is complementary"


@dataclasses.dataclass(frozen=True)
class Config:
    """One training recipe.

    dataset: `digits`, `tfds:NAME`, `tfrecords:DIR`, or the path of an npz (see
    memtools.training.datasets). index: of TFRecords, the one they were built with.
    flipped: share of the training labels that are replaced by wrong ones, drawn from `seed`.
    model: a name of memtools.training.models; hidden: units of each hidden
    layer of `mlp`, channels of each of `convnet`.
    ratio: share of the training examples in a subset. design: how subsets are drawn
    (memtools.training.subsets). epochs; batch_size: examples. peak_lr: learning rate at its
    highest. schedule: constant; linear: up over `warmup` of all steps, then down to 0; steps: up
    over `warmup`, then a tenth after each of `drops`. warmup, drops: shares of all steps.
    momentum, nesterov; weight_decay: times the weight, added to its gradient, of kernels only.
    label_smoothing: share of the target that is spread evenly. augment: crop-flip pads by 4 pixels,
    crops and flips at random; random-resized-crop, for TFRecords, takes 8 to 100 % of the area.
    precision: what is computed in; weights and logits are float32 always. stack: models that are
    trained side by side in one program. seed: of everything random. keep_scores: whether records
    keep probabilities and margins.
    """

    dataset: str
    model: str
    epochs: int
    batch_size: int
    peak_lr: float
    hidden: tuple[int, ...] = (512, 256)
    flipped: float = 0.0
    ratio: float = 0.7
    design: Design = "uniform"
    schedule: Schedule = "constant"
    warmup: float = 0.0
    drops: tuple[float, ...] = ()
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: Augmentation = "none"
    precision: Precision = "float32"
    index: str = "imagenet-index"
    stack: int = 1
    seed: int = 0
    keep_scores: bool = True

    def __post_init__(self) -> None:
        """Raise ConfigError for a value that cannot be trained with."""
        for name, holds, rule in (
            ("ratio", 0 < self.ratio < 1, "within (0, 1)"),
            ("flipped", 0 <= self.flipped < 1, "within [0, 1)"),
            ("epochs", self.epochs > 0, "above 0"),
            ("batch_size", self.batch_size > 0, "above 0"),
            ("peak_lr", 0 < self.peak_lr < math.inf, "above 0, and finite"),
            ("stack", self.stack > 0, "above 0"),
            ("hidden", all(units > 0 for units in self.hidden), "a list of numbers above 0"),
            ("warmup", 0 <= self.warmup < 1, "within [0, 1)"),
            ("drops", all(0 < drop < 1 for drop in self.drops), "a list of shares within (0, 1)"),
            ("momentum", 0 <= self.momentum < 1, "within [0, 1)"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "0 or above, and finite"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "within [0, 1)"),
            ("seed", self.seed >= 0, "0 or above"),
            ("ratio", self.design != "complementary" or self.ratio == 0.5, _COMPLEMENTARY),
        ):
            if not holds:
                value = self.to_dict()[name]
                raise ConfigError(f"{name} is {value}", hint=f"it must be {rule}")

    def to_dict(self) -> dict[str, Any]:
        """TOML values by field."""
        values = dataclasses.asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

    def to_toml(self) -> str:
        """A file that replays it."""
        return tomli_w.dumps(self.to_dict())


def load_config(what: str, overrides: Mapping[str, Any] | None = None) -> Config:
    """A preset by its name, or a TOML file; then what overrides it.

    Raises ConfigError for an unknown preset or key (with the nearest known one), or a value that
    is none.
    """
    values = {**_read(what), **(overrides or {})}
    hints = get_type_hints(Config)
    unknown = [key for key in values if key not in hints]
    if unknown:
        raise ConfigError(
            f"{unknown[0]!r} is no key of a configuration", hint=_nearest(unknown[0], list(hints))
        )
    missing = [
        field.name
        for field in dataclasses.fields(Config)
        if field.default is dataclasses.MISSING and field.name not in values
    ]
    if missing:
        raise ConfigError(f"{what} says nothing of {', '.join(missing)}", hint="add it")
    return Config(**{key: _typed(key, value, hints[key]) for key, value in values.items()})


def parse_overrides(settings: Sequence[str]) -> dict[str, Any]:
    """`key=value` each, the value as TOML has it; a word needs no quotes."""
    values = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"{setting!r} is no setting", hint="write --set key=value")
        try:
            values[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):  # TOMLDecodeError is a ValueError
            values[key.strip()] = text.strip()
    return values


def presets() -> list[str]:
    """The names of all presets."""
    files = importlib.resources.files("memtools.training") / "presets"
    return sorted(
        file.name.removesuffix(".toml") for file in files.iterdir() if file.name.endswith(".toml")
    )


def _read(what: str) -> dict[str, Any]:
    path = Path(what)
    if path.suffix == ".toml":
        return read_toml(path, error=ConfigError, hint="see the presets")
    if what not in presets():
        raise ConfigError(f"there is no preset {what!r}", hint=_nearest(what, presets()))
    file = importlib.resources.files("memtools.training") / "presets" / f"{what}.toml"
    return parse_toml(file.read_text("utf-8"), what, error=ConfigError)


def _typed(key: str, value: Any, hint: Any) -> Any:
    """The value as its field wants it; ConfigError for another kind."""
    choices = get_args(hint)
    if hint in (int, bool, str) and type(value) is hint:
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if choices and choices[-1] is Ellipsis and isinstance(value, list):
        return tuple(_typed(key, each, choices[0]) for each in value)
    if choices and value in choices:
        return value
    wanted = ", ".join(map(str, choices)) if choices else hint.__name__
    if choices and choices[-1] is Ellipsis:
        wanted = f"a list of {choices[0].__name__}"
    elif hint is bool:
        wanted = "true or false"
    raise ConfigError(f"{key} is {value!r}", hint=f"it should be {wanted}")


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
