"""Folders of images: the order of ImageFolder, labels that nothing shifts, and layouts by name."""

import os

import numpy as np
import pytest

from memtools.datasets.class_folders import (
    as_words,
    classes_of_paths,
    folder_kind,
    misplaced,
    word_labels,
)
from memtools.datasets.image_folders import list_images, walk_folder
from memtools.errors import ConfigError

SYNSETS = ["n01440764", "n01443537", "n01484850"]


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def listed(root, **options):
    listing = list_images(root, **options)
    return [name.removeprefix(f"{root}/") for name in listing.names], listing


@pytest.fixture
def train(tmp_path):
    return touch(tmp_path / "train", *(f"{s}/{s}_{n}.JPEG" for s in SYNSETS for n in (2, 10)))


def test_class_folders_are_listed_in_the_order_of_imagefolder(train):
    names, listing = listed(train)
    assert names[:2] == ["n01440764/n01440764_10.JPEG", "n01440764/n01440764_2.JPEG"]
    assert listing.labels.tolist() == [0, 0, 1, 1, 2, 2] and listing.labels.dtype == np.int64
    assert (listing.classes, listing.kind, listing.note) == (tuple(SYNSETS), "synset", "")


@pytest.mark.parametrize(
    "folder",
    [".ipynb_checkpoints", "lost+found", "__MACOSX", ".git", "@eaDir", "n00000000", "a/b"],
)
def test_hidden_and_empty_folders_shift_neither_labels_nor_positions(train, folder):
    before = listed(train)[0]
    (train / folder).mkdir(parents=True)
    if folder[0] in "._@l":
        touch(train / folder, "a.JPEG")
    names, listing = listed(train)
    assert names == before and listing.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert "not classes" in listing.note and "ImageFolder" in listing.note


def test_hidden_folder_within_a_class_is_left_out_and_said(train):
    before = listed(train)[0]
    touch(train / SYNSETS[0], ".ipynb_checkpoints/n01440764_2-checkpoint.JPEG", "._x.JPEG")
    names, listing = listed(train)
    assert names == before
    assert listing.note.startswith("2 hidden images are left out; torchvision")


def test_files_of_file_managers_are_not_images_and_extensions_are_in_any_case(tmp_path):
    junk = ["Thumbs.db", ".DS_Store", "desktop.ini", "._a.jpg", "a.txt", "a.xml"]
    images = ["a.JPG", "b.jpeg", "c.WebP", "d.PNG", "e.tif", "f.bmp"]
    names, listing = listed(touch(tmp_path / "flat", *junk, *images))
    assert names == images and listing.labels is None and listing.classes == ()
    assert listing.codes.tolist() == [-1] * 6


def test_bare_names_of_imagenet_are_images(tmp_path):
    names, listing = listed(touch(tmp_path, "ILSVRC2012_val_00000001", "README"))
    assert names == ["ILSVRC2012_val_00000001"]
    assert "1 images have no extension" in listing.note


@pytest.mark.parametrize("given", ["ILSVRC/Data/CLS-LOC", "ILSVRC/Data", "ILSVRC", "."])
@pytest.mark.parametrize(("split", "folder"), [("train", "train"), ("test", "val")])
def test_kaggles_layout_given_from_above_names_the_folder_that_was_meant(
    tmp_path, given, split, folder
):
    touch(tmp_path, "LOC_synset_mapping.txt", "ILSVRC/Annotations/CLS-LOC/val/a.xml")
    base = touch(
        tmp_path / "ILSVRC/Data/CLS-LOC",
        "train/n01440764/n01440764_1.JPEG",
        "val/ILSVRC2012_val_00000001.JPEG",
        "test/ILSVRC2012_test_00000001.JPEG",
    )
    with pytest.raises(ConfigError, match="are not classes") as caught:
        list_images(tmp_path / given, split=split)
    assert caught.value.hint == f"did you mean {base / folder}?"
    with pytest.raises(ConfigError) as caught:
        list_images(tmp_path / given)
    assert caught.value.hint == f"did you mean {base / 'train'} or {base / 'val'}?"


def test_folder_of_splits_is_refused_and_a_class_called_train_is_not(tmp_path):
    touch(tmp_path / "a", "train/cat/1.png", "val/cat/1.png", "devkit/x.png")
    with pytest.raises(ConfigError, match="holds train, val: its folders") as caught:
        list_images(tmp_path / "a")
    assert caught.value.hint == f"did you mean {tmp_path / 'a/train'} or {tmp_path / 'a/val'}?"
    _, listing = listed(touch(tmp_path / "b", "train/1.png", "bus/1.png", "test/1.png"))
    assert listing.classes == ("bus", "test", "train")
    touch(tmp_path / "c", "train/1.png")
    with pytest.raises(ConfigError, match="are not classes"):
        list_images(tmp_path / "c")


def test_folders_that_are_numbers_hold_those_labels_and_not_their_ranks(tmp_path):
    root = touch(tmp_path, *(f"{n}/{n}.png" for n in (0, 1, 2, 10)))
    names, listing = listed(root)
    assert names == ["0/0.png", "1/1.png", "10/10.png", "2/2.png"]
    assert (listing.labels.tolist(), listing.kind) == ([0, 1, 10, 2], "index")
    assert "its label 2 is the folder 10" in listing.note


def test_numbers_that_count_from_1_are_said(tmp_path):
    assert "count from 1" in list_images(touch(tmp_path, "1/a.png", "2/b.png")).note


def test_folders_of_words_are_ranked_as_imagefolder_does(tmp_path):
    _, listing = listed(touch(tmp_path, "bird/1.png", "airplane/1.png", "cat/1.png"))
    assert (listing.kind, listing.labels.tolist()) == ("words", [0, 1, 2])
    assert listing.classes == ("airplane", "bird", "cat")


def test_folders_of_words_with_imagenets_names_are_labelled_by_the_synsets(tmp_path):
    root = touch(tmp_path, "tench/n01440764_1.JPEG", "goldfish/n01443537_1.JPEG")
    names, listing = listed(root)
    assert names[0].startswith("goldfish") and listing.labels.tolist() == [1, 0]
    touch(root, "goldfish/n01440764_2.JPEG")
    with pytest.raises(ConfigError, match="images of n01440764 stand in the folders 'goldfish'"):
        list_images(root)


def test_folders_of_words_with_validation_images_make_no_labels(tmp_path):
    names = ("tench/ILSVRC2012_val_00000001.JPEG", "goldfish/ILSVRC2012_val_00000002.JPEG")
    listing = list_images(touch(tmp_path, *names))
    assert listing.labels is None and listing.codes.tolist() == [0, 1]


def test_strangers_among_synsets_are_refused_with_their_names(train):
    touch(train, "montage/a.png")
    with pytest.raises(ConfigError, match="3 class folders are named by synset, and 1 are not"):
        list_images(train)
    assert list_images(train, class_folders="words").classes[0] == "montage"


def test_declared_kind_must_fit(train):
    with pytest.raises(ConfigError, match="3 class folders are not named by index"):
        list_images(train, class_folders="index")
    with pytest.raises(ConfigError, match="'names' is not a kind"):
        list_images(train, class_folders="names")
    assert list_images(train, class_folders="synset").kind == "synset"


def test_numbers_that_are_the_same_are_refused():
    with pytest.raises(ConfigError, match="the same number: 01, 1"):
        folder_kind(["01", "1", "2"])


def test_images_beside_class_folders_are_left_out_with_a_note(train):
    names = list_images(train).names
    touch(train, "a.png")
    listing = list_images(train)
    assert listing.names == names
    assert "1 images lie beside the class folders and are left out" in listing.note


def test_folder_without_images_is_refused(tmp_path):
    (tmp_path / "n01440764").mkdir()
    with pytest.raises(ConfigError, match="holds no images"):
        list_images(tmp_path)


def test_folders_within_a_class_are_listed_and_symbolic_links_are_followed(tmp_path, train):
    touch(tmp_path / "more", "images/b.JPEG", "a.JPEG")
    (train / "n09999999").symlink_to(tmp_path / "more")
    (tmp_path / "more" / "loop").symlink_to(tmp_path / "more")
    names, listing = listed(train)
    assert names[-2:] == ["n09999999/a.JPEG", "n09999999/images/b.JPEG"]
    assert listing.labels.tolist()[-3:] == [2, 3, 3]


def test_nested_folders_are_in_the_order_of_os_walk(tmp_path):
    touch(tmp_path, "A/b/c/1.png", "A/b-c/2.png", "A/3.png", "A/b/4.png")
    expected = [
        (folder, sorted(files)) for folder, _, files in sorted(os.walk(tmp_path / "A")) if files
    ]
    found = [(folder, files) for folder, files, _ in walk_folder(tmp_path / "A") if files]
    assert found == expected


def test_words_stand_for_every_class_that_has_them():
    words = word_labels(["tench, Tinca tinca", "crane", "crane", "black-footed ferret, ferret"])
    assert words[as_words("Tench")] == words[as_words("tench_Tinca_tinca")] == {0}
    assert words[as_words("crane")] == {1, 2}
    assert words[as_words("black_footed_ferret")] == {3}


@pytest.mark.parametrize(
    ("classes", "kind", "options"),
    [
        (["n3", "n5"], "synset", {"synsets": ["n3", "n5"]}),
        (["0", "1"], "index", {}),
        (["tench", "gold fish"], "words", {"words": word_labels(["tench, a", "goldfish, b"])}),
        (["tench", "goldfish"], "words", {}),
    ],
)
def test_images_in_the_folder_of_another_class_are_found(classes, kind, options):
    codes, labels = np.array([0, 0, 0, 1, 1, -1, 0]), np.array([0, 0, 1, 1, 1, 0, -1])
    wrong = misplaced(codes, labels, classes, kind, **options)
    assert np.flatnonzero(wrong).tolist() == [2]


def test_a_folder_of_words_that_are_known_holds_only_its_class():
    words = word_labels(["tench", "goldfish"])
    swapped = misplaced(np.array([0, 1]), np.array([1, 0]), ["tench", "goldfish"], "words")
    assert not swapped.any()  # nothing tells it
    known = misplaced(
        np.array([0, 1]), np.array([1, 0]), ["tench", "goldfish"], "words", words=words
    )
    assert known.all()


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (["a/train/n01440764", "a/train/n01443537/images"], ["n01440764", "n01443537"]),
        (["n01440764"], ["n01440764"]),
        (["train/0", "train/10"], ["0", "10"]),
        (["tench", "gold fish"], ["tench", "gold fish"]),
        (["val"], [""]),
        (["", ""], ["", ""]),
    ],
)
def test_class_folders_of_an_archive_may_stand_below_others(folders, classes):
    assert classes_of_paths(folders) == classes


def test_ten_thousand_misplaced_kinds_take_no_time():
    codes, labels = np.divmod(np.arange(1_000_000), 1000)
    wrong = misplaced(codes, labels, [str(n) for n in range(1000)], "index")
    assert (~wrong).sum() == 1000
