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
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from memtools.arguments import StrPath
from memtools.documents import naming, parse_json
from memtools.errors import ConfigError, SchemaError
from memtools.estimates.npz import Array, scalar_of, write_npz
from memtools.wording import encodable, printable

ORDERS = ("official", "published", "tfds", "file")
"""The orders of examples that a user can declare; an empty text means that none is recorded."""

Direction = Literal["typical", "atypical"]
"""The meaning of a high score."""

_WORDS = {"c_score": "C-score"}  # quantities as directions name them
_MAX_NAME, _MAX_TEXT = 200, 10_000  # characters that a file records
_DIRECTIONS = {"memorization": "atypical", "c_score": "typical"}
_DATASETS = {
    "fashionmnist": "fashion_mnist",
    "imagenet1k": "imagenet",
    "imagenet2012": "imagenet",
    "ilsvrc2012": "imagenet",
    **{name: name for name in ("cifar10", "cifar100", "mnist", "kmnist", "emnist", "imagenet")},
}


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

    def to_json(self) -> dict[str, str]:
        """Return what a file records; a source whose name is not UTF-8 is escaped."""
        return {name: encodable(value) for name, value in dataclasses.asdict(self).items()}

    def lines(self) -> list[str]:
        """What is known, a line each, for people."""
        known = dataclasses.asdict(self)
        return [f"{name + ':':12}{printable(value)}" for name, value in known.items() if value]


_FIELDS = tuple(field.name for field in dataclasses.fields(About))


def sign_of(direction: str) -> int:
    """Return 1 where a high value means atypical, -1 where it means typical, 0 if not recorded."""
    return {"atypical": 1, "typical": -1}.get(direction.rpartition(" ")[2], 0)


def describe_direction(quantity: str, direction: str) -> str:
    """Return the words of a direction, such as `high C-score = typical`."""
    return f"high {_WORDS.get(quantity, quantity)} = {direction}"


def known_direction(quantity: str) -> str:
    """Return the direction that a quantity has by definition; empty for any other quantity."""
    known = _DIRECTIONS.get(quantity)
    return describe_direction(quantity, known) if known else ""


def quantity_in(direction: str) -> str:
    """Return the quantity that the words of a direction name; empty if none that is known."""
    named = direction.removeprefix("high ").partition(" = ")[0]
    return next((q for q in _DIRECTIONS if named in (q, _WORDS.get(q))), "")


def canonical_dataset(name: str) -> str:
    """Return the name under which memtools knows a data set; any other name as it is."""
    return _DATASETS.get(re.sub(r"[-_ ]", "", name.lower()), name)


@dataclasses.dataclass(frozen=True)
class Declaration:
    """The facts that a user adds to a file that does not record them; each may be empty.

    Attributes:
        dataset: The name of the data set.
        order: The order of the examples, one of ORDERS.
        direction: What a high number means: `typical` or `atypical`.
        definition: What the numbers are.
    """

    dataset: str = ""
    order: str = ""
    direction: str = ""
    definition: str = ""

    def __post_init__(self) -> None:
        """Refuse an order or a direction that is not known."""
        if self.order and self.order not in ORDERS:
            raise ConfigError(
                f"order is {self.order!r}, not one of {', '.join(ORDERS)}",
                hint="say in which of these orders the examples are",
            )
        if self.direction not in ("", "typical", "atypical"):
            raise ConfigError(
                f"direction is {self.direction!r}",
                hint="say what a high number means: typical or atypical",
            )

    def complete(self, about: About, quantity: str = "score") -> About:
        """Return what is known with what the user says of it.

        Args:
            about: What the file, or the registry, records.
            quantity: What the numbers are, such as `score`.

        Raises:
            ConfigError: The file records something else than the user says.
        """
        where = about.source or "these numbers"
        for name, said in (("dataset", self.dataset), ("order", self.order)):
            recorded = getattr(about, name)
            if said and recorded and canonical_dataset(said) != canonical_dataset(recorded):
                raise _contradiction(where, name, recorded, said)
        if self.direction and sign_of(about.direction) not in (0, sign_of(self.direction)):
            raise _contradiction(where, "direction", about.direction, self.direction)
        if self.definition and about.definition not in ("", self.definition):
            raise _contradiction(where, "definition", about.definition, self.definition)
        direction = about.direction
        if self.direction and not sign_of(direction):
            direction = describe_direction(quantity, self.direction)
        return dataclasses.replace(
            about,
            dataset=about.dataset or canonical_dataset(self.dataset),
            order=about.order or self.order,
            definition=about.definition or self.definition,
            direction=direction,
        )


def _contradiction(where: str, name: str, recorded: str, said: str) -> ConfigError:
    return ConfigError(
        f"the {name} of {where} is recorded as {recorded!r}, not {said!r}",
        hint=f"leave out --{name} ({name}=), or give the file that you mean",
    )


def save(path: StrPath, arrays: Mapping[str, Array], about: About) -> None:
    """Write arrays and what they are about as an npz, whole or not at all.

    Raises:
        ConfigError: The path does not end in `.npz`.
        DiskError: The disk fails.
    """
    path = Path(path)
    require_npz(path)
    said = {"about": np.array(json.dumps(about.to_json()))}
    write_npz(path, collections.ChainMap(said, arrays))  # type: ignore[arg-type]


def require_npz(path: Path) -> None:
    """Raise ConfigError unless a path ends in `.npz`."""
    if path.suffix.lower() != ".npz":
        name = f"{path.stem or 'estimates'}.npz"
        raise ConfigError(
            f"{path}: this is saved as npz, and the path does not end in .npz",
            hint=f"save it as {name}; memtools export makes tables of it",
        )


def read_about(arrays: Mapping[str, Array], path: Path) -> About:
    """What a file says about itself, if memtools wrote it; its digest it cannot know."""
    if "about" not in arrays:
        return About(source=str(path))
    with naming(path):
        document = parse_json(scalar_of(arrays, "about", "U"), "about")
    about, rest = parse_about(document, path)
    if rest:
        raise SchemaError(
            f"{path}: about has {min(rest)!r:.40}, which memtools does not write there",
            hint="write the file anew, or update memtools",
        )
    return about


def _is_text(field: str, value: Any) -> bool:
    """Return whether a value is a text that the field of an About can hold."""
    limit = _MAX_NAME if field in ("dataset", "order", "direction") else _MAX_TEXT
    return isinstance(value, str) and len(value) <= limit


def parse_about(document: Any, path: Path) -> tuple[About, dict[str, Any]]:
    """Return what a file records about its numbers, and what memtools records besides.

    Args:
        document: The JSON value that is recorded.
        path: The file, which becomes the source: it cannot know its own digest.

    Raises:
        SchemaError: It is not what memtools writes.
    """
    facts = dict(document) if isinstance(document, dict) else {"about": document}
    fields = {name: facts.pop(name) for name in _FIELDS if name in facts}
    wrong = next((name for name, value in fields.items() if not _is_text(name, value)), None)
    if wrong or not isinstance(document, dict):
        raise SchemaError(
            f"{path}: what it records as {wrong or 'about'} is not what memtools writes there",
            hint="write the file anew",
        )
    return About(**{**fields, "source": str(path), "digest": ""}), facts
