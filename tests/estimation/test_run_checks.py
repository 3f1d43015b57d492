"""Stores that cannot be right are refused by `estimate`, from Python and the command line."""

import dataclasses
import re

import numpy as np
import pytest
from runs.plausible_worlds import spoiled, stored, world

import memtools as library
from memtools.artifacts.loader import load
from memtools.errors import ConfigError, RecordError, SweepError
from memtools.estimates.npz import write_npz
from memtools.estimation.estimator import c_scores
from memtools.estimation.means import estimate_means
from memtools.estimation.pair_scan import high_influence
from memtools.runs.record import write
from memtools.training.config import load_config


def refused(shown, words, code):
    assert shown.returncode == code, shown.stderr
    assert len(shown.stderr.splitlines()) == 2 and "Traceback" not in shown.stderr
    assert re.search(words, shown.stderr), shown.stderr


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("inverted", "the mask seems inverted"),
        ("train shuffled", "outcomes are not in one order"),
        ("test shuffled", "outcomes are not in one order"),
    ],
)
def test_estimate_refuses_mistakes_for_every_quantity(tmp_path, how, words, memtools):
    store = stored(tmp_path / "runs", spoiled(world(), how))
    for estimate in (library.estimate, c_scores, high_influence):
        with pytest.raises(RecordError, match=words):
            estimate([store])
    out = tmp_path / "e.npz"
    refused(memtools("estimate", store.root, "--out", out), words, 5)
    assert not out.exists()


def test_estimates_of_a_world_that_is_right_are_those_of_its_outcomes(tmp_path):
    mask, train, _ = bits = world()
    made = library.estimate([stored(tmp_path / "runs", bits)], strict=True)
    inside, outside = train[mask[:, 7], 7], train[~mask[:, 7], 7]
    assert made.memorization[7] == np.float32(inside.mean() - outside.mean())
    assert made.about.doubt == ""


def test_masks_of_other_runs_are_a_caveat_in_the_file_and_refused_when_strict(tmp_path, memtools):
    store = stored(tmp_path / "runs", spoiled(world(60), "masks of other runs"))
    out = tmp_path / "e.npz"
    shown = memtools("estimate", store.root, "--out", out)
    assert shown.returncode == 0 and "is not above that outside" in shown.stderr
    assert "either nothing is memorized" in load(out).about.doubt
    out.unlink()
    refused(memtools("estimate", store.root, "--out", out, "--strict"), "is not above that", 5)
    with pytest.raises(RecordError, match="not above that outside"):
        library.estimate([store], strict=True)
    assert not out.exists()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.arange(7), "7 training labels, where the runs have 60 examples"),
        (np.arange(60) / 2, "are float64, not integers"),
        (np.arange(60) - 1, "hold -1, which is below 0"),
        (np.array(["cat"] * 60), "are <U3, not integers"),
        (np.zeros((60, 1), int), r"the shape \(60, 1\) of training labels"),
    ],
)
def test_labels_of_the_wrong_number_or_kind_are_refused(tmp_path, labels, words):
    store = stored(tmp_path / "runs", world(8, 60, 30))
    write_npz(
        store.root / "examples.npz",
        {"tr_labels": labels, "tt_labels": np.arange(30) % 4},
        ours=True,
    )
    with pytest.raises(ConfigError, match=words):
        library.estimate([type(store).open(store.root)])


def test_stores_whose_labels_differ_are_refused(tmp_path, memtools):
    bits = world(8, 60, 30)
    a = stored(tmp_path / "a", [each[:4] for each in bits])
    b = stored(tmp_path / "b", [each[4:] for each in bits], first=4)
    assert int(library.estimate([a, b]).n_in[0] + library.estimate([a, b]).n_out[0]) == 8
    other = {"tr_labels": np.arange(60) % 4, "tt_labels": np.zeros(30, int)}
    write_npz(b.root / "examples.npz", other, ours=True)
    out = tmp_path / "e.npz"
    refused(memtools("estimate", a.root, b.root, "--out", out), "other test labels", 2)


def test_labels_that_only_one_store_knows_are_used(tmp_path):
    bits = world(8, 60, 30)
    a = stored(tmp_path / "a", [each[:4] for each in bits])
    write_npz(a.root / "examples.npz", {}, ours=True)
    b = stored(tmp_path / "b", [each[4:] for each in bits], first=4)
    assert list(library.estimate([type(a).open(a.root), b]).classes) == [0, 1, 2, 3]


def test_masks_of_another_ratio_than_that_of_the_sweep_are_refused(tmp_path, memtools):
    store = stored(tmp_path / "0.1", world(6, 40, 20), ratio=0.1)
    refused(memtools("estimate", store.root, "--out", tmp_path / "e.npz"), r"70\.0% .* 0\.1", 5)


def test_runs_of_two_ratios_that_make_the_right_one_together_are_named(tmp_path, caplog):
    mask, train, test = world(8, 400, 30)
    mask[:] = False
    mask[:4, :200] = mask[4:, 40:] = True  # half of them at .5 and half at .9
    made = library.estimate(stored(tmp_path / "runs", (mask, train | mask, test)))
    words = "the ratio is 0.7, and the masks of runs 0-7 hold from 50.0% to 90.0%"
    assert words in made.about.doubt and words in caplog.text


def test_empty_and_equal_subsets_are_said(tmp_path):
    mask, train, test = world(6, 60, 30)
    with pytest.raises(ConfigError, match="all 6 runs trained on the same subset"):
        library.estimate([stored(tmp_path / "same", (mask[[0] * 6], train, test))])
    with pytest.raises(ConfigError, match="the only run trained on the same subset"):
        library.estimate([stored(tmp_path / "one", (mask[:1], train[:1], test[:1]))])
    mask[2] = False
    with pytest.raises(RecordError, match=r"the mask of run 2 is empty \(1 of 6 runs\)"):
        library.estimate([stored(tmp_path / "empty", (mask, train, test))])
    with pytest.raises(ConfigError, match="no run to estimate from"):
        c_scores([stored(tmp_path / "none", (mask[:0], train[:0], test[:0]))])


def test_a_run_under_two_numbers_counts_once(tmp_path, caplog):
    bits = world(8, 60, 30)
    a, b = stored(tmp_path / "a", bits), stored(tmp_path / "b", bits, first=100)
    made = library.estimate([a, b])
    assert int(made.n_in[0] + made.n_out[0]) == 8 and "counts once" in caplog.text


def test_c_scores_of_own_sweeps_join_though_their_configurations_hold_the_ratio(tmp_path):
    stores, rates = [], []
    for ratio in (0.3, 0.7):
        config = {**load_config("digits-demo", {"ratio": ratio}).to_dict(), "data_sha256": "ab"}
        mask, train, _ = bits = world(30, 60, 30, ratio=ratio)
        stores.append(stored(tmp_path / str(ratio), bits, ratio=ratio, config=config))
        rates.append((train & ~mask).sum(0) / (~mask).sum(0))
    scores = c_scores(stores)
    np.testing.assert_allclose(scores.values, np.mean(rates, 0), rtol=1e-6)
    longer = {**load_config("digits-demo", {"epochs": 3}).to_dict(), "data_sha256": "ab"}
    other = stored(tmp_path / "other", world(4, 60, 30), config=longer)
    with pytest.raises(ConfigError, match=r"different data sets or recipes.*epochs is 50 there, 3"):
        c_scores([stores[0], other])


def test_options_of_c_scores_are_obeyed_or_refused(tmp_path, memtools):
    for ratio in (0.3, 0.7):
        mask, train, test = world(8, 60, 30, ratio=ratio, kind="random labels")
        train[5] &= ~mask[5]
        stored(tmp_path / "runs" / str(ratio), (mask, train, test), ratio=ratio)
    out = tmp_path / "c.npz"
    command = ("estimate", tmp_path / "runs", "--out", out)
    for option, words in (
        (("--of", "margin"), "--of margin is for stores of one subset ratio"),
        (("--report",), "--report is about memorization"),
    ):
        refused(memtools(*command, *option), words, 2)
    refused(memtools(*command, "--strict"), r"1 of 8 runs .* 5 \(0\.000\)", 1)
    assert not out.exists()
    shown = memtools(*command)
    assert shown.returncode == 0 and "5 (0.000)" in shown.stderr
    doubt = load(out).about.doubt
    assert doubt.count("5 (0.000)") == 2 and "ratio 0.3: 1 of 8 runs" in doubt
    shown = memtools(*command, "--strict", "--min-train-accuracy", 0)
    assert (shown.returncode, shown.stderr, load(out).about.doubt) == (0, "", "")


@pytest.mark.parametrize("quantity", ["probability", "margin"])
def test_means_are_guarded_and_numbers_that_are_not_finite_are_named(tmp_path, quantity):
    mask, train, _ = bits = world(12, 60, 30)
    train[4] &= ~mask[4]
    store = stored(tmp_path / "runs", bits)

    def keep(run, **changes):
        record = store.read(run)
        numbers = {
            f"{side}_{quantity}": getattr(record, f"{side}_correct").astype(np.float16)
            for side in ("train", "test")
        }
        write(dataclasses.replace(record, **numbers | changes), store.path(run))

    for run in range(12):
        keep(run)
    made = estimate_means([store], quantity)
    assert "4 (0.000)" in made.about.doubt
    with pytest.raises(SweepError, match=r"4 \(0\.000\)"):
        estimate_means([store], quantity, strict=True)
    for value in (np.inf, np.nan):
        numbers = np.zeros(30, np.float16)
        numbers[3] = value
        keep(7, **{f"test_{quantity}": numbers})
        with pytest.raises(
            RecordError, match=f"run 7: the {quantity} of test example 3 is {value}"
        ):
            estimate_means([store], quantity)


def test_options_of_another_quantity_are_obeyed_or_refused(tmp_path, memtools):
    store = stored(tmp_path / "runs", world(8, 60, 30))
    command = ("estimate", store.root, "--out", tmp_path / "e.npz", "--of", "margin")
    refused(memtools(*command, "--report"), "--report is about memorization", 2)
    refused(memtools(*command), "run 0 carries no margin", 2)


@pytest.mark.timeout(300)
def test_two_real_sweeps_of_two_ratios_give_c_scores(tmp_path, memtools):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    for ratio in ("0.3", "0.7"):
        settings = ("--set", "epochs=2", "--set", f"ratio={ratio}", "--set", "stack=6")
        command = ("train", "digits-demo", "--runs", "0:6", "--to", tmp_path / "runs" / ratio)
        shown = memtools(*command, *settings)
        assert shown.returncode == 0, shown.stderr
    shown = memtools("estimate", tmp_path / "runs", "--out", tmp_path / "c.npz")
    assert shown.returncode == 0, shown.stderr
    scores = load(tmp_path / "c.npz")
    assert "ratios 0.3, 0.7, 12 runs" in scores.about.definition
    assert len(scores.values) == 1200 and 0.5 < np.nanmean(scores.values) < 1
