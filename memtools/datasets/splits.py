"""The names of the two splits, as the tools of the field write them.

parse_split("validation")    # "test"
"""

from __future__ import annotations

from typing import Literal

from memtools.errors import ConfigError

Split = Literal["train", "test"]
NAMES: dict[str, Split] = {"train": "train", "test": "test", "val": "test", "validation": "test"}
"""Every name that is accepted. ImageNet's validation examples are the published test examples."""


def parse_split(name: str) -> Split:
    """Return the split that a name stands for; ConfigError for another name."""
    if name not in NAMES:
        raise ConfigError(f"{name!r} is not a split", hint=f"use one of {', '.join(NAMES)}")
    return NAMES[name]
