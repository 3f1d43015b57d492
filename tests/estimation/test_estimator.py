"""Estimates out of stores: the published schema, one sweep, converged runs."""

import logging

import numpy as np
import pytest
from worlds_of_runs import exact, random_bits, rounded, stored

from memtools.artifacts.loader import load
from memtools.errors import ConfigError, SweepError
from memtools.estimates import schema
from memtools.estimates.about import About
from memtools.estimates.schema import open_arrays
from memtools.estimation.estimator import c_scores, estimate
from memtools.estimation.means import estimate_means
from memtools.runs.record import RunRecord, RunSpec
from memtools.runs.store import RunStore, Sweep


@pytest.fixture
def bits():
    mask, train, test = random_bits(np.random.default_rng(0), 60, 45, 24)
    mask[:, 3], mask[:, 4] = True, False  # never held out; never in
    return mask, train, test


def test_estimates_are_the_definition_and_nan_where_there_is_none(bits, tmp_path):
    mask, train, test = bits
    estimates = estimate([stored(tmp_path / "runs", bits)])
    expected = [rounded(exact(mask[:, i], train[:, i])) for i in range(45)]
    assert np.array_equal(estimates.memorization, expected, equal_nan=True)
    assert np.flatnonzero(np.isnan(estimates.memorization)).tolist() == [3, 4]
    assert np.array_equal(estimates.n_in, mask.sum(0))
    assert np.array_equal(estimates.n_out, (~mask).sum(0))
    for label in estimates.classes:
        block = estimates.influence(label)
        for row, i in enumerate(block.train_index):
            for column, j in enumerate(block.test_index):
                value = rounded(exact(mask[:, i], test[:, j]))
                assert np.array_equal(block.values[row, column], value, equal_nan=True)
    undefined = np.isnan(estimates.standard_error)
    assert np.flatnonzero(undefined).tolist() == [3, 4]
    assert (estimates.standard_error[~undefined] > 0).all()


def test_what_is_saved_is_a_published_file_to_every_command(bits, tmp_path, memtools):
    path = tmp_path / "estimates.npz"
    store = stored(tmp_path / "runs", bits)
    assert memtools("estimate", store.root, "--out", path, "--report").returncode == 0
    schema.check("influence", open_arrays(path))
    loaded, made = load(path), estimate([store])
    assert np.array_equal(loaded.memorization, made.memorization, equal_nan=True)
    assert loaded.about.order == "file" and "60 runs, ratio 0.7" in loaded.about.definition
    for command in (
        ("verify", path),
        ("info", path),
        ("export", path, "--out", tmp_path / "a.csv"),
    ):
        shown = memtools(*command)
        assert shown.returncode == 0, shown.stderr
    of_file = memtools("pairs", path, "--min-mem", 0, "--min-infl", 0.1, "--json").stdout
    of_runs = memtools("pairs", store.root, "--min-mem", 0, "--min-infl", 0.1, "--json").stdout
    assert of_file == of_runs
    shown = memtools("pairs", store.root, "--cross-class", "--top", 3)
    assert shown.returncode == 0 and "pairs of" in shown.stdout
    assert memtools("pairs", path, "--cross-class").returncode == 2


def test_stores_of_one_sweep_are_one_and_a_run_in_two_counts_once(bits, tmp_path):
    whole = estimate([stored(tmp_path / "whole", bits)])
    parts = [
        stored(tmp_path / "a", bits, range(40)),
        stored(tmp_path / "b", bits, range(30, 60)),
    ]
    merged = estimate(parts)
    for name, array in whole.arrays.items():
        assert array.tobytes() == merged.arrays[name].tobytes()
    other = (bits[0], bits[1], ~bits[2])
    with pytest.raises(ConfigError, match=r"run 5 of .* is not that of another store"):
        estimate([parts[0], stored(tmp_path / "c", other, [5])])


def test_other_sweeps_and_empty_stores_are_refused(bits, tmp_path, memtools):
    a = stored(tmp_path / "a", bits)
    b = stored(tmp_path / "b", bits, config={"epochs": 5})
    with pytest.raises(ConfigError, match="another sweep: epochs"):
        estimate([a, b])
    empty = stored(tmp_path / "empty", bits, [])
    with pytest.raises(ConfigError, match="no run to estimate from"):
        estimate([empty])
    shown = memtools("estimate", tmp_path, "--out", tmp_path / "x.npz")
    assert shown.returncode == 2 and len(shown.stderr.splitlines()) == 2
    assert not (tmp_path / "x.npz").exists()


def test_runs_that_did_not_converge_are_named_or_refused(bits, tmp_path, caplog):
    mask, train, test = bits
    train = train.copy()
    train[mask] = True
    train[7], train[9] = False, False
    store = stored(tmp_path / "runs", (mask, train, test))
    with caplog.at_level(logging.WARNING, logger="memtools.estimation"):
        found = estimate([store])
    words = "2 of 60 runs have a training accuracy below 0.950: 7 (0.000), 9 (0.000)"
    assert words in caplog.text and found.about.doubt == words
    with pytest.raises(SweepError) as caught:
        estimate([store], strict=True)
    assert caught.value.failed_run_ids == (7, 9)


def test_c_scores_are_held_out_correctness_averaged_over_ratios(tmp_path):
    rng, rates, stores = np.random.default_rng(2), [], []
    for ratio in (0.3, 0.6):
        mask, train, test = random_bits(rng, 30, 20, 10, ratio)
        mask[:, 6] = True
        stores.append(stored(tmp_path / str(ratio), (mask, train, test), ratio=ratio))
        held = [train[~mask[:, i], i] for i in range(20)]
        rates.append([each.mean() if len(each) else np.nan for each in held])
    scores = c_scores(stores)
    np.testing.assert_allclose(scores.values, np.mean(rates, 0), rtol=1e-6)
    assert np.isnan(scores.values[6]) and "0.3, 0.6" in scores.about.definition
    scores.save(tmp_path / "scores.npz")
    schema.check("cscores", open_arrays(tmp_path / "scores.npz"))
    other = stored(tmp_path / "other", (mask, train, test), ratio=0.9, definition="else")
    with pytest.raises(ConfigError, match="different data sets or recipes"):
        c_scores([*stores, other])


@pytest.mark.parametrize("quantity", ["probability", "margin"])
def test_means_of_numbers_are_exact_in_any_order_and_named(tmp_path, quantity):
    rng = np.random.default_rng(4)
    mask, train, test = random_bits(rng, 70, 30, 12)
    values = {
        side: (rng.random((70, n)) if quantity == "probability" else rng.normal(0, 9, (70, n)))
        for side, n in (("train", 30), ("test", 12))
    }
    values = {side: each.astype(np.float16) for side, each in values.items()}
    sweep = Sweep("random", "file", 0.7, 30, 12)
    from worlds_of_runs import labelled

    made = []
    for name, order in (("a", range(70)), ("b", rng.permutation(70))):
        store = RunStore.create(tmp_path / name, sweep, labelled(30, 12, 2))
        for run_id, run in enumerate(order):
            numbers = {f"{side}_{quantity}": each[run] for side, each in values.items()}
            spec = RunSpec(run_id, sweep.digest)
            store.add(RunRecord(spec, mask[run], train[run], test[run], **numbers))
        made.append(estimate_means([store], quantity))
    a, b = made
    assert all(a.arrays[name].tobytes() == b.arrays[name].tobytes() for name in a.arrays)
    column = values["train"][:, 5].astype(float)
    inside, outside = column[mask[:, 5]], column[~mask[:, 5]]
    assert a.memorization[5] == np.float32(inside.mean() - outside.mean())
    error = np.sqrt(inside.var(ddof=1) / len(inside) + outside.var(ddof=1) / len(outside))
    assert a.standard_error[5] == pytest.approx(error, rel=1e-4)
    block = a.influence(1)
    i, j = block.train_index[3], block.test_index[2]
    column = values["test"][:, j].astype(float)
    expected = column[mask[:, i]].mean() - column[~mask[:, i]].mean()
    assert block.values[3, 2] == pytest.approx(expected, rel=1e-6)
    assert f"of the {quantity} of the true label" in a.about.definition
    a.save(tmp_path / "a.npz")
    schema.check("influence", open_arrays(tmp_path / "a.npz"))
    bare = stored(tmp_path / "bare", (mask, train, test))
    with pytest.raises(ConfigError, match=f"carries no {quantity}"):
        estimate_means([bare], quantity)


def test_without_labels_there_is_memorization_and_no_influence(bits, tmp_path):
    from memtools.estimates.model import ExampleIndex

    sweep = Sweep("random", "file", 0.7, 45, 24)
    nothing = ExampleIndex(About(), None, None, None, None)
    store = RunStore.create(tmp_path / "runs", sweep, nothing)
    for run in range(10):
        store.add(RunRecord(RunSpec(run, sweep.digest), *(each[run] for each in bits)))
    assert estimate([store]).classes == []
