"""Numbers meet a data set by what its examples are, and never by accident."""

import csv
import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from memtools.alignment.aligned_scores import take_scores
from memtools.alignment.alignment import align
from memtools.alignment.orders import same_dataset
from memtools.alignment.pixels import Reference
from memtools.alignment.selection import select, top
from memtools.datasets.data_sources import listing_of
from memtools.datasets.identity import identify
from memtools.datasets.listing import Listing
from memtools.datasets.tfds_order import tfds_order
from memtools.datasets.torchvision_data import OFFICIAL_LABELS, mark_of_labels
from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates, ExampleIndex
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
    part = align(imagenet, to=subset)
    assert np.array_equal(part.position, whole.position[[7, 0, 3]])
    nested = SimpleNamespace(dataset=subset, indices=np.array([2]))
    assert align(imagenet, to=nested).position == whole.position[3]
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
    scores = Scores(About(dataset="mine", order="official"), "c_score", np.arange(20.0), labels)
    order = np.random.default_rng(0).permutation(20)
    ids = [f"train_{k:05d}".encode() for k in order]
    found = align(scores, to=ids, labels=labels[order])
    assert np.array_equal(found.take(scores.values), order)
    assert "ids of TFDS" in found.proof
    with pytest.raises(AlignmentError, match="1 are not ids of train: test_00003"):
        align(scores, to=[*ids[1:], b"test_00003"])
    with pytest.raises(AlignmentError, match="names position 20, and there are 20 numbers"):
        align(scores, to=[*ids[1:], b"train_00020"])
    bare = Scores(About(dataset="mine"), "score", np.arange(20.0))
    assert np.array_equal(align(bare, to=ids, order="official").position, order)
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
    with pytest.raises(AlignmentError, match="'official', and the examples in the order 'tfds'"):
        align(scores, to=labels, order="tfds")
    unlabelled = Scores(About(), "score", np.arange(50.0), None, np.arange(50).astype(str))
    found = align(unlabelled, to=labels, order="official")
    assert "labels were not there to be compared" in found.proof
    with pytest.raises(ConfigError, match="'alphabetical' is not an order"):
        align(unlabelled, to=labels, order="alphabetical")
    with pytest.raises(ConfigError, match="labels or positions alone do not tell"):
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
        (lambda names: [1.5] * 12, "data set"),
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
    with pytest.raises(ConfigError, match="these are not labels"):
        align(imagenet, to=names, labels=["a"] * 12)
    with pytest.raises(AlignmentError, match=r"of 12 labels disagree: n0\d+_\d+\.JPEG is \d there"):
        align(imagenet, to=names, labels=np.roll(imagenet.labels, 1))
    with pytest.raises(ConfigError, match="has no examples"):
        align(imagenet, to=[])
    with pytest.raises(ConfigError, match="'dev' is not a split"):
        align(imagenet, to=names, split="dev")
    test = imagenet.test_filenames.tolist()
    for split in ("test", "val", "validation"):
        assert align(imagenet, to=test, split=split).position.tolist() == list(range(6))


def test_numbers_without_names_or_labels_are_joined_by_ids_only():
    bare = Scores(About(order="official"), "score", np.arange(3.0))
    found = align(bare, to=["train_2", "train_0", "train_1"])
    assert found.position.tolist() == [2, 0, 1] and "labels were not there" in found.proof
    with pytest.raises(AlignmentError, match=r"have no file names, and '0\.png' is not an id"):
        align(bare, to=["0.png", "1.png", "2.png"])
    index = ExampleIndex(About(), np.arange(3), None, None, None)
    with pytest.raises(ConfigError, match="do not say which test examples"):
        align(index, to=["a"], split="test")


# ---- data set objects in a known order, and orders that lead to one another

CIFAR_LABELS = np.random.default_rng(3).integers(0, 100, 50_000)


class CIFAR100:
    """As torchvision's: the official order, images and labels in memory."""

    def __init__(self, labels=CIFAR_LABELS, train=True):
        self.data = np.zeros((len(labels), 1, 1, 3), np.uint8)
        self.targets = labels.tolist()
        self.train = train


CIFAR100.__module__ = "torchvision.datasets.cifar"


@pytest.fixture(autouse=True)
def official_labels(monkeypatch):
    """The labels of the CIFAR-100 here stand for the official ones."""
    for split, n in (("train", 50_000), ("test", 10_000)):
        mark = mark_of_labels(CIFAR_LABELS[:n])
        monkeypatch.setitem(OFFICIAL_LABELS, ("cifar100", split), mark)


def c_scores(dataset="cifar100", order="official", labels=CIFAR_LABELS, **changes):
    n = changes.pop("n", 50_000)
    about = About(dataset=dataset, order=order)
    return Scores(about, "c_score", np.arange(float(n)), labels, **changes)


def subset_of(dataset, indices):
    return SimpleNamespace(dataset=dataset, indices=indices)


def test_a_subset_of_a_torchvision_cifar_is_joined_without_pixels_or_reference():
    chosen = np.random.default_rng(0).permutation(50_000)[:45_000]
    found = align(c_scores(), to=subset_of(CIFAR100(), chosen.tolist()))
    assert np.array_equal(found.position, chosen)
    assert "CIFAR100" in found.what and "Subset" in found.what
    assert "official" in found.proof and "45,000 labels agree" in found.proof
    assert len(found.missing) == 5_000
    validation = subset_of(subset_of(CIFAR100(), chosen.tolist()), [7, 3])
    assert align(c_scores(), to=validation).position.tolist() == chosen[[7, 3]].tolist()


def test_a_torchvision_cifar_whose_labels_disagree_is_refused():
    labels = CIFAR_LABELS.copy()
    labels[[5, 9]] = (labels[[5, 9]] + 1) % 100
    with pytest.raises(AlignmentError, match="2 of 50,000 labels disagree: number 5 is"):
        align(c_scores(), to=CIFAR100(labels), order="official")
    with pytest.raises(ConfigError, match=r"no reference of .* labels are not the official"):
        align(c_scores(), to=CIFAR100(labels))


def test_a_torchvision_cifar_that_was_shuffled_in_place_is_refused():
    shuffled = CIFAR_LABELS[np.random.default_rng(6).permutation(50_000)]
    for order in ("", "official", "tfds"):
        with pytest.raises(ConfigError, match="does not have the official labels in their order"):
            align(c_scores(labels=None), to=CIFAR100(shuffled), order=order)


def test_a_torchvision_object_of_another_data_set_or_split_is_refused():
    with pytest.raises(AlignmentError, match="the numbers are of cifar10, and the data set is"):
        align(c_scores("cifar10"), to=CIFAR100())
    with pytest.raises(AlignmentError, match="holds the test split"):
        align(c_scores(), to=CIFAR100(CIFAR_LABELS[:10_000], train=False))


def test_numbers_of_no_recorded_order_are_joined_to_a_cifar_object_only_by_declaration():
    own = c_scores("", "", None)
    with pytest.raises(AlignmentError, match="the order of the numbers is not recorded"):
        align(own, to=CIFAR100())
    found = align(own, to=subset_of(CIFAR100(), [4, 2]), order="official")
    assert found.position.tolist() == [4, 2]
    rows = tfds_order("cifar100", "train")
    converted = align(own, to=subset_of(CIFAR100(), [4, 2]), order="tfds")
    assert rows[converted.position].tolist() == [4, 2]
    with pytest.raises(ConfigError, match="official"):
        align(c_scores(), to=CIFAR100(), order="tfds")


def test_45000_numbers_are_not_joined_to_50000_examples():
    short = c_scores(labels=None, n=45_000)
    with pytest.raises(AlignmentError, match="45,000 numbers, and 50,000 examples"):
        align(short, to=subset_of(CIFAR100(), list(range(100))))
    with pytest.raises(AlignmentError, match="45,000 numbers, and 50,000 examples"):
        align(short, to=CIFAR_LABELS, order="official")


def test_numbers_placed_by_their_positions_may_end_early():
    placed = c_scores(labels=None, n=45_000, partial=True)
    found = align(placed, to=subset_of(CIFAR100(), [44_999, 45_000, 0]))
    assert found.position.tolist() == [44_999, -1, 0]
    assert np.isnan(found.take(placed.values)[1])


def test_numbers_in_the_order_of_tfds_meet_an_object_in_the_official_order():
    rows = tfds_order("cifar100", "train")
    tfds = c_scores(order="tfds", labels=CIFAR_LABELS[rows])
    found = align(tfds, to=subset_of(CIFAR100(), [11, 0, 49_999]))
    assert rows[found.position].tolist() == [11, 0, 49_999]
    assert "'tfds' of the numbers is computed" in found.proof and "3 labels" in found.proof


def test_numbers_come_into_another_order_without_any_data_set():
    rows = tfds_order("mnist", "train")
    tfds = Scores(About(dataset="mnist", order="tfds"), "c_score", rows.astype(float))
    found = align(tfds, order="official")
    assert np.array_equal(found.take(tfds.values), np.arange(60_000.0))
    assert np.array_equal(rows[:5], [16399, 1680, 47917, 17307, 27051])
    same = align(tfds, order="tfds")
    assert np.array_equal(same.position, np.arange(60_000))
    with pytest.raises(AlignmentError, match="'tfds', and the examples in the order 'published'"):
        align(tfds, order="published")
    with pytest.raises(ConfigError, match="no data set was given"):
        align(tfds)
    unknown = Scores(About(dataset="mine", order="tfds"), "score", np.arange(3.0))
    with pytest.raises(AlignmentError, match="in the order 'tfds', and the examples"):
        align(unknown, order="official")


def test_a_reference_in_the_official_order_serves_numbers_in_the_order_of_tfds():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (10_000, 2, 2, 1), np.uint8)
    labels = rng.integers(0, 10, 10_000)
    rows = tfds_order("mnist", "test")
    index = ExampleIndex(About(dataset="mnist", order="tfds"), None, None, labels[rows], None)
    reference = Reference.of(Listing(images=images, labels=labels), dataset="mnist")
    order = rng.permutation(10_000)
    found = align(index, images[order], labels=labels[order], split="test", reference=reference)
    assert np.array_equal(rows[found.position], order) and "by their pixels" in found.proof


def test_a_folder_of_cifar_as_png_files_is_joined_by_pixels(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (8, 4, 4, 3), np.uint8)
    labels = np.array([1, 0, 1, 1, 0, 0, 1, 0])
    for k, pixels in enumerate(images):
        folder = tmp_path / ["airplane", "automobile"][labels[k]]
        folder.mkdir(exist_ok=True)
        image.fromarray(pixels).save(folder / f"{7 - k:04d}.png")
    scores = Scores(About(dataset="mine", order="official"), "score", np.arange(8.0), labels)
    reference = Reference.of(Listing(images=images, labels=labels), dataset="mine")
    found = align(scores, to=tmp_path, reference=reference)
    names = [int(Path(name).stem) for name in listing_of(tmp_path).names]
    assert found.take(scores.values).tolist() == [7 - number for number in names]
    with pytest.raises(AlignmentError, match="have no file names, and 'a' is not an id"):
        align(scores, to=["a", "b"], reference=reference)


def test_images_decoded_in_another_way_are_refused_with_the_decoders_named():
    images = np.random.default_rng(4).integers(1, 255, (10, 2, 2, 3), np.uint8)
    labels = np.arange(10)
    scores = Scores(About(dataset="mine", order="official"), "score", np.arange(10.0), labels)
    listing = Listing(images=images, labels=labels)
    reference = Reference.of(listing, dataset="mine", decoder="TensorFlow 2.21")
    with pytest.raises(AlignmentError, match="10 of 10 images have the pixels of no") as caught:
        align(scores, to=images + 1, labels=labels, reference=reference)
    assert "TensorFlow 2.21" in caught.value.hint


def test_scores_are_not_selected_or_taken_by_an_alignment_of_test_examples():
    labels = np.array([0, 1, 0])
    about = About(dataset="mine", order="official", direction="high memorization = atypical")
    arrays = {"tr_mem": np.arange(3.0), "tr_labels": labels, "tt_labels": labels}
    estimates = Estimates(arrays, about)
    found = align(estimates, to=labels, split="test", order="official")
    assert (found.split, found.order) == ("test", "official")
    with pytest.raises(ConfigError, match="3 test examples, and 3 scores of training examples"):
        select(estimates, [top(1)], alignment=found)
    with pytest.raises(ConfigError, match="the alignment is of test examples"):
        take_scores(estimates.scores, found)


def test_a_join_by_pixels_accepts_labels_that_are_not_known():
    images = np.random.default_rng(5).integers(0, 255, (4, 2, 2, 3), np.uint8)
    listing = Listing(images=images, labels=np.arange(4))
    reference = Reference.of(listing, dataset="mine")
    scores = Scores(
        About(dataset="mine", order="official"), "score", np.arange(4.0), np.array([0, 1, -1, 3])
    )
    assert align(scores, to=images[::-1], reference=reference).position.tolist() == [3, 2, 1, 0]


def test_names_of_emnist_by_torchvision_and_tfds_stand_for_one_data_set():
    assert same_dataset("emnist/balanced", "emnist-balanced")
    assert not same_dataset("emnist/balanced", "emnist/letters")


def test_names_on_both_sides_are_joined_although_an_order_is_declared(imagenet):
    order = np.random.default_rng(6).permutation(12)
    names = imagenet.filenames[order].tolist()
    found = align(imagenet, to=names, order="published")
    assert np.array_equal(found.position, order) and "by file name" in found.proof
    bare = Scores(About(dataset="mine"), "score", np.arange(12.0))
    found = align(bare, to=names, order="file")
    assert "the names that one side has were not used" in found.proof


def test_partial_numbers_come_into_another_order_with_all_examples():
    placed = Scores(About(dataset="mnist", order="official"), "score", np.arange(100.0))
    placed = dataclasses.replace(placed, partial=True)
    found = align(placed, order="tfds", allow_missing=True)
    assert len(found.position) == 60_000 and len(found.missing) == 0
    rows = tfds_order("mnist", "train")
    assert np.array_equal(rows[found.position >= 0], found.position[found.position >= 0])


def test_names_that_are_numbers_are_not_joined_by_the_order_of_their_rows():
    bare = Scores(About(dataset="mine"), "score", np.arange(12.0))
    shuffled = [f"{k}.png" for k in np.random.default_rng(0).permutation(12)]
    with pytest.raises(AlignmentError, match="the names are numbers"):
        align(bare, to=shuffled, order="official")
    named = dataclasses.replace(bare, filenames=np.array(shuffled))
    with pytest.raises(AlignmentError, match="the names are numbers"):
        align(named, order="official")


def test_names_in_another_order_than_declared_are_not_recorded_as_in_that_order(imagenet):
    names = imagenet.filenames.tolist()
    assert align(imagenet, to=names, order="published").order == "published"
    assert align(imagenet, to=names).order == "published"
    assert align(imagenet, to=names[::-1], order="published").order == ""


def test_pixels_in_another_order_than_their_object_tells_are_not_recorded_as_in_that_order():
    rng = np.random.default_rng(5)
    images, labels = rng.integers(0, 256, (8, 2, 2, 3), np.uint8), np.zeros(8, np.int64)
    scores = Scores(About(dataset="mine", order="official"), "score", np.arange(8.0), labels)
    reference = Reference.of(Listing(images=images, labels=labels), dataset="mine")
    order = rng.permutation(8)
    claimed = Listing(images=images[order], labels=labels, index=np.arange(8), order="official")
    found = align(scores, claimed, reference=reference)
    assert np.array_equal(found.position, order) and found.order == ""
    assert align(scores, images, labels=labels, reference=reference).order == "official"
