"""Disks and buckets: files that appear whole, one builder at a time."""

import hashlib
import json

import pytest

from memtools.errors import BusyError, DiskError
from memtools.temporary_files import nobody
from memtools.tfrecords import builder
from memtools.tfrecords.bucket import Bucket
from memtools.tfrecords.checker import check
from memtools.tfrecords.reader import read_records
from memtools.tfrecords.sources import open_source
from memtools.tfrecords.storage import Disk, open_store


@pytest.fixture(params=["disk", "bucket"])
def store(request, tmp_path):
    where = tmp_path / "set" if request.param == "disk" else f"ram://{tmp_path.name}/set"
    return open_store(where)


def test_a_path_is_a_disk_and_a_url_a_bucket(tmp_path):
    assert open_store(tmp_path) == Disk(tmp_path)
    assert open_store("gs://mine/imagenet/") == Bucket("gs://mine/imagenet")


def test_what_is_written_is_there(store):
    assert store.names() == set()
    with store.building():
        store.write("a.json", b"abc")
        assert "a.json" in store.names()
        assert store.read("a.json") == b"abc"
        assert store.size_and_sha256("a.json") == (3, hashlib.sha256(b"abc").hexdigest())


def test_sizes_and_heads_are_those_of_the_files_that_are_there(store):
    with store.building():
        store.write("a", b"abcdef")
        store.write("b", b"")
    assert store.sizes(["a", "none", "b"]) == {"a": 6, "b": 0}
    assert store.head("a", 4) == b"abcd" and store.head("b", 4) == b""
    with pytest.raises(DiskError):
        store.head("none", 4)


def test_a_file_appears_when_it_is_whole_or_not_at_all(store):
    with store.building():
        with pytest.raises(KeyError), store.scratch("shard") as path:
            path.write_bytes(b"half")
            raise KeyError
        assert not {name for name in store.names() if name.startswith("shard")}
        with store.scratch("shard") as path:
            path.write_bytes(b"whole")
            assert "shard" not in store.names()
        assert store.read("shard") == b"whole"
        assert not {name for name in store.names() if name.endswith(".tmp")}


def test_what_is_not_there_is_a_disk_error(store):
    with pytest.raises(DiskError):
        store.read("nothing")
    with pytest.raises(DiskError):
        store.size_and_sha256("nothing")


def test_what_is_no_directory_is_a_disk_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for where in (tmp_path / "file", f"nosuch://{tmp_path.name}"):
        with pytest.raises(DiskError):
            open_store(where).names()
        with pytest.raises(DiskError), open_store(where).building():
            pass


def test_only_one_builds_on_a_disk(tmp_path):
    store = open_store(tmp_path)
    with store.building(), pytest.raises(BusyError), store.building():
        pass
    with store.building():
        pass


def test_a_set_in_a_bucket_is_the_set_on_a_disk(flat, imagenet, tmp_path):
    bucket = f"ram://{tmp_path.name}/imagenet"
    for where in (tmp_path, bucket):
        options = {"split": "validation", "n_shards": 4}
        builder.build(open_source(flat), where, imagenet.index, **options)
    on_disk, in_bucket = open_store(tmp_path), open_store(bucket)
    shards = {name for name in on_disk.names() if name.startswith("validation")}
    assert len(shards) == 4 and shards <= in_bucket.names()
    for name in (*shards, "dataset.json"):
        assert on_disk.read(name) == in_bucket.read(name)
    for name in ("features.json", "dataset_info.json"):  # whose keys come in no order
        assert json.loads(on_disk.read(name)) == json.loads(in_bucket.read(name))
    ((name, split),) = check(bucket, imagenet.index, how="structure")
    assert (name, split.n_records) == ("validation", 1000)
    found = {int(each["index"]) for each in read_records(bucket, "validation", image_size=8)}
    assert found == set(range(1000))


def test_a_shard_is_not_written_through_a_link_and_files_of_the_user_survive(tmp_path):
    store, victim = open_store(tmp_path), tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "shard").symlink_to(victim)
    (tmp_path / "dataset.json").symlink_to(victim)
    mine = [tmp_path / "shard.tmp", tmp_path / ".shard.tmp"]
    for path in mine:
        path.write_bytes(b"mine")
    orphan = tmp_path / f".shard.{nobody()}.tmp"
    orphan.touch()
    with store.scratch("shard") as path:
        path.write_bytes(b"records")
    store.write("dataset.json", b"{}")
    assert victim.read_bytes() == b"precious"
    assert [store.read("shard"), store.read("dataset.json")] == [b"records", b"{}"]
    assert all(path.read_bytes() == b"mine" for path in mine)
    assert not orphan.exists() and len(list(tmp_path.iterdir())) == 5


def test_shards_are_not_built_among_the_records_of_a_store(tmp_path):
    (tmp_path / "sweep.toml").touch()
    with (
        pytest.raises(DiskError, match="store of runs"),
        open_store(tmp_path / "records").building(),
    ):
        pass
