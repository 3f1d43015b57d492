"""Checking: whatever is lost, doubled or damaged in a set is found."""

import dataclasses
import hashlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from memtools.errors import RecordError
from memtools.tfrecords import builder
from memtools.tfrecords.checker import check
from memtools.tfrecords.ledger import Ledger
from memtools.tfrecords.sources import open_source
from memtools.tfrecords.storage import open_store


@pytest.fixture(scope="module")
def whole(flat, imagenet, tmp_path_factory):
    to = tmp_path_factory.mktemp("whole")
    index = imagenet.index
    builder.build(open_source(flat), to, index, split="validation", n_shards=4)
    return to


@pytest.fixture
def records(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "records")


def first_shard(records):
    return records / "validation-00000-of-00004"


def rewrite(records, serialized, *, honest=True):
    """Replace the first shard; honest: the ledger believes what is there now."""
    path = first_shard(records)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in serialized:
            writer.write(record)
    if honest:
        data, ledger = path.read_bytes(), Ledger.open(open_store(records))
        facts = ledger.splits["validation"].shards[path.name]
        ledger.splits["validation"].shards[path.name] = dataclasses.replace(
            facts, n_bytes=len(data), sha256=hashlib.sha256(data).hexdigest()
        )
        ledger.save()


def serialized(records):
    return [r.numpy() for r in tf.data.TFRecordDataset(str(first_shard(records)))]


@pytest.mark.parametrize("how", ["sha256", "structure", "decode"])
@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_whole_set_is_proven(records, imagenet, how, n_workers):
    if (how, n_workers) == ("decode", 2):
        n_workers = 1  # one start of TensorFlow less
    ((name, split),) = check(records, imagenet.index, how=how, n_workers=n_workers)
    assert (name, split.n_records) == ("validation", 1000)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda rs: rs[:-1], "holds 249 records, not 250"),
        (lambda rs: [*rs, rs[3]], "holds 251 records, not 250"),
        (lambda rs: [*rs[:-1], rs[3]], "stands there twice"),
        (lambda rs: [], "holds 0 records"),
    ],
)
def test_records_lost_or_doubled_are_counted_even_if_the_bytes_are_as_noted(
    records, imagenet, edit, words
):
    rewrite(records, edit(serialized(records)))
    with pytest.raises(RecordError, match=words):
        list(check(records, imagenet.index))


def test_a_flipped_byte_a_cut_and_a_missing_shard_are_found(records, imagenet):
    path = first_shard(records)
    data = path.read_bytes()
    path.write_bytes(data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
    with pytest.raises(RecordError, match="has the sha256"):
        list(check(records))
    path.write_bytes(data[:-10])
    with pytest.raises(RecordError, match="bytes, not"):
        list(check(records))


def test_a_label_that_is_not_the_indexs_is_named(records, imagenet):
    labels = imagenet.index.test_labels.copy()
    labels[[0, 1]] = labels[[1, 0]]
    other = dataclasses.replace(imagenet.index, test_labels=labels)
    with pytest.raises(RecordError, match="has the label"):
        list(check(records, other))
    names = np.roll(imagenet.index.test_filenames, 1)
    other = dataclasses.replace(imagenet.index, test_filenames=names)
    with pytest.raises(RecordError, match="has the file name"):
        list(check(records, other))


def test_an_image_that_is_cut_is_found_by_structure_but_not_by_sha256(records, imagenet):
    kept = serialized(records)
    example = tf.train.Example.FromString(kept[7])
    value = example.features.feature["image/encoded"].bytes_list.value
    value[0] = value[0][:-30]
    kept[7] = example.SerializeToString()
    rewrite(records, kept)
    assert len(list(check(records, imagenet.index, how="sha256"))) == 1
    with pytest.raises(RecordError, match="no end marker"):
        list(check(records, imagenet.index, how="structure"))


def test_what_is_unfinished_or_no_set_is_called_that(records, tmp_path):
    ledger = Ledger.open(open_store(records))
    del ledger.splits["validation"].shards["validation-00002-of-00004"]
    ledger.save()
    with pytest.raises(RecordError, match="3 of 4 shards of validation are built"):
        list(check(records))
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match=r"holds no dataset\.json"):
        list(check(tmp_path / "empty"))
