"""Sources of every writing and layout give the same bytes as the official names do."""

import io
import shutil
import tarfile
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tfrecords.conftest import encoded, tar_of

from memtools.errors import ConfigError, RecordError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.tfrecords import builder
from memtools.tfrecords.sources import open_source

SYNSETS = ["n01440764", "n01443537", "n01484850"]
WORDS = ["tench, Tinca tinca", "goldfish, Carassius auratus", "great white shark, man-eater"]
TRAIN = [f"{synset}_{n}.JPEG" for synset in SYNSETS for n in (2, 10)]
LABELS = [0, 0, 1, 1, 2, 2]
VALIDATION = [f"ILSVRC2012_val_{n:08d}.JPEG" for n in (1, 2, 3)]
DATA = {name: encoded(np.random.default_rng(n)) for n, name in enumerate(TRAIN + VALIDATION)}
INDEX = ExampleIndex(
    About(dataset="imagenet", order="published"),
    labels=np.array(LABELS)[::-1],
    filenames=np.array(TRAIN)[::-1],
    test_labels=np.array([2, 0, 1]),
    test_filenames=np.array(VALIDATION),
)


def write(root, files):
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def by_class(folders=SYNSETS, rename=str):
    """The training images in class folders."""
    pairs = zip(TRAIN, LABELS, strict=True)
    return {f"{folders[label]}/{rename(name)}": DATA[name] for name, label in pairs}


def built(source, to, split="train", **options):
    opened = open_source(source, split=split)
    builder.build(opened, to, INDEX, split=split, n_shards=2, **options)
    stored = "train" if split == "train" else "validation"
    return [path.read_bytes() for path in sorted(to.glob(f"{stored}-*"))]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    root = tmp_path_factory.mktemp("official")
    return built(write(root / "train", by_class()), root / "set")


@pytest.fixture(scope="module")
def expected_validation(tmp_path_factory):
    root = tmp_path_factory.mktemp("official")
    images = write(root / "val", {name: DATA[name] for name in VALIDATION})
    return built(images, root / "set", "validation")


WRITINGS = {
    "hugging face": lambda name: f"{name[:-5]}_{name[:9]}.JPEG",
    "jpg": lambda name: f"{name[:-5]}.jpg",
    "png": lambda name: f"{name[:-5]}.png",
    "webp": lambda name: f"{name[:-5]}.webp",
    "upper case": lambda name: f"{name[:-5]}.JPG",
    "no extension": lambda name: name[:-5],
    "backslashes": lambda name: f"train\\{name[:9]}\\{name}",
}


@pytest.mark.parametrize("writing", WRITINGS)
def test_names_in_any_writing_give_the_bytes_of_the_official_ones(tmp_path, expected, writing):
    write(tmp_path / "train", by_class(rename=WRITINGS[writing]))
    assert built(tmp_path / "train", tmp_path / "set") == expected


def test_flat_names_in_any_writing_give_the_bytes_of_the_official_ones(
    tmp_path, expected, expected_validation
):
    for k, writing in enumerate(WRITINGS.values()):
        files = {writing(name): DATA[name] for name in TRAIN}
        assert built(write(tmp_path / f"{k}", files), tmp_path / f"set{k}") == expected
    labels = dict(zip(VALIDATION, INDEX.test_labels, strict=True))
    files = {f"{n[:-5]}_{SYNSETS[labels[n]]}.JPEG": DATA[n] for n in VALIDATION}
    source = write(tmp_path / "hf", files)
    assert built(source, tmp_path / "hfset", "validation") == expected_validation


@pytest.mark.parametrize("split", ["test", "val", "validation"])
def test_three_names_of_the_split_write_the_same_files(tmp_path, expected_validation, split):
    write(tmp_path / "val", {name: DATA[name] for name in VALIDATION})
    assert built(tmp_path / "val", tmp_path / "set", split) == expected_validation


@pytest.mark.parametrize("kind", ["auto", "index", "words", "synset"])
def test_class_folders_of_every_kind_are_accepted(tmp_path, expected, kind):
    folders = {"index": ["0", "1", "10"], "words": ["tench", "goldfish", "great_white_shark"]}
    if kind == "index":
        folders["index"] = ["0", "1", "2"]
    write(tmp_path / "train", by_class(folders.get(kind, SYNSETS)))
    assert built(tmp_path / "train", tmp_path / "set", class_folders=kind) == expected


def test_folders_that_are_numbers_are_labels_and_not_ranks(tmp_path):
    write(tmp_path / "train", by_class(["0", "1", "10"]))
    with pytest.raises(RecordError, match="2 in a folder of another class") as caught:
        built(tmp_path / "train", tmp_path / "set")
    assert TRAIN[4] in str(caught.value) and TRAIN[5] in str(caught.value)


def test_validation_images_in_folders_of_words_are_checked_with_the_words(
    tmp_path, expected_validation
):
    texts = {s.encode(): w.encode() for s, w in zip(SYNSETS, WORDS, strict=True)}
    folders = ["Great White Shark", "tench_Tinca_tinca", "goldfish"]
    files = {f"{f}/{n}": DATA[n] for f, n in zip(folders, VALIDATION, strict=True)}
    root = write(tmp_path / "val", files)
    assert built(root, tmp_path / "a", "val") == expected_validation
    assert len(built(root, tmp_path / "b", "val", texts=texts)) == 2
    (root / "goldfish").rename(root / "x")
    (root / "tench_Tinca_tinca").rename(root / "goldfish")
    (root / "x").rename(root / "tench")
    with pytest.raises(RecordError, match="2 in a folder of another class"):
        built(root, tmp_path / "c", "val", texts=texts)


def test_images_in_the_wrong_folder_of_words_are_named(tmp_path):
    root = write(tmp_path / "train", by_class(["tench", "goldfish", "shark"]))
    (root / "goldfish" / TRAIN[2]).rename(root / "tench" / TRAIN[2])
    with pytest.raises(RecordError, match=r"1 in a folder of another class \(n01443537_"):
        built(root, tmp_path / "set")


def test_suffix_of_another_class_is_refused(tmp_path):
    name = f"{TRAIN[0][:-5]}_{SYNSETS[1]}.JPEG"
    files = {name: DATA[TRAIN[0]], **{each: DATA[each] for each in TRAIN[1:]}}
    with pytest.raises(RecordError, match=f"1 in a folder of another class \\({name}\\)"):
        built(write(tmp_path / "train", files), tmp_path / "set")


def test_one_image_in_two_writings_is_there_twice(tmp_path):
    files = {**by_class(), f"{SYNSETS[0]}/{TRAIN[0][:-5]}.png": b"x"}
    with pytest.raises(RecordError, match=r"1 there twice \(n01440764_2.png\)"):
        built(write(tmp_path / "train", files), tmp_path / "set")


def test_names_to_skip_may_be_in_any_writing(tmp_path):
    write(tmp_path / "train", by_class())
    builder.build(
        open_source(tmp_path / "train"),
        tmp_path / "set",
        INDEX,
        split="train",
        n_shards=2,
        skip=[TRAIN[0][:-5]],
    )
    assert TRAIN[0].encode() not in b"".join(p.read_bytes() for p in tmp_path.glob("set/train-*"))


def test_other_folders_and_files_of_file_managers_shift_nothing(tmp_path, expected):
    root = write(tmp_path / "train", by_class())
    junk = {
        ".ipynb_checkpoints/n01440764_2-checkpoint.JPEG": b"x",
        "__MACOSX/n01440764/._n01440764_2.JPEG": b"x",
        f"{SYNSETS[0]}/.ipynb_checkpoints/{TRAIN[0]}": b"x",
        f"{SYNSETS[0]}/._{TRAIN[0]}": b"x",
        f"{SYNSETS[1]}/Thumbs.db": b"x",
        f"{SYNSETS[1]}/desktop.ini": b"x",
        f"{SYNSETS[1]}/@eaDir/{TRAIN[2]}/SYNOPHOTO_THUMB_M.jpg": b"x",
        ".git/config": b"x",
    }
    write(root, junk)
    (root / "lost+found").mkdir()
    (root / "n00000000").mkdir()
    assert built(root, tmp_path / "set") == expected


def test_folders_behind_links_and_below_are_read(tmp_path, expected):
    root = write(tmp_path / "train", by_class())
    shutil.move(root / SYNSETS[1], tmp_path / "elsewhere")
    (root / SYNSETS[1]).symlink_to(tmp_path / "elsewhere")
    (root / SYNSETS[2] / "images").mkdir()
    (root / SYNSETS[2] / TRAIN[4]).rename(root / SYNSETS[2] / "images" / TRAIN[4])
    assert built(root, tmp_path / "set") == expected


@pytest.mark.parametrize(("split", "folder"), [("train", "train"), ("val", "val"), ("test", "val")])
def test_kaggles_layout_from_above_names_the_folder_of_the_split(tmp_path, split, folder):
    base = tmp_path / "ILSVRC/Data/CLS-LOC"
    write(base / "train", by_class())
    write(base / "val", {name: DATA[name] for name in VALIDATION})
    for given in (tmp_path, tmp_path / "ILSVRC", tmp_path / "ILSVRC/Data", base):
        with pytest.raises(ConfigError, match="are not classes") as caught:
            open_source(given, split=split)
        assert caught.value.hint == f"did you mean {base / folder}?"


def packed(path, files, directories=(), mode="w"):
    with tarfile.open(path, mode) as tar:
        for name in directories:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("prefix", ["", "./", "train/", "./imagenet/train/", "/data/train/"])
@pytest.mark.parametrize("folders", [SYNSETS, ["0", "1", "2"], ["tench", "goldfish", "shark"]])
def test_tars_that_were_packed_again_give_the_same_bytes(tmp_path, expected, prefix, folders):
    files = {prefix + name: data for name, data in by_class(folders).items()}
    files |= {f"{prefix}{folders[0]}/Thumbs.db": b"x", f"{prefix}{folders[0]}/._a.JPEG": b"x"}
    files |= {f"__MACOSX/{prefix}{folders[0]}/{TRAIN[0]}": b"x"}
    directories = ["./", *(prefix + folder for folder in folders)]
    tar = packed(tmp_path / "train.tar", files, directories)
    assert built(tar, tmp_path / "set") == expected


def test_a_tar_of_tars_with_folders_around_them_gives_the_same_bytes(tmp_path, expected):
    inner = {
        f"./train/{synset}.tar": tar_of(
            {f"./{synset}/{name}": DATA[name] for name in TRAIN if name.startswith(synset)}
        )
        for synset in SYNSETS
    }
    tar = packed(tmp_path / "train.tar", inner, ["./", "./train"])
    assert built(tar, tmp_path / "set") == expected


def test_an_image_in_the_wrong_folder_of_a_tar_is_named(tmp_path):
    files = {f"train/{name}": data for name, data in by_class().items()}
    files[f"train/{SYNSETS[1]}/{TRAIN[0]}"] = files.pop(f"train/{SYNSETS[0]}/{TRAIN[0]}")
    with pytest.raises(RecordError, match="1 in a folder of another class"):
        built(packed(tmp_path / "train.tar", files), tmp_path / "set")


@pytest.mark.parametrize(
    ("name", "mode", "command"),
    [("a.tar.gz", "w:gz", "gunzip"), ("a.tgz", "w:gz", "gunzip"), ("a.tar.xz", "w:xz", "unxz")],
)
def test_compressed_tars_are_refused_with_what_to_run(tmp_path, name, mode, command):
    path = packed(tmp_path / name, by_class(), mode=mode)
    with pytest.raises(ConfigError, match="is compressed") as caught:
        open_source(path)
    assert caught.value.hint == f"run {command} {path}, and give the tar"


def test_zip_archives_and_folders_of_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("train/a.JPEG", b"x")
    with pytest.raises(ConfigError, match=r"a\.zip is a zip archive, not a tar") as caught:
        open_source(tmp_path / "a.zip")
    assert "unpack it" in caught.value.hint
    with pytest.raises(ConfigError, match="holds 1 archives"):
        open_source(tmp_path)


def test_an_index_with_one_image_twice_is_refused(tmp_path):
    names = np.array([TRAIN[0], TRAIN[0][:-5]])
    index = ExampleIndex(About(), np.array([0, 0]), names, None, None)
    source = open_source(write(tmp_path / "train", by_class()))
    with pytest.raises(RecordError, match="not one of distinct images"):
        builder.build(source, tmp_path / "set", index, split="train", n_shards=1)


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_images_are_converted(tmp_path, lossless):
    pixels = np.kron(np.arange(12, dtype=np.uint8).reshape(4, 3), np.full((8, 8), 20, np.uint8))
    stream = io.BytesIO()
    Image.fromarray(np.stack([pixels] * 3, 2)).save(stream, "WEBP", lossless=lossless)
    files = {**{name: DATA[name] for name in TRAIN}, TRAIN[0]: stream.getvalue()}
    source = open_source(write(tmp_path / "train", files))
    options = {"split": "train", "n_shards": 1}
    assert builder.build(source, tmp_path / "set", INDEX, **options).converted == {TRAIN[0]: "WEBP"}
    (tmp_path / "train" / TRAIN[0]).write_bytes(stream.getvalue()[:-10])
    with pytest.raises(RecordError, match="the WebP is cut"):
        builder.build(source, tmp_path / "other", INDEX, **options)


def test_objects_and_lists_that_name_files_give_the_same_bytes(tmp_path, expected):
    root = write(tmp_path / "train", by_class())
    samples = [(str(path), SYNSETS.index(path.parent.name)) for path in sorted(root.glob("*/*"))]
    folder = SimpleNamespace(samples=samples)
    assert built(folder, tmp_path / "object") == expected
    order = np.random.default_rng(0).permutation(len(samples))
    subset = SimpleNamespace(dataset=folder, indices=order.tolist())
    assert built(subset, tmp_path / "subset") == expected
    listed = tmp_path / "files.txt"
    listed.write_text("\n".join(samples[k][0] for k in order) + "\n")
    assert built(listed, tmp_path / "list") == expected


def test_lists_of_files_that_are_not_there_are_refused(tmp_path):
    listed = tmp_path / "files.txt"
    listed.write_text("\n".join(TRAIN))
    with pytest.raises(ConfigError, match="names 6 files that are not there: n01440764_2"):
        open_source(listed)
    with pytest.raises(ConfigError, match="names no image files"):
        open_source(np.arange(3))
