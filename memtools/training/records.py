"""An indexed TFRecord set to train on: too large for memory, so its images stream.

data = open_records(Path("/data/imagenet"), "imagenet-index")
data.train_labels                        # int64 [n_train], in the order of the index
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from memtools.artifacts.loader import load
from memtools.errors import ConfigError
from memtools.estimates.model import Estimates
from memtools.tfrecords.completeness import require_undamaged
from memtools.tfrecords.ledger import open_set
from memtools.tfrecords.plan import digest_of_index
from memtools.tfrecords.reader import IMAGE_SIZE
from memtools.training.datasets import NONE, Examples
from memtools.training.label_checks import check_labels


@dataclasses.dataclass(frozen=True, eq=False)
class Records(Examples):
    """root: where the images are. digest: sha256 of the shards' digests."""

    root: Path
    digest: str

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one image, cropped."""
        return (IMAGE_SIZE, IMAGE_SIZE, 3)

    @property
    def n_bytes(self) -> int:
        """Of the images that are kept in memory."""
        return 0


def open_records(root: Path, index: str) -> Records:
    """Return the set of a directory, whole and of this index.

    Args:
        root: The directory.
        index: A name or a file that `memtools.load` reads, the one that the set was built with.

    Raises:
        ConfigError: Images are missing, or the set was built with another index.
        RecordError: A shard is missing, or has another size than it was built with.
    """
    ledger = open_set(root)
    loaded = load(index)
    if not isinstance(loaded, Estimates):
        raise ConfigError(f"{index} is not an index of examples", hint="set index=imagenet-index")
    digest, labels = hashlib.sha256(), []
    for split, column in (("train", loaded.labels), ("validation", loaded.test_labels)):
        of_split = ledger.splits.get(split)
        if of_split is None or not of_split.complete or of_split.n_records != of_split.n_examples:
            raise ConfigError(
                f"{root} does not hold all images of {split}",
                hint="memtools tfrecords build makes what is missing",
            )
        if column is None or of_split.index != digest_of_index(loaded.index, split):
            raise ConfigError(
                f"{root} was built with another index than {index}",
                hint="set index=... to the one it was built with",
            )
        require_undamaged(ledger.store, split, of_split)
        for name, facts in sorted(of_split.shards.items()):
            digest.update(f"{name} {facts.sha256}\n".encode())
        labels.append(check_labels(column, of_split.n_examples, f"{index}: the labels of {split}"))
    about, (train, test) = loaded.about, labels
    name, order = about.dataset or "imagenet", about.order or "file"
    return Records(name, order, train, test, NONE, root, digest.hexdigest())
