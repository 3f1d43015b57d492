"""What a directory of records holds: `dataset.json`, the list of its finished shards.

    ledger = Ledger.open(store)
    ledger.splits["train"].shards["train-00000-of-01024"].sha256

A shard counts as built when it stands here. The ledger also says what was built, so that
another index, another seed or another choice of images is not mixed into the same directory.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Self

from memtools.datasets.splits import parse_split
from memtools.documents import fill, parse_json, parsing
from memtools.errors import ConfigError, RecordError
from memtools.tfrecords.storage import Store, open_store

NAME = "dataset.json"
_STORED = {"train": "train", "test": "validation"}


def stored_split(name: str) -> str:
    """Return `train` or `validation`, as files are called, for any name of a split."""
    return _STORED[parse_split(name)]


@dataclasses.dataclass(frozen=True)
class ShardFacts:
    """One finished file: its records, its bytes, their sha256, and which images were converted."""

    n_records: int
    n_bytes: int
    sha256: str
    converted: dict[str, str]


@dataclasses.dataclass
class Split:
    """One split.

    index: sha256 of names and labels; images: of which of them are in, and where. n_examples:
    how many the index has. source_md5: of the publisher's tar, if that was compared.
    """

    index: str
    images: str
    seed: int
    n_shards: int
    n_records: int
    n_examples: int
    source_md5: str = ""
    shards: dict[str, ShardFacts] = dataclasses.field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every shard is built."""
        return len(self.shards) == self.n_shards

    @property
    def converted(self) -> dict[str, str]:
        """What was no RGB JPEG: the kind that it was, by base name."""
        return {
            name: kind for each in self.shards.values() for name, kind in each.converted.items()
        }

    def require_same(self, other: Split, where: str) -> None:
        """Raise ConfigError unless both describe the same records in the same files."""
        for field in ("index", "seed", "n_shards", "images"):
            if getattr(self, field) != getattr(other, field):
                raise ConfigError(
                    f"{where} was begun with another {_WORDS[field]}",
                    hint="choose another directory, or remove that one",
                )


_WORDS = {
    "index": "index file",
    "seed": "seed",
    "n_shards": "number of shards",
    "images": "choice of images",
}


@dataclasses.dataclass
class Ledger:
    """`dataset.json` of one directory."""

    store: Store
    splits: dict[str, Split]

    @classmethod
    def open(cls, store: Store) -> Self:
        """The ledger of a directory; an empty one if there is none yet."""
        if NAME not in store.names():
            return cls(store, {})
        where, hint = store.path(NAME), "build the set anew in another directory"
        with parsing(where, "UTF-8", error=RecordError, hint=hint):
            text = store.read(NAME).decode("utf-8")
        document = parse_json(text, where, error=RecordError, hint=hint)
        splits = document.get("splits") if isinstance(document, dict) else None
        if not isinstance(splits, dict) or not set(splits) <= set(_STORED.values()):
            raise RecordError(f"{where} is damaged (it has no splits)", hint=hint)
        read = {
            name: fill(Split, facts, f"{where}: {name}", error=RecordError, hint=hint)
            for name, facts in splits.items()
        }
        return cls(store, read)

    def select(self, name: str = "") -> dict[str, Split]:
        """Return one split by any of its names, or all of them; ConfigError if it is not there."""
        if not name:
            return self.splits
        stored = stored_split(name)
        if stored not in self.splits:
            raise ConfigError(
                f"{self.store.path()} holds no records of {stored!r}",
                hint="memtools tfrecords build makes them",
            )
        return {stored: self.splits[stored]}

    def save(self) -> None:
        """Write it, whole or not at all."""
        splits = {name: dataclasses.asdict(split) for name, split in self.splits.items()}
        content = json.dumps({"format": 1, "splits": splits}, indent=1, sort_keys=True)
        self.store.write(NAME, content.encode())


def open_set(where: Path | str) -> Ledger:
    """The ledger of a set that must be there; RecordError if there is none."""
    store = open_store(where)
    ledger = Ledger.open(store)
    if not ledger.splits:
        raise RecordError(
            f"{where} holds no {NAME}: it is no set of memtools",
            hint="memtools tfrecords build makes one",
        )
    return ledger
