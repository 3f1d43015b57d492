"""Whether a directory of records holds what it should: every image once, none damaged.

    for report in check(directory, index, how="structure"): ...

TFRecords carry no count: a file that is cut between two records, or that lacks one, reads
well. So everything is counted: records per shard against `dataset.json`, and positions
against the index, each exactly once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from memtools.engines import spread
from memtools.errors import IntegrityError, RecordError
from memtools.estimates.model import ExampleIndex
from memtools.estimates.npz import Array
from memtools.extras import needing
from memtools.progress import bars
from memtools.tfrecords.images import describe
from memtools.tfrecords.ledger import ShardFacts, Split, open_set
from memtools.tfrecords.plan import SHOWN, columns_of
from memtools.tfrecords.records import FEATURES, FIRST_LABEL
from memtools.tfrecords.storage import Store

with needing("tf"):
    import tensorflow as tf

How = Literal["sha256", "structure", "decode"]
"""How much of an image is proven: the file's bytes as built; its markers; its pixels, too."""

_BATCH = 256
_HINT = "remove the shard and run the same build again: it makes what is missing"


@dataclasses.dataclass(frozen=True)
class Task:
    """One shard to be checked."""

    store: Store
    name: str
    facts: ShardFacts
    how: How


@dataclasses.dataclass(frozen=True)
class Found:
    """What a shard holds: index and labels (0-based), int64 [n]; names, bytes [n]."""

    index: Array
    labels: Array
    names: Array


def check(
    directory: Path | str,
    index: ExampleIndex | None = None,
    *,
    how: How = "structure",
    n_workers: int = 1,
    only: str = "",
) -> Iterator[tuple[str, Split]]:
    """Prove one split after the other; yields its name and what `dataset.json` says of it.

    index: the published one, for names and labels; without it only counts are compared. only:
    the split to check, `train`, `test`, `val` or `validation`; all of them without it.

    Raises RecordError naming the first 20 shards that are wrong, and why; ConfigError for a split
    that is not there.
    """
    ledger = open_set(directory)
    for name, split in ledger.select(only).items():
        if not split.complete:
            raise RecordError(
                f"{directory}: {len(split.shards)} of {split.n_shards} shards of {name} are built",
                hint="run the same build again: it makes what is missing",
            )
        tasks = [Task(ledger.store, file, facts, how) for file, facts in split.shards.items()]
        found, wrong, done = [], [], 0
        with bars("images") as show:
            for task, of_shard in spread(look_at_shard, tasks, n_workers=n_workers):
                if isinstance(of_shard, Found):
                    found.append(of_shard)
                else:
                    wrong.append(of_shard)
                done += task.facts.n_records
                show(f"checking {name}", done, split.n_records)
        if wrong:
            raise _all_wrong(name, sorted(wrong), split)
        _check_together(name, split, found, index)
        yield name, split


def look_at_shard(task: Task) -> Found | str:
    """What a shard holds, or what is wrong with it."""
    try:
        return check_shard(task)
    except IntegrityError as error:
        return str(error)


def check_shard(task: Task) -> Found:
    """Read one shard to its end: its bytes, its records, its images."""
    if task.name not in task.store.names():
        raise _wrong(task, "is not there")
    size, sha256 = task.store.size_and_sha256(task.name)
    if size != task.facts.n_bytes:
        raise _wrong(task, f"has {size} bytes, not {task.facts.n_bytes}")
    if sha256 != task.facts.sha256:
        raise _wrong(task, f"has the sha256 {sha256}, not {task.facts.sha256}")
    try:
        found = [_check_batch(task, batch) for batch in _batches(task)]
    except tf.errors.DataLossError as error:
        raise _wrong(task, f"is damaged: {error.message}") from error
    columns = [np.concatenate(column) for column in zip(*found, strict=True)] if found else []
    result = Found(*columns) if columns else Found(*(np.zeros(0, t) for t in (int, int, "S1")))
    if len(result.index) != task.facts.n_records:
        raise _wrong(task, f"holds {len(result.index)} records, not {task.facts.n_records}")
    return result


def _batches(task: Task) -> Iterator[tf.Tensor]:
    return iter(tf.data.TFRecordDataset(task.store.path(task.name)).batch(_BATCH))


def _check_batch(task: Task, batch: tf.Tensor) -> tuple[Array, Array, Array]:
    try:
        parsed = tf.io.parse_example(batch, FEATURES)
    except tf.errors.InvalidArgumentError as error:
        raise _wrong(task, f"holds a record of another form: {error.message}") from error
    records = {name: column.numpy() for name, column in parsed.items()}
    for row, data in enumerate(records["image/encoded"] if task.how != "sha256" else ()):
        name = records["image/filename"][row].decode()
        try:
            image = describe(data)
            pixels = tf.io.decode_jpeg(data, channels=3) if task.how == "decode" else None
        except (RecordError, tf.errors.InvalidArgumentError) as error:
            raise _wrong(task, f"{name}: {getattr(error, 'message', error)}") from error
        said = (records["image/height"][row], records["image/width"][row])
        if (image.height, image.width) != said or not image.is_rgb_jpeg:
            raise _wrong(task, f"{name} is not the image that its record describes")
        if pixels is not None and tuple(pixels.shape[:2]) != said:
            raise _wrong(task, f"{name} decodes to another size")
    labels = records["image/class/label"] - FIRST_LABEL
    return records["index"], labels, records["image/filename"].astype("S")


def _check_together(
    name: str, split: Split, found: list[Found], index: ExampleIndex | None
) -> None:
    """Every position once over all shards, with the name and the label of the index."""
    positions = np.concatenate([each.index for each in found])
    unique, counts = np.unique(positions, return_counts=True)
    if len(unique) != len(positions):
        raise RecordError(f"{name}: index {unique[counts > 1][0]} stands there twice", hint=_HINT)
    if len(positions) != split.n_records:
        raise RecordError(f"{name}: {len(positions)} records, not {split.n_records}", hint=_HINT)
    if index is None:
        return
    names, labels, _ = columns_of(index, name)
    if positions.min(initial=0) < 0 or positions.max(initial=-1) >= len(names):
        raise RecordError(f"{name}: an index lies beyond the {len(names)} examples", hint=_HINT)
    for what, column, published in (
        ("label", np.concatenate([each.labels for each in found]), labels),
        ("file name", np.concatenate([each.names for each in found]), names),
    ):
        wrong = np.flatnonzero(column != published[positions])
        if len(wrong):
            raise RecordError(
                f"{name}: the record of index {positions[wrong[0]]} has the {what}"
                f" {column[wrong[0]]!s}, not {published[positions[wrong[0]]]!s}",
                hint=_HINT,
            )


def _wrong(task: Task, what: str) -> RecordError:
    return RecordError(f"{task.name} {what}", hint=_HINT)


def _all_wrong(name: str, wrong: list[str], split: Split) -> RecordError:
    rest = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return RecordError(
        f"{len(wrong)} of {split.n_shards} shards of {name} are wrong: "
        + "; ".join(wrong[:SHOWN])
        + rest,
        hint=_HINT,
    )
