"""From images to shards: the same bytes however they come about."""

import contextlib
import functools
import hashlib
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from processes import group, wait_for
from tfrecords.conftest import encoded

from memtools.engines import outcomes
from memtools.errors import ConfigError, DiskError, MemtoolsError, RecordError
from memtools.estimates.about import About, save
from memtools.estimates.model import ExampleIndex
from memtools.tfrecords import builder, records
from memtools.tfrecords.ledger import Ledger
from memtools.tfrecords.sources import TAR_MD5, Folder, open_source
from memtools.tfrecords.storage import open_store

two_workers = functools.partial(outcomes, n_workers=2)


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
    assert built(imagenet.train_tar(), tmp_path / "two", imagenet, engine=two_workers) == expected


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
            built(
                folder, tmp_path, imagenet, engine=functools.partial(outcomes, n_workers=n_workers)
            )
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


@pytest.fixture(scope="module")
def index_file(imagenet, tmp_path_factory):
    path = tmp_path_factory.mktemp("index") / "index.npz"
    save(path, {"tr_mem": np.zeros(2000), **imagenet.index.arrays}, imagenet.index.about)
    return path


CHILD = """
import sys, pathlib, numpy as np
from memtools.tfrecords.builder import build
from memtools.tfrecords.sources import Folder, open_source
from memtools.tfrecords.storage import open_store
from memtools.artifacts.loader import load
if __name__ == "__main__":
    index = load(pathlib.Path(sys.argv[2])).index
    print("go", flush=True)
    build(open_source(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[3]), index,
          split="train", n_shards=8)
"""


def test_killed_at_random_instants_the_next_run_ends_with_the_same_bytes(
    folder, reference, imagenet, index_file, tmp_path
):
    _, expected = reference
    to = tmp_path / "to"
    command = [sys.executable, "-c", CHILD, str(folder), str(index_file), str(to)]
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


def test_a_shard_that_has_vanished_is_built_again(folder, reference, imagenet, tmp_path):
    _, expected = reference
    built(folder, tmp_path, imagenet)
    (tmp_path / "train-00005-of-00008").unlink()
    assert built(folder, tmp_path, imagenet) == expected


def command_to_build(folder, index_file, to, n_workers):
    """`memtools tfrecords build`, of the shards of `reference`."""
    options = {"split": "train", "to": to, "index": index_file, "shards": 8, "workers": n_workers}
    options = [each for name, value in options.items() for each in (f"--{name}", str(value))]
    return ["tfrecords", "build", str(folder), *options]


LIMITED = """
import resource, signal, sys
from memtools_cli.main import app
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), -1))
app()
"""


def test_a_file_that_cannot_grow_further_is_no_shard(
    folder, reference, imagenet, index_file, tmp_path
):
    _, expected = reference
    to = tmp_path / "to"
    limit = str(max(map(len, expected.values())) - 20_000)
    arguments = command_to_build(folder, index_file, to, 1)
    command = [sys.executable, "-c", LIMITED, limit, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 6 and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.splitlines()[-2].startswith("error: ")
    for path in to.glob("train-*"):
        assert path.read_bytes() == expected[path.name]
    assert len(list(to.glob("train-*"))) < 8 and not list(to.glob("*.tmp"))
    assert built(folder, to, imagenet) == expected


SCRIPT = Path(sys.executable).with_name("memtools")
ON_A_SMALL_DISK = """
    export LC_ALL=C
    mount -t tmpfs -o size=$1 tmpfs "$2" || exit 77
    to=$2 copy=$3 && shift 3
    "$@" 2>&1; echo "exit $?"
    ls -A "$to" | sed 's/^/left: /'
    mkdir "$copy" && cp "$to"/train-* "$copy"
    mount -o remount,size=100m "$to"
    "$@" 2>&1; echo "exit $?"
    cp "$to"/train-* "$copy"
"""


def test_a_disk_that_fills_up_in_the_middle_is_gone_on_from(
    folder, reference, index_file, tmp_path
):
    """It has room for all images, so that nobody can tell beforehand, but not for the records."""
    _, expected = reference
    n_bytes = sum(map(len, expected.values())) - 100_000
    (tmp_path / "to").mkdir()
    script = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-uc", ON_A_SMALL_DISK, "sh"]
    where = [str(tmp_path / "to"), str(tmp_path / "copy")]
    command = [str(SCRIPT), *command_to_build(folder, index_file, tmp_path / "to", 1)]
    try:
        done = subprocess.run(
            [*script, str(n_bytes), *where, *command], capture_output=True, text=True
        )
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if "exit" not in done.stdout:
        pytest.skip("needs `unshare --user --mount`, and tmpfs mounted in it")
    assert re.findall(r"exit (\d+)", done.stdout) == ["6", "0"], done.stdout
    assert re.search("^error: .*\n       free some space", done.stdout, re.MULTILINE)
    left = re.findall("left: (.*)", done.stdout)
    shards = [name for name in left if name.startswith("train-")]
    assert "dataset.json" in left and 4 <= len(shards) < 8
    assert not [name for name in left if name.endswith(".tmp")]
    copied = {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()}
    assert copied == expected


def begun_since(to, then):
    """Whether a shard has been begun, or finished."""
    with contextlib.suppress(FileNotFoundError):  # it was renamed just now
        return any(path.stat().st_mtime > then for path in to.glob("*train-*"))


def test_killed_with_its_workers_the_next_run_ends_with_the_same_bytes(
    folder, reference, imagenet, index_file, tmp_path
):
    _, expected = reference
    to, draw, in_the_middle = tmp_path / "to", random.Random(1), 0
    command = [str(SCRIPT), *command_to_build(folder, index_file, to, 2)]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for pause in (0, draw.uniform(0, 0.15), draw.uniform(0, 0.15)):
        then = time.time()
        with group(command, **streams) as build:
            wait_for(lambda n=then: build.poll() is not None or begun_since(to, n))
            time.sleep(pause)
        shards = [path for path in to.glob("train-*") if path.suffix != ".tmp"]
        in_the_middle += len(shards) < 8
        for path in shards:
            assert path.read_bytes() == expected[path.name]
    assert in_the_middle
    assert built(folder, to, imagenet) == expected
    assert not list(to.glob("*.tmp")) and Ledger.open(open_store(to)).splits["train"].complete


def test_an_image_that_is_a_gif_is_converted(imagenet, tmp_path):
    names = [str(name) for name in imagenet.index.test_filenames[:2]]
    source, rng = tmp_path / "source", np.random.default_rng(0)
    source.mkdir()
    first, *rest = (
        Image.fromarray(
            np.kron(rng.integers(0, 255, (3, 4, 3), np.uint8), np.ones((8, 8, 1), "u1"))
        )
        for _ in range(3)
    )
    first.save(source / names[0], "GIF", save_all=True, append_images=rest)
    (source / names[1]).write_bytes(imagenet.data[names[1]])
    options = {"split": "validation", "n_shards": 1, "allow_missing": True}
    split = builder.build(open_source(source), tmp_path / "to", imagenet.index, **options)
    assert split.converted == {names[0]: "GIF"}
    (record,) = (
        each for each in parsed(tmp_path / "to" / "validation-00000-of-00001") if each["index"] == 0
    )
    pixels = tf.io.decode_jpeg(record["image/encoded"]).numpy().astype(int)
    assert abs(pixels - np.array(first.convert("RGB"), int)).mean() < 12


@pytest.mark.parametrize("n_lost", [1, 4])
def test_only_what_comes_from_the_publishers_tar_is_said_to(
    flat, imagenet, tmp_path, monkeypatch, n_lost
):
    tar = open_source(imagenet.validation_tar())
    md5 = hashlib.md5(tar.path.read_bytes()).hexdigest()
    monkeypatch.setitem(TAR_MD5, "validation", md5)
    options = {"split": "validation", "n_shards": 4}
    index, to = imagenet.index, tmp_path / "to"
    assert builder.build(tar, to, index, verify_source=True, **options).source_md5 == md5
    for shard in sorted(to.glob("validation-*"))[:n_lost]:
        shard.unlink()
    assert builder.build(open_source(flat), to, index, **options).source_md5 == ""


ODD_NAMES = [
    "n01739381_1309",
    "n02077923_14822",
    "n02447366_23489",
    "n02492035_15739",
    "n02747177_10752",
    "n03018349_4028",
    "n03062245_4620",
    "n03347037_9675",
    "n03467068_12171",
    "n03529860_11437",
    "n03544143_17228",
    "n03633091_5218",
    "n03710637_5125",
    "n03961711_5286",
    "n04033995_2932",
    "n04258138_17003",
    "n04264628_27969",
    "n04336792_7448",
    "n04371774_5854",
    "n04596742_4225",
    "n07583066_647",
    "n13037406_4650",
]


def test_the_odd_files_of_imagenet_are_found_by_content(tmp_path):
    kinds = {f"{name}.JPEG": "CMYK" for name in ODD_NAMES} | {"n02105855_2933.JPEG": "PNG"}
    rng, source = np.random.default_rng(3), tmp_path / "source"
    names = sorted([*kinds, *(name.replace("_", "_9") for name in kinds)])
    for name in names:
        path = source / name.partition("_")[0] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        odd = {"CMYK": {"mode": "CMYK"}, "PNG": {"format": "PNG"}}.get(kinds.get(name), {})
        path.write_bytes(encoded(rng, **odd))
    labels = np.unique([name.partition("_")[0] for name in names], return_inverse=True)[1]
    index = ExampleIndex(About(), labels, np.array(names), None, None)
    split = builder.build(open_source(source), tmp_path / "to", index, split="train", n_shards=2)
    assert split.converted == kinds and len(kinds) == 23


def test_a_worker_that_dies_ends_the_build(folder, imagenet, tmp_path):
    source = Deadly(folder)
    with pytest.raises(MemtoolsError, match="died without a word"):
        builder.build(
            source, tmp_path, imagenet.index, split="train", n_shards=8, engine=two_workers
        )
    assert not list(tmp_path.glob("train-*-of-00008"))
    assert not Ledger.open(open_store(tmp_path)).splits["train"].complete


class Deadly(Folder):
    """A source that kills the worker that reads one image."""

    def read(self, name, synset, place):
        if name.endswith(b"_1.JPEG") and multiprocessing.parent_process():
            os._exit(3)
        return super().read(name, synset, place)
