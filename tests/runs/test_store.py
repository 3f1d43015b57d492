"""A directory of runs: write-once, of one sweep, and nothing damaged is averaged."""

import dataclasses
import errno
import functools
import os
import random
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from processes import LONG, group, wait_for

from memtools.errors import BusyError, ConfigError, DiskError, RecordError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.estimates.npz import write_npz
from memtools.estimation.estimator import estimate
from memtools.files import locked
from memtools.runs import store as store_module
from memtools.runs.status import Status
from memtools.runs.store import RunStore
from memtools.runs.stores import open_stores
from memtools.runs.sweep import run_missing


def test_records_come_back_in_order(store, run):
    for run_id in (5, 0, 12):
        store.add(run(run_id))
    assert store.run_ids() == [0, 5, 12] and len(store) == 3
    assert [record.digest for record in store] == [run(n).digest for n in (0, 5, 12)]


def test_a_store_is_opened_with_what_it_was_made_of(store, sweep, examples):
    again = RunStore.open(store.root)
    assert again.sweep == sweep
    assert np.array_equal(again.examples.labels, examples.labels)
    assert again.examples.filenames is None


def test_another_configuration_is_refused_and_the_difference_named(store, sweep, examples):
    assert RunStore.create(store.root, sweep, examples).sweep == sweep
    for change, words in (
        ({"config": {"epochs": 4, "lr": 0.1}}, "epochs is 3 there, 4 here"),
        ({"ratio": 0.5}, "ratio is 0.7 there, 0.5 here"),
    ):
        with pytest.raises(ConfigError, match=words):
            RunStore.create(store.root, dataclasses.replace(sweep, **change), examples)


def test_the_same_run_again_is_nothing_and_another_result_is_refused(store, run):
    store.add(run(1))
    before = store.path(1).read_bytes()
    store.add(run(1))
    with pytest.raises(BusyError, match="another result of run 1"):
        store.add(run(1, seed=99))
    assert store.path(1).read_bytes() == before
    assert [path.name for path in (store.root / "records").iterdir()] == ["000001.npz"]


def test_a_run_of_another_sweep_is_refused(store, run, sweep):
    with pytest.raises(RecordError, match="another sweep"):
        store.add(run(1, of=dataclasses.replace(sweep, ratio=0.5)))
    assert len(store) == 0


def damage(store):
    """Cut one record, and give another one the name of a third run."""
    store.path(1).write_bytes(store.path(1).read_bytes()[:-50])
    os.rename(store.path(2), store.path(9))


def listing(root):
    return {path.relative_to(root): path.lstat().st_mtime_ns for path in root.rglob("*")}


def test_reading_leaves_out_what_is_damaged_and_moves_nothing(store, run, caplog):
    for run_id in range(5):
        store.add(run(run_id))
    damage(store)
    before = listing(store.root)
    for _ in range(2):
        assert [record.spec.run_id for record in store] == [0, 3, 4]
    assert len(caplog.records) == 2  # once for each record, however often it is read
    assert "run 1 of" in caplog.text and "000001.npz is not a whole record" in caplog.text
    assert "is the record of run 2" in caplog.text
    assert listing(store.root) == before


def test_the_driver_sets_aside_what_is_damaged_and_replaces_nothing(store, run, caplog):
    for run_id in range(5):
        store.add(run(run_id))
    damage(store)
    taken = store.root / "quarantine" / "000001.npz"
    taken.write_text("of another day")
    (store.root / "quarantine" / "000001.1.npz").symlink_to("nowhere")
    cut = store.path(1).read_bytes()
    assert store.set_damaged_aside() == 2 and store.run_ids() == [0, 3, 4]
    assert taken.read_text() == "of another day"
    assert (store.root / "quarantine" / "000001.2.npz").read_bytes() == cut
    assert "run 1 is set aside" in caplog.text and "is the record of run 2" in caplog.text
    store.add(run(1))
    assert store.run_ids() == [0, 1, 3, 4] and store.set_damaged_aside() == 0


def test_a_disk_without_links_keeps_what_was_set_aside_before(store, run, monkeypatch):
    def link(*_, **__):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", link)
    for run_id in range(5):
        store.add(run(run_id))
    with pytest.raises(BusyError, match="another result of run 1"):
        store.add(run(1, seed=99))
    damage(store)
    taken = store.root / "quarantine" / "000001.npz"
    taken.write_text("of another day")
    assert store.set_damaged_aside() == 2 and store.run_ids() == [0, 3, 4]
    assert taken.read_text() == "of another day"
    assert (store.root / "quarantine" / "000001.1.npz").exists()


def test_of_two_that_begin_one_store_with_other_sweeps_one_is_refused(
    tmp_path, sweep, examples, monkeypatch
):
    """The second one comes while the first writes: its labels must not stay with that sweep."""
    root, refused = tmp_path / "runs", []
    other = dataclasses.replace(sweep, ratio=0.5)
    others = ExampleIndex(About(), examples.labels + 1, None, examples.test_labels, None)
    write_examples = store_module.write_examples

    def begin_other():
        try:
            RunStore.create(root, other, others)
        except ConfigError as error:
            refused.append(str(error))

    beside = threading.Thread(target=begin_other)

    def write(path, given):
        write_examples(path, given)
        if not beside.ident:
            beside.start()
            beside.join(0.5)  # without a lock, it has written everything by then

    monkeypatch.setattr(store_module, "write_examples", write)
    made = RunStore.create(root, sweep, examples)
    beside.join()
    assert len(refused) == 1 and "ratio is 0.7 there, 0.5 here" in refused[0]
    assert made.sweep == RunStore.open(root).sweep == sweep
    assert np.array_equal(RunStore.open(root).examples.labels, examples.labels)
    assert not (root / ".beginning").exists()


def test_the_status_of_a_store_whose_driver_was_killed_changes_nothing(store, run):
    store.add(run(1))
    (store.root / ".driving").touch()  # as a kill leaves it
    before = listing(store.root)
    assert not Status.of(store).driven
    assert listing(store.root) == before
    with locked(store.root / ".driving", wait=False, waiting=lambda: None):
        assert Status.of(store).driven


def test_a_directory_or_a_pipe_in_the_place_of_a_record_is_set_aside_like_any(store, run):
    for run_id in range(4):
        store.add(run(run_id))
    for run_id, make in ((1, Path.mkdir), (2, os.mkfifo)):
        store.path(run_id).unlink()
        make(store.path(run_id))
    assert [record.spec.run_id for record in store] == [0, 3]
    assert store.set_damaged_aside() == 2 and store.run_ids() == [0, 3]
    assert len(list((store.root / "quarantine").iterdir())) == 2


@pytest.mark.parametrize("change", [{"ratio": 0.5}, {"n_train": 61}])
def test_where_most_records_disagree_with_it_the_sweep_file_is_the_suspect(
    store, run, sweep, change
):
    for run_id in range(3):
        store.add(run(run_id))
    edited = dataclasses.replace(sweep, **change)
    (store.root / "sweep.toml").write_text(edited.to_toml())
    if "n_train" in change:  # of labels, only their number would be wrong
        (store.root / "examples.npz").unlink()
        write_npz(store.root / "examples.npz", {}, ours=True)
    opened, before = RunStore.open(store.root), listing(store.root)
    for act in (opened.set_damaged_aside, lambda: list(opened)):
        with pytest.raises(RecordError, match=r"most records .* do not agree with its sweep\.toml"):
            act()
    assert listing(store.root) == before


def test_a_single_record_of_another_sweep_is_set_aside(store, run, sweep, tmp_path, examples):
    other = RunStore.create(tmp_path / "other", dataclasses.replace(sweep, ratio=0.5), examples)
    other.add(run(7, of=other.sweep))
    os.rename(other.path(7), store.path(7))
    assert list(store) == [] and store.set_damaged_aside() == 1
    assert list((store.root / "quarantine").iterdir())


BAD = {
    "empty": b"",
    "binary": bytes(range(256)),
    "not a number": b'{"run_id": NaN, "reason": NaN}',
    "of another type": b'["a", {"b": 1}]',
    "nested": b"[" * 100_000,
    "huge": b"9" * 5_000,
    "huge range": b"[[0, 99999999999999999999]]",
    "a directory": Path.mkdir,
    "a pipe": os.mkfifo,
}


def put(path, content):
    """Put something in the place of a file of a store."""
    path.unlink(missing_ok=True)
    content(path) if callable(content) else path.write_bytes(content)


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
@pytest.mark.parametrize("name", ["sweep.toml", "examples.npz", "failed/3.json", "asked.json"])
def test_small_files_that_are_damaged_are_named_with_what_to_do(store, run, name, content):
    run_missing(store, range(2), lambda run_ids: [run(n) for n in run_ids])
    store.fail(3, "the loss is not finite")
    put(store.root / name, content)
    with pytest.raises((ConfigError, RecordError, DiskError)) as caught:
        Status.of(RunStore.open(store.root))
    assert name in str(caught.value) and "\n" not in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_note_of_what_is_trained_that_is_damaged_is_named(store, content):
    put(store.root / ".out.json", content)
    assert Status.of(store).n_running == 0  # nobody drives, so nobody reads it
    with locked(store.root / ".driving", wait=False, waiting=lambda: None):
        try:
            assert Status.of(store).n_running == 0
        except RecordError as error:
            assert ".out.json" in str(error) and error.hint


BAD_SWEEPS = {
    "ratio": "nan",
    "n_train": "0x" + "f" * 5000,
    "n_test": "1_000_000_000_000",
    "dataset": "7",
    "config": "3",
    "config.a": "2024-01-01",
    "definitions": '"a"',
}


@pytest.mark.parametrize(("key", "value"), BAD_SWEEPS.items(), ids=BAD_SWEEPS)
def test_values_of_a_sweep_file_that_cannot_be_are_refused(store, key, value):
    path = store.root / "sweep.toml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{key} =")]
    lines = [line for line in lines if key != "config" or (line[:1] != "[" and " = 3" not in line)]
    path.write_text("\n".join([f"{key} = {value}", *lines]))
    with pytest.raises(ConfigError, match=r"sweep\.toml (is damaged|is not)"):
        RunStore.open(store.root)


def test_what_a_store_has_lost_is_written_anew_by_the_command_that_made_it(
    store, run, sweep, examples, caplog
):
    store.add(run(1))
    for name in ("examples.npz", "sweep.toml"):
        (store.root / name).unlink()
        with pytest.raises((RecordError, ConfigError), match=re.escape(name)) as caught:
            RunStore.open(store.root)
        assert caught.value.hint
        again = RunStore.create(store.root, sweep, examples)
        assert again.sweep == sweep and np.array_equal(again.examples.labels, examples.labels)
        assert len(list(again)) == 1
    assert "examples.npz was missing, and is written anew" in caplog.text


def test_a_store_that_cannot_be_written_to_is_read_all_the_same(store, run, monkeypatch):
    for run_id in range(4):
        store.add(run(run_id))
    estimate(store)  # numba keeps what it compiles on disk
    store.path(2).write_bytes(b"")

    def refuse(*args, **more):
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("open", "mkdir", "link", "rename", "replace", "unlink"):
        real = getattr(os, name)
        only = functools.partial(read_only_open, real) if name == "open" else refuse
        monkeypatch.setattr(os, name, only)
    status = Status.of(store)
    assert (status.n_done, status.n_damaged, status.driven) == (3, 1, False)
    assert estimate(store).about.definition


def read_only_open(real, path, flags, *more, **others):
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        raise OSError(errno.EROFS, "Read-only file system")
    return real(path, flags, *more, **others)


def test_files_of_other_names_are_not_records(store, run):
    store.add(run(1))
    for name in (
        "1.npz",
        "0000002.npz",
        "\u0661\u0662\u0663\u0664\u0665\u0666.npz",
        "a.npz",
        "000003.npz.tmp",
    ):
        (store.root / "records" / name).write_bytes(b"")
    assert store.run_ids() == [1]


def test_stores_are_given_as_text_as_paths_or_as_they_are(store, run, sweep, examples):
    for run_id in range(20):
        store.add(run(run_id))
    text = str(store.root)
    assert RunStore.open(text).root == RunStore.create(text, sweep, examples).root == store.root
    wanted = estimate([store]).memorization
    for what in (text, store.root, store, [text], (store.root,)):
        assert open_stores(what)[0].root == store.root
        assert np.array_equal(estimate(what).memorization, wanted, equal_nan=True)


def test_a_failure_is_kept_apart_until_the_run_succeeds(store, run):
    store.fail(3, "the loss is not finite", step=120)
    assert store.failures() == {3: "the loss is not finite"} and len(store) == 0
    store.add(run(3))
    assert store.failures() == {}


def test_stores_of_one_sweep_merge_and_doubles_are_recognised(
    store, run, sweep, examples, tmp_path
):
    other = RunStore.create(tmp_path / "other", sweep, examples)
    for run_id in (0, 1):
        store.add(run(run_id))
    for run_id in (1, 2):
        other.add(run(run_id))
    assert store.merge(other) == 1 and store.run_ids() == [0, 1, 2]
    assert store.merge(other) == 0
    another = dataclasses.replace(sweep, dataset="else")
    foreign = RunStore.create(tmp_path / "foreign", another, examples)
    with pytest.raises(ConfigError, match="another sweep: dataset"):
        store.merge(foreign)
    rival = RunStore.create(tmp_path / "rival", sweep, examples)
    rival.add(run(0, seed=7))
    with pytest.raises(BusyError):
        store.merge(rival)


def test_what_is_no_store_is_called_that(tmp_path, store):
    with pytest.raises(ConfigError, match=r"holds no sweep\.toml"):
        RunStore.open(tmp_path)
    (store.root / "sweep.toml").write_text("format = 2\n")
    with pytest.raises(ConfigError, match="later format"):
        RunStore.open(store.root)
    (store.root / "sweep.toml").write_text("format = [")
    with pytest.raises(ConfigError, match="is not TOML"):
        RunStore.open(store.root)


def test_a_directory_of_stores_stands_for_all_of_them(sweep, examples, tmp_path):
    for ratio in (0.5, 0.7):
        of_ratio = dataclasses.replace(sweep, ratio=ratio)
        RunStore.create(tmp_path / "all" / str(ratio), of_ratio, examples)
    assert [store.sweep.ratio for store in open_stores([tmp_path / "all"])] == [0.5, 0.7]


WRITER = """
import sys, pathlib, numpy as np
from memtools.runs.store import RunStore
from memtools.runs.record import RunRecord, RunSpec
store = RunStore.open(pathlib.Path(sys.argv[1]))
n, m = store.sweep.n_train, store.sweep.n_test
for run_id in range(100000):
    rng = np.random.default_rng(run_id)
    bits = (rng.random(k) < 0.7 for k in (n, n, m))
    store.add(RunRecord(RunSpec(run_id, store.sweep.digest), *bits))
"""


def test_killed_at_any_instant_every_visible_record_is_whole(store, run):
    draw, records = random.Random(0), store.root / "records"
    for _ in range(5):
        n_wanted = len(store.run_ids()) + draw.randrange(1, 30)
        with group([sys.executable, "-c", WRITER, store.root]) as child:
            wait_for(lambda n=n_wanted: len(list(records.glob("*.npz"))) >= n, child)
            child.kill()
    found = list(store)
    assert len(found) > 5
    assert all(record.digest == run(record.spec.run_id).digest for record in found)
    assert not list((store.root / "quarantine").iterdir())


def test_two_writers_of_one_store_lose_and_double_nothing(store, run):
    command = [sys.executable, "-c", WRITER.replace("100000", "60"), str(store.root)]
    with group(command) as one, group(command) as other:
        assert (one.wait(LONG), other.wait(LONG)) == (0, 0)
    assert store.run_ids() == list(range(60))
    assert all(record.digest == run(record.spec.run_id).digest for record in store)
