"""sweep.toml: what all runs of a store have in common.

sweep = Sweep("cifar10", "official", 0.7, 50_000, 10_000, "resnet18", {"epochs": 30})
sweep.digest                             # sha256 of all of it; records carry it
sweep = read_sweep(Path("runs/sweep.toml"))  # ConfigError if it is damaged
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from memtools.documents import parsing, read_toml
from memtools.errors import ConfigError

MAX_EXAMPLES = 10**8
"""A split has at most so many examples: counts are kept for each of them."""

_HINT = (
    "restore it from a copy; or remove it, and run the command that made this store once more"
    " (memtools train, sweep run or import): it writes the file anew"
)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The facts that all runs of a store have in common.

    dataset, order: as in About. ratio: share of the training examples in a subset. n_train,
    n_test: examples. definition: the architecture and recipe in a few words. config: the
    resolved configuration, TOML values; whatever decides a run's result belongs into it.
    """

    dataset: str
    order: str
    ratio: float
    n_train: int
    n_test: int
    definition: str = ""
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def digest(self) -> str:
        """sha256 of all of it, hex: records carry it."""
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).hexdigest()

    def without_ratio(self) -> Sweep:
        """Return the same recipe with a ratio of 0, also in the configuration."""
        config = {key: value for key, value in self.config.items() if key != "ratio"}
        return dataclasses.replace(self, ratio=0.0, config=config)

    def facts(self) -> dict[str, Any]:
        """Return all of it by name."""
        return {**dataclasses.asdict(self), "config": dict(self.config)}

    def to_toml(self) -> str:
        """Return the content of sweep.toml."""
        return tomli_w.dumps({"format": 1, **self.facts()})

    def difference(self, other: Sweep) -> str:
        """Return the first thing in which the other one differs, in words."""
        ours, theirs = ({**each.facts(), **each.config} for each in (self, other))
        for key in sorted(ours.keys() | theirs.keys()):
            if key != "config" and ours.get(key) != theirs.get(key):
                return f"{key} is {ours.get(key)!r} there, {theirs.get(key)!r} here"
        return "its configuration"


def read_sweep(path: Path) -> Sweep:
    """Return the sweep of a sweep.toml.

    Raises:
        ConfigError: It is not TOML, lacks something, or holds a value that cannot be.
        DiskError: It cannot be read.
    """
    document = read_toml(path, error=ConfigError, hint=_HINT)
    version = document.pop("format", None)
    if type(version) is int and version > 1:
        raise ConfigError(f"{path} is of a later format", hint="update memtools")
    with parsing(str(path), "a sweep.toml", error=ConfigError, hint=_HINT):
        problem = _problem_of(document) if version == 1 else "it has no format"
    if problem:
        raise ConfigError(f"{path} is damaged: {problem}", hint=_HINT)
    return Sweep(**document)


def _problem_of(document: Mapping[str, Any]) -> str:
    """Return what is wrong with the values of a sweep.toml, in words; "" if nothing is.

    Raises what json raises for a configuration that has no digest.
    """
    fields = {field.name: field for field in dataclasses.fields(Sweep)}
    unknown, lacking = document.keys() - fields.keys(), fields.keys() - document.keys()
    if unknown:
        return f"{min(unknown)!r} is not known"
    if lacking := lacking - {"definition", "config"}:
        return f"{min(lacking)} is missing"
    for name, kind in (("dataset", str), ("order", str), ("definition", str), ("config", dict)):
        if name in document and not isinstance(document[name], kind):
            return f"{name} is {str(document[name])[:40]!r}"
    for name in ("n_train", "n_test"):
        n = document[name]
        if type(n) is not int or not 0 <= n <= MAX_EXAMPLES:
            return f"{name} is {str(n)[:40]}, not a number of examples up to {MAX_EXAMPLES:,}"
    ratio = document["ratio"]
    if type(ratio) not in (int, float) or not (math.isfinite(ratio) and 0 <= ratio <= 1):
        return f"ratio is {str(ratio)[:40]}, not a share between 0 and 1"
    json.dumps(document.get("config", {}), sort_keys=True)  # TypeError: a date
    return ""
