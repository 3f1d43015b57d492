"""Where numbers come from and what they mean, and how a file keeps it beside them.

    save(path, {"scores": values}, About(dataset="cifar10", direction="high = typical"))
    read_about(arrays, path)

A file that memtools writes has one array more than the published ones: `about`, a text
without dimensions that holds JSON.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from memtools.errors import SchemaError
from memtools.estimates.npz import Array, write_npz

ORDERS = ("official", "published", "tfds", "file")
"""The orders of examples that a user can declare; an empty text means that none is recorded."""


@dataclasses.dataclass(frozen=True)
class About:
    """Where numbers come from, and what they mean.

    dataset: its name. order: which canonical order their indices follow (`official`,
    `published`, `tfds`, `file`; empty: not known). definition, direction: what the
    numbers are, and what a high one means. paper: what to cite. doubt: what the
    publisher leaves open. source: the files or the runs that they were read from.
    digest: of those files, as `algorithm:hex`, where it was checked.
    """

    dataset: str = ""
    order: str = ""
    definition: str = ""
    direction: str = ""
    paper: str = ""
    doubt: str = ""
    source: str = ""
    digest: str = ""

    def lines(self) -> list[str]:
        """What is known, a line each, for people."""
        known = dataclasses.asdict(self)
        return [f"{name + ':':12}{value}" for name, value in known.items() if value]


def sign_of(direction: str) -> int:
    """Return 1 where a high value means atypical, -1 where it means typical, 0 if not recorded."""
    return {"atypical": 1, "typical": -1}.get(direction.rpartition(" ")[2], 0)


def save(path: Path, arrays: Mapping[str, Array], about: About) -> None:
    """Write arrays and what they are about as an npz, whole or not at all."""
    said = {"about": np.array(json.dumps(dataclasses.asdict(about)))}
    write_npz(path, collections.ChainMap(said, arrays))  # type: ignore[arg-type]


def read_about(arrays: Mapping[str, Array], path: Path) -> About:
    """What a file says about itself, if memtools wrote it; its digest it cannot know."""
    if "about" not in arrays:
        return About(source=str(path))
    try:
        said = json.loads(str(arrays["about"]))
        return About(**{**said, "source": str(path), "digest": ""})
    except (TypeError, ValueError) as error:
        raise SchemaError(
            f"{path}: about is not what memtools writes there", hint="write the file anew"
        ) from error
