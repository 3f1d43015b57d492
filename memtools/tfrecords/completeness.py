"""Checks that the shards of a set are all there, and as long as they were built.

    sizes = require_whole(store, "train")     # {"train-00000-of-01024": 143_254_986, ...}

A TFRecord file carries no count, and TensorFlow reads a file that is cut between two records, or in
the header of one, to its end without an error. `dataset.json` has the size of each shard, so a look
at the directory finds every file that is cut, empty or too long. A file of the right size whose
bytes are damaged is found while it is read, by the checksums of its records.

A directory without `dataset.json` (made by other tools) has no counts: what can be known before
reading is that its shards are numbered without a gap, and that each begins with a whole record.
"""

from __future__ import annotations

import concurrent.futures
import re
import struct
from collections.abc import Mapping

from memtools.errors import ConfigError, MemtoolsError, RecordError
from memtools.tfrecords.ledger import Ledger, Split
from memtools.tfrecords.storage import Store

FRAMING = 16  # bytes of a record besides its data: length (8), its checksum (4), that of the data
_HEADER = 12
_REQUESTS = 32  # at a time: a bucket takes 50 ms for each
_SHOWN = 3  # shards in a message
_AGAIN = "run the same build again: it makes these shards anew"
_POLYNOMIAL = 0x82F63B78  # of CRC-32C (Castagnoli), reversed


def require_whole(store: Store, split: str, ledger: Ledger | None = None) -> dict[str, int]:
    """Return the size of each shard of a split, in order.

    Args:
        store: Where the set is.
        split: `train` or `validation`, as files are called.
        ledger: Its `dataset.json`, if it has been read.

    Raises:
        ConfigError: If there are no records of the split.
        RecordError: If its build has not ended, or if shards are missing, foreign, cut, empty or
            too long; it names them.
    """
    ledger = ledger or Ledger.open(store)
    recorded = ledger.splits.get(split)
    found = _shards(store, split)
    if recorded is None:
        return _require_first_records(store, _require_numbered(store, split, found))
    if not recorded.complete:
        raise RecordError(
            f"{store.path()}: {len(recorded.shards):,} of {recorded.n_shards:,} shards of {split}"
            " are built; the set is being built, or its build was interrupted",
            hint="run the same build again: it makes what is missing",
        )
    require_undamaged(store, split, recorded)
    names = _require_numbered(store, split, found)
    return {name: recorded.shards[name].n_bytes for name in names}


def require_undamaged(store: Store, split: str, recorded: Split) -> None:
    """Raise RecordError if a shard that `dataset.json` lists is missing or has another size."""
    damaged = damaged_shards(store, recorded)
    if damaged:
        raise _damaged(store, split, damaged)


def damaged_shards(store: Store, recorded: Split) -> dict[str, str]:
    """Return what is wrong with the listed shards, in words by name: missing, or another size."""
    present = store.sizes(recorded.shards)
    damaged = {}
    for name, shard in sorted(recorded.shards.items()):
        if name not in present:
            damaged[name] = "is not there"
        elif present[name] != shard.n_bytes:
            damaged[name] = f"has {present[name]:,} bytes, not {shard.n_bytes:,}"
    return damaged


def find_damage(store: Store, split: str) -> MemtoolsError | None:
    """Return an error that names the shards that cannot be read to their end; None if all can.

    Reads every record of the split: what to call after TensorFlow's DataLossError, whose message
    has no file name.
    """
    import tensorflow as tf

    damaged: dict[str, str] = {}
    for name in sorted(_shards(store, split)):
        try:
            for _ in tf.data.TFRecordDataset(store.path(name)).batch(512):
                pass
        except tf.errors.DataLossError as error:
            words = re.search(r"(corrupted|truncated) record at \d+", error.message)
            damaged[name] = f"is damaged: {words[0] if words else error.message}"
    return _damaged(store, split, damaged) if damaged else None


def _damaged(store: Store, split: str, damaged: Mapping[str, str]) -> RecordError:
    shown = "; ".join(f"{name} {what}" for name, what in list(damaged.items())[:_SHOWN])
    rest = f"; and {len(damaged) - _SHOWN:,} more" if len(damaged) > _SHOWN else ""
    return RecordError(
        f"{store.path()}: {len(damaged):,} shards of {split} are not as built: {shown}{rest}",
        hint=_AGAIN,
    )


def _shards(store: Store, split: str) -> dict[str, int]:
    """Return the shards of a split that are there: by name the total that the name states."""
    pattern = re.compile(re.escape(split) + r"-(\d{5})-of-(\d{5})")
    matches = {name: pattern.fullmatch(name) for name in store.names()}
    return {name: int(match[2]) for name, match in matches.items() if match}


def _require_numbered(store: Store, split: str, shards: Mapping[str, int]) -> list[str]:
    """Return the shards in order: all of one set."""
    if not shards:
        raise ConfigError(
            f"{store.path()} holds no records of {split!r}",
            hint="memtools tfrecords build makes them",
        )
    totals = set(shards.values())
    if totals != {len(shards)}:
        raise RecordError(
            f"{store.path()} holds {len(shards)} shards of {split} out of"
            f" {' and '.join(map(str, sorted(totals)))}",
            hint="finish its build, or take foreign shards away",
        )
    return sorted(shards)


def _require_first_records(store: Store, names: list[str]) -> dict[str, int]:
    """Return the sizes of shards whose first record is whole; RecordError for others."""
    sizes = store.sizes(names)
    with concurrent.futures.ThreadPoolExecutor(_REQUESTS) as pool:
        heads = list(pool.map(lambda name: store.head(name, _HEADER), names))
    for name, head in zip(names, heads, strict=True):
        if not _begins_with_record(head, sizes[name]):
            raise RecordError(
                f"{store.path(name)}, {sizes[name]:,} bytes, does not begin with a whole record",
                hint="get or build the shard again",
            )
    return {name: sizes[name] for name in names}


def _begins_with_record(head: bytes, n_bytes: int) -> bool:
    """Return whether a file begins with a header of TFRecord, and is as long as it states."""
    if len(head) < _HEADER:
        return False
    length, checksum = struct.unpack("<QI", head)
    return bool(checksum == _masked_crc32c(head[:8])) and length + FRAMING <= n_bytes


def _masked_crc32c(data: bytes) -> int:
    """Return the checksum of TFRecord: CRC-32C, rotated by 15 bits, plus a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
