"""Runs of others: each layout, and what is wrong with it."""

import io
import json

import numpy as np
import pytest

from memtools.errors import RecordError
from memtools.runs.importers import import_aux, import_margins, import_stacked
from memtools.runs.store import RunStore

N_TRAIN, N_TEST, N_RUNS = 40, 20, 6


@pytest.fixture
def truth():
    """mask, train_correct, test_correct: bool [n_runs, n]."""
    rng = np.random.default_rng(0)
    mask = np.zeros((N_RUNS, N_TRAIN), bool)
    for row in mask:
        row[rng.permutation(N_TRAIN)[:28]] = True
    return mask, rng.random((N_RUNS, N_TRAIN)) < 0.8, rng.random((N_RUNS, N_TEST)) < 0.6


def same(store, truth, runs=range(N_RUNS)):
    records = list(store)
    assert [record.spec.run_id for record in records] == list(runs)
    for record, run in zip(records, runs, strict=True):
        found = record.mask, record.train_correct, record.test_correct
        assert all(np.array_equal(a, b[run]) for a, b in zip(found, truth, strict=True))


def aux(truth, run, **spoiled):
    mask, train, test = (each[run] for each in truth)
    rng = np.random.default_rng(run)
    inside, outside = (rng.permutation(np.flatnonzero(m)) for m in (mask, ~mask))
    order = rng.permutation(N_TEST)
    arrays = {
        "index_train": inside,
        "index_removed": outside,
        "index_test": order,
        "correctness_train": train[inside],
        "correctness_removed": train[outside].astype(np.float32),
        "correctness_test": test[order].astype(np.int64),
        "subsample_idx": inside,
    }
    stream = io.BytesIO()
    np.savez(stream, **{**arrays, **spoiled})
    return stream.getvalue()


def unpacked(root, members):
    """The members as files; the directory above the ratios."""
    for name, data in members.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root / "exp"


@pytest.fixture
def members(truth):
    files = {f"exp/0.7/{run}/aux_arrays.npz": aux(truth, run) for run in range(4)}
    files |= {f"exp/0.5/{run}/aux_arrays.npz": aux(truth, run) for run in (4, 5)}
    return {"exp/0.7/0/checkpoints/ckpt-1.index": b"x" * 3000, **files}


def test_the_released_layout_becomes_a_store_for_each_ratio(members, truth, tmp_path):
    source = unpacked(tmp_path, members)
    for _ in range(2):
        import_aux(source, tmp_path / "to", dataset="cifar10", order="tfds")
    same(RunStore.open(tmp_path / "to" / "0.7"), truth, range(4))
    store = RunStore.open(tmp_path / "to" / "0.5")
    same(store, truth, (4, 5))
    assert (store.sweep.ratio, store.sweep.order) == (0.5, "tfds")


def test_two_results_of_one_run_are_refused_before_anything_is_written(members, truth, tmp_path):
    rival = {f"exp/again/0.7/{run}/aux_arrays.npz": aux(truth, 5) for run in (2,)}
    source = unpacked(tmp_path, members | rival)
    to = tmp_path / "to"
    with pytest.raises(RecordError, match="two different results of run 2") as caught:
        import_aux(source, to, dataset="cifar10", order="tfds")
    assert caught.value.hint and not to.exists()
    import_aux(source / "again", to, dataset="cifar10", order="tfds")
    with pytest.raises(RecordError, match="two different results of run 2"):
        import_aux(source, to, dataset="cifar10", order="tfds")
    assert RunStore.open(to / "0.7").run_ids() == [2] and not (to / "0.5").exists()


def test_a_damaged_record_is_imported_again(members, truth, tmp_path):
    source = unpacked(tmp_path, members)
    stores = import_aux(source, tmp_path / "to", dataset="cifar10", order="tfds")
    store = next(each for each in stores if each.sweep.ratio == 0.7)
    store.path(2).write_bytes(b"")
    import_aux(source, tmp_path / "to", dataset="cifar10", order="tfds")
    same(store, truth, range(4))
    assert [path.name for path in (store.root / "quarantine").iterdir()] == ["000002.npz"]


def test_runs_of_another_ratio_are_not_added_to_those_of_a_store(truth, tmp_path):
    keys = ("trainset_mask", "trainset_correctness", "testset_correctness")
    np.savez(tmp_path / "a.npz", **dict(zip(keys, truth, strict=True)))
    mask = np.zeros_like(truth[0])
    mask[:, :4] = True
    np.savez(tmp_path / "b.npz", **dict(zip(keys, (mask, *truth[1:]), strict=True)))
    to = tmp_path / "to"
    import_stacked([tmp_path / "a.npz"], to, dataset="mnist", order="file")
    with pytest.raises(RecordError, match=r"hold 10\.0% .* the ratio is 0\.7"):
        import_stacked([tmp_path / "b.npz"], to, dataset="mnist", order="file")
    same(RunStore.open(to), truth)


def test_a_file_instead_of_a_directory_is_said(memtools, tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"")
    command = ("import", tmp_path / "a.tar.gz", "--dataset", "c", "--order", "tfds")
    shown = memtools(*command, "--to", tmp_path / "to")
    assert shown.returncode == 5 and "memtools checkpoints aux" in shown.stderr


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        ({"index_removed": np.arange(12)}, "missing or there twice"),
        ({"index_test": np.zeros(N_TEST, int)}, "missing or there twice"),
        ({"correctness_test": np.full(N_TEST, 2)}, "other values than 0 and 1"),
        ({"correctness_train": np.ones(5, bool)}, "28 indices and 5 outcomes"),
        ({"correctness_train": np.ones(1, bool)}, "28 indices and 1 outcomes"),
        ({"index_train": np.array(["a"])}, "missing or there twice"),
        ({"index_train": np.zeros((2, 14), int)}, "is damaged"),
    ],
)
def test_a_member_that_contradicts_itself_is_named(truth, tmp_path, spoiled, words):
    name = "exp/0.7/0/aux_arrays.npz"
    source = unpacked(tmp_path, {name: aux(truth, 0, **spoiled)})
    with pytest.raises(RecordError, match=words) as caught:
        import_aux(source, tmp_path / "to", dataset="cifar10", order="tfds")
    assert name in str(caught.value)


def test_stacked_and_single_runs_are_appended(truth, tmp_path):
    keys = ("trainset_mask", "trainset_correctness", "testset_correctness")
    stacked = {key: each[:4].astype(np.float32) for key, each in zip(keys, truth, strict=True)}
    np.savez(tmp_path / "a.npz", **stacked)
    for run in (4, 5):
        single = {key: each[run] for key, each in zip(keys, truth, strict=True)}
        np.savez(tmp_path / f"b{run}.npz", **single)
    files = sorted(tmp_path.glob("*.npz"), reverse=True)
    for _ in range(2):
        store = import_stacked(files, tmp_path / "to", dataset="mnist", order="file")
    same(store, truth)
    assert store.sweep.ratio == 0.7
    np.savez(tmp_path / "c.npz", trainset_mask=truth[0])
    with pytest.raises(RecordError, match="no readable trainset_correctness"):
        import_stacked([tmp_path / "c.npz"], tmp_path / "to", dataset="mnist", order="file")


def test_margins_above_zero_are_right_and_kept(truth, tmp_path):
    rng = np.random.default_rng(1)
    mask = truth[0]
    margins = {
        name: rng.normal(size=(N_RUNS, n)) * 1e3
        for name, n in (("test", N_TEST), ("train", N_TRAIN))
    }
    np.save(tmp_path / "mask.npy", mask.astype(np.uint8))
    for name, each in margins.items():
        np.save(tmp_path / f"{name}.npy", each)
    paths = [tmp_path / f"{name}.npy" for name in ("mask", "test", "train")]
    store = import_margins(*paths, tmp_path / "to", dataset="cifar10", order="file")
    same(store, (mask, margins["train"] > 0, margins["test"] > 0))
    assert np.array_equal(store.read(2).test_margin, margins["test"][2].astype(np.float16))
    margins["test"][3, 3] = np.nan
    np.save(tmp_path / "test.npy", margins["test"])
    with pytest.raises(RecordError, match="run 3 is not a number"):
        import_margins(*paths, tmp_path / "else", dataset="cifar10", order="file")


def test_the_command_imports_and_estimates(memtools, members, tmp_path):
    source = unpacked(tmp_path, members)
    common = ("--dataset", "cifar10", "--order", "tfds")
    shown = memtools("import", source, "--to", tmp_path / "to", *common)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.split() == [str(tmp_path / "to" / ratio) for ratio in ("0.5", "0.7")]
    out = tmp_path / "scores.npz"
    assert memtools("estimate", tmp_path / "to", "--out", out).returncode == 0
    assert "held-out correctness" in memtools("info", out).stdout
    out = tmp_path / "mem.npz"
    shown = memtools("estimate", tmp_path / "to" / "0.7", "--out", out)
    assert (shown.returncode, shown.stdout) == (0, f"{out}\n")
    about = json.loads(memtools("info", out, "--json").stdout)["about"]
    assert about["order"] == "tfds" and "4 runs, ratio 0.7" in about["definition"]
