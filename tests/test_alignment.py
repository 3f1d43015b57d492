"""Numbers meet a data set by what its examples are, and never by accident."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.about import About
from memtools.estimates.alignment import align
from memtools.estimates.data_sources import listing_of
from memtools.estimates.identity import identify
from memtools.estimates.model import ExampleIndex
from memtools.estimates.scores import Scores

SYNSETS = ["n01440764", "n01443537", "n02102040"]


@pytest.fixture
def imagenet():
    """Twelve training and six validation images, in an order of their own."""
    rng = np.random.default_rng(0)
    labels, test_labels = rng.permutation(np.arange(12) % 3), rng.permutation(np.arange(6) % 3)
    names = [f"{SYNSETS[label]}_{100 + k}.JPEG" for k, label in enumerate(labels)]
    test = [f"ILSVRC2012_val_{k + 1:08d}.JPEG" for k in range(6)]
    about = About(dataset="imagenet", order="published")
    return ExampleIndex(about, labels, np.array(names), test_labels, np.array(test))


@pytest.mark.parametrize(
    ("name", "stem", "claim"),
    [
        ("n01440764_10026.JPEG", "n01440764_10026", ""),
        ("n01440764_10026", "n01440764_10026", ""),
        ("train/n01440764/n01440764_10026.JPEG", "n01440764_10026", "n01440764"),
        ("n01440764/n01440764_10026.jpg", "n01440764_10026", "n01440764"),
        ("C:\\train\\n01440764\\n01440764_10026.JPEG", "n01440764_10026", "n01440764"),
        ("n01440764_10026_n01440764.JPEG", "n01440764_10026", "n01440764"),
        ("ILSVRC2012_val_00000293.JPEG", "ILSVRC2012_val_00000293", ""),
        ("val/ILSVRC2012_val_00000293_n01443537.JPEG", "ILSVRC2012_val_00000293", "n01443537"),
        ("val/n01443537/ILSVRC2012_val_00000293.JPEG", "ILSVRC2012_val_00000293", "n01443537"),
        ("train_01234", "train_01234", ""),
        ("my.picture.one.png", "my.picture.one", ""),
        ("version.1.5", "version.1.5", ""),
        ("an01440764/x.png", "x", ""),
    ],
)
def test_one_image_has_many_names(name, stem, claim):
    assert identify(name) == (stem, claim)


STYLES = {
    "bare": lambda name, synset: name,
    "without an extension": lambda name, synset: name.removesuffix(".JPEG"),
    "ImageFolder": lambda name, synset: f"/data/train/{synset}/{name}",
    "Hugging Face": lambda name, synset: f"{name.removesuffix('.JPEG')}_{synset}.JPEG",
    "bytes": lambda name, synset: name.encode(),
    "a path": lambda name, synset: Path("train") / synset / name,
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_way_of_writing_names_leads_to_the_same_examples(imagenet, style, split):
    names = imagenet.filenames if split == "train" else imagenet.test_filenames
    labels = imagenet.labels if split == "train" else imagenet.test_labels
    order = np.random.default_rng(1).permutation(len(names))
    theirs = [STYLES[style](str(names[k]), SYNSETS[labels[k]]) for k in order]
    found = align(imagenet, to=theirs, labels=labels[order], split=split)
    assert np.array_equal(found.position, order)
    assert np.array_equal(found.inverse, np.argsort(order))
    assert np.array_equal(found.take(np.arange(len(order))), order)
    assert "by file name" in found.proof and f"{len(order)} labels agree" in found.proof


def folder_of(imagenet, root):
    """Files as torchvision wants them; (path, class) in the order in which it lists them."""
    samples = []
    for name, label in zip(imagenet.filenames, imagenet.labels, strict=True):
        path = root / SYNSETS[label] / str(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        samples.append((str(path), int(label)))
    return sorted(samples)


def test_an_image_folder_its_subset_and_its_directory(imagenet, tmp_path):
    samples = folder_of(imagenet, tmp_path)
    (tmp_path / SYNSETS[0] / "notes.txt").write_text("no image")
    (tmp_path / "readme.png").write_bytes(b"")  # in no class
    folder = SimpleNamespace(samples=samples, imgs=samples)
    whole = align(imagenet, to=folder)
    names = [Path(path).name for path, _ in samples]
    assert [imagenet.filenames[k] for k in whole.position] == names
    assert np.array_equal(align(imagenet, to=tmp_path).position, whole.position)
    subset = SimpleNamespace(dataset=folder, indices=[7, 0, 3])
    part = align(imagenet, to=subset, allow_missing=True)
    assert np.array_equal(part.position, whole.position[[7, 0, 3]])
    nested = SimpleNamespace(dataset=subset, indices=np.array([2]))
    assert align(imagenet, to=nested, allow_missing=True).position == whole.position[3]
    assert len(part.missing) == 9 and len(part.extra) == 0


def test_torchvision_itself_is_listed_in_its_own_order(imagenet, tmp_path):
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision is not installed")
    folder_of(imagenet, tmp_path)
    folder = datasets.ImageFolder(str(tmp_path), is_valid_file=lambda path: path.endswith("JPEG"))
    theirs, ours = listing_of(folder), listing_of(tmp_path)
    assert theirs.names == ours.names and np.array_equal(theirs.labels, ours.labels)
    assert np.array_equal(align(imagenet, to=folder).position, align(imagenet, tmp_path).position)


def test_a_folder_of_some_classes_counts_its_labels_anew(imagenet, tmp_path):
    folder_of(imagenet, tmp_path)
    for path in (tmp_path / SYNSETS[0]).iterdir():
        path.unlink()
    (tmp_path / SYNSETS[0]).rmdir()
    found = align(imagenet, to=tmp_path, allow_missing=True)
    assert "numbered by the classes that the data set has" in found.proof
    assert set(imagenet.labels[found.position]) == {1, 2}


@pytest.mark.parametrize("kind", ["txt", "csv", "json", "json rows", "parquet", "npy", "npz"])
def test_lists_of_names_come_in_many_files(imagenet, tmp_path, kind):
    order = np.random.default_rng(2).permutation(12)
    names, labels = imagenet.filenames[order].tolist(), imagenet.labels[order].tolist()
    path = tmp_path / f"names.{kind.split()[0]}"
    if kind == "txt":
        path.write_text("\n".join(names) + "\n")
    elif kind == "csv":
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([("label", "file_name"), *zip(labels, names, strict=True)])
    elif kind == "json":
        path.write_text(json.dumps(names))
    elif kind == "json rows":
        rows = zip(names, labels, strict=True)
        path.write_text(json.dumps([{"filename": n, "label": k} for n, k in rows]))
    elif kind == "parquet":
        arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        import pyarrow.parquet

        pyarrow.parquet.write_table(arrow.table({"path": names, "label": labels}), path)
    elif kind == "npy":
        np.save(path, np.array(names))
    else:
        np.savez(path, filename=np.array(names), label=labels)
    assert np.array_equal(align(imagenet, to=path).position, order)


def test_ids_of_tfds_are_official_positions():
    labels = np.arange(20) % 4
    scores = Scores(About(dataset="cifar100", order="official"), "c_score", np.arange(20.0), labels)
    order = np.random.default_rng(0).permutation(20)
    ids = [f"train_{k:05d}".encode() for k in order]
    found = align(scores, to=ids, labels=labels[order])
    assert np.array_equal(found.take(scores.values), order)
    assert "ids of TFDS" in found.proof
    with pytest.raises(AlignmentError, match="1 are no ids of train: test_00003"):
        align(scores, to=[*ids[1:], b"test_00003"])
    with pytest.raises(AlignmentError, match="1 ids are beyond the 20 examples: train_00020"):
        align(scores, to=[*ids[1:], b"train_00020"])
    published = Scores(About(order="published"), "memorization", np.arange(20.0), labels)
    with pytest.raises(AlignmentError, match="numbers are in the order 'published'"):
        align(published, to=ids)


def test_a_declared_order_is_believed_as_far_as_labels_go():
    labels = np.random.default_rng(0).integers(0, 5, 50)
    scores = Scores(About(order="official"), "c_score", np.arange(50.0), labels)
    found = align(scores, to=labels, order="official")
    assert np.array_equal(found.position, np.arange(50))
    assert "permutation within a class would not have been seen" in found.proof
    with pytest.raises(AlignmentError, match="labels disagree"):
        align(scores, to=np.roll(labels, 1), order="official")
    with pytest.raises(AlignmentError, match="50 numbers, and 49 examples"):
        align(scores, to=labels[1:], order="official")
    with pytest.raises(AlignmentError, match="in the order 'official', not 'tfds'"):
        align(scores, to=labels, order="tfds")
    with pytest.raises(AlignmentError, match="needs labels on both sides"):
        align(
            Scores(About(), "score", np.arange(50.0), None, np.arange(50).astype(str)),
            to=labels,
            order="official",
        )
    with pytest.raises(ConfigError, match="labels alone do not tell"):
        align(scores, to=labels)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda names: [*names[:-1], names[0]], "1 examples are there twice"),
        (lambda names: [f"a/{names[0]}", f"b/{names[0]}", *names[1:]], "there twice in the data"),
        (lambda names: [*names[:-1], names[-1].upper()], "differ in upper and lower case only"),
        (lambda names: [*names, "n01440764_999.JPEG"], "1 have no number: n01440764_999.JPEG"),
        (lambda names: names[1:], "1 are missing: n0"),
        (lambda names: [f"n09999999/{n}" for n in names], "under a synset that is not known"),
        (lambda names: [f"{SYNSETS[0]}/{n}" for n in names], "stand in the folder of another"),
        (lambda names: [f"x{n}" for n in names], "none of the 12 examples has a number"),
        (lambda names: [1.5] * 12, "is no data set that we can read"),
    ],
)
def test_anything_short_of_a_full_match_is_refused(imagenet, change, words):
    names = imagenet.filenames.tolist()
    with pytest.raises((AlignmentError, ConfigError), match=words):
        align(imagenet, to=change(names))


def test_what_one_side_lacks_can_be_made_explicit(imagenet):
    names = ["n01440764_999.JPEG", *imagenet.filenames[:5].tolist()]
    found = align(imagenet, to=names, allow_missing=True)
    assert found.extra.tolist() == [0] and found.missing.tolist() == list(range(5, 12))
    taken = found.take(np.arange(12))
    assert np.isnan(taken[0]) and taken[1:].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ConfigError, match="11 numbers for an order of 12"):
        found.take(np.arange(11))


def test_labels_of_another_length_or_kind_are_refused(imagenet):
    names = imagenet.filenames.tolist()
    with pytest.raises(ConfigError, match="11 and 12 names, labels or images"):
        align(imagenet, to=names, labels=np.zeros(11, int))
    with pytest.raises(ConfigError, match="these are no labels"):
        align(imagenet, to=names, labels=["a"] * 12)
    with pytest.raises(AlignmentError, match=r"of 12 labels disagree: n0\d+_\d+\.JPEG is \d there"):
        align(imagenet, to=names, labels=np.roll(imagenet.labels, 1))
    with pytest.raises(ConfigError, match="has no examples"):
        align(imagenet, to=[])
    with pytest.raises(ConfigError, match="is no split"):
        align(imagenet, to=names, split="validation")


def test_numbers_without_names_or_labels_are_joined_by_ids_only():
    bare = Scores(About(order="official"), "score", np.arange(3.0))
    found = align(bare, to=["train_2", "train_0", "train_1"])
    assert found.position.tolist() == [2, 0, 1] and "labels were not there" in found.proof
    with pytest.raises(AlignmentError, match=r"have no file names, and '0\.png' is no id"):
        align(bare, to=["0.png", "1.png", "2.png"])
    index = ExampleIndex(About(), np.arange(3), None, None, None)
    with pytest.raises(ConfigError, match="do not say which test examples"):
        align(index, to=["a"], split="test")
