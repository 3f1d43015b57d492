"""From a source of images to indexed TFRecords, shard by shard.

    build(source, directory, index, split="train", seed=0, engine=outcomes)

Names are compared first, all of them, before a shard is begun. Then each shard is one piece
of work: read, look at, convert what is no RGB JPEG, write beside the final name, fsync,
rename. Shards are the same bytes for any source, any number of workers and after any
interruption; what `dataset.json` lists is not built again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from memtools.engines import Answers, outcomes, results
from memtools.estimates.model import ExampleIndex
from memtools.progress import bars
from memtools.tfrecords import metadata
from memtools.tfrecords.completeness import damaged_shards
from memtools.tfrecords.ledger import Ledger, ShardFacts, Split, stored_split
from memtools.tfrecords.plan import N_SHARDS, Shard, columns_of, digest_of_index, make_plan
from memtools.tfrecords.records import shard_name
from memtools.tfrecords.sources import Source, verify_tar
from memtools.tfrecords.storage import open_store
from memtools.tfrecords.writer import Task, write_shard

Engine = Callable[[Callable[[Task], ShardFacts], Sequence[Task]], Answers[Task, ShardFacts]]
SAVE_EVERY = 2.0  # seconds between two writings of dataset.json
_SAMPLE = 200  # images whose size is looked at, where a source does not list sizes


def build(
    source: Source,
    directory: Path | str,
    index: ExampleIndex,
    *,
    split: str,
    seed: int = 0,
    n_shards: int | None = None,
    engine: Engine = outcomes,
    decode: bool = False,
    verify_source: bool = False,
    allow_missing: bool = False,
    skip: Sequence[str] = (),
    texts: Mapping[bytes, bytes] | None = None,
    class_folders: str = "auto",
) -> Split:
    """Write all shards of a split that are not there yet; what `dataset.json` says in the end.

    directory: or a URL such as `gs://bucket/imagenet`. index: the published one. split: `train`,
    or `test`, `val` or `validation`, whose files are called `validation-...`. n_shards: 1024
    for train, 128 for validation, as in the classic sets. engine: writes the shards;
    `memtools.engines.outcomes` or that of `memtools.cluster`, with options. decode: decode every
    image, instead of checking its structure only. verify_source: first compare the md5 of the tar
    with the publisher's. allow_missing: accept a source that lacks images. skip: base names to
    leave out. texts: words of a synset. class_folders: how class folders are named, one of
    `memtools.datasets.class_folders.KINDS`. A shard that has another size than `dataset.json`
    says is made anew.

    Raises RecordError for names or images that are wrong (and keeps every finished shard);
    ChecksumError for a tar that is not the publisher's; ConfigError if the directory was begun
    with something else; BusyError if another process builds there; DiskError.
    """
    store, texts, split = open_store(directory), texts or {}, stored_split(split)
    source_md5 = verify_tar(source, split) if verify_source else ""
    shards = make_plan(
        source.listing(),
        index,
        split=split,
        seed=seed,
        n_shards=n_shards or N_SHARDS[split],
        allow_missing=allow_missing,
        skip=skip,
        class_folders=class_folders,
        texts=texts,
    )
    new = _facts(shards, index, split, seed, texts, source_md5)
    tasks = [
        Task(store, shard_name(split, shard.number, len(shards)), shard, source, texts, decode)
        for shard in shards
    ]
    del shards
    with store.building():
        ledger = Ledger.open(store)
        ledger.splits.setdefault(split, new).require_same(new, store.path())
        present = ledger.splits[split]
        for name in damaged_shards(store, present):
            del present.shards[name]
        if present.source_md5 != source_md5:  # what comes from elsewhere, be it all of it
            present.source_md5 = "" if present.shards else source_md5
        missing = [task for task in tasks if task.name not in present.shards]
        store.require_free(_size_of(missing), f"the {split} set")
        _write_all(missing, ledger, present, engine)
        metadata.write(store, ledger.splits)
    return present


def _write_all(tasks: Sequence[Task], ledger: Ledger, split: Split, engine: Engine) -> None:
    """Every shard, noted as soon as it is there."""
    done = sum(facts.n_records for facts in split.shards.values())
    saved = time.monotonic()
    ledger.save()
    try:
        with bars("images") as show:
            show("building", done, split.n_records)
            for task, facts in results(engine(write_shard, tasks)):
                split.shards[task.name] = facts
                done += facts.n_records
                show("building", done, split.n_records)
                if time.monotonic() - saved > SAVE_EVERY:
                    ledger.save()
                    saved = time.monotonic()
    finally:
        ledger.save()


def _facts(
    shards: Sequence[Shard],
    index: ExampleIndex,
    split: str,
    seed: int,
    texts: Mapping[bytes, bytes],
    source_md5: str,
) -> Split:
    """What the split will be: everything that decides its bytes, in digests."""
    of_images = hashlib.sha256()
    every = np.concatenate([shard.index for shard in shards])
    of_images.update(every.astype(np.int64).tobytes())
    of_images.update(repr(sorted(texts.items())).encode())
    return Split(
        index=digest_of_index(index, split),
        images=of_images.hexdigest(),
        seed=seed,
        n_shards=len(shards),
        n_records=len(every),
        n_examples=len(columns_of(index, split)[0]),
        source_md5=source_md5,
    )


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
        len(task.source.read(bytes(shard.files[n]), bytes(shard.folders[n]), shard.places[n]))
        for n in rows
    ]
    return n_images * sum(sizes) // len(sizes)
