"""From a source of images to indexed TFRecords, shard by shard.

    build(source, directory, index, split="train", seed=0, n_workers=2)

Names are compared first, all of them, before a shard is begun. Then each shard is one piece
of work: read, look at, convert what is no RGB JPEG, write beside the final name, fsync,
rename. Shards are the same bytes for any source, any number of workers and after any
interruption; what `dataset.json` lists is not built again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from memtools.engines import spread
from memtools.errors import RecordError
from memtools.estimates.model import ExampleIndex
from memtools.files import digest_file, disk_errors, publish, require_free
from memtools.progress import bars
from memtools.tfrecords.images import Image, describe
from memtools.tfrecords.ledger import Ledger, ShardFacts, Split
from memtools.tfrecords.plan import N_SHARDS, Shard, columns_of, make_plan
from memtools.tfrecords.records import encode, shard_name
from memtools.tfrecords.sources import Source

SAVE_EVERY = 2.0  # seconds between two writings of dataset.json
_SAMPLE = 200  # images whose size is looked at, where a source does not list sizes


@dataclasses.dataclass(frozen=True)
class Task:
    """One shard to be written. decode: whether to decode every image, as a check."""

    path: Path
    shard: Shard
    source: Source
    texts: Mapping[bytes, bytes]
    decode: bool


def build(
    source: Source,
    directory: Path,
    index: ExampleIndex,
    *,
    split: str,
    seed: int = 0,
    n_shards: int | None = None,
    n_workers: int = 1,
    decode: bool = False,
    allow_missing: bool = False,
    skip: Sequence[str] = (),
    texts: Mapping[bytes, bytes] | None = None,
) -> Split:
    """Write all shards of a split that are not there yet; what `dataset.json` says in the end.

    index: the published one. n_shards: 1024 for train, 128 for validation, as in the classic
    sets. decode: decode every image, instead of checking its structure only. allow_missing:
    accept a source that lacks images. skip: base names to leave out. texts: words of a synset.

    Raises RecordError for names or images that are wrong (and keeps every finished shard);
    ConfigError if the directory was begun with something else; DiskError.
    """
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    shards = make_plan(
        source.listing(),
        index,
        split=split,
        seed=seed,
        n_shards=n_shards or N_SHARDS[split],
        allow_missing=allow_missing,
        skip=skip,
    )
    texts = texts or {}
    ledger = Ledger.open(directory)
    present = _facts(shards, index, split, seed, texts)
    ledger.splits.setdefault(split, present).require_same(present, ledger.path)
    present = ledger.splits[split]
    tasks = [
        Task(directory / name, shard, source, _texts_of(shard, texts), decode)
        for shard in shards
        if (name := shard_name(split, shard.number, len(shards))) not in present.shards
    ]
    require_free(directory, _size_of(tasks), f"the {split} set")
    _write_all(tasks, ledger, present, n_workers)
    return present


def _write_all(tasks: Sequence[Task], ledger: Ledger, split: Split, n_workers: int) -> None:
    """Every shard, noted as soon as it is there."""
    done, total, saved = 0, sum(len(task.shard.index) for task in tasks), time.monotonic()
    ledger.save()
    try:
        with bars("images") as show:
            show(ledger.path.parent.name, 0, total)
            for task, facts in spread(write_shard, tasks, n_workers=n_workers):
                split.shards[task.path.name] = facts
                done += facts.n_records
                show(ledger.path.parent.name, done, total)
                if time.monotonic() - saved > SAVE_EVERY:
                    ledger.save()
                    saved = time.monotonic()
    finally:
        ledger.save()


def write_shard(task: Task) -> ShardFacts:
    """One shard under its final name, whole and durable."""
    temporary = task.path.with_name(task.path.name + ".tmp")
    converted: dict[str, str] = {}
    with disk_errors(task.path):
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for row in range(len(task.shard.index)):
                writer.write(_record(task, row, converted))
        sha256 = _fsync_and_digest(temporary)
        facts = ShardFacts(len(task.shard.index), temporary.stat().st_size, sha256, converted)
        publish(temporary, task.path)
    return facts


def _record(task: Task, row: int, converted: dict[str, str]) -> bytes:
    shard = task.shard
    name, synset = bytes(shard.names[row]), bytes(shard.synsets[row])
    data = task.source.read(name, bytes(shard.folders[row]), shard.places[row])
    try:
        image = describe(data)
        if not image.is_rgb_jpeg:
            converted[name.decode()] = "CMYK" if image.kind == "JPEG" else image.kind
            data = to_rgb_jpeg(data, image)
        elif task.decode:
            _pixels(data, image)
    except (RecordError, tf.errors.InvalidArgumentError) as error:
        raise RecordError(
            f"{name.decode()}: {getattr(error, 'message', error)}",
            hint="get the image again, or list its name in a --skip-bad file",
        ) from error
    return encode(
        index=int(shard.index[row]),
        image=data,
        height=image.height,
        width=image.width,
        filename=name,
        label=int(shard.labels[row]),
        synset=synset,
        text=task.texts.get(synset, synset),
    )


def to_rgb_jpeg(data: bytes, image: Image) -> bytes:
    """The image as an RGB JPEG of quality 100, as in the existing sets."""
    return bytes(tf.io.encode_jpeg(_pixels(data, image), format="rgb", quality=100).numpy())


def _pixels(data: bytes, image: Image) -> tf.Tensor:
    """The decoded image, uint8 [height, width, 3]; InvalidArgumentError if it does not decode."""
    decode: Callable[..., tf.Tensor] = {
        "JPEG": tf.io.decode_jpeg,
        "PNG": tf.io.decode_png,
        "GIF": lambda data, channels: tf.io.decode_gif(data)[0, :, :, :channels],
    }[image.kind]
    return decode(data, channels=3)


def _fsync_and_digest(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return digest_file(path, ("sha256",))["sha256"]


def _facts(
    shards: Sequence[Shard],
    index: ExampleIndex,
    split: str,
    seed: int,
    texts: Mapping[bytes, bytes],
) -> Split:
    """What the split will be: everything that decides its bytes, in digests."""
    names, labels, synsets = columns_of(index, split)
    of_index, of_images = hashlib.sha256(), hashlib.sha256()
    for column in (names, labels, synsets):
        of_index.update(np.ascontiguousarray(column).tobytes())
    every = np.concatenate([shard.index for shard in shards])
    of_images.update(every.astype(np.int64).tobytes())
    of_images.update(repr(sorted(texts.items())).encode())
    return Split(of_index.hexdigest(), of_images.hexdigest(), seed, len(shards), len(every))


def _texts_of(shard: Shard, texts: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {synset: texts[synset] for synset in set(shard.synsets.tolist()) & texts.keys()}


def _size_of(tasks: Sequence[Task]) -> int:
    """Bytes that the shards will take, roughly: from the listed sizes, or from a sample."""
    n_images = sum(len(task.shard.index) for task in tasks)
    listed = sum(int(task.shard.places[:, 1].sum()) for task in tasks)
    if listed or not n_images:
        return listed
    task = max(tasks, key=lambda task: len(task.shard.index))
    rows = range(min(_SAMPLE, len(task.shard.index)))
    shard = task.shard
    sizes = [
        len(task.source.read(bytes(shard.names[n]), bytes(shard.folders[n]), shard.places[n]))
        for n in rows
    ]
    return n_images * sum(sizes) // len(sizes)
