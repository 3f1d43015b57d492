"""What a directory of records holds: `dataset.json`, the list of its finished shards.

    ledger = Ledger.open(directory)
    ledger.splits["train"].shards["train-00000-of-01024"].sha256

A shard counts as built when it stands here. The ledger also says what was built, so that
another index, another seed or another choice of images is not mixed into the same directory.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Self

from memtools.errors import ConfigError, RecordError
from memtools.files import disk_errors, write_atomically

NAME = "dataset.json"


@dataclasses.dataclass(frozen=True)
class ShardFacts:
    """One finished file: its records, its bytes, their sha256, and which images were converted."""

    n_records: int
    n_bytes: int
    sha256: str
    converted: dict[str, str]


@dataclasses.dataclass
class Split:
    """One split. index: sha256 of names and labels; images: of which of them are in, and where."""

    index: str
    images: str
    seed: int
    n_shards: int
    n_records: int
    shards: dict[str, ShardFacts] = dataclasses.field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every shard is built."""
        return len(self.shards) == self.n_shards

    def require_same(self, other: Split, where: Path) -> None:
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

    path: Path
    splits: dict[str, Split]

    @classmethod
    def open(cls, directory: Path) -> Self:
        """The ledger of a directory; an empty one if there is none yet."""
        path = directory / NAME
        if not path.exists():
            return cls(path, {})
        try:
            with disk_errors(path):
                document = json.loads(path.read_text("utf-8"))
            return cls(path, {name: _split(facts) for name, facts in document["splits"].items()})
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise RecordError(
                f"{path} is damaged ({error})", hint="build the set anew in another directory"
            ) from error

    def save(self) -> None:
        """Write it, whole or not at all."""
        splits = {name: dataclasses.asdict(split) for name, split in self.splits.items()}
        content = json.dumps({"format": 1, "splits": splits}, indent=1, sort_keys=True)
        with disk_errors(self.path):
            write_atomically(self.path, content.encode())


def _split(facts: dict[str, Any]) -> Split:
    shards = {name: ShardFacts(**each) for name, each in facts["shards"].items()}
    return Split(**{**facts, "shards": shards})
