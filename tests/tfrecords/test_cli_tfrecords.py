"""memtools tfrecords build, check, info."""

import contextlib
import io
import json
import shutil
import sys

import numpy as np
import pytest
from memtools_cli.main import app

from memtools.estimates.about import save
from memtools.tfrecords import sources
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


def build(source, to, index, *options, split="validation"):
    common = ("--split", split, "--to", to, "--index", index, "--shards", 4, "--workers", 1)
    return run("build", source, *common, *options)


def refused(shown, code, words):
    lines = shown.stderr.splitlines()
    assert shown.returncode == code, shown.stderr
    assert len(lines) == 2 and lines[0].startswith("error: "), lines
    assert words in lines[0]


@pytest.fixture(scope="module")
def whole(folder, flat, index, tmp_path_factory):
    to = tmp_path_factory.mktemp("cli") / "set"
    shown = build(folder, to, index, split="train")
    assert (shown.returncode, shown.stdout) == (0, f"{to}\n")
    assert "converted to RGB JPEG: 1 CMYK, 1 PNG (n0" in shown.stderr
    assert build(flat, to, index).returncode == 0
    return to


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
    assert shown.stdout.splitlines()[1].split("\t")[:3] == ["train", "2,000 of 2,000", "4 of 4"]
    document = json.loads(run("info", whole, "--json").stdout)
    assert document["validation"]["n_records"] == 1000
    assert len(document["train"]["shards"]) == 4


def test_words_skipped_images_and_subsets(flat, index, imagenet, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("".join(f"{synset} word {synset}\n" for synset in imagenet.synsets))
    bad = tmp_path / "bad.txt"
    name = imagenet.index.test_filenames[0]
    bad.write_text(f"# found by eye\n\n{name}\n")
    shown = build(flat, tmp_path / "a", index, "--class-names", words, "--skip-bad", bad)
    assert shown.returncode == 0 and "1 images of the index are left out" in shown.stderr
    some = shutil.copytree(flat, tmp_path / "some")
    (some / str(name)).unlink()
    refused(build(some, tmp_path / "b", index), 5, f"1 missing ({name})")
    assert not (tmp_path / "b").exists()
    assert build(some, tmp_path / "b", index, "--allow-missing").returncode == 0


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


def renamed(flat, old, new):
    (flat / old).rename(flat / new)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda flat, name: (flat / "odd.JPEG").write_bytes(b"1"), "1 not in the index (odd.JPEG)"),
        (lambda flat, name: renamed(flat, name, name.lower()), "1 missing (ILSVRC2012"),
        (lambda flat, name: (flat / name).write_bytes(b""), "the file is empty"),
        (lambda flat, name: (flat / name).write_bytes(b"<html>"), "a web page"),
        (
            lambda flat, name: (flat / name).write_bytes((flat / name).read_bytes()[:-40]),
            "the JPEG is cut",
        ),
    ],
)
def test_wrong_images_are_named_in_two_lines(flat, index, imagenet, tmp_path, spoil, words):
    mine = shutil.copytree(flat, tmp_path / "mine")
    spoil(mine, str(imagenet.index.test_filenames[3]))
    refused(build(mine, tmp_path / "set", index), 5, words)


def test_an_image_in_two_folders_or_in_the_wrong_one_is_named(folder, index, imagenet, tmp_path):
    mine = shutil.copytree(folder, tmp_path / "mine")
    name, label = str(imagenet.index.filenames[0]), int(imagenet.index.labels[0])
    here, there = imagenet.synsets[label], imagenet.synsets[(label + 1) % 1000]
    shutil.copy(mine / here / name, mine / there / name)
    refused(build(mine, tmp_path / "set", index, split="train"), 5, f"1 there twice ({name})")
    (mine / here / name).unlink()
    shown = build(mine, tmp_path / "set", index, split="train")
    refused(shown, 5, f"1 in a folder of another class ({name})")


def test_a_tar_that_is_cut_is_refused(imagenet, index, tmp_path):
    data = imagenet.validation_tar().read_bytes()
    for size in (len(data) // 2, len(data) // 2 // 512 * 512, len(data) - 10240):
        tar = tmp_path / "cut.tar"
        tar.write_bytes(data[:size])
        assert build(tar, tmp_path / "set", index).returncode == 5


def test_wrong_requests_are_refused(flat, whole, index, imagenet, tmp_path):
    refused(build(tmp_path / "none", tmp_path / "a", index), 2, "is not there")
    (tmp_path / "text").write_text("no tar")
    refused(build(tmp_path / "text", tmp_path / "a", index), 2, "is no tar")
    refused(build(flat, whole, index, "--seed", 7), 2, "another seed")
    (tmp_path / "file").write_text("")
    refused(build(flat, tmp_path / "file", index), 6, "a file stands where")
    refused(run("check", tmp_path, "--index", index), 5, "holds no dataset.json")
    refused(run("info", tmp_path), 5, "holds no dataset.json")
    bare = tmp_path / "bare.npz"
    np.savez(bare, tr_mem=np.zeros(3), tr_labels=np.zeros(3, int))
    refused(build(flat, tmp_path / "a", bare), 2, "no names and labels")
    np.savez(bare, scores=np.zeros(3))
    refused(build(flat, tmp_path / "a", bare), 2, "holds no file names")


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
    for path in (tmp_path / "set").glob("validation-*"):
        assert path.read_bytes() == (whole / path.name).read_bytes()


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
    import subprocess

    def blocked(*arguments):
        command = [sys.executable, "-c", BLOCKED, "tfrecords", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    shown = blocked("build", flat, "--split", "validation", "--to", tmp_path, "--index", index)
    assert shown.returncode == 1 and "pip install 'memtools[tf]'" in shown.stderr
    assert len(shown.stderr.splitlines()) == 2
    assert blocked("info", whole).returncode == 0
    assert blocked("build", "--help").returncode == 0
