"""Examples known by their pixels, and what decoded them."""

import gzip
import io
import pickle
import pickletools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from memtools.alignment.alignment import align
from memtools.alignment.pixels import STORED, Reference, keys_of, read_official
from memtools.datasets.listing import Listing
from memtools.errors import AlignmentError, ConfigError, IntegrityError, SchemaError
from memtools.estimates.about import About
from memtools.estimates.scores import Scores

N = 30


@pytest.fixture(scope="module")
def data():
    """Images, labels; 4 and 9 are one picture in two classes, 5 and 11 one picture in one class."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (N, 32, 32, 3), np.uint8), np.arange(N) % 5
    labels[9] = 3
    images[9], images[11], labels[11] = images[4], images[5], labels[5]
    return images, labels


@pytest.fixture(scope="module")
def reference(data):
    images, labels = data
    return Reference.of(Listing(images=images, labels=labels), dataset="cifar100")


def scores_of(labels):
    return Scores(
        About(dataset="cifar100", order="official"), "c_score", np.arange(1.0 * N), labels
    )


def test_another_copy_is_joined_by_its_pixels(data, reference):
    images, labels = data
    keep = np.delete(np.random.default_rng(1).permutation(N), 0)
    keep = keep[(keep != 5) & (keep != 11)]
    found = align(
        scores_of(labels),
        images[keep],
        labels=labels[keep],
        reference=reference,
        allow_missing=True,
    )
    assert np.array_equal(found.position, keep) and "by their pixels" in found.proof


def test_copies_in_one_class_are_never_guessed(data, reference):
    images, labels = data
    with pytest.raises(AlignmentError, match="2 images occur more than once"):
        align(scores_of(labels), images, labels=labels, reference=reference)
    found = align(scores_of(labels), images, labels=labels, reference=reference, allow_missing=True)
    assert found.extra.tolist() == [5, 11] and "2 are ambiguous" in found.proof
    assert found.position[4] == 4 and found.position[9] == 9  # told apart by their labels


def test_relabelled_or_foreign_images_are_refused(data, reference):
    images, labels = data
    keep = [k for k in range(N) if k not in (4, 5, 9, 11)]
    with pytest.raises(AlignmentError, match="labels disagree"):
        align(
            scores_of(labels),
            images[keep],
            labels=np.roll(labels[keep], 1),
            reference=reference,
            allow_missing=True,
        )
    changed = images.copy()
    changed[7, 0, 0, 0] ^= 1
    with pytest.raises(AlignmentError, match="1 have no number: number 5; 5 are missing"):
        align(scores_of(labels), changed[keep], labels=labels[keep], reference=reference)
    with pytest.raises(ConfigError, match="no reference of the official order"):
        align(scores_of(labels), images)
    with pytest.raises(AlignmentError, match="reference has 30 examples"):
        align(
            Scores(About(order="official"), "c_score", np.arange(3.0), np.arange(3)),
            images,
            reference=reference,
        )
    with pytest.raises(AlignmentError, match="labels of the reference are not those"):
        align(scores_of(np.roll(labels, 1)), images, reference=reference)
    with pytest.raises(ConfigError, match=r"images are uint8"):
        align(scores_of(labels), images / 255.0, reference=reference)


def test_a_reference_is_kept_in_a_file(reference, tmp_path):
    reference.save(tmp_path / "keys.npz")
    again = Reference.open(tmp_path / "keys.npz")
    assert again.keys == reference.keys and again.about.order == "official"
    assert np.array_equal(again.labels, reference.labels)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(SchemaError, match="holds no keys"):
        Reference.open(tmp_path / "other.npz")


def test_reference_records_what_decoded_its_images(data, reference, tmp_path):
    images, labels = data
    listing = Listing(images=images, labels=labels)
    assert reference.decoder == ""
    assert "a decoder that it does not record" in reference.mismatch_hint
    pil = Reference.of(listing, dataset="mine", decoder="PIL 12.0")
    pil.save(tmp_path / "keys.npz")
    again = Reference.open(tmp_path / "keys.npz")
    assert again.decoder == "PIL 12.0" and "was decoded by PIL 12.0" in again.mismatch_hint
    stored = Reference.of(listing, dataset="cifar100", decoder=STORED)
    assert stored.about.definition == "keys of pixels; decoder: stored uint8, no decoder"
    assert "decoded" not in stored.mismatch_hint


def test_decoders_of_one_jpeg_give_other_keys_only_where_tensorflow_is_not_exact():
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((64, 64)).save(buffer, "JPEG", quality=90)
    data = buffer.getvalue()
    images = [
        np.asarray(Image.open(io.BytesIO(data))),
        tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE").numpy(),
        tf.io.decode_jpeg(data, 3).numpy(),
    ]
    pil, exact, default = keys_of(np.stack(images))
    assert pil == exact and pil != default


def test_the_shape_is_in_the_key():
    flat = np.arange(48, dtype=np.uint8)
    assert keys_of(flat.reshape(1, 4, 4, 3)) != keys_of(flat.reshape(1, 2, 8, 3))


def planes(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


@pytest.mark.parametrize("copy", ["binary 100", "binary 10", "python 100", "python 10"])
def test_official_copies_are_read_in_their_order(data, tmp_path, copy):
    images, labels = data
    kind, classes = copy.split()
    parts = [range(N)] if classes == "100" else [range(k, k + 6) for k in range(0, N, 6)]
    for k, part in enumerate(parts):
        rows, of_part = planes(images)[part], labels[part]
        stem = "train" if classes == "100" else f"data_batch_{k + 1}"
        if kind == "binary":
            columns = [of_part[:, None], rows]
            if classes == "100":
                columns.insert(0, of_part[:, None] // 2)  # the coarse labels come first
            np.concatenate(columns, 1).astype(np.uint8).tofile(tmp_path / f"{stem}.bin")
        else:
            name = b"fine_labels" if classes == "100" else b"labels"
            document = {b"data": rows, name: of_part.tolist(), b"filenames": [b"x"]}
            (tmp_path / stem).write_bytes(pickle.dumps(document, protocol=2))
    dataset, found = read_official(tmp_path, "train")
    assert dataset == f"cifar{classes}"
    assert np.array_equal(found.images, images) and np.array_equal(found.labels, labels)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


@pytest.mark.parametrize(
    ("folder", "dataset", "packed"),
    [
        ("MNIST/raw", "mnist", False),
        ("fashion-mnist", "fashion_mnist", True),
        ("KMNIST/raw", "kmnist", True),
    ],
)
def test_idx_files_of_mnist_and_its_kin_are_read(tmp_path, folder, dataset, packed):
    rng = np.random.default_rng(0)
    root = tmp_path / folder
    root.mkdir(parents=True)
    pack, end = (gzip.compress, ".gz") if packed else (bytes, "")
    for split, stem, n in (("train", "train", 7), ("test", "t10k", 3)):
        images = rng.integers(0, 256, (n, 28, 28), np.uint8)
        labels = rng.integers(0, 10, n).astype(np.uint8)
        (root / f"{stem}-images-idx3-ubyte{end}").write_bytes(pack(idx(images)))
        (root / f"{stem}-labels-idx1-ubyte{end}").write_bytes(pack(idx(labels)))
        found, listing = read_official(root, split)
        assert found == dataset and listing.labels.dtype == np.int64
        assert np.array_equal(listing.images, images[..., None])
        assert np.array_equal(listing.labels, labels)
        reference = Reference.read(root, split)
        assert (reference.about.dataset, reference.about.order) == (dataset, "official")
        assert reference.decoder == STORED and reference.keys == keys_of(images[..., None])


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (idx(np.zeros((3, 28, 28), np.uint8))[:-1], idx(np.zeros(3, np.uint8)), "or it is cut"),
        (idx(np.zeros((3, 28, 28), np.uint8)), idx(np.zeros(2, np.uint8)), "3 train images and 2"),
        (b"", idx(np.zeros(2, np.uint8)), "is not an idx file of 3 dimensions"),
        (b"<!DOCTYPE html>" * 9, idx(np.zeros(2, np.uint8)), "is not an idx file"),
    ],
)
def test_idx_files_that_are_damaged_are_refused(tmp_path, images, labels, words):
    root = tmp_path / "MNIST"
    root.mkdir()
    (root / "train-images-idx3-ubyte").write_bytes(images)
    (root / "train-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(IntegrityError, match=words):
        read_official(root, "train")
    (root / "train-images-idx3-ubyte").unlink()
    (root / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"x" * 99)[:-9])
    with pytest.raises(IntegrityError, match="is damaged"):
        read_official(root, "train")


def test_idx_files_whose_path_does_not_name_their_data_set_are_refused(tmp_path):
    root = tmp_path / "raw"
    root.mkdir()
    (root / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 28, 28), np.uint8)))
    (root / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(2, np.uint8)))
    with pytest.raises(ConfigError, match="its path does not say which"):
        read_official(root, "train")


class Evil:
    def __reduce__(self):
        return print, ("run!",)


@pytest.mark.parametrize(
    "document",
    [{b"data": Evil()}, {b"data": np.zeros((1, 3072)), b"fine_labels": [0]}, {b"data": 3}, [1]],
)
def test_a_pickle_runs_nothing_and_holds_nothing_else(tmp_path, capsys, document):
    data = pickle.dumps(document, protocol=2)
    assert any(op.name in ("PROTO", "REDUCE") for op, _, _ in pickletools.genops(data))
    (tmp_path / "train").write_bytes(data)
    with pytest.raises(IntegrityError):
        read_official(tmp_path, "train")
    assert "run!" not in capsys.readouterr().out


def test_a_copy_that_is_cut_or_none_at_all_is_said(tmp_path):
    with pytest.raises(ConfigError, match="is not an official copy of the train examples"):
        read_official(tmp_path, "train")
    (tmp_path / "train.bin").write_bytes(bytes(3074 * 2 - 1))
    with pytest.raises(IntegrityError, match="is cut"):
        read_official(tmp_path, "train")
