"""memtools tfrecords build, check, info."""

import contextlib
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from memtools_cli.main import app

from memtools.estimates.about import save
from memtools.tfrecords import sources
from memtools.tfrecords.records import FEATURES
from memtools.tfrecords.storage import open_store


@pytest.fixture(scope="module")
def index(imagenet, tmp_path_factory):
    """The index as a file of one's own."""
    path = tmp_path_factory.mktemp("index") / "index.npz"
    save(path, {"tr_mem": np.zeros(2000), **imagenet.index.arrays}, imagenet.index.about)
    return path


class Shown:
    def __init__(self, returncode, stdout, stderr):
        self.returncode, self.stdout, self.stderr = returncode, stdout, stderr


@pytest.fixture(autouse=True)
def what_a_command_sets_is_set_back():
    log = logging.getLogger("memtools")
    kept = log.level, log.handlers, log.propagate
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    log.level, log.handlers, log.propagate = kept
    for number, handler in signals.items():
        signal.signal(number, handler)


def run(*arguments):
    """The command in this process: TensorFlow is here already."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            app(["tfrecords", *map(str, arguments)], standalone_mode=True)
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
    return Shown(code, out.getvalue(), err.getvalue())


def build(source, to, index, *options, split="validation", workers=1):
    common = ("--split", split, "--to", to, "--index", index, "--shards", 4, "--workers", workers)
    return run("build", source, *common, *options)


def refused(shown, code, *words):
    """Exactly two lines on stderr, and nothing on stdout."""
    lines = shown.stderr.splitlines()
    assert (shown.returncode, shown.stdout) == (code, ""), shown.stderr
    assert len(lines) == 2 and lines[0].startswith("error: "), lines
    assert lines[1].startswith("       ") and lines[1].strip()
    for each in words:
        assert each in lines[0]


def shards_of(where, split):
    return {path.name: path.read_bytes() for path in where.glob(f"{split}-*")}


def parsed(where, split):
    dataset = tf.data.TFRecordDataset([str(path) for path in where.glob(f"{split}-*")])
    return [tf.io.parse_single_example(record, FEATURES) for record in dataset]


@pytest.fixture(scope="module")
def whole(folder, flat, index, tmp_path_factory):
    to = tmp_path_factory.mktemp("cli") / "set"
    shown = build(folder, to, index, split="train")
    assert (shown.returncode, shown.stdout) == (0, f"{to}\n")
    assert "converted to RGB JPEG: 1 CMYK, 1 PNG (n0" in shown.stderr
    assert build(flat, to, index).returncode == 0
    return to


@pytest.mark.parametrize("workers", [1, 2])
def test_the_official_tar_gives_the_same_files_with_any_number_of_workers(
    whole, imagenet, index, tmp_path, workers
):
    shown = build(imagenet.train_tar(), tmp_path, index, split="train", workers=workers)
    assert (shown.returncode, shown.stdout) == (0, f"{tmp_path}\n")
    assert shards_of(tmp_path, "train") == shards_of(whole, "train")


def test_the_number_of_files_is_that_of_the_classic_sets(flat, index, tmp_path):
    options = ("--split", "validation", "--index", index, "--workers", 1)
    assert run("build", flat, "--to", tmp_path, *options).returncode == 0
    expected = [f"validation-{n:05d}-of-00128" for n in range(128)]
    assert sorted(shards_of(tmp_path, "validation")) == expected


def test_images_are_decoded_if_that_is_asked_for(flat, index, imagenet, tmp_path):
    mine = shutil.copytree(flat, tmp_path / "mine")
    path = mine / str(imagenet.index.test_filenames[3])
    data = path.read_bytes()
    frame = data.index(b"\xff\xc0")
    path.write_bytes(data[: frame + 11] + b"\x55" + data[frame + 12 :])  # absurd sampling
    refused(build(mine, tmp_path / "a", index, "--verify", "decode"), 5, path.name)
    assert build(mine, tmp_path / "b", index, "--verify", "structure").returncode == 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("sha256", "of the index; sha256 as built; from"),
        ("structure", "sha256 as built, structure of each image; from"),
        ("decode", "sha256 as built, each image decoded; from"),
    ],
)
def test_check_says_what_it_proved(whole, index, how, words):
    shown = run("check", whole, "--index", index, "--verify", how, "--workers", 1)
    assert shown.returncode == 0
    train, validation = shown.stdout.splitlines()
    assert train.startswith("train: 2,000 records in 4 shards, each index once")
    assert validation.startswith("validation: 1,000 records") and words in validation
    assert train.endswith("from a source that was not verified")


def test_info_shows_what_a_set_holds(whole):
    shown = run("info", whole)
    assert (shown.returncode, shown.stderr) == (0, "")
    heading, train, validation = (line.split("\t") for line in shown.stdout.splitlines())
    assert train[:3] == ["train", "2,000 of 2,000", "4 of 4"]
    assert validation[:3] == ["validation", "1,000 of 1,000", "4 of 4"]
    assert train[4:] == ["0", "1 CMYK, 1 PNG", "not verified"]
    assert validation[4:] == ["0", "none", "not verified"]
    assert len(heading) == len(train) == 7
    document = json.loads(run("info", whole, "--json").stdout)
    assert document["validation"]["n_records"] == 1000
    for split, facts in document.items():
        sizes = {name: each["n_bytes"] for name, each in facts["shards"].items()}
        assert sizes == {name: len(data) for name, data in shards_of(whole, split).items()}


def test_words_stand_in_the_records_and_skipped_images_do_not(flat, index, imagenet, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("".join(f"{synset} word {synset}\n" for synset in imagenet.synsets))
    bad = tmp_path / "bad.txt"
    name = str(imagenet.index.test_filenames[0])
    bad.write_text(f"# found by eye\n\n  {name} \n")
    shown = build(flat, tmp_path / "a", index, "--class-names", words, "--skip-bad", bad)
    assert shown.returncode == 0
    assert shown.stderr == "1 images of the index are left out\n"
    records = parsed(tmp_path / "a", "validation")
    assert {int(record["index"]) for record in records} == set(range(1, 1000))
    for record in records:
        assert record["image/class/text"] == b"word " + record["image/class/synset"].numpy()


def test_a_source_that_lacks_images_must_be_meant(flat, index, imagenet, tmp_path):
    some, name = shutil.copytree(flat, tmp_path / "some"), str(imagenet.index.test_filenames[0])
    (some / name).unlink()
    shown = build(some, tmp_path / "set", index)
    refused(shown, 5, f"1 missing ({name})")
    assert "--allow-missing" in shown.stderr
    assert not (tmp_path / "set").exists()
    shown = build(some, tmp_path / "set", index, "--allow-missing")
    assert (shown.returncode, shown.stderr) == (0, "1 images of the index are left out\n")


@pytest.mark.parametrize("option", ["--class-names", "--skip-bad"])
def test_a_list_that_is_not_there_is_a_disk_error(flat, index, tmp_path, option):
    refused(build(flat, tmp_path / "set", index, option, tmp_path / "none"), 6, "none")


@pytest.mark.parametrize("option", ["--class-names", "--skip-bad"])
def test_a_list_that_is_no_text_is_refused(flat, index, tmp_path, option):
    (tmp_path / "list").write_bytes(b"\xff\xfe\0n\n\x80")
    refused(build(flat, tmp_path / "set", index, option, tmp_path / "list"), 2, "list")


def test_the_tar_is_compared_with_the_publishers(imagenet, index, tmp_path, monkeypatch):
    tar = imagenet.validation_tar()
    refused(build(tar, tmp_path / "a", index, "--verify-source"), 5, "has the md5")
    assert not (tmp_path / "a").exists()
    actual = sources.digest_file(tar, ("md5",))["md5"]
    monkeypatch.setitem(sources.TAR_MD5, "validation", actual)
    assert build(tar, tmp_path / "a", index, "--verify-source").returncode == 0
    shown = run("check", tmp_path / "a", "--index", index, "--workers", 1)
    assert shown.stdout.rstrip().endswith("from the publisher's tar")


def test_a_folder_has_no_digest_to_compare(flat, index, tmp_path):
    refused(build(flat, tmp_path / "a", index, "--verify-source"), 2, "have a published digest")


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: (path.parent / "odd.JPEG").write_bytes(b"1"), ["1 not in the index (odd.J"]),
        (
            lambda path: path.rename(path.with_name(path.name.lower())),
            ["1 missing (ILSVRC2012", "1 not in the index (ilsvrc2012"],
        ),
        (lambda path: path.write_bytes(b""), ["the file is empty"]),
        (lambda path: path.write_bytes(b"\n<html>"), ["a web page"]),
        (cut, ["the JPEG is cut"]),
    ],
    ids=["unknown", "other case", "empty", "web page", "cut"],
)
def test_wrong_images_are_named_in_two_lines(flat, index, imagenet, tmp_path, spoil, words):
    mine, name = shutil.copytree(flat, tmp_path / "mine"), str(imagenet.index.test_filenames[3])
    spoil(mine / name)
    shown = build(mine, tmp_path / "set", index)
    refused(shown, 5, *words)
    assert name in shown.stderr or "odd.JPEG" in shown.stderr


def test_an_image_in_two_folders_or_in_the_wrong_one_is_named(folder, index, imagenet, tmp_path):
    mine = shutil.copytree(folder, tmp_path / "mine")
    name, label = str(imagenet.index.filenames[0]), int(imagenet.index.labels[0])
    here, there = imagenet.synsets[label], imagenet.synsets[(label + 1) % 1000]
    shutil.copy(mine / here / name, mine / there / name)
    refused(build(mine, tmp_path / "set", index, split="train"), 5, f"1 there twice ({name})")
    (mine / here / name).unlink()
    shown = build(mine, tmp_path / "set", index, split="train")
    refused(shown, 5, f"1 in a folder of another class ({name})")


def members_of(path):
    with tarfile.open(path) as tar:
        return tar.getmembers()


def test_a_tar_that_is_cut_is_refused(imagenet, index, tmp_path):
    whole, tar = imagenet.validation_tar(), tmp_path / "cut.tar"
    data, member = whole.read_bytes(), members_of(whole)[500]
    for size in (member.offset_data + 1, member.offset + 100, member.offset):
        tar.write_bytes(data[:size])
        refused(build(tar, tmp_path / "set", index), 5, str(tar))
    assert not (tmp_path / "set").exists()


def test_a_tar_of_tars_that_is_cut_is_refused(imagenet, index, tmp_path):
    whole, tar = imagenet.train_tar(), tmp_path / "cut.tar"
    data, member = whole.read_bytes(), members_of(whole)[500]
    second = member.offset_data + 512  # within the inner tar
    for size in (second, second + 1000, member.offset):
        tar.write_bytes(data[:size])
        refused(build(tar, tmp_path / "set", index, split="train"), 5, str(tar))


def test_wrong_requests_are_refused(flat, whole, index, imagenet, tmp_path):
    refused(build(tmp_path / "none", tmp_path / "a", index), 2, "is not there")
    (tmp_path / "text").write_text("no tar")
    refused(build(tmp_path / "text", tmp_path / "a", index), 2, "is not a tar")
    refused(build(flat, whole, index, "--seed", 7), 2, "another seed")
    (tmp_path / "file").write_text("")
    refused(build(flat, tmp_path / "file", index), 6, "a file stands where")
    refused(run("check", tmp_path, "--index", index), 5, "holds no dataset.json")
    refused(run("info", tmp_path), 5, "holds no dataset.json")
    bare = tmp_path / "bare.npz"
    np.savez(bare, tr_mem=np.zeros(3), tr_labels=np.zeros(3, int))
    refused(build(flat, tmp_path / "a", bare), 2, "no names and labels")
    np.savez(bare, scores=np.zeros(3), labels=np.zeros(3, int))  # C-scores
    refused(build(flat, tmp_path / "a", bare), 2, "holds no file names")
    refused(build(flat, tmp_path / "a", tmp_path / "no.npz"), 6, "no.npz")
    assert not (tmp_path / "a").exists()


@pytest.fixture
def closed(flat, tmp_path):
    """A copy of the validation images that nobody but root may read."""
    path = shutil.copytree(flat, tmp_path / "closed")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("whoever runs this may read everything")
    yield path
    path.chmod(0o700)


def test_a_source_that_may_not_be_read_is_refused(closed, index, tmp_path):
    shown = build(closed, tmp_path / "set", index)
    assert shown.returncode == 2 and "is not readable" in shown.stderr
    refused(build(closed / "some.tar", tmp_path / "set", index), 6, "permission denied")


def test_an_image_that_may_not_be_read_is_named(closed, index, imagenet, tmp_path):
    closed.chmod(0o700)
    name = str(imagenet.index.test_filenames[7])
    (closed / name).chmod(0)
    refused(build(closed, tmp_path / "set", index), 6, f"{name}: permission denied")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"splits": {"train": 1}}'])
def test_a_damaged_list_of_shards_is_named(flat, whole, index, tmp_path, content):
    copy = shutil.copytree(whole, tmp_path / "copy")
    (copy / "dataset.json").write_bytes(content)
    for shown in (
        build(flat, copy, index),
        run("info", copy),
        run("check", copy, "--index", index),
    ):
        refused(shown, 5, "copy/dataset.json")
    assert shards_of(copy, "train") == shards_of(whole, "train")


def test_a_second_build_in_the_same_directory_is_told_so(flat, index, tmp_path):
    with open_store(tmp_path / "set").building():
        refused(build(flat, tmp_path / "set", index), 7, "another process")


def test_a_damaged_shard_is_named(whole, index, tmp_path):
    copy = shutil.copytree(whole, tmp_path / "copy")
    shard = copy / "train-00002-of-00004"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 4
    shard.write_bytes(data)
    (copy / "train-00001-of-00004").unlink()
    shown = run("check", copy, "--index", index, "--workers", 1)
    refused(shown, 5, "2 of 4 shards of train are wrong: train-00001-of-00004 is not there")
    assert "train-00002-of-00004 has the sha256" in shown.stderr


@pytest.mark.parametrize("kind", ["bytes", "objects"])
def test_names_may_be_bytes_or_objects(flat, whole, imagenet, tmp_path, kind):
    arrays = {"tr_mem": np.zeros(2000), **imagenet.index.arrays}
    for name in ("tr_filenames", "tt_filenames"):
        encoded = arrays[name].astype("S")
        arrays[name] = encoded if kind == "bytes" else encoded.astype(object)
    np.savez(tmp_path / "mine.npz", **arrays)
    options = ("--names",) if kind == "objects" else ()
    assert build(flat, tmp_path / "set", tmp_path / "mine.npz", *options).returncode == 0
    assert shards_of(tmp_path / "set", "validation") == shards_of(whole, "validation")
    if kind == "objects":
        shown = build(flat, tmp_path / "set", tmp_path / "mine.npz")
        refused(shown, 5, "it holds Python objects")
        assert "--names" in shown.stderr


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tensorflow_datasets"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
from memtools_cli.main import app
app()
"""


def test_without_tensorflow_it_says_how_to_get_it(whole, flat, index, tmp_path):
    def blocked(*arguments):
        command = [sys.executable, "-c", BLOCKED, "tfrecords", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    common = ("--split", "validation", "--to", tmp_path / "set", "--index", index)
    for shown in (blocked("build", flat, *common), blocked("check", whole, "--index", index)):
        refused(shown, 1, "this needs tensorflow")
        assert "pip install 'memtools[tf]'" in shown.stderr
    shown = blocked("info", whole)
    assert (shown.returncode, shown.stderr) == (0, "") and "2,000 of 2,000" in shown.stdout
    for arguments in (["--help"], ["build", "--help"], ["check", "--help"]):
        shown = blocked(*arguments)
        assert shown.returncode == 0 and shown.stdout.startswith("Usage: ")


def test_a_process_of_its_own_and_its_workers_say_two_lines(
    memtools, flat, index, imagenet, tmp_path
):
    mine = shutil.copytree(flat, tmp_path / "mine")
    (mine / str(imagenet.index.test_filenames[7])).write_bytes(b"")
    command = ("tfrecords", "build", mine, "--split", "validation", "--to", tmp_path / "set")
    shown = memtools(*command, "--index", index, "--shards", 4, "--workers", 2)
    refused(shown, 5, "the file is empty")


def test_every_name_of_a_split_is_accepted_by_every_command(flat, whole, index, tmp_path):
    for name in ("test", "val"):
        assert build(flat, tmp_path / name, index, split=name).returncode == 0
        assert shards_of(tmp_path / name, "validation") == shards_of(whole, "validation")
        shown = run("check", whole, "--index", index, "--split", name, "--workers", 1)
        assert shown.stdout.startswith("validation: 1,000 records") and shown.returncode == 0
        assert shown.stdout.count("\n") == 1
        document = json.loads(run("info", whole, "--json", "--split", name).stdout)
        assert list(document) == ["validation"]
    refused(run("info", tmp_path / "val", "--split", "train"), 2, "holds no records of 'train'")


def test_class_folders_may_be_labels(folder, whole, imagenet, index, tmp_path):
    (tmp_path / "train").mkdir()
    for label, synset in enumerate(imagenet.synsets):
        (tmp_path / "train" / str(label)).symlink_to(folder / synset)
    shown = build(tmp_path / "train", tmp_path / "set", index, split="train")
    assert shown.returncode == 0
    assert shards_of(tmp_path / "set", "train") == shards_of(whole, "train")
    shown = build(
        tmp_path / "train", tmp_path / "set", index, "--class-folders", "synset", split="train"
    )
    refused(shown, 2, "1,000 class folders are not named by synset: 0, 1, 10, ...")


def test_a_folder_above_the_splits_is_not_taken_for_classes(folder, index):
    shown = build(folder.parent, folder.parent / "none", index, split="train")
    refused(shown, 2, "holds train, validation: its folders are not classes")
    assert f"did you mean {folder}?" in shown.stderr
