"""Data set objects of other libraries say what they say, without being imported."""

import types

import numpy as np
import pytest

from memtools.datasets.data_sources import listing_of
from memtools.datasets.listing import Listing
from memtools.datasets.names import NameColumn
from memtools.datasets.tfds_order import FIRST_LABELS
from memtools.datasets.torchvision_data import OFFICIAL_LABELS, mark_of_labels
from memtools.errors import ConfigError, SchemaError

arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")


def class_of(module, name, *bases, **members):
    """Return a class that looks like that of a library which is not installed."""
    return type(name, bases, {"__module__": module, **members})


VisionDataset = class_of(
    "torchvision.datasets.vision", "VisionDataset", __len__=lambda self: len(self.data)
)
VisionDataset.__getitem__ = lambda self, k: (self.data[k], self.targets[k])
CIFAR10 = class_of("torchvision.datasets.cifar", "CIFAR10", VisionDataset)
CIFAR100 = class_of("torchvision.datasets.cifar", "CIFAR100", CIFAR10)
MNIST = class_of("torchvision.datasets.mnist", "MNIST", VisionDataset)
FashionMNIST = class_of("torchvision.datasets.mnist", "FashionMNIST", MNIST)
KMNIST = class_of("torchvision.datasets.mnist", "KMNIST", MNIST)
EMNIST = class_of("torchvision.datasets.mnist", "EMNIST", MNIST)
QMNIST = class_of("torchvision.datasets.mnist", "QMNIST", MNIST)
SVHN = class_of("torchvision.datasets.svhn", "SVHN", VisionDataset)


class Tensor:
    """A tensor of PyTorch on a GPU: NumPy gets its values only through detach and cpu."""

    def __init__(self, values, where="cuda"):
        self.values, self.where = np.asarray(values), where
        self.shape, self.dtype = self.values.shape, f"torch.{self.values.dtype}"

    def __len__(self):
        return len(self.values)

    def __getitem__(self, k):
        return Tensor(self.values[k], self.where)

    def detach(self):
        return self

    def cpu(self):
        return Tensor(self.values, "cpu")

    def numpy(self):
        if self.where != "cpu":
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return self.values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numpy(), dtype)


class Subset:
    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, indices

    def __len__(self):
        return len(self.indices)


class ConcatDataset:
    def __init__(self, datasets):
        self.datasets = list(datasets)

    def __len__(self):
        return sum(map(len, self.datasets))


class Folder:
    def __init__(self, paths):
        self.samples = [(path, k) for k, path in enumerate(paths)]

    def __len__(self):
        return len(self.samples)


def cifar(kind=CIFAR10, n=50_000, train=True, seed=0):
    data = kind()
    rng = np.random.default_rng(seed)
    data.data = np.zeros((n, 2, 2, 3), np.uint8)
    data.data[:, 0, 0, 0] = np.arange(n) % 251
    data.targets = rng.integers(0, 10, n).tolist()
    data.train = train
    return data


def mnist(kind=MNIST, n=60_000, train=True, **attributes):
    data = kind()
    data.data, data.targets = Tensor(np.zeros((n, 2, 2), np.uint8)), Tensor(np.arange(n) % 10)
    data.train = train
    for name, value in attributes.items():
        setattr(data, name, value)
    return data


@pytest.fixture(autouse=True)
def official_labels(monkeypatch):
    """The labels of the objects here stand for the official ones."""
    for split, n in (("train", 50_000), ("test", 10_000)):
        for dataset in ("cifar10", "cifar100"):
            mark = mark_of_labels(np.array(cifar(n=n).targets))
            monkeypatch.setitem(OFFICIAL_LABELS, (dataset, split), mark)
    for split, n in (("train", 60_000), ("test", 10_000)):
        for dataset in ("mnist", "fashion_mnist"):
            monkeypatch.setitem(
                OFFICIAL_LABELS, (dataset, split), mark_of_labels(np.arange(n) % 10)
            )


@pytest.mark.parametrize(
    ("data", "dataset", "split"),
    [
        (cifar(), "cifar10", "train"),
        (cifar(CIFAR100), "cifar100", "train"),
        (cifar(CIFAR100, 10_000, train=False), "cifar100", "test"),
        (mnist(), "mnist", "train"),
        (mnist(FashionMNIST, 10_000, train=False), "fashion_mnist", "test"),
        (mnist(KMNIST), "kmnist", "train"),
        (cifar(type("Mine", (CIFAR100,), {})), "cifar100", "train"),
    ],
)
def test_classes_of_torchvision_tell_official_positions(data, dataset, split):
    listing = listing_of(data)
    assert (listing.dataset, listing.split, listing.order) == (dataset, split, "official")
    assert np.array_equal(listing.index, np.arange(len(data)))
    assert np.array_equal(listing.labels, np.asarray(getattr(data.targets, "values", data.targets)))
    assert listing.images.shape[0] == len(data) and listing.images.dtype == np.uint8
    assert listing.names is None


def test_a_filtered_cifar_tells_no_positions():
    data = cifar(CIFAR100)
    data.data, data.targets = data.data[:45_000], data.targets[:45_000]
    listing = listing_of(data)
    assert listing.index is None and listing.order == ""
    assert listing.dataset == "cifar100" and len(listing) == 45_000


def test_a_class_of_the_user_called_cifar10_does_not_vouch_for_the_order():
    own = class_of("my_project.data", "CIFAR10")
    listing = listing_of(cifar(own))
    assert (listing.index, listing.order, listing.dataset, listing.split) == (None, "", "", "")
    assert len(listing.labels) == 50_000 and listing.images is not None


def test_emnist_and_its_kin_are_named_without_an_order():
    listing = listing_of(mnist(EMNIST, 8, split="balanced"))
    assert (listing.dataset, listing.split, listing.index) == ("emnist-balanced", "train", None)
    extended = np.stack([np.arange(6), np.arange(6) + 100], 1)
    listing = listing_of(mnist(QMNIST, 6, targets=Tensor(extended)))
    assert listing.labels.tolist() == [0, 1, 2, 3, 4, 5] and listing.index is None
    svhn = SVHN()
    svhn.data, svhn.labels, svhn.split = np.zeros((3, 3, 4, 5), np.uint8), np.arange(3), "test"
    listing = listing_of(svhn)
    assert listing.images.shape == (3, 4, 5, 3) and listing.split == "test"


def test_image_folders_and_imagenet_give_paths_and_labels():
    samples = [("train/n01440764/n01440764_1.JPEG", 0), ("train/n01443537/n01443537_2.JPEG", 1)]
    folder = types.SimpleNamespace(samples=samples, imgs=samples, targets=[0, 1])
    listing = listing_of(folder)
    assert list(listing.names) == [path for path, _ in samples]
    assert listing.labels.tolist() == [0, 1] and listing.index is None
    imagenet = class_of("torchvision.datasets.imagenet", "ImageNet", __len__=lambda self: 2)()
    imagenet.samples, imagenet.split = samples, "val"
    listing = listing_of(imagenet)
    assert (listing.dataset, listing.split) == ("imagenet", "test")
    assert listing.what == "torchvision ImageNet of 2"
    food = types.SimpleNamespace(_image_files=["a/1.jpg", "b/2.jpg"], _labels=[4, 5])
    assert listing_of(food).labels.tolist() == [4, 5]
    assert listing_of(samples).labels.tolist() == [0, 1]


def test_data_sets_of_users_give_their_lists_of_files_or_their_labels():
    own = types.SimpleNamespace(image_paths=["x/1.png", "x/2.png"], labels=[3, 4], transform=None)
    listing = listing_of(own)
    assert list(listing.names) == ["x/1.png", "x/2.png"] and listing.labels.tolist() == [3, 4]
    listing = listing_of(types.SimpleNamespace(targets=Tensor([5, 6])))
    assert listing.labels.tolist() == [5, 6] and listing.names is None
    around = Wrapper(cifar())
    around.targets = around.dataset.targets
    assert len(listing_of(around).index) == 50_000  # not its labels alone


def test_subsets_of_subsets_keep_official_positions():
    data = cifar(CIFAR100)
    chosen = np.random.default_rng(0).permutation(50_000)[:45_000]
    part = Subset(data, chosen.tolist())
    listing = listing_of(part)
    assert np.array_equal(listing.index, chosen)
    assert np.array_equal(listing.labels, np.array(data.targets)[chosen])
    assert listing.images[:, 0, 0, 0].tolist() == (chosen % 251).tolist()
    assert listing.what == "torchvision CIFAR100 of 50,000, Subset of 45,000"
    nested = listing_of(Subset(part, Tensor([7, -1])))
    assert nested.index.tolist() == [chosen[7], chosen[-1]]
    assert nested.what == "torchvision CIFAR100 of 50,000, Subset of 45,000, Subset of 2"


def composed(rng, depth):
    """Return a random data set of subsets and concatenations, and the truth of its positions."""
    if not depth:
        data = mnist(KMNIST, 10_000, train=False)
        data.data.values[:, 0, 0], data.data.values[:, 0, 1] = divmod(np.arange(10_000), 100)
        return data, np.arange(10_000)
    data, truth = composed(rng, depth - 1)
    if rng.random() < 0.4:
        cut = int(rng.integers(1, len(truth)))
        first, last = np.arange(cut), np.arange(cut, len(truth))
        parts = [Subset(data, last.tolist()), Subset(data, first)]
        return ConcatDataset(parts), np.concatenate([truth[last], truth[first]])
    chosen = rng.permutation(len(truth))[: int(rng.integers(2, len(truth) + 1))]
    signed = np.where(rng.random(len(chosen)) < 0.2, chosen - len(truth), chosen)
    return Subset(data, Tensor(signed) if rng.random() < 0.5 else signed.tolist()), truth[chosen]


@pytest.mark.parametrize("seed", range(20))
def test_any_composition_of_subsets_and_concatenations_tells_the_truth(seed):
    rng = np.random.default_rng(seed)
    data, truth = composed(rng, int(rng.integers(1, 5)))
    listing = listing_of(data)
    assert np.array_equal(listing.index, truth) and listing.dataset == "kmnist"
    assert np.array_equal(listing.labels, truth % 10)
    pixels = listing.images.astype(int)
    assert np.array_equal(pixels[:, 0, 0, 0] * 100 + pixels[:, 0, 1, 0], truth)


@pytest.mark.parametrize(
    ("indices", "words"),
    [
        (np.zeros(50_000, bool), "a mask of 50,000 truth values"),
        ([0.5], "the indices are float64"),
        ([50_000], "index 50000 is outside of the 50,000 examples"),
        ([-50_001], "index -50001 is outside"),
        ([], "has no examples"),
    ],
)
def test_indices_that_are_not_positions_are_refused(indices, words):
    with pytest.raises(ConfigError, match=words):
        listing_of(Subset(cifar(), indices))


def test_a_concatenation_keeps_positions_of_one_split_only():
    data = cifar()
    halves = ConcatDataset([Subset(data, range(25_000, 50_000)), Subset(data, range(25_000))])
    listing = listing_of(halves)
    assert listing.index[:2].tolist() == [25_000, 25_001] and listing.index[-1] == 24_999
    assert (listing.dataset, listing.split, listing.order) == ("cifar10", "train", "official")
    test = cifar(n=10_000, train=False)
    both = listing_of(ConcatDataset([data, test]))
    assert both.index is None and both.order == "" and both.dataset == ""
    assert both.labels.tolist() == data.targets + test.targets and len(both.images) == 60_000
    named = listing_of(ConcatDataset([Folder([f"{k}.png"]) for k in range(3)]))
    assert list(named.names) == ["0.png", "1.png", "2.png"]
    with pytest.raises(ConfigError, match="have nothing in common"):
        listing_of(ConcatDataset([["a.png", "b.png"], np.arange(3)]))


def test_a_loader_is_listed_in_the_order_of_its_data_set():
    loader = type("DataLoader", (), {"__len__": lambda self: 782})()
    loader.dataset, loader.batch_size = cifar(), 64
    loader.sampler = type("SequentialSampler", (), {})()
    listing = listing_of(loader)
    assert np.array_equal(listing.index, np.arange(50_000))
    assert listing.what == "torchvision CIFAR10 of 50,000, in a DataLoader"


class Wrapper:
    """A data set of the user that returns examples of another one, in an order of its own."""

    def __init__(self, dataset, order=None):
        self.dataset, self.order = dataset, order

    def __len__(self):
        return len(self.dataset) if self.order is None else len(self.order)

    def __getitem__(self, k):
        k = k if self.order is None else self.order[k]
        return self.dataset.data[k], self.dataset.targets[k], k


def test_a_wrapper_of_the_same_examples_is_unwrapped():
    listing = listing_of(Wrapper(cifar()))
    assert np.array_equal(listing.index, np.arange(50_000))
    assert listing.what == "torchvision CIFAR10 of 50,000, in a Wrapper"


def test_a_wrapper_that_cannot_be_compared_is_refused():
    class Views(Wrapper):
        def __getitem__(self, k):
            return self.dataset.data[k], self.dataset.data[k]

    with pytest.raises(ConfigError, match="Views does not tell in which order") as caught:
        listing_of(Views(cifar()))
    assert caught.value.hint.startswith("give its .dataset if the order is the same")


def test_a_wrapper_that_keeps_a_permutation_is_refused():
    class Own:  # permutes within the classes, so that its labels agree
        def __init__(self, dataset, order):
            self.dataset, self.mine = dataset, order

        def __len__(self):
            return len(self.mine)

        def __getitem__(self, k):
            return self.dataset[self.mine[k]]

    data = cifar()
    labels = np.array(data.targets)
    order = np.empty(50_000, int)
    order[np.argsort(labels, kind="stable")] = np.lexsort((-np.arange(50_000), labels))
    assert np.array_equal(labels[order], labels) and order[0] != 0
    for each in (order, order.tolist(), Tensor(order)):
        with pytest.raises(ConfigError, match=r"Own keeps a permutation of its 50,000 .* \.mine"):
            listing_of(Own(data, each))
    listing = listing_of(Own(data, range(50_000)))
    assert np.array_equal(listing.index, np.arange(50_000))
    chosen = type("Chosen", (Subset,), {"__getitem__": lambda self, k: data[self.indices[k]]})
    part = chosen(data, order)
    assert np.array_equal(listing_of(part).index, order)
    part.again = order[::-1]
    with pytest.raises(ConfigError, match=r"keeps a permutation .* \.again"):
        listing_of(part)


def test_a_wrapper_that_permutes_or_cuts_is_refused():
    data = cifar()
    order = np.random.default_rng(1).permutation(50_000).tolist()
    doubled = [order[0], *order[:-1]]
    with pytest.raises(ConfigError, match=r"example \d+ of Wrapper has the label \d, and that"):
        listing_of(Wrapper(data, doubled))
    with pytest.raises(ConfigError, match=r"Wrapper keeps a permutation of its 50,000 examples"):
        listing_of(Wrapper(data, order))
    with pytest.raises(ConfigError, match=r"has 100 examples, and its \.dataset has 50,000"):
        listing_of(Wrapper(data, order[:100]))


def test_a_wrapper_that_delegates_attributes_is_not_taken_for_what_is_inside():
    class Delegating:
        def __init__(self, inner, kept):
            self.inner, self.kept = inner, kept

        def __getattr__(self, name):
            return getattr(self.__dict__["inner"], name)

        def __len__(self):
            return len(self.kept)

    with pytest.raises(ConfigError, match=r"has 3 examples, and its attributes are of 50,000"):
        listing_of(Delegating(cifar(), [4, 5, 6]))


def test_labels_that_a_subset_was_given_count():
    part = Subset(cifar(), [3, 4])
    part.targets = [8, 9]
    assert listing_of(part).labels.tolist() == [8, 9]
    part.targets = part.dataset.targets  # all of them, as some leave it
    assert listing_of(part).labels.tolist() == part.dataset.targets[3:5]


# ---- Hugging Face

HF = "datasets.arrow_dataset"


def hugging_face(table, indices=None):
    data = class_of(HF, "Dataset", __len__=lambda self: len(indices or range(table.num_rows)))()
    data.data = types.SimpleNamespace(table=table, column_names=table.column_names)
    data._indices = None
    if indices is not None:
        data._indices = types.SimpleNamespace(
            table=arrow.table({"indices": arrow.array(indices, arrow.uint64())})
        )
    return data


def image_table(paths, labels=None, data=None, column="image"):
    n = len(paths)
    data = data or [b"not decoded"] * n
    images = arrow.array(
        [{"bytes": each, "path": path} for each, path in zip(data, paths, strict=True)],
        arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())]),
    )
    chunks = arrow.chunked_array([images[:2], images[2:]])
    return arrow.table({column: chunks, "label": list(range(n)) if labels is None else labels})


PATHS = [f"n01440764_{k}_n01440764.JPEG" for k in range(5)]


def test_names_of_hugging_face_come_from_paths_without_decoding():
    listing = listing_of(hugging_face(image_table(PATHS)))
    assert isinstance(listing.names, NameColumn)
    assert list(listing.names) == PATHS and listing.labels.tolist() == [0, 1, 2, 3, 4]
    assert listing.images is None and listing.what == "Hugging Face Dataset of 5"


def test_the_mapping_of_rows_of_hugging_face_is_respected():
    listing = listing_of(hugging_face(image_table(PATHS), [4, 0, 3]))
    assert list(listing.names) == [PATHS[4], PATHS[0], PATHS[3]]
    assert listing.labels.tolist() == [4, 0, 3]


def png(k):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    import io

    file = io.BytesIO()
    image.fromarray(np.full((4, 4, 3), k, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_images_of_hugging_face_without_paths_fall_back():
    table = image_table([None] * 4, [7, 6, 5, 4], [png(k) for k in range(4)], "img")
    table = table.rename_columns(["img", "fine_label"])
    table = table.append_column("coarse_label", arrow.array([0] * 4))
    listing = listing_of(hugging_face(table, [2, 1]))
    assert listing.names is None and listing.labels.tolist() == [5, 6]
    assert listing.images.shape == (2, 4, 4, 3) and listing.images[:, 0, 0, 0].tolist() == [2, 1]
    assert listing.index is None and listing.order == ""
    named = image_table([None] * 3).append_column("file_name", arrow.array(["a", "b", "c"]))
    assert list(listing_of(hugging_face(named)).names) == ["a", "b", "c"]
    jpegs = image_table([None] * 3, data=[b"\xff\xd8\xff"] * 3)
    listing = listing_of(hugging_face(jpegs))
    assert listing.images is None and listing.names is None
    some = image_table(["a.png", None, "c.png"])
    with pytest.raises(ConfigError, match="1 of 3 names are missing"):
        listing_of(hugging_face(some))


def test_columns_of_hugging_face_are_read_like_their_data_set():
    source = hugging_face(image_table(PATHS), [3, 1])
    column = class_of(HF, "Column")
    image, label, other = column(), column(), column()
    for each, name in ((image, "image"), (label, "label"), (other, "nothing")):
        each.source, each.column_name = source, name
    assert list(listing_of(image).names) == [PATHS[3], PATHS[1]]
    assert listing_of(label).labels.tolist() == [3, 1]
    with pytest.raises(ConfigError, match="holds neither names nor labels"):
        listing_of(other)


def test_several_splits_and_streams_are_refused_with_what_to_do():
    both = class_of("datasets.dataset_dict", "DatasetDict", dict)(train=1, test=2)
    with pytest.raises(ConfigError, match="several splits: train, test") as caught:
        listing_of(both)
    assert caught.value.hint == "give one split, for example data['train']"
    stream = class_of("datasets.iterable_dataset", "IterableDataset")()
    with pytest.raises(ConfigError, match="is read once"):
        listing_of(stream)
    tf_data = class_of(
        "tensorflow.python.data.ops", "_MapDataset", element_spec=1, as_numpy_iterator=1
    )()
    with pytest.raises(ConfigError, match=r"a tf\.data\.Dataset") as caught:
        listing_of(tf_data)
    assert "list(tfds.as_numpy(data))" in caught.value.hint
    with pytest.raises(ConfigError, match="several splits: train, val"):
        listing_of({"train": cifar(), "val": cifar()})


# ---- TFDS, Keras, medmnist, and plain Python


def test_rows_of_tfds_give_names_and_labels():
    rows = [
        {"id": f"train_{k:05d}".encode(), "image": np.zeros((2, 2, 3), np.uint8), "label": k}
        for k in (3, 1, 2)
    ]
    listing = listing_of(rows)
    assert list(listing.names) == ["train_00003", "train_00001", "train_00002"]
    assert listing.labels.tolist() == [3, 1, 2] and listing.images.shape == (3, 2, 2, 3)
    rows = [{"file_name": b"n01440764_1.JPEG", "label": np.int64(3)}]
    assert list(listing_of(rows).names) == ["n01440764_1.JPEG"]
    supervised = [(np.full((2, 2, 1), k, np.uint8), k) for k in range(3)]
    listing = listing_of(supervised)
    assert listing.labels.tolist() == [0, 1, 2] and listing.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    with pytest.raises(ConfigError, match="some rows of list of 2 rows have no 'label'"):
        listing_of([{"label": 1}, {"id": "train_1"}])


def test_a_data_source_of_tfds_is_in_the_order_that_can_be_computed():
    class Source:
        dataset_info = types.SimpleNamespace(name="mnist", config_name=None)
        split = "test"

        def __getitem__(self, k):
            return {"label": k % 10, "image": None}

        def __iter__(self):
            return (self[k] for k in range(10_000))

    listing = listing_of(Source())
    assert (listing.order, listing.dataset, listing.split) == ("official", "mnist", "test")
    assert sorted(listing.index.tolist()) == list(range(10_000))
    assert listing.index[:1].tolist() != [0] and listing.labels[:3].tolist() == [0, 1, 2]
    part = Source()
    part.split = "test[:10000]"
    assert listing_of(part).index is None


def test_pairs_of_keras_give_images_and_labels():
    x, y = np.zeros((5, 32, 32, 3), np.uint8), np.arange(5)[:, None]
    listing = listing_of((x, y))
    assert listing.labels.tolist() == [0, 1, 2, 3, 4] and listing.images is x
    assert listing_of((x[..., 0], y)).images.shape == (5, 32, 32, 1)  # MNIST
    with pytest.raises(ConfigError, match="training and the test split") as caught:
        listing_of(((x, y), (x, y)))
    assert "give one of the two" in caught.value.hint
    with pytest.raises(ConfigError, match="not float64"):
        listing_of((x / 255, y))
    with pytest.raises(ConfigError, match="these are not labels") as caught:
        listing_of((x, np.eye(5)))
    assert "argmax" in caught.value.hint
    with pytest.raises(ConfigError, match="4 and 5 names, labels or images"):
        listing_of((x, y[:4]))


def test_medmnist_tells_its_split():
    data = class_of("medmnist.dataset", "PathMNIST", __len__=lambda self: 3)()
    data.imgs, data.labels = np.zeros((3, 28, 28, 3), np.uint8), np.array([[2], [0], [1]])
    data.flag, data.split = "pathmnist", "train"
    listing = listing_of(data)
    assert (listing.dataset, listing.split, listing.index) == ("pathmnist", "train", None)
    assert listing.labels.tolist() == [2, 0, 1]
    data.split = "val"
    assert listing_of(data).split == ""  # which is neither the training nor the test split
    data.labels = np.zeros((3, 14))
    with pytest.raises(ConfigError, match="these are not labels"):
        listing_of(data)


def test_tensors_on_a_gpu_are_read():
    images, labels = Tensor(np.zeros((4, 2, 2, 3), np.uint8)), Tensor(np.arange(4))
    assert listing_of(labels).labels.tolist() == [0, 1, 2, 3]
    assert listing_of(images).images.shape == (4, 2, 2, 3)
    tensors = type("TensorDataset", (), {"__len__": lambda self: 4})()
    tensors.tensors = (images, labels)
    listing = listing_of(tensors)
    assert listing.labels.tolist() == [0, 1, 2, 3] and listing.what == "TensorDataset of 4"
    with pytest.raises(ConfigError, match="not float32") as caught:
        listing_of(Tensor(np.zeros((4, 3, 2, 2), np.float32)))
    with pytest.raises(ConfigError, match="uint8") as caught:
        listing_of(np.zeros((4, 3, 8, 8), np.uint8))
    assert "transpose(0, 2, 3, 1)" in caught.value.hint


def test_tables_in_memory_are_read_by_their_columns():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"filename": ["b.png", "a.png"], "label": [1, 0], "loss": [0.5, 1.5]})
    listing = listing_of(frame[::-1])
    assert list(listing.names) == ["a.png", "b.png"] and listing.labels.tolist() == [0, 1]
    assert list(listing_of(frame["filename"]).names) == ["b.png", "a.png"]
    assert list(listing_of(arrow.table({"path": ["x", "y"]})).names) == ["x", "y"]


def test_columns_by_name():
    listing = listing_of({"index": np.array([4, 2]), "label": [[1], [0]]})
    assert listing.index.tolist() == [4, 2] and listing.order == ""
    assert listing.labels.tolist() == [1, 0]
    listing = listing_of({"name": ["cat", "cat"], "label": [0, 0]})  # words of a class
    assert listing.names is None and listing.labels.tolist() == [0, 0]
    with pytest.raises(ConfigError, match="its columns are loss, epoch"):
        listing_of({"loss": [1.5], "epoch": ["one"]})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "no data set was given"),
        ((name for name in ["a.png"]), "a generator can be read only once"),
        ({"a.png", "b.png"}, "a set has no order"),
        ([], "has no examples"),
        (np.zeros(0, np.int64), "has no examples"),
        (np.array(["a.png", 3], object), "names are text, and example 1 has 3"),
        (["a.png", None], "names are text, and example 1 has None"),
        (np.array([0.5, 1.5]), "ndarray is not a data set that can be read"),
        (np.array([True, False]), "a mask of 2 truth values"),
        (np.zeros((3, 4)), "ndarray is not a data set"),
        (object(), "object is not a data set that can be read"),
        (3, "int is not a data set that can be read"),
        ([np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)], "do not form an array"),
        (Listing(), "has no examples"),
    ],
)
def test_what_is_not_a_data_set_is_refused_in_one_line(source, words):
    with pytest.raises(ConfigError, match=words) as caught:
        listing_of(source)
    assert "\n" not in str(caught.value) and caught.value.hint


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0.5, 1], "0.5 is not a whole number"),
        ([np.nan, 1], "some are not finite"),
        (["cat", "dog"], "these are not labels"),
        ([None, 1], "these are not labels"),
        ([1 + 2j, 1], "of the kind complex128"),
        ([1, 2, 3], "2 and 3 names, labels or images"),
    ],
)
def test_labels_that_are_not_labels_are_refused(labels, words):
    with pytest.raises(ConfigError, match=words):
        listing_of(["a.png", "b.png"], labels)


def test_the_hint_names_the_data_set_inside_an_unknown_object():
    holder = types.SimpleNamespace(cifar=cifar(), transform=None)
    with pytest.raises(ConfigError, match="is not a data set that can be read") as caught:
        listing_of(holder)
    assert "its .cifar, give that" in caught.value.hint


def test_rows_of_which_one_has_an_image_without_a_path_are_refused():
    rows = [{"image": {"path": "a.png"}, "label": 0}, {"image": None, "label": 1}]
    with pytest.raises(ConfigError, match="example 1 of the list of 2 rows has an image without"):
        listing_of(rows)


def test_an_object_whose_indices_are_not_those_of_a_subset_is_refused():
    data = cifar()
    poisoned = type("Poisoned", (), {"__len__": lambda self: 50_000})()
    poisoned.dataset, poisoned.indices = data, [3, 5]  # which it changes; it has all examples
    with pytest.raises(ConfigError, match=r"Poisoned has 50,000 examples, and its .indices name 2"):
        listing_of(poisoned)
    shuffled = type("Shuffled", (Subset,), {"__getitem__": lambda self, k: data[k]})
    with pytest.raises(ConfigError, match="example 0 of Shuffled has the label"):
        listing_of(shuffled(data, range(49_999, -1, -1)))


@pytest.mark.parametrize("kind", ["RandomSampler", "WeightedRandomSampler", "DistributedSampler"])
def test_a_loader_that_reads_in_another_order_is_refused(kind):
    loader = type("DataLoader", (), {"__len__": lambda self: 782})()
    loader.dataset, loader.batch_size, loader.sampler = cifar(), 64, type(kind, (), {})()
    with pytest.raises(ConfigError, match=f"reads its data set through a {kind}") as caught:
        listing_of(loader)
    assert caught.value.hint.startswith("give its .dataset")
    loader.sampler = type("SequentialSampler", (), {})()
    loader.batch_sampler = type("BatchesByLength", (), {})()
    with pytest.raises(ConfigError, match="through a BatchesByLength"):
        listing_of(loader)


def test_a_cifar_that_was_shuffled_in_place_is_refused():
    data = cifar(CIFAR100)
    order = np.random.default_rng(5).permutation(50_000)
    data.data, data.targets = data.data[order], np.array(data.targets)[order].tolist()
    with pytest.raises(ConfigError, match="CIFAR100 of 50,000 does not have the official labels"):
        listing_of(data)
    with pytest.raises(ConfigError, match="does not have the official labels"):
        listing_of(Subset(data, [3, 4]))
    listing = listing_of((data.data, data.targets))
    assert listing.index is None and len(listing.images) == 50_000


def test_a_cifar_with_noisy_labels_tells_no_positions():
    data = cifar()
    data.targets[17] += 1
    listing = listing_of(data)
    assert listing.index is None and listing.order == "" and listing.dataset == "cifar10"
    assert listing.what == "torchvision CIFAR10 of 50,000, whose labels are not the official ones"


def test_labels_of_published_scores_are_those_of_cifar(monkeypatch, published):
    monkeypatch.undo()
    for name in ("cifar10", "cifar100"):
        with np.load(published / f"{name}-cscores-orig-order.npz") as arrays:
            assert mark_of_labels(arrays["labels"]) == OFFICIAL_LABELS[name, "train"]


@pytest.mark.parametrize("key", sorted(OFFICIAL_LABELS))
def test_official_labels_begin_as_they_are_known_to(key, monkeypatch):
    monkeypatch.undo()
    firsts = {**FIRST_LABELS, ("cifar10", "train"): (6,), ("cifar10", "test"): (3,)}
    firsts |= {("cifar100", "train"): (19,), ("cifar100", "test"): (49,)}
    assert bytes.fromhex(OFFICIAL_LABELS[key][1])[0] == firsts[key][0]


def test_the_index_of_a_data_frame_is_positions():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    labels = np.array([3, 4, 3, 5, 4])
    order = np.array([2, 4, 0, 1, 3])
    listing = listing_of(pandas.DataFrame({"label": labels[order]}, index=order))
    assert listing.index.tolist() == order.tolist()
    assert listing.labels.tolist() == labels[order].tolist()
    series = pandas.Series(labels[order], index=order)
    assert listing_of(series).index.tolist() == order.tolist()
    assert listing_of(pandas.Series(labels)).index is None
    part = pandas.DataFrame({"label": labels})[::2]
    assert listing_of(part).index.tolist() == [0, 2, 4]
    assert listing_of(pandas.DataFrame({"label": labels})).index is None
    named = pandas.DataFrame({"label": labels}, index=[f"{k}.png" for k in order])
    assert list(listing_of(named).names) == [f"{k}.png" for k in order]
    with pytest.raises(SchemaError, match="comes twice"):
        listing_of(pandas.DataFrame({"label": labels}, index=[0, 1, 0, 1, 2]))
    with pytest.raises(ConfigError, match="2 levels"):
        listing_of(pandas.DataFrame({"label": labels}).set_index([order, labels]))


@pytest.mark.parametrize("name", ["train_idx", "train_index", "indices", "ids", "sample_id"])
def test_positions_have_many_names(name):
    listing = listing_of({name: [2, 0, 1], "label": [5, 6, 7]})
    assert listing.index.tolist() == [2, 0, 1] and listing.labels.tolist() == [5, 6, 7]
    rows = [{name: k, "label": 0} for k in (2, 0, 1)]
    assert listing_of(rows).index.tolist() == [2, 0, 1]
    text = listing_of({name: ["02", "00", "01"], "label": [5, 6, 7]})
    assert text.index.tolist() == [2, 0, 1] and text.names is None


def test_positions_beside_images_and_names_are_kept():
    images = np.zeros((3, 2, 2, 3), np.uint8)
    assert listing_of({"image": images, "index": [2, 0, 1]}).index.tolist() == [2, 0, 1]
    named = listing_of({"path": ["a", "b", "c"], "index": [2, 0, 1]})
    assert named.index.tolist() == [2, 0, 1] and list(named.names) == ["a", "b", "c"]
    assert listing_of({"path": ["a", "b", "c"], "id": [7, 7, 9]}).index is None


@pytest.mark.parametrize(
    "columns",
    [
        {"id": [0, 1, 2], "index": [2, 0, 1]},
        {"path": ["x/a.png", "x/b.png"], "filename": ["b.png", "a.png"]},
    ],
)
def test_columns_that_contradict_each_other_are_refused(columns):
    for source in (columns, arrow.table(columns)):
        with pytest.raises(ConfigError, match=r"differ: which are|in another order: which are"):
            listing_of(source)
    assert list(listing_of({"path": ["x/a.png"], "filename": ["a.png"]}).names) == ["a.png"]


def test_an_unknown_column_that_looks_like_positions_is_refused():
    columns = {"nth": [2, 0, 1, 3], "label": [0, 1, 0, 1]}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for source in (columns, arrow.table(columns), rows):
        with pytest.raises(ConfigError, match="column nth looks like positions"):
            listing_of(source)


def test_bare_integers_are_labels_unless_each_comes_once():
    order = np.random.default_rng(0).permutation(40)
    for source in (order, order.tolist(), Tensor(order), order[:30]):
        with pytest.raises(ConfigError, match="labels or positions"):
            listing_of(source)
    assert listing_of(order % 9).labels.tolist() == (order % 9).tolist()
    listing = listing_of([f"{k:05d}" for k in order])
    assert listing.index.tolist() == order.tolist() and listing.names[0] == f"{order[0]:05d}"


def test_two_columns_of_labels_that_differ_are_refused():
    same = {"file_name": ["a.png", "b.png"], "label": [0, 1], "target": [0, 1]}
    assert listing_of(same).labels.tolist() == [0, 1]
    with pytest.raises(ConfigError, match="two columns of labels that differ, label and target"):
        listing_of({**same, "target": [1, 0]})
