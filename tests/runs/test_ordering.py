"""Runs in the order of TFDS, brought into the official one."""

import json

import numpy as np
import pytest

from memtools.alignment.alignment import align
from memtools.alignment.comparison import compare
from memtools.datasets.listing import Listing
from memtools.datasets.tfds_order import tfds_ids, tfds_order
from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.estimates.scores import Scores
from memtools.estimation.estimator import estimate
from memtools.runs.ordering import Ordering, reorder
from memtools.runs.record import RunRecord, RunSpec
from memtools.runs.store import RunStore, Sweep

N_TRAIN, N_TEST = 30, 12
RNG = np.random.default_rng(3)
TRAIN, TEST = RNG.permutation(N_TRAIN), RNG.permutation(N_TEST)  # official positions, TFDS order


def store_in(root, order, place_train, place_test, labels=True):
    """Eight runs whose official outcomes are the same whatever the order they are kept in."""
    rng = np.random.default_rng(0)
    sweep = Sweep("cifar100", order, 0.5, N_TRAIN, N_TEST)
    official = np.arange(N_TRAIN) % 3, np.arange(N_TEST) % 3
    columns = (official[0][place_train], None, official[1][place_test], None)
    examples = ExampleIndex(About(), *(columns if labels else (None,) * 4))
    store = RunStore.create(root, sweep, examples)
    for run in range(8):
        mask = rng.permutation(N_TRAIN) < 15
        train, test = rng.random(N_TRAIN) < 0.7, rng.random(N_TEST) < 0.5
        margin = rng.normal(size=N_TEST).astype(np.float16)
        store.add(
            RunRecord(
                RunSpec(run, sweep.digest),
                mask[place_train],
                train[place_train],
                test[place_test],
                test_margin=margin[place_test],
            )
        )
    return store


@pytest.fixture
def tfds(tmp_path):
    return store_in(tmp_path / "tfds", "tfds", TRAIN, TEST)


@pytest.fixture
def official(tmp_path):
    return store_in(tmp_path / "official", "official", np.arange(N_TRAIN), np.arange(N_TEST))


IDS = [f"train_{k:05d}" for k in TRAIN], [f"test_{k:05d}" for k in TEST]


def test_runs_and_labels_come_into_the_official_order(tfds, official, tmp_path):
    store = reorder(tfds, tmp_path / "to", Ordering.of(*IDS))
    assert store.sweep.order == "official"
    for ours, theirs in zip(store, official, strict=True):
        assert ours.digest == theirs.digest
        assert np.array_equal(ours.test_margin, theirs.test_margin)
    assert np.array_equal(store.examples.labels, official.examples.labels)
    assert np.array_equal(store.examples.test_labels, official.examples.test_labels)
    one, two = estimate([store]), estimate([official])
    assert one.memorization.tobytes() == two.memorization.tobytes()
    assert one.influence(2).values.tobytes() == two.influence(2).values.tobytes()
    assert len(list(reorder(tfds, tmp_path / "to", Ordering.of(*IDS)))) == 8  # and again


@pytest.mark.parametrize("form", ["txt", "json", "npy", "positions"])
def test_ids_come_from_files_of_any_kind(tmp_path, form):
    paths = []
    for name, ids, place in (("train", IDS[0], TRAIN), ("test", IDS[1], TEST)):
        path = tmp_path / f"{name}.{'npy' if form == 'positions' else form}"
        if form == "txt":
            path.write_text("\n".join(ids))
        elif form == "json":
            path.write_text(json.dumps(ids))
        else:
            np.save(path, place if form == "positions" else np.array(ids))
        paths.append(path)
    ordering = Ordering.of(*paths)
    assert np.array_equal(ordering.train, TRAIN) and np.array_equal(ordering.test, TEST)
    assert ordering.digest == Ordering.of(*IDS).digest


@pytest.mark.parametrize(
    ("ids", "error", "words"),
    [
        ((IDS[1], IDS[1]), AlignmentError, "is not an id of train"),
        ((IDS[0][:-1] + IDS[0][:1], IDS[1]), AlignmentError, "some are missing or there twice"),
        ((["n01440764_1.JPEG"], IDS[1]), AlignmentError, "is not an id of train"),
        (
            (IDS[0] + [f"train_{N_TRAIN:05d}"], IDS[1]),
            ConfigError,
            "of 31 examples, and the runs have 30",
        ),
    ],
)
def test_ids_that_are_not_those_of_the_runs_are_refused(tfds, tmp_path, ids, error, words):
    with pytest.raises(error, match=words):
        reorder(tfds, tmp_path / "to", Ordering.of(*ids))


def test_what_is_not_in_the_order_of_tfds_is_left_alone(official, tmp_path):
    with pytest.raises(ConfigError, match="in the order 'official'"):
        reorder(official, tmp_path / "to", Ordering.of(*IDS))


def test_other_ids_make_another_store(tfds, tmp_path):
    reorder(tfds, tmp_path / "to", Ordering.of(*IDS))
    other = Ordering.of(IDS[0][::-1], IDS[1])
    with pytest.raises(ConfigError, match="another sweep"):
        reorder(tfds, tmp_path / "to", other)


def test_numbers_in_the_order_of_tfds_are_not_mixed_with_official_ones(tfds, official):
    theirs, ours = estimate([official]), estimate([tfds])
    with pytest.raises(AlignmentError, match="tfds"):
        compare(ours, theirs)
    with pytest.raises(AlignmentError, match="30 numbers"):
        align(ours, to=IDS[0])  # 30 examples are not all of CIFAR, whose order is computed
    with pytest.raises(AlignmentError, match="30 numbers"):
        align(ours, to=np.arange(N_TRAIN) % 3, order="official")


def test_two_stores_of_one_name_are_not_put_into_one(tfds, memtools, tmp_path):
    store_in(tmp_path / "other" / "tfds", "tfds", TRAIN, TEST)
    for name, ids in zip(("train", "test"), IDS, strict=True):
        (tmp_path / f"{name}.txt").write_text("\n".join(ids))
    ids = ("--ids", tmp_path / "train.txt", tmp_path / "test.txt")
    both = (tfds.root, tmp_path / "other" / "tfds")
    shown = memtools("checkpoints", "reorder", *both, *ids, "--to", tmp_path / "to")
    assert shown.returncode == 2 and "'tfds' stands there twice" in shown.stderr


def test_the_command_reorders(tfds, memtools, tmp_path):
    for name, ids in zip(("train", "test"), IDS, strict=True):
        (tmp_path / f"{name}.txt").write_text("\n".join(ids))
    ids = ("--ids", tmp_path / "train.txt", tmp_path / "test.txt")
    shown = memtools("checkpoints", "reorder", tfds.root, *ids, "--to", tmp_path / "to")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert RunStore.open(tmp_path / "to" / "tfds").sweep.order == "official"
    shown = memtools("checkpoints", "reorder", tfds.root, *ids[:2], ids[1], "--to", tmp_path / "b")
    assert shown.returncode == 5 and len(shown.stderr.splitlines()) == 2


# ---- the computed order


def store_of_cifar(root, dataset="cifar100", n_train=50_000, order="tfds"):
    """Two runs that got a known half of the official examples right, in the order of TFDS."""
    train, test = tfds_order("cifar100", "train")[:n_train], tfds_order("cifar100", "test")
    sweep = Sweep(dataset, order, 0.5, n_train, len(test))
    labels = ExampleIndex(About(), train % 100, None, test % 100, None)
    store = RunStore.create(root, sweep, labels)
    for run in range(2):
        columns = train % 3 == run, train % 5 == run, test % 7 == run
        store.add(RunRecord(RunSpec(run, sweep.digest), *columns))
    return store


def test_runs_of_cifar_need_no_ids(memtools, tmp_path):
    store_of_cifar(tmp_path / "0.5")
    shown = memtools("checkpoints", "reorder", tmp_path / "0.5", "--to", tmp_path / "official")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == f"{tmp_path / 'official' / '0.5'}\n"
    store = RunStore.open(tmp_path / "official" / "0.5")
    train, test = np.arange(50_000), np.arange(10_000)
    assert store.sweep.order == "official"
    assert np.array_equal(store.examples.labels, train % 100)
    assert np.array_equal(store.examples.test_labels, test % 100)
    for run, record in enumerate(store):
        assert np.array_equal(record.mask, train % 3 == run)
        assert np.array_equal(record.train_correct, train % 5 == run)
        assert np.array_equal(record.test_correct, test % 7 == run)


def test_ids_that_agree_with_the_computed_order_make_the_same_store_in_silence(tmp_path, caplog):
    store = store_of_cifar(tmp_path / "0.5")
    ids = Ordering.of(tfds_ids("cifar100", "train"), tfds_ids("cifar100", "test"))
    reorder(store, tmp_path / "to")
    again = reorder(store, tmp_path / "to", ids)  # ConfigError if it were another sweep
    assert len(again) == 2 and caplog.text == ""


def test_ids_that_differ_from_the_computed_order_are_used_and_said(tmp_path, caplog):
    store = store_of_cifar(tmp_path / "0.5")
    ids = tfds_ids("cifar100", "train")
    ids[:2] = ids[1::-1]
    ordering = Ordering.of(ids, tfds_ids("cifar100", "test"))
    moved = reorder(store, tmp_path / "to", ordering)
    words = "2 of the 50,000 ids of train differ from the order computed for cifar100"
    assert [record.getMessage() for record in caplog.records] == [f"{words}; the ids are used"]
    first, second = (int(name[-5:]) for name in ids[:2])
    expected = np.arange(50_000) % 3 == 0
    expected[[first, second]] = expected[[second, first]]
    assert np.array_equal(moved.read(0).mask, expected)


def test_order_of_unknown_data_set_is_not_computed(tmp_path):
    store = store_of_cifar(tmp_path / "0.5", dataset="mine")
    with pytest.raises(ConfigError, match="TFDS gives to 'mine' cannot be computed"):
        reorder(store, tmp_path / "to")
    short = store_of_cifar(tmp_path / "short", n_train=49_000)
    with pytest.raises(ConfigError, match="of 50,000 examples, and the runs have 49,000"):
        reorder(short, tmp_path / "to")


def test_ids_of_one_split_are_not_taken_for_the_other_when_they_are_positions():
    listing = Listing(index=np.arange(3), order="official", split="test")
    with pytest.raises(AlignmentError, match="holds ids of test, not of train"):
        Ordering.of(listing, listing)


def test_numbers_of_all_of_cifar_in_the_order_of_tfds_meet_official_data(tmp_path):
    store = store_of_cifar(tmp_path / "0.5")
    labels = np.arange(50_000) % 100
    numbers = Scores(
        About(dataset="cifar100", order="tfds", definition="mine", direction="high = typical"),
        "score",
        tfds_order("cifar100", "train") * 1.0,
        store.examples.labels,
    )
    found = align(numbers, to=labels, order="official")
    assert np.array_equal(numbers.values[found.position], np.arange(50_000))
