"""Shards that are cut, empty, too long or missing are named before the first batch."""

import json
import shutil
import struct

import numpy as np
import pytest
import tensorflow as tf
from memtools_cli.main import app
from tfrecords.conftest import encoded
from typer.testing import CliRunner

from memtools.errors import ConfigError, RecordError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.tfrecords import builder
from memtools.tfrecords.checker import check
from memtools.tfrecords.reader import naming_damage, read_encoded, read_records
from memtools.tfrecords.sources import open_source

N = 30
NAMES = [f"n01440764_{n}.JPEG" for n in range(N)]
INDEX = ExampleIndex(About(), np.zeros(N, int), np.array(NAMES), np.zeros(2, int), None)
SHARD = "train-00001-of-00003"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for n, name in enumerate(NAMES):
        (root / name).write_bytes(encoded(np.random.default_rng(n)))
    return root


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    to = tmp_path_factory.mktemp("records") / "set"
    return build(images, to)


def build(images, to):
    builder.build(open_source(images), to, INDEX, split="train", n_shards=3)
    return to


@pytest.fixture
def records(whole, tmp_path):
    """A copy to be spoilt."""
    return shutil.copytree(whole, tmp_path / "set")


def starts(data):
    """Where each record of a shard begins, and the end of the last."""
    places = [0]
    while places[-1] < len(data):
        places.append(places[-1] + struct.unpack_from("<Q", data, places[-1])[0] + 16)
    return places


CUTS = {
    "at a record": lambda data: data[: starts(data)[-4]],
    "in a header": lambda data: data[: starts(data)[-4] + 5],
    "in a record": lambda data: data[: starts(data)[-4] + 500],
    "empty": lambda _: b"",
    "too long": lambda data: data + data[: starts(data)[1]],
}


def spoil(records, how):
    data = (records / SHARD).read_bytes()
    (records / SHARD).write_bytes(CUTS[how](data))
    return f"{SHARD} has {len(CUTS[how](data)):,} bytes, not {len(data):,}"


def read(records, **options):
    return [
        int(example["index"]) for example in read_records(records, "train", image_size=8, **options)
    ]


def test_whole_set_is_read(whole):
    assert sorted(read(whole)) == list(range(N))


def test_tensorflow_alone_does_not_notice_a_cut_shard(records):
    """The reason for this module."""
    for how in ("at a record", "in a header"):
        target = records / how
        target.write_bytes(CUTS[how]((records / SHARD).read_bytes()))
        assert len(list(tf.data.TFRecordDataset(str(target)))) == 7


@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_a_shard_of_another_size_is_named_before_the_first_batch(records, tmp_path, how, where):
    words = spoil(records, how)
    if where == "bucket":
        bucket = f"ram://{tmp_path.name}/set"
        tf.io.gfile.makedirs(bucket)
        for path in records.iterdir():
            tf.io.gfile.GFile(f"{bucket}/{path.name}", "wb").write(path.read_bytes())
        records = bucket
    with pytest.raises(RecordError, match=words):
        read_records(records, "train")
    with pytest.raises(RecordError, match=words):
        read_encoded(records, "train")


@pytest.mark.parametrize("how", [*CUTS, "missing"])
def test_build_makes_a_shard_of_another_size_anew(images, whole, records, how):
    if how == "missing":
        (records / SHARD).unlink()
    else:
        spoil(records, how)
    build(images, records)
    for path in whole.glob("train-*"):
        assert (records / path.name).read_bytes() == path.read_bytes()
    assert sorted(read(records)) == list(range(N))


@pytest.mark.parametrize("how", CUTS)
def test_info_names_a_shard_of_another_size(records, how):
    words = spoil(records, how)
    shown = CliRunner().invoke(app, ["tfrecords", "info", str(records)])
    assert shown.exit_code == 5 and words in shown.stderr and not shown.stdout


def test_every_name_of_a_split_is_accepted(whole):
    for name in ("test", "val", "validation"):
        with pytest.raises(ConfigError, match="holds no records of 'validation'"):
            read_records(whole, name)
        with pytest.raises(ConfigError, match="holds no records of 'validation'"):
            list(check(whole, only=name))
    ((name, split),) = check(whole, only="train")
    assert (name, split.n_records) == ("train", N)


def test_a_set_that_is_being_built_is_refused(records):
    document = json.loads((records / "dataset.json").read_text())
    del document["splits"]["train"]["shards"][SHARD]
    (records / "dataset.json").write_text(json.dumps(document))
    with pytest.raises(RecordError, match="2 of 3 shards of train are built; the set is being"):
        read_records(records, "train")
    shown = CliRunner().invoke(app, ["tfrecords", "info", str(records)])
    assert shown.exit_code == 0 and "2 of 3" in shown.stdout


def test_a_missing_shard_is_named(records):
    (records / SHARD).unlink()
    with pytest.raises(RecordError, match=f"1 shards of train are not as built: {SHARD} is not"):
        read_records(records, "train")


@pytest.mark.parametrize("how", ["at the beginning", "in the middle"])
def test_damaged_bytes_are_named_where_the_iteration_is_ours(records, how):
    data = bytearray((records / SHARD).read_bytes())
    data[3 if how == "at the beginning" else starts(data)[5] + 40] ^= 1
    (records / SHARD).write_bytes(data)
    words = f"{SHARD} is damaged: corrupted record at"
    with pytest.raises(RecordError, match=words), naming_damage(records, "train"):
        read(records)
    with pytest.raises(tf.errors.DataLossError):
        read(records)


def test_other_errors_pass_through_unchanged(records):
    with pytest.raises(tf.errors.InvalidArgumentError, match="else"), naming_damage(records, "val"):
        tf.debugging.assert_equal(1, 2, message="something else")


class TestWithoutDatasetJson:
    """Sets of other tools: no counts are known."""

    @pytest.fixture
    def foreign(self, records):
        (records / "dataset.json").unlink()
        return records

    def test_whole_set_is_read(self, foreign):
        assert sorted(read(foreign)) == list(range(N))
        assert sorted(read(foreign, seed=0)) == list(range(N))

    @pytest.mark.parametrize("content", [b"", b"abc", b"no records at all, but text"])
    def test_a_shard_that_does_not_begin_with_a_record_is_named(self, foreign, content):
        (foreign / SHARD).write_bytes(content)
        words = f"{SHARD}, {len(content)} bytes, does not begin with a whole record"
        with pytest.raises(RecordError, match=words):
            read_records(foreign, "train")

    def test_a_first_record_that_is_cut_is_named(self, foreign):
        data = (foreign / SHARD).read_bytes()
        (foreign / SHARD).write_bytes(data[: starts(data)[1] - 1])
        with pytest.raises(RecordError, match="does not begin with a whole record"):
            read_records(foreign, "train")

    @pytest.mark.parametrize("options", [{}, {"seed": 0}, {"mask": np.ones(N, bool)}])
    def test_a_shard_cut_in_a_header_ends_the_iteration_with_its_name(self, foreign, options):
        spoil(foreign, "in a header")
        with pytest.raises(tf.errors.InvalidArgumentError, match=SHARD):
            read(foreign, **options)
        with pytest.raises(RecordError, match=SHARD), naming_damage(foreign, "train"):
            read(foreign, **options)

    def test_a_missing_shard_is_a_gap_in_the_numbers(self, foreign):
        (foreign / SHARD).unlink()
        with pytest.raises(RecordError, match="2 shards of train out of 3"):
            read_records(foreign, "train")
