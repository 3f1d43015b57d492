"""From images to shards: the same bytes however they come about."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from memtools.errors import ConfigError, DiskError, RecordError
from memtools.estimates.about import save
from memtools.tfrecords import builder, records
from memtools.tfrecords.ledger import Ledger
from memtools.tfrecords.sources import open_source
from memtools.tfrecords.storage import open_store


def built(source, to, imagenet, split="train", n_shards=8, **options):
    index = imagenet.index
    builder.build(open_source(source), to, index, split=split, n_shards=n_shards, **options)
    return {path.name: path.read_bytes() for path in sorted(to.glob(f"{split}-*"))}


def parsed(path):
    return [
        tf.io.parse_single_example(record, records.FEATURES)
        for record in tf.data.TFRecordDataset(str(path))
    ]


@pytest.fixture(scope="module")
def reference(folder, imagenet, tmp_path_factory):
    """(directory, shards) of an undisturbed build."""
    to = tmp_path_factory.mktemp("reference")
    return to, built(folder, to, imagenet)


def test_every_image_is_in_one_record_with_what_the_index_says(reference, imagenet):
    to, shards = reference
    assert list(shards) == [f"train-{n:05d}-of-00008" for n in range(8)]
    seen = set()
    for name in shards:
        for record in parsed(to / name):
            position = int(record["index"])
            seen.add(position)
            filename = record["image/filename"].numpy().decode()
            assert filename == imagenet.index.filenames[position]
            label = int(imagenet.index.labels[position])
            assert int(record["image/class/label"]) == label + 1
            assert record["image/class/synset"].numpy().decode() == imagenet.synsets[label]
            assert record["image/class/text"] == record["image/class/synset"]
            assert (int(record["image/channels"]), record["image/format"].numpy()) == (3, b"JPEG")
            shape = tuple(tf.io.extract_jpeg_shape(record["image/encoded"]).numpy()[:2])
            assert shape == (int(record["image/height"]), int(record["image/width"]))
            if filename not in imagenet.odd:
                assert record["image/encoded"].numpy() == imagenet.data[filename]
    assert seen == set(range(2000))


def test_what_is_no_rgb_jpeg_is_converted_and_reported(reference, imagenet):
    to, shards = reference
    facts = Ledger.open(open_store(to)).splits["train"]
    converted = {k: v for each in facts.shards.values() for k, v in each.converted.items()}
    expected = {name: o for name, o in imagenet.odd.items() if o["format"] == "PNG"}
    cmyk = {name for name, o in imagenet.odd.items() if o["mode"] == "CMYK"}
    assert converted == {**dict.fromkeys(expected, "PNG"), **dict.fromkeys(cmyk, "CMYK")}
    (png,) = expected
    for name in shards:
        for record in parsed(to / name):
            if record["image/filename"] == png:
                pixels = tf.io.decode_jpeg(record["image/encoded"]).numpy().astype(int)
                source = tf.io.decode_png(imagenet.data[png], channels=3).numpy().astype(int)
                assert pixels.shape == source.shape
                assert abs(pixels - source).mean() < 12  # quality 100 of hard edges


def test_the_ledger_holds_counts_bytes_and_digests(reference):
    to, shards = reference
    split = Ledger.open(open_store(to)).splits["train"]
    assert split.complete and split.n_records == 2000
    for name, data in shards.items():
        facts = split.shards[name]
        assert (facts.n_bytes, facts.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert sum(facts.n_records for facts in split.shards.values()) == 2000
    assert not list(to.glob("*.tmp"))


def test_tars_and_workers_give_the_same_bytes(reference, imagenet, tmp_path):
    _, expected = reference
    assert built(imagenet.train_tar(), tmp_path / "tar", imagenet) == expected
    assert built(imagenet.train_tar(), tmp_path / "two", imagenet, n_workers=2) == expected


def test_a_flat_folder_and_its_tar_give_the_same_bytes(flat, imagenet, tmp_path):
    options = {"split": "validation", "n_shards": 4}
    of_folder = built(flat, tmp_path / "a", imagenet, **options)
    assert built(imagenet.validation_tar(), tmp_path / "b", imagenet, **options) == of_folder
    assert len(of_folder) == 4


def test_a_rerun_builds_only_what_is_missing(folder, reference, imagenet, tmp_path):
    _, expected = reference
    built(folder, tmp_path, imagenet)
    ledger = Ledger.open(open_store(tmp_path))
    lost = "train-00003-of-00008"
    del ledger.splits["train"].shards[lost]
    ledger.save()
    (tmp_path / lost).unlink()
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in expected if name != lost}
    assert built(folder, tmp_path, imagenet) == expected
    assert before == {name: (tmp_path / name).stat().st_mtime_ns for name in before}


def test_class_names_stand_in_the_text(folder, imagenet, tmp_path):
    texts = {imagenet.synsets[0].encode(): b"tench, Tinca tinca"}
    built(folder, tmp_path, imagenet, texts=texts)
    found = {
        record["image/class/synset"].numpy(): record["image/class/text"].numpy()
        for path in tmp_path.glob("train-*")
        for record in parsed(path)
    }
    assert found[imagenet.synsets[0].encode()] == b"tench, Tinca tinca"
    assert found[imagenet.synsets[1].encode()] == imagenet.synsets[1].encode()


def test_another_seed_or_index_is_not_mixed_into_a_directory(folder, imagenet, tmp_path):
    built(folder, tmp_path, imagenet)
    with pytest.raises(ConfigError, match="another seed"):
        built(folder, tmp_path, imagenet, seed=1)
    with pytest.raises(ConfigError, match="another number of shards"):
        built(folder, tmp_path, imagenet, n_shards=4)
    with pytest.raises(ConfigError, match="another choice of images"):
        built(folder, tmp_path, imagenet, skip=[str(imagenet.index.filenames[0])])


@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize("damage", [b"", b"<html>", None])
def test_a_damaged_image_stops_the_build_by_name_unless_it_is_left_out(
    folder, imagenet, tmp_path, damage, n_workers
):
    name = str(imagenet.index.filenames[77])
    path = folder / imagenet.synsets[imagenet.index.labels[77]] / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    try:
        with pytest.raises(RecordError, match=f"{name}: the ") as caught:
            built(folder, tmp_path, imagenet, n_workers=n_workers)
        assert "--skip-bad" in caught.value.hint
        names = {path.name for path in tmp_path.glob("train-*-of-00008")}
        noted = set(Ledger.open(open_store(tmp_path)).splits["train"].shards)
        assert noted <= names and (n_workers > 1 or noted == names)  # what is finished is kept
        shards = built(folder, tmp_path / "without", imagenet, skip=[name])
        assert len(shards) == 8
    finally:
        path.write_bytes(whole)


def test_decoding_finds_what_structure_does_not(folder, imagenet, tmp_path):
    name = str(imagenet.index.filenames[5])
    path = folder / imagenet.synsets[imagenet.index.labels[5]] / name
    whole = path.read_bytes()
    frame = whole.index(b"\xff\xc0")
    path.write_bytes(whole[: frame + 11] + b"\x55" + whole[frame + 12 :])  # absurd sampling
    try:
        built(folder, tmp_path / "a", imagenet)
        with pytest.raises(RecordError, match=name):
            built(folder, tmp_path / "b", imagenet, decode=True)
    finally:
        path.write_bytes(whole)


def test_a_full_disk_is_told_before_the_first_shard(folder, imagenet, tmp_path, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(DiskError, match=r"needs .* more"):
        built(folder, tmp_path, imagenet)
    assert not list(tmp_path.glob("train-*"))


CHILD = """
import sys, pathlib, numpy as np
from memtools.tfrecords.builder import build
from memtools.tfrecords.sources import open_source
from memtools.tfrecords.storage import open_store
from memtools.artifacts.loader import load
if __name__ == "__main__":
    index = load(pathlib.Path(sys.argv[2])).index
    print("go", flush=True)
    build(open_source(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[3]), index,
          split="train", n_shards=8)
"""


def test_killed_at_random_instants_the_next_run_ends_with_the_same_bytes(
    folder, reference, imagenet, tmp_path
):
    _, expected = reference
    index = imagenet.index
    arrays = {
        "tr_mem": np.zeros(2000),
        "tr_labels": index.labels,
        "tr_filenames": index.filenames,
        "tt_labels": index.test_labels,
        "tt_filenames": index.test_filenames,
    }
    save(tmp_path / "index.npz", arrays, index.about)
    to = tmp_path / "to"
    command = [sys.executable, "-c", CHILD, str(folder), str(tmp_path / "index.npz"), str(to)]
    draw, killed = random.Random(0), 0
    for _ in range(10):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            child.stdout.read(2)
            time.sleep(draw.uniform(0, 0.5))
            killed += child.poll() is None
            os.kill(child.pid, signal.SIGKILL)
        for path in to.glob("train-*-of-00008"):
            assert path.read_bytes() == expected[path.name]
    assert killed >= 3
    assert built(folder, to, imagenet) == expected
