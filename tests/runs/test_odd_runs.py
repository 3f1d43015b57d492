"""A few runs that are inverted or shuffled among others are refused and named; honest ones pass."""

import dataclasses
import re

import numpy as np
import pytest
from runs.plausible_worlds import counted, records, shuffled, spoiled, stacked, stored, world

import memtools as library
from memtools.errors import RecordError
from memtools.estimation.estimator import c_scores
from memtools.estimation.means import estimate_means
from memtools.runs.importers import import_stacked
from memtools.runs.odd_runs import inverted_runs, list_runs, shuffled_runs
from memtools.runs.plausibility import OutcomeCounts, require_plausible
from memtools.runs.record import write
from memtools.runs.run_sample import SIZE, RunSample

MISTAKES = {
    "inverted": "the mask seems inverted",
    "train shuffled": "right on other training examples",
    "test shuffled": "right on other test examples",
}
IMPORT = {"dataset": "x", "order": "file"}


def mixed(bits, how, bad):
    """The runs in `bad` with a mistake of their owner, the others as they are."""
    made = [each.copy() for each in bits]
    wrong = spoiled([each[bad] for each in bits], how)
    for each, part in zip(made, wrong, strict=True):
        each[bad] = part
    return made


@pytest.mark.parametrize("how", MISTAKES)
@pytest.mark.parametrize("kind", ["memorizing", "random labels"])
def test_estimate_refuses_thirty_wrong_runs_of_eighty_by_number(tmp_path, how, kind, memtools):
    store = stored(tmp_path / "runs", mixed(world(80, kind=kind), how, np.arange(50, 80)))
    for estimate in (library.estimate, c_scores):
        with pytest.raises(RecordError, match=f"30 of 80 runs .*: runs 50-79: .*{MISTAKES[how]}"):
            estimate([store])
    shown = memtools("estimate", store.root, "--out", tmp_path / "e.npz")
    assert shown.returncode == 5 and len(shown.stderr.splitlines()) == 2, shown.stderr
    assert not (tmp_path / "e.npz").exists()


@pytest.mark.parametrize("how", MISTAKES)
@pytest.mark.parametrize("n_bad", [3, 30])
def test_import_into_a_good_store_refuses_wrong_runs_and_leaves_it(tmp_path, how, n_bad):
    bits = world(50 + n_bad, 1000)
    halves = [[each[:50] for each in bits], spoiled([each[50:] for each in bits], how)]
    good, bad = (stacked(tmp_path / f"{k}.npz", half) for k, half in enumerate(halves))
    store = import_stacked([good], tmp_path / "to", **IMPORT)
    words = (
        r"1\.npz: over 30|1\.npz: accuracy" if n_bad == 30 else "unlike the others: new runs 0-2"
    )
    with pytest.raises(RecordError, match=words):
        import_stacked([bad], tmp_path / "to", **IMPORT)
    assert store.run_ids() == list(range(50))
    with pytest.raises(RecordError):
        import_stacked([good, bad], tmp_path / "both", **IMPORT)
    assert not (tmp_path / "both").exists()


def test_runs_of_a_file_whose_mistake_only_many_show_are_refused_with_its_name(tmp_path):
    bits = world(140, 1000, kind="simple")
    parts = [each[:80] for each in bits], spoiled([each[80:] for each in bits], "inverted")
    files = [
        stacked(tmp_path / f"{name}.npz", part) for name, part in zip("ab", parts, strict=True)
    ]
    with pytest.raises(RecordError, match=r"b\.npz: accuracy .* over 60 runs: the mask seems inv"):
        import_stacked(files, tmp_path / "to", **IMPORT)


@pytest.mark.parametrize("how", MISTAKES)
def test_one_wrong_run_of_forty_is_named(how):
    bits = mixed(world(40, 1000, 400), how, [7])
    with pytest.raises(RecordError, match=f"1 of 40 runs .*: run 7: .*{MISTAKES[how]}"):
        require_plausible(counted(bits), "runs")


def test_half_trained_runs_are_named_as_not_converged_and_not_refused(tmp_path):
    mask, train, test = world(40)
    rng = np.random.default_rng(3)
    for run in (4, 5, 21):  # a third of what it would be right on is wrong
        train[run] &= rng.random(train.shape[1]) < 0.65
        test[run] &= rng.random(test.shape[1]) < 0.65
    doubt = library.estimate([stored(tmp_path / "runs", (mask, train, test))]).about.doubt
    assert re.match(r"3 of 40 runs have a training accuracy below .*: 4 \(.*, 5 \(.*, 21 \(", doubt)


@pytest.mark.parametrize("labelled", [False, True])
def test_runs_that_always_name_one_class_are_not_refused(labelled):
    mask, train, test = world(40)
    labels, test_labels = np.arange(400) % 10, np.arange(200) % 10
    for run in range(6):
        train[run], test[run] = labels == run, test_labels == run
    known = (labels, test_labels) if labelled else ()
    require_plausible(counted((mask, train, test), *known), "runs")


def test_runs_whose_own_labels_were_flipped_are_not_refused():
    mask, train, test = world(40, 1000)
    rng = np.random.default_rng(4)
    for run in range(4):
        wrong = ~mask[run] & (rng.random(1000) < 0.2)
        train[run] &= ~wrong
    require_plausible(counted((mask, train, test)), "runs")


def test_estimates_of_other_quantities_refuse_the_same_runs(tmp_path):
    bits = mixed(world(40), "inverted", np.arange(20, 26))
    store = stored(tmp_path / "runs", bits)
    for record in records(bits, store.sweep.digest):
        numbers = {
            f"{side}_margin": getattr(record, f"{side}_correct").astype(np.float16)
            for side in ("train", "test")
        }
        write(dataclasses.replace(record, **numbers), store.path(record.spec.run_id))
    with pytest.raises(RecordError, match="runs 20-25"):
        estimate_means([store], "margin")


def test_legitimate_worlds_have_no_odd_runs():
    for kind in ("memorizing", "simple", "perfect", "random labels", "complementary"):
        for n_runs in (16, 60):
            agreement = counted(world(n_runs, kind=kind, seed=9)).sample.compare()
            found = inverted_runs(agreement["mask"]), *map(shuffled_runs, agreement.values())
            assert [len(each) for each in found] == [0] * 4


def test_effects_are_one_for_runs_like_the_others_and_zero_for_shuffled_ones():
    bits = mixed(world(60, 2000, 1000), "test shuffled", [0, 1, 2])
    test = counted(bits).sample.compare()["test"]
    assert abs(test.effect[3:].mean() - 1) < 0.1 and abs(test.effect[:3]).max() < 0.3
    assert abs(test.z[:3]).max() < 4 and test.z[3:].min() > 15


def test_a_sample_is_kept_of_many_examples_and_all_of_few():
    sample = RunSample(SIZE + 5000, 30)
    rows = np.arange(SIZE + 5000) % 2 == 0, np.ones(SIZE + 5000, bool), np.arange(30) < 7
    for _ in range(70):
        sample.observe(*rows)
    blocks = list(sample.blocks())
    assert sample.sizes == (SIZE, 30) and [len(each.mask) for each in blocks] == [64, 6]
    assert blocks[1].train_correct.all() and blocks[1].test_correct.sum() == 6 * 7
    assert 0.48 < blocks[0].mask.mean() < 0.52


def test_counts_of_some_runs_are_those_of_these_runs():
    bits = world(70, 50, 20)
    labels, runs = (np.arange(50) % 3, np.arange(20) % 3), [2, 68, 69]
    part = counted(bits, *labels).of_runs(runs)
    assert isinstance(part, OutcomeCounts) and part.run_ids == runs
    np.testing.assert_array_equal(part.n_in, bits[0][runs].sum(0))
    np.testing.assert_array_equal(part.test_correct, bits[2][runs].sum(0))


def test_too_few_runs_and_runs_without_errors_give_no_verdict():
    for bits in (world(12), world(2, 0, 0), world(20, kind="perfect")):
        require_plausible(counted(bits), "runs")
    mask, train, test = world(30)
    require_plausible(counted((mask, np.ones_like(train), np.zeros_like(test))), "runs")
    with pytest.raises(RecordError):
        require_plausible(counted((mask, train, np.vstack([shuffled(test[:5]), test[5:]]))), "runs")
    require_plausible(counted((mask, train, test[:, :0])), "runs")


def test_numbers_of_runs_are_listed_as_sequences():
    assert list_runs([7]) == "run 7"
    assert list_runs([3, 50, 51, 52, 9]) == "runs 3, 9, 50-52"
    assert list_runs(list(range(0, 20, 2))) == "runs 0, 2, 4, ..."
