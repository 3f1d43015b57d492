"""Images of a report out of indexed TFRecords: those that are shown, in one pass.

images = open_records(Path("/data/imagenet"), subject)
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.npz import Array
from memtools.extras import needing
from memtools.progress import bars
from memtools.report.pictures import SIDE, Gather, Images, Look, Pictures, opened
from memtools.report.subject import Subject, class_names
from memtools.tfrecords.ledger import Split, open_set
from memtools.tfrecords.plan import digest_of_index

with needing("report"):
    from PIL import Image

_QUALITY = 95  # of thumbnails that wait: they are compressed once more


def open_records(root: Path, subject: Subject) -> Images:
    """The images of a set of records; none is read yet.

    Raises AlignmentError for records of another index; ConfigError if there are none of these
    numbers.
    """
    ledger = open_set(root)
    names = class_names(subject.index)  # until records with words are read
    sides: dict[str, Pictures] = {}
    for split, stored in (("train", "train"), ("test", "validation")):
        facts = ledger.splits.get(stored)
        labels = subject.index.labels if split == "train" else subject.index.test_labels
        if facts is not None and labels is not None:
            _require_same_index(facts, subject, split, stored, root)
            gather = _gather(root, stored, labels, names)
            sides[split] = Pictures(np.ones(len(labels), np.bool_), gather)
    if "train" not in sides:
        raise ConfigError(
            f"{root} has no training images for these numbers",
            hint="memtools tfrecords build makes them; the numbers need labels",
        )
    proof = "by the index in the records"
    return Images(sides["train"], sides.get("test"), SIDE, proof, names)


def _require_same_index(
    facts: Split, subject: Subject, split: str, stored: str, root: Path
) -> None:
    """The records were built with an index of these names and labels; or have as many examples."""
    side = subject.train if split == "train" else subject.test
    same = (
        facts.n_examples == side.n
        if side.names is None
        else facts.index == digest_of_index(subject.index, stored)
    )
    if not same:
        raise AlignmentError(
            f"the {stored} records of {root} were built with another index than these numbers"
            f" ({facts.n_examples:,} and {side.n:,} examples)",
            hint="give the images of these numbers",
        )


def _gather(root: Path, stored: str, labels: Array, names: dict[int, str]) -> Gather:
    """One pass over the records; thumbnails wait in a file that has no name."""

    def gather(chosen: Sequence[int]) -> Look:
        places: dict[int, tuple[int, int]] = {}
        with contextlib.ExitStack() as stack:
            spool = stack.enter_context(tempfile.TemporaryFile())
            for record in _records(root, stored, labels, chosen):
                label, text = int(record["label"]), record["text"] or record["synset"]
                names[label] = text.decode("utf-8", "replace")
                if image := opened(io.BytesIO(record["image"])):
                    start = spool.tell()
                    image.save(spool, "JPEG", quality=_QUALITY)
                    places[int(record["index"])] = (start, spool.tell() - start)
            spool.flush()
            stack.pop_all()

        def look(k: int) -> Image.Image | None:
            if k not in places:
                return None
            start, size = places[k]
            return Image.open(io.BytesIO(os.pread(spool.fileno(), size, start)))

        weakref.finalize(look, spool.close)  # with its last user
        return look

    return gather


def _records(
    root: Path, stored: str, labels: Array, chosen: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """The chosen records; AlignmentError if one has another label than the numbers say."""
    from memtools.tfrecords.reader import naming_damage, read_encoded  # need TensorFlow

    mask = np.zeros(len(labels), np.bool_)
    mask[list(chosen)] = True
    with bars("images") as show, naming_damage(root, stored):
        for n_done, record in enumerate(read_encoded(root, stored, mask=mask).as_numpy_iterator()):
            show(f"{stored} records", n_done, len(chosen))
            k, label = int(record["index"]), int(record["label"])
            if label != labels[k]:
                raise AlignmentError(
                    f"record {k} of {root} has the label {label}, the numbers say {labels[k]}",
                    hint="give the images of these numbers",
                )
            yield record
