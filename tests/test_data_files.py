"""Files and folders list the examples of a data set in an order that is theirs."""

import io
import json
import pickle

import numpy as np
import pytest

from memtools.datasets.data_sources import listing_of
from memtools.datasets.image_pixels import read_images
from memtools.datasets.names import NameColumn
from memtools.errors import ConfigError, DiskError, IntegrityError, MemtoolsError, SchemaError

NAMES = ["n01440764_10026.JPEG", "n01440764_3.JPEG", "n01443537_7.JPEG"]
LABELS = [0, 0, 1]
ROWS = list(zip(NAMES, LABELS, strict=True))


def write(path, text):
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "\n".join(NAMES) + "\n"),
        ("a.csv", "file_name,label\n" + "".join(f"{n},{k}\n" for n, k in ROWS)),
        (
            "a.csv",
            "\ufeffFilename,Label\r\n" + "".join(f"{n},{k}\r\n" for n, k in ROWS),
        ),
        (
            "a.csv",
            "Unnamed: 0,path,label\n" + "".join(f"{9 - k},{n},{k}\n" for k, n in enumerate(NAMES)),
        ),
        ("a.csv", ",path,label\n" + "".join(f"{k},{n},{k}\n" for k, n in enumerate(NAMES))),
        ("a.csv", "id,path\n" + "".join(f"{k + 1},{n}\n" for k, n in enumerate(NAMES))),
        ("a.tsv", "label\timage\n" + "".join(f"{k}\t{n}\n" for n, k in ROWS)),
        ("a.json", json.dumps(NAMES)),
        ("a.json", json.dumps({"filename": NAMES, "label": LABELS})),
        ("a.json", json.dumps([{"name": n, "target": k} for n, k in ROWS])),
    ],
)
def test_lists_of_names_are_read_from_text(tmp_path, name, text):
    listing = listing_of(write(tmp_path / name, text))
    assert list(listing.names) == NAMES
    assert listing.what == f"{name} of 3"
    assert listing.index is None or listing.index.tolist() == [9, 8, 7]  # of a sorted table
    assert listing.labels is None or listing.labels.tolist() in (LABELS, [0, 1, 2])


def test_lists_of_kaggle_and_caffe_are_read(tmp_path):
    caffe = write(tmp_path / "train.txt", "".join(f"{n} {k}\n" for n, k in ROWS))
    assert listing_of(caffe).labels.tolist() == LABELS
    counted = write(
        tmp_path / "train_cls.txt", "n01440764/n01440764_9 1\nn01440764/n01440764_8 2\n"
    )
    listing = listing_of(counted)
    assert list(listing.names) == ["n01440764/n01440764_9", "n01440764/n01440764_8"]
    assert listing.labels is None
    solution = "ImageId,PredictionString\nILSVRC2012_val_00048981,n03995372 85 1 499 272 \n"
    listing = listing_of(write(tmp_path / "LOC_val_solution.csv", solution))
    assert list(listing.names) == ["n03995372/ILSVRC2012_val_00048981"]


def test_a_column_of_positions_without_names_is_the_index(tmp_path):
    path = write(tmp_path / "forget.csv", "\ufeffindex,label\n7,1\n3,0\n")
    listing = listing_of(path)
    assert listing.index.tolist() == [7, 3] and listing.order == ""
    assert listing.labels.tolist() == [1, 0] and listing.names is None
    twice = write(tmp_path / "twice.csv", "index,label\n7,1\n7,0\n")
    with pytest.raises(SchemaError, match="position 7 comes twice"):
        listing_of(twice)
    numbers = write(tmp_path / "labels.json", "[3, 1, 2, 1]")
    assert listing_of(numbers).labels.tolist() == [3, 1, 2, 1]


def test_tables_without_examples_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not a list of examples: its columns are loss, epoch"):
        listing_of(write(tmp_path / "a.csv", "loss,epoch\n0.5,x\n0.25,y\n"))
    with pytest.raises(MemtoolsError, match="is not a list of examples"):
        listing_of(write(tmp_path / "b.csv", "n01440764_10026.JPEG\nn01440764_3.JPEG\n"))
    with pytest.raises(DiskError, match="is missing"):
        listing_of(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="PyTorch"):
        listing_of(write(tmp_path / "names.pt", "x"))
    with pytest.raises(MemtoolsError, match="empty"):
        listing_of(write(tmp_path / "empty.csv", ""))


def test_parquet_names_come_from_the_paths_of_images(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    rows = [{"bytes": b"not an image", "path": name} for name in NAMES]
    table = arrow.table({"image": arrow.array(rows, kind), "label": LABELS})
    parquet.write_table(table, tmp_path / "train.parquet", row_group_size=2)
    listing = listing_of(tmp_path / "train.parquet")
    assert isinstance(listing.names, NameColumn) and list(listing.names) == NAMES
    assert listing.labels.tolist() == LABELS and listing.images is None
    plain = arrow.table({"__index_level_0__": [4, 2], "label": [1, 0]})
    parquet.write_table(plain, tmp_path / "plain.parquet")
    listing = listing_of(tmp_path / "plain.parquet")
    assert listing.index.tolist() == [4, 2] and listing.labels.tolist() == [1, 0]
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "train.parquet").read_bytes()[:-9])
    with pytest.raises(SchemaError, match="not a valid parquet file"):
        listing_of(tmp_path / "cut.parquet")


def png(k):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    file = io.BytesIO()
    image.fromarray(np.full((4, 4, 3), k, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_parquet_images_without_paths_are_decoded(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    rows = [{"bytes": png(k), "path": None} for k in range(3)]
    table = arrow.table({"img": arrow.array(rows, kind), "fine_label": [5, 4, 3]})
    parquet.write_table(table, tmp_path / "cifar.parquet")
    listing = listing_of(tmp_path / "cifar.parquet")
    assert listing.images[:, 0, 0, 0].tolist() == [0, 1, 2] and listing.labels.tolist() == [5, 4, 3]
    assert listing.names is None and listing.index is None


def test_arrays_are_read_by_their_kind(tmp_path):
    np.save(tmp_path / "names.npy", np.array(NAMES))
    assert list(listing_of(tmp_path / "names.npy").names) == NAMES
    np.save(tmp_path / "labels.npy", np.array([[3], [4]]))
    assert listing_of(tmp_path / "labels.npy").labels.tolist() == [3, 4]
    np.save(tmp_path / "images.npy", np.zeros((2, 4, 4, 3), np.uint8))
    assert listing_of(tmp_path / "images.npy").images.shape == (2, 4, 4, 3)
    np.save(tmp_path / "objects.npy", np.array(NAMES, object), allow_pickle=True)
    with pytest.raises(SchemaError, match="Python objects") as caught:
        listing_of(tmp_path / "objects.npy")
    assert "names.astype(str)" in caught.value.hint
    np.savez(tmp_path / "a.npz", filename=np.array(NAMES), label=LABELS, other=np.zeros((9, 9)))
    listing = listing_of(tmp_path / "a.npz")
    assert list(listing.names) == NAMES and listing.labels.tolist() == LABELS
    np.savez(tmp_path / "b.npz", loss=np.zeros(3))
    with pytest.raises(ConfigError, match="its arrays are loss"):
        listing_of(tmp_path / "b.npz")


def test_files_of_several_splits_give_the_one_that_is_asked_for(tmp_path):
    sizes = {"train": 5, "val": 3, "test": 4}
    images = {f"{s}_images": np.full((n, 2, 2, 3), n, np.uint8) for s, n in sizes.items()}
    labels = {f"{s}_labels": np.full((n, 1), n, np.uint8) for s, n in sizes.items()}
    path = tmp_path / "pathmnist.npz"
    np.savez(path, **images, **labels)
    for split, n in {**sizes, "validation": 3}.items():
        listing = listing_of(path, split=split)
        assert listing.labels.tolist() == [n] * n and listing.images.shape == (n, 2, 2, 3)
    assert len(listing_of(path)) == 5
    keras = tmp_path / "mnist.npz"
    np.savez(
        keras,
        x_train=np.zeros((3, 2, 2), np.uint8),
        y_train=[1, 2, 3],
        x_test=np.zeros((2, 2, 2), np.uint8),
        y_test=[4, 5],
    )
    assert listing_of(keras, split="val").labels.tolist() == [4, 5]
    assert listing_of(keras).images.shape == (3, 2, 2, 1)
    np.savez(tmp_path / "only.npz", train_images=np.zeros((3, 2, 2), np.uint8))
    with pytest.raises(ConfigError, match="has no test split: it has train"):
        listing_of(tmp_path / "only.npz", split="test")
    with pytest.raises(ConfigError, match="is not a split"):
        listing_of(path, split="dev")


def write_cifar(root, n=10_000, kinds=range(1, 6)):
    """Write a copy of CIFAR-10 in the Python version: the first value of an image is its number."""
    root.mkdir(parents=True)
    write(root / "batches.meta", "")
    for batch, name in enumerate([*(f"data_batch_{k}" for k in kinds), "test_batch"]):
        rows = np.zeros((n, 3072), np.uint8)
        rows[:, 0] = (np.arange(n) + batch * n) % 251
        document = {b"data": rows, b"labels": ((np.arange(n) + batch) % 10).tolist()}
        (root / name).write_bytes(pickle.dumps(document, 2))
    return root


def test_an_official_copy_is_in_the_official_order(tmp_path):
    root = write_cifar(tmp_path / "cifar-10-batches-py")
    for given in (root, tmp_path):
        listing = listing_of(given)
        assert np.array_equal(listing.index, np.arange(50_000)) and listing.order == "official"
        assert (listing.dataset, listing.split) == ("cifar10", "train")
        assert listing.what == "the official cifar10 train split of 50,000"
    assert listing.images[[0, 49_999], 0, 0, 0].tolist() == [0, 49_999 % 251]
    assert listing.labels[[0, 10_000, 49_999]].tolist() == [0, 1, (9_999 + 4) % 10]
    listing = listing_of(root, split="validation")
    assert len(listing) == 10_000 and listing.split == "test" and len(listing.index) == 10_000
    (tmp_path / "cifar-100-python").mkdir()
    with pytest.raises(ConfigError, match="holds 2 data sets: cifar-10-batches-py, cifar-100"):
        listing_of(tmp_path)


def test_a_copy_that_is_cut_tells_no_positions(tmp_path):
    listing = listing_of(write_cifar(tmp_path / "cifar-10-batches-py", n=100))
    assert listing.index is None and listing.order == "" and len(listing) == 500
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"\x80\x02nothing")
    with pytest.raises(IntegrityError):
        listing_of(tmp_path / "cifar-10-batches-py")


def test_folders_of_images_are_listed_as_image_folder_does(tmp_path):
    for name in ("dog/b.png", "dog/a/1.PNG", "cat/x.jpg", "cat/notes.txt", ".hidden/y.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    listing = listing_of(tmp_path)
    shown = [name.removeprefix(f"{tmp_path}/") for name in listing.names]
    assert shown == ["cat/x.jpg", "dog/b.png", "dog/a/1.PNG"]
    assert listing.labels.tolist() == [0, 1, 1] and listing.index is None
    assert "of 3 images" in listing.what


def test_a_folder_of_cifar_in_png_gives_names_labels_and_pixels(tmp_path):
    for split, word, k in (("train", "airplane", 1), ("train", "cat", 2), ("test", "cat", 3)):
        (tmp_path / split / word).mkdir(parents=True)
        (tmp_path / split / word / "0001.png").write_bytes(png(k))
    listing = listing_of(tmp_path / "train")
    assert listing.labels.tolist() == [0, 1] and listing.index is None and listing.images is None
    images = read_images(listing.names)
    assert images.shape == (2, 4, 4, 3) and images[:, 0, 0, 0].tolist() == [1, 2]
    with pytest.raises(ConfigError):  # train and test are not classes
        listing_of(tmp_path)
    flat = tmp_path / "kaggle"
    flat.mkdir()
    for k in (1, 2, 10):
        (flat / f"{k}.png").write_bytes(png(k))
    listing = listing_of(flat)
    assert len(listing.names) == 3 and listing.index is None and listing.order == ""


def test_pixels_of_files_that_cannot_be_compared_are_refused(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "c.jpg", "d.png")]
    image.new("RGB", (4, 4)).save(paths[0])
    image.new("RGB", (4, 5)).save(paths[1])
    image.new("RGB", (4, 4)).save(paths[2])
    (tmp_path / "d.png").write_bytes(b"nothing")
    for k, words in ((1, "is 5 x 4 x 3, and"), (2, "is a JPEG"), (3, "is not an image")):
        with pytest.raises(ConfigError, match=words):
            read_images([paths[0], paths[k]])
    image.new("L", (3, 2)).save(paths[0])
    assert read_images(paths[:1]).shape == (1, 2, 3, 1)


def test_lines_of_integers_are_labels_or_positions(tmp_path):
    order = np.random.default_rng(0).permutation(30)
    listing = listing_of(write(tmp_path / "positions.txt", "".join(f"{k}\n" for k in order)))
    assert listing.index.tolist() == order.tolist() and listing.order == ""
    assert list(listing.names) == [str(k) for k in order]
    padded = listing_of(write(tmp_path / "padded.txt", "00002\n00000\n00001\n"))
    assert padded.index.tolist() == [2, 0, 1] and padded.names[0] == "00002"
    labels = listing_of(write(tmp_path / "labels.txt", "3\n1\n3\n"))
    assert labels.labels.tolist() == [3, 1, 3] and labels.names is None
    with pytest.raises(SchemaError, match="positions count from 0"):
        listing_of(write(tmp_path / "counted.txt", "3\n1\n2\n"))


def test_bare_integers_that_look_like_positions_are_refused(tmp_path):
    order = np.random.default_rng(0).permutation(30)
    np.save(tmp_path / "a.npy", order)
    np.save(tmp_path / "b.npy", order[:25] * 7)  # a part of a larger data set
    write(tmp_path / "c.json", json.dumps(order.tolist()))
    for source in ("a.npy", "b.npy", "c.json"):
        with pytest.raises(ConfigError, match="labels or positions") as caught:
            listing_of(tmp_path / source)
        assert "header index or label" in caught.value.hint
    np.save(tmp_path / "d.npy", order % 7)
    assert listing_of(tmp_path / "d.npy").labels.tolist() == (order % 7).tolist()


@pytest.mark.parametrize("name", ["train_idx", "indices", "ids", "example_id", "Sample Index"])
def test_positions_have_many_names_in_files(tmp_path, name):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    import pyarrow.parquet

    order, labels = [2, 0, 1, 4, 3], [5, 6, 5, 6, 5]
    rows = "".join(f"{a},{b}\n" for a, b in zip(order, labels, strict=True))
    write(tmp_path / "a.csv", f"{name},label\n{rows}")
    np.savez(tmp_path / "a.npz", **{name: order, "labels": labels})
    np.savez(tmp_path / "b.npz", **{name: np.array(order)[:, None], "train_labels": labels})
    table = pyarrow.table({name: order, "label": labels})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    for file in ("a.csv", "a.npz", "b.npz", "a.parquet"):
        listing = listing_of(tmp_path / file)
        assert listing.index.tolist() == order and listing.labels.tolist() == labels, file


def test_an_unknown_column_that_looks_like_positions_is_refused(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    import pyarrow.parquet

    order, labels = [2, 0, 1, 4, 3], [5, 6, 5, 6, 5]
    rows = "".join(f"{a},{b}\n" for a, b in zip(order, labels, strict=True))
    write(tmp_path / "a.csv", f"nth,label\n{rows}")
    np.savez(tmp_path / "a.npz", nth=order, labels=labels)
    pyarrow.parquet.write_table(
        pyarrow.table({"nth": order, "label": labels}), tmp_path / "a.parquet"
    )
    for file in ("a.csv", "a.npz", "a.parquet"):
        with pytest.raises(ConfigError, match="column nth looks like positions"):
            listing_of(tmp_path / file)


def test_an_index_that_pandas_wrote_into_parquet_is_positions(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    frame = pandas.DataFrame({"label": [7, 8, 7, 9]})
    frame[::-1].to_parquet(tmp_path / "reversed.parquet")  # the index is metadata alone
    listing = listing_of(tmp_path / "reversed.parquet")
    assert listing.index.tolist() == [3, 2, 1, 0] and listing.labels.tolist() == [9, 7, 8, 7]
    frame.to_parquet(tmp_path / "plain.parquet")
    assert listing_of(tmp_path / "plain.parquet").index is None
    frame.set_index(pandas.Index([3, 0, 1, 2], name="which")).to_parquet(tmp_path / "n.parquet")
    assert listing_of(tmp_path / "n.parquet").index.tolist() == [3, 0, 1, 2]


def test_an_npz_whose_positions_are_of_another_length_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", train_labels=[1, 2, 3], index=[2, 0])
    with pytest.raises(ConfigError, match="2 and 3 names, labels or images"):
        listing_of(tmp_path / "a.npz")
