"""Inverted masks and shuffled outcomes are refused; models of every legitimate kind pass."""

import numpy as np
import pytest
from runs.plausible_worlds import counted, records, shuffled, spoiled, stacked, stored, world
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from memtools.errors import BusyError, ConfigError, RecordError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.runs.imported_runs import check_store
from memtools.runs.importers import import_stacked
from memtools.runs.plausibility import (
    check_mask,
    check_order,
    missing_gap,
    require_plausible,
)
from memtools.runs.ratios import require_ratio
from memtools.runs.store import RunStore, Sweep


@pytest.fixture(scope="module")
def digits():
    """Outcomes of 30 logistic regressions, trained on random 70 % of the digits; the labels."""
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    n_train = 1200
    rng = np.random.default_rng(0)
    mask = np.argsort(rng.random((30, n_train)), axis=1) < 0.7 * n_train
    right = []
    for row in mask:
        model = LogisticRegression(C=0.05, tol=0.05)
        model.fit(images[:n_train][row], labels[:n_train][row])
        right.append(model.predict(images) == labels)
    right = np.array(right)
    bits = mask, right[:, :n_train], right[:, n_train:]
    return bits, labels[:n_train], labels[n_train:]


def test_logistic_regression_on_the_digits_passes(digits):
    bits, *labels = digits
    counts = counted(bits, *labels)
    require_plausible(counts, "digits")
    inside, outside = counts.accuracies
    assert 0 < inside - outside < 0.03
    assert (check_mask(counts).result, check_order(counts, "training").result) == ("ok", "ok")
    assert check_order(counts, "test").result == "ok"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("inverted", "the mask seems inverted"),
        ("train shuffled", "training examples .* outcomes are not in one order"),
        ("test shuffled", "test examples .* was the evaluation loader shuffled"),
    ],
)
def test_mistakes_are_refused_for_models_that_memorize_and_for_simple_ones(digits, how, words):
    for bits in (world(), world(kind="simple", n_train=1000), digits[0]):
        with pytest.raises(RecordError, match=words):
            require_plausible(counted(spoiled(bits, how)), "runs")


def test_legitimate_worlds_pass_whatever_their_number_of_runs():
    for kind in ("memorizing", "simple", "perfect", "random labels", "complementary"):
        for n_runs in (2, 10, 60):
            for seed in range(4):
                require_plausible(counted(world(n_runs, kind=kind, seed=seed)), kind)


def test_outcomes_without_any_structure_are_not_judged_where_they_are_few():
    for seed in range(300):
        rng = np.random.default_rng(seed)
        bits = [rng.random((12, n)) < rate for n, rate in ((40, 0.7), (40, 0.9), (20, 0.7))]
        bits[1][0] = rng.random(40) < 0.1
        counts = counted(bits)
        require_plausible(counts, "runs")
        assert missing_gap(counts) == ""
        assert check_order(counts, "test").result == "no power"


def test_models_that_are_always_right_give_no_verdict():
    mask, train, test = world(30)
    counts = counted((mask, np.ones_like(train), np.ones_like(test)))
    verdicts = check_mask(counts), check_order(counts, "training"), check_order(counts, "test")
    assert [verdict.result for verdict in verdicts] == ["no power"] * 3


def test_untrained_models_that_name_one_class_are_in_order():
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 10
    right = labels == rng.integers(0, 10, (30, 1))
    mask = rng.random((30, 1000)) < 0.7
    require_plausible(counted((mask, right, right), labels, labels), "runs")


def test_a_permutation_that_shuffles_masks_and_outcomes_together_is_refused():
    bits = world(80, 1200)
    mask, train = (shuffled(each, seed=5) for each in bits[:2])
    assert not np.array_equal(mask, bits[0])
    with pytest.raises(RecordError, match="not in one order"):
        require_plausible(counted((mask, train, bits[2])), "runs")


def test_masks_of_other_runs_are_a_caveat():
    bits = world(60, kind="memorizing")
    assert missing_gap(counted(bits)) == ""
    counts = counted(spoiled(bits, "masks of other runs"))
    require_plausible(counts, "runs")
    assert "is not above that outside" in missing_gap(counts)


def test_the_ratio_of_the_masks_is_compared_with_the_one_that_is_claimed():
    counts = counted(world(6, 40, 20))
    require_ratio(counts, 0.7, "runs")
    with pytest.raises(RecordError, match=r"hold 70\.0% of the training examples.*ratio is 0\.1"):
        require_ratio(counts, 0.1, "runs")


def test_add_refuses_one_record_whose_mask_is_clearly_inverted(tmp_path):
    bits = world(3, 1000)
    sweep = Sweep("made-up", "file", 0.7, 1000, 200)
    store = RunStore.create(tmp_path / "runs", sweep, ExampleIndex(About(), None, None, None, None))
    good, bad = (records(each, sweep.digest)[0] for each in (bits, spoiled(bits, "inverted")))
    with pytest.raises(RecordError, match=r"run 0 has accuracy .* the mask seems inverted"):
        store.add(bad)
    store.add(good)
    assert store.run_ids() == [0]


@pytest.mark.parametrize("how", ["inverted", "train shuffled", "test shuffled"])
def test_import_of_runs_that_cannot_be_right_leaves_nothing(tmp_path, how, memtools):
    file = stacked(tmp_path / "a.npz", spoiled(world(), how))
    command = ("import", file, "--to", tmp_path / "to" / "runs")
    shown = memtools(*command, "--dataset", "x", "--order", "file")
    assert shown.returncode == 5 and len(shown.stderr.splitlines()) == 2, shown.stderr
    assert not (tmp_path / "to").exists()


def test_import_judges_new_runs_together_with_those_of_the_store(tmp_path):
    bits = world(20)
    halves = [[each[part] for each in bits] for part in (slice(0, 5), slice(5, 20))]
    files = [stacked(tmp_path / f"{k}.npz", half) for k, half in enumerate(halves)]
    common = {"dataset": "x", "order": "file"}
    import_stacked(files[:1], tmp_path / "to", **common)
    store = import_stacked(files[1:], tmp_path / "to", **common)
    assert store.run_ids() == list(range(20))
    check_store(store)
    with pytest.raises(RecordError, match=r"c\.npz: .* over 40 runs: the mask seems inverted"):
        more = stacked(tmp_path / "c.npz", spoiled(world(40, seed=1), "inverted"))
        import_stacked([more], tmp_path / "to", **common)
    assert len(store) == 20


def test_the_same_runs_imported_twice_are_one_whatever_their_order(tmp_path, caplog):
    bits = world(6, 60, 30)
    files = [stacked(tmp_path / f"{k}.npz", [each[k] for each in bits]) for k in range(6)]
    common = {"dataset": "x", "order": "file"}
    store = import_stacked([*files, files[2]], tmp_path / "to", **common)
    assert len(store) == 6 and "1 runs were given twice" in caplog.text
    for k, file in enumerate(files):
        file.rename(tmp_path / f"z{9 - k}.npz")
    again = import_stacked(sorted(tmp_path.glob("z*.npz")), tmp_path / "to", **common)
    assert len(again) == 6 and "6 runs were given twice" in caplog.text


def test_import_with_labels_of_another_content_is_refused(tmp_path):
    file = stacked(tmp_path / "a.npz", world(4, 60, 30))
    labels = np.arange(60) % 3, np.arange(30) % 3

    def imported(train, test):
        examples = ExampleIndex(About(), train, None, test, None)
        return import_stacked([file], tmp_path / "to", dataset="x", order="file", examples=examples)

    imported(*labels)
    imported(*labels)
    with pytest.raises(ConfigError, match="other test labels"):
        imported(labels[0], (labels[1] + 1) % 3)
    with pytest.raises(ConfigError, match="are float64, not integers"):
        imported(labels[0] / 1, labels[1])


def test_import_refuses_unknown_orders_and_files_without_labels(tmp_path, memtools):
    file = stacked(tmp_path / "a.npz", world(4, 60, 30))
    command = ("import", file, "--to", tmp_path / "to", "--dataset", "x")
    shown = memtools(*command, "--order", "mine")
    assert shown.returncode == 2 and "--order is 'mine'" in shown.stderr
    shown = memtools(*command, "--order", "file", "--labels", file)
    assert shown.returncode == 2 and "neither tr_labels nor tt_labels" in shown.stderr
    assert not (tmp_path / "to").exists()


def test_examples_that_differ_are_refused_when_a_store_is_begun_again(tmp_path):
    store = stored(tmp_path / "a", world(4, 60, 30))
    other = ExampleIndex(About(), np.arange(60) % 5, None, np.arange(30) % 4, None)
    with pytest.raises(ConfigError, match="other training labels"):
        RunStore.create(store.root, store.sweep, other)
    nothing = ExampleIndex(About(), None, None, None, None)
    assert RunStore.create(store.root, store.sweep, nothing).examples.labels is not None
    named = ExampleIndex(About(), None, np.array([f"{k}.png" for k in range(60)]), None, None)
    with pytest.raises(ConfigError, match="was begun without tr_filenames"):
        RunStore.create(store.root, store.sweep, named)


def test_add_compares_margins_and_probabilities_too(store, run):
    import dataclasses

    record = run(1)
    scores = {"train_margin": np.zeros(60, np.float16), "test_margin": np.ones(30, np.float16)}
    store.add(dataclasses.replace(record, **scores))
    store.add(dataclasses.replace(record, **scores))
    other = dataclasses.replace(record, **scores | {"test_margin": np.zeros(30, np.float16)})
    for each in (other, record):
        with pytest.raises(BusyError, match="another result of run 1"):
            store.add(each)


@pytest.mark.parametrize("labels", [np.zeros((400, 1), int), np.zeros(400)])
def test_labels_of_another_kind_are_refused_before_a_run_is_counted(tmp_path, labels):
    file = stacked(tmp_path / "a.npz", world(4))
    examples = ExampleIndex(About(), labels, None, None, None)
    with pytest.raises(ConfigError, match="training labels"):
        import_stacked([file], tmp_path / "to", dataset="x", order="file", examples=examples)
    assert not (tmp_path / "to").exists()
