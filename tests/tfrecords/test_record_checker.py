"""Checking: whatever is lost, doubled or damaged in a set is found."""

import dataclasses
import hashlib
import os
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


def test_every_damaged_shard_is_named_with_what_is_wrong(records):
    flipped, cut, empty, missing = sorted(records.glob("validation-*"))
    data = bytearray(flipped.read_bytes())
    data[1000] ^= 1
    flipped.write_bytes(data)
    size = cut.stat().st_size
    os.truncate(cut, size - 10)
    empty.write_bytes(b"")
    missing.unlink()
    with pytest.raises(RecordError) as caught:
        list(check(records))
    title, _, troubles = str(caught.value).partition(": ")
    assert title == "4 of 4 shards of validation are wrong"
    of_flipped, of_cut, of_empty, of_missing = troubles.split("; ")
    assert of_flipped.startswith(f"{flipped.name} has the sha256 ")
    assert of_cut == f"{cut.name} has {size - 10} bytes, not {size}"
    assert of_empty.startswith(f"{empty.name} has 0 bytes, not ")
    assert of_missing == f"{missing.name} is not there"


def test_shards_that_are_swapped_are_both_named(records, imagenet):
    one, other = sorted(records.glob("validation-*"))[1:3]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    with pytest.raises(RecordError, match=r"2 of 4 shards .* are wrong") as caught:
        list(check(records, imagenet.index, how="sha256"))
    assert one.name in str(caught.value) and other.name in str(caught.value)


def edited(records, name, *values):
    """The records of the first shard, one of them with another value."""
    kept = serialized(records)
    example = tf.train.Example.FromString(kept[7])
    feature = example.features.feature[name]
    kind = feature.WhichOneof("kind")
    getattr(feature, kind).value[:] = values
    kept[7] = example.SerializeToString()
    return kept


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("index", 1000, "an index lies beyond the 1000 examples"),
        ("index", -1, "an index lies beyond"),
        ("image/class/label", 0, "has the label -1, not"),
        ("image/class/label", 2000, "has the label 1999, not"),
        ("image/filename", b"other.JPEG", "has the file name"),
        ("image/height", 1, "is not the image that its record describes"),
        ("image/encoded", b"", "the file is empty"),
    ],
)
def test_a_record_that_says_something_else_than_the_index_is_found(
    records, imagenet, name, value, words
):
    rewrite(records, edited(records, name, value))
    with pytest.raises(RecordError, match=words):
        list(check(records, imagenet.index))


def test_a_record_that_lacks_a_feature_is_found(records, imagenet):
    rewrite(records, edited(records, "image/class/label"))
    with pytest.raises(RecordError, match="holds a record of another form"):
        list(check(records, imagenet.index, how="sha256"))


def test_an_image_that_does_not_decode_is_found_by_decoding_alone(records, imagenet):
    example = tf.train.Example.FromString(serialized(records)[7])
    (data,) = example.features.feature["image/encoded"].bytes_list.value
    frame = data.index(b"\xff\xc0")
    data = data[: frame + 11] + b"\x55" + data[frame + 12 :]  # absurd sampling
    rewrite(records, edited(records, "image/encoded", data))
    assert len(list(check(records, imagenet.index, how="structure"))) == 1
    with pytest.raises(RecordError, match=r"\.JPEG: "):
        list(check(records, imagenet.index, how="decode"))


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
