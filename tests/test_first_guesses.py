"""First guesses of users who have read the README only: a result, or two lines in plain words.

Never a TypeError or an AttributeError from somewhere within.
"""

from __future__ import annotations

import os
import pathlib
import re
import typing
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from runs.random_runs import N_TEST, N_TRAIN, random_run
from shapes import shapes

import memtools
from memtools import arguments
from memtools.alignment.pixels import Reference
from memtools.datasets.listing import Listing
from memtools.errors import MemtoolsError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.estimates.tables import write_pairs, write_scores
from memtools.runs.store import RunStore, Sweep

N = 36


class TorchData:
    """A data set of the user's own, as PyTorch wants it."""

    def __init__(self, labels: Any) -> None:
        self.targets = list(labels)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, k: int) -> tuple[Any, int]:
        return np.zeros((8, 8, 3), np.uint8), int(self.targets[k])


class Loader:
    """A loader of PyTorch."""

    def __init__(self, dataset: TorchData) -> None:
        self.dataset, self.batch_size = dataset, 12

    def __iter__(self) -> Iterator[Any]:
        yield from ()

    def __len__(self) -> int:
        return 3


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the guesses may name, and the files in the directory `here`."""
    here = tmp_path_factory.mktemp("guesses")
    estimates, data = shapes(n_classes=3, per_class=12, tests=4)
    estimates.save(here / "est.npz")
    filenames = estimates.filenames.tolist()
    listing = Listing(images=data.train_images, labels=estimates.labels)
    Reference.of(listing, dataset="shapes", order="file").save(str(here / "keys.npz"))
    (here / "names.txt").write_text("\n".join(filenames))
    (here / "imgs" / "0").mkdir(parents=True)
    sweep = Sweep("mine", "file", 0.7, N_TRAIN, N_TEST)
    about = About(dataset="mine", order="file")
    labels = [np.arange(n) % 3 for n in (N_TRAIN, N_TEST)]
    store = RunStore.create(
        here / "runs", sweep, ExampleIndex(about, labels[0], None, labels[1], None)
    )
    for run_id in range(8):
        store.add(random_run(sweep, run_id))
    torch = TorchData(estimates.labels)
    return {
        "here": here,
        "memtools": memtools,
        "np": np,
        "os": os,
        "Path": pathlib.Path,
        "top": memtools.top,
        "write_scores": write_scores,
        "write_pairs": write_pairs,
        "Reference": Reference,
        "est": estimates,
        "scores": estimates.scores,
        "pairs": estimates.pairs(),
        "aligned": memtools.align(estimates, to=filenames),
        "chosen": memtools.select(estimates, memtools.top(3)),
        "array": np.linspace(0, 1, N),
        "files": filenames,
        "labels": estimates.labels,
        "images": data,
        "torch": torch,
        "loader": Loader(torch),
        "store": store,
        "other": SimpleNamespace(),
    }


@pytest.fixture
def guess(names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Evaluate what a user has typed, in the directory of the files and without a network."""
    monkeypatch.chdir(names["here"])
    monkeypatch.setenv("MEMTOOLS_OFFLINE", "1")
    return lambda text: eval(text, dict(names))


WORKS = """
memtools.load("est.npz")
memtools.load(Path("est.npz"))
memtools.load("est.npz", cache=Path("cache"))
memtools.select(est, top(3))
memtools.select(scores, top(n=3))
memtools.select(est, [top(3)])
memtools.select(est, (top(3), memtools.random(3)))
memtools.select(est, top(np.int64(3)))
memtools.select(est, memtools.bottom(3), per_class=True)
memtools.select(est, memtools.at_least(0.25))
memtools.select(est, memtools.at_most(1))
memtools.select(est, memtools.closest(0.5, 3), to=files)
memtools.select(est, memtools.quantile_bin(9, 10), seed=np.int64(1))
memtools.select(est, top(3), to=files[::-1])
memtools.select(est, top(3), to="names.txt")
memtools.select(est, top(3), within=[1, 2, 3, 4])
memtools.select(est, top(3), within=[True] * 36)
memtools.select(est, top(3), alignment=aligned)
chosen.save("f.json")
chosen.save(Path("f.npy"))
chosen.save("f.csv")
est.save("x.npz")
est.save(Path("y.npz"))
scores.save("s.npz")
pairs.save("p.npz")
write_scores("s.csv", scores)
write_scores("e.json", est)
write_pairs("p.csv", pairs)
est.influence(1)
est.influence(np.int64(1))
est.influence(label=1)
est.pairs(0.25, 0.15)
est.pairs(min_mem=np.float32(0.5))
pairs.pairs(0.5)
memtools.align(est, files)
memtools.align(est, np.array(files))
memtools.align(est, to=tuple(files))
memtools.align(est, to=[Path(each) for each in files])
memtools.align(est, to="names.txt")
memtools.align(est, to=Path("names.txt"), labels=list(labels))
memtools.align(est, to=labels, order="file")
memtools.align(est, to=scores)
aligned.take(est.memorization)
aligned.take(list(est.memorization))
memtools.compare(est, est)
memtools.compare(est, scores, top_k=3)
memtools.estimate("runs")
memtools.estimate(Path("runs"))
memtools.estimate(["runs"])
memtools.estimate(store)
memtools.estimate([store])
memtools.RunStore.open("runs")
memtools.RunStore.open(Path("runs"))
memtools.verify("est.npz")
memtools.verify(Path("est.npz"))
memtools.align(est, images.train_images, reference="keys.npz")
Reference.open("keys.npz").save("keys2.npz")
memtools.publish("est.npz", to="site")
memtools.publish(Path("est.npz"), Path("site2"), name="mine")
memtools.write_report(est, "report")
memtools.write_report(est, "report2", images=images)
""".strip().splitlines()

TOLD = {
    # select
    "memtools.select(est, 3)": "criteria is 3, .* memtools.top",
    "memtools.select(est, 'top')": "criteria is 'top', .* memtools.top",
    "memtools.select(est, ['top', 3])": "a list of 2, .* memtools.top",
    "memtools.select(est, top)": "the function top, .* memtools.top",
    "memtools.select(est, top=3)": "no argument 'top' .* memtools.top",
    "memtools.select(est, n=3)": "no argument 'n' .* memtools.top",
    "memtools.select(est, k=3)": "no argument 'k' .* memtools.top",
    "memtools.select(est)": "missing a required argument: 'criteria'",
    "memtools.select()": "missing a required argument: 'scores'",
    "memtools.select(array, top(3))": r"ndarray, not Estimates or Scores .* np\.save",
    "memtools.select(list(array), top(3))": r"a list of 36, not Estimates or Scores .* np\.save",
    "memtools.select(est.memorization, top(3))": r"ndarray, not Estimates .* memtools\.load",
    "memtools.select('cifar100', top(3))": r"memtools.load\('cifar100'\)",
    "memtools.select(Path('est.npz'), top(3))": r"memtools.load\('est.npz'\)",
    "memtools.select(None, top(3))": "scores is None, not Estimates or Scores",
    "memtools.select(pairs, top(3))": "HighInfluencePairs, not Estimates or Scores",
    "memtools.select(est, top(3), files)": "too many positional arguments .* arguments are",
    "memtools.select(est, top(3), to='imgs')": "imgs holds no images",
    "memtools.select(est, top(3), to=torch)": "labels .* do not tell one example from another",
    "memtools.select(est, top(3), to=loader)": "give a Subset",
    "memtools.select(est, top(3), to=3)": "int is not a data set",
    "memtools.select(est, top(3), alignment=files)": "alignment is a list of 36, not Alignment",
    "memtools.select(est, top(3), within='names.txt')": "positions or a mask",
    "memtools.select(est, top(3), within=3)": "positions or a mask",
    "memtools.select(est, top(3), seed='0')": "seed is '0', not a whole number",
    "memtools.select(est, top(3), seed=-1)": "the seed is -1",
    "memtools.select(est, top(3), seed=None)": "seed is None",
    "memtools.select(est, top(3), per_class='yes')": "per_class is 'yes', not True or False",
    "memtools.select(est, top(3000))": "3,000 examples are asked for, and there are 36",
    "memtools.select(est, top(0))": "0 examples are asked for",
    "memtools.select(est, top(0.1))": "n is 0.1, not a whole number",
    "memtools.select(est, top('3'))": "n is '3', not a whole number",
    "memtools.select(est, top())": "missing a required argument: 'n'",
    "memtools.select(est, top(k=3))": "no argument 'k'",
    "memtools.select(est, top(True))": "n is True, not a whole number",
    "memtools.select(est, memtools.at_least('0.25'))": "value is '0.25', not a number",
    "memtools.select(est, memtools.at_least(9))": "nothing is selected",
    "memtools.select(est, memtools.at_least(float('nan')))": "value is nan, not a number",
    "memtools.select(est, memtools.closest(3))": "missing a required argument: 'n'",
    "memtools.select(est, memtools.quantile_bin(0.9, 1))": "which is 0.9, not a whole number",
    "memtools.select(est, memtools.quantile_bin(1, 0))": "there is no bin 1 of 0",
    "memtools.select(est, [])": "nothing is selected",
    "memtools.select(est, {'top': 3})": "a dict of 1",
    "memtools.select(est, lambda mem: mem > 0.5)": "the function <lambda>",
    "memtools.select(est, est.memorization > 0.5)": "of type ndarray, not Criterion",
    # save
    "chosen.save('f.pt')": r"unknown ending .* \.npy, \.txt, \.csv, \.json",
    "chosen.save()": "missing a required argument: 'path'",
    "chosen.save(None)": "path is None",
    "chosen.save('nodir/f.json')": "nodir/f.json",
    "est.save('x.npy')": r"does not end in \.npz .* x\.npz",
    "est.save('x.csv')": r"does not end in \.npz .* memtools export",
    "est.save('x')": r"does not end in \.npz",
    "est.save('')": r"does not end in \.npz .* estimates\.npz",
    "est.pairs(float('nan'))": "min_mem is nan, not a number",
    "memtools.closest(float('nan'), 5)": "value is nan, not a number",
    "memtools.at_least(np.float32('nan'))": "not a number",
    "store.add(None)": "record is None, not RunRecord",
    "store.add({})": "record is a dict of 0, not RunRecord",
    "est.save(3)": "path is 3, not text or a path",
    "scores.save('s.npy')": r"does not end in \.npz",
    "pairs.save('p.csv')": r"does not end in \.npz",
    "write_scores('s.txt', scores)": "the ending names no format",
    "write_scores(scores, 's.csv')": "path is of type Scores",
    "write_scores('s.csv', array)": r"of type ndarray, not Scores or Estimates .* np\.save",
    # estimates
    "est.influence('0')": "label is '0', not a whole number",
    "est.influence(99)": "no influence matrix of class 99",
    "est.influence(-1)": "no influence matrix of class -1",
    "est.influence()": "missing a required argument: 'label'",
    "est.influence([0, 1])": "label is a list of 2",
    "est.influence(0, 1)": "too many positional arguments",
    "est.pairs(min_mem='0.25')": "min_mem is '0.25', not a number",
    "est.pairs(min_memorization=0.25)": "no argument 'min_memorization' .* min_mem, min_infl",
    "est.pairs(None)": "min_mem is None",
    "pairs.pairs(0.1)": "complete only from memorization 0.25",
    # compare
    "memtools.compare(array, array)": r"first is of type ndarray, .* np\.save",
    "memtools.compare(est, list(array))": r"second is a list of 36, .* np\.save",
    "memtools.compare('a.npz', 'b.npz')": r"memtools.load\('a.npz'\)",
    "memtools.compare(est)": "missing a required argument: 'second'",
    "memtools.compare([est, est])": "missing a required argument: 'second'",
    "memtools.compare(est, None)": "second is None",
    "memtools.compare(est, est, top_k='3')": "top_k is '3'",
    "memtools.compare(est, est, top_k=0.1)": "top_k is 0.1",
    "memtools.compare(est, est, top_k=0)": "the top 0 of 36",
    "memtools.compare(est, est, k=3)": "no argument 'k' .* top_k",
    # align
    "memtools.align(est, 'cifar10')": "cifar10 is missing",
    "memtools.align(est, torch)": "labels .* do not tell one example from another",
    "memtools.align(est, loader)": "give a Subset",
    "memtools.align(est, other)": "SimpleNamespace is not a data set",
    "memtools.align(est, os)": "module is not a data set",
    "memtools.align(est, type(torch))": "not a data set",
    "memtools.align(est)": "no data set was given",
    "memtools.align(est, 5)": "int is not a data set",
    "memtools.align(est, array)": "ndarray is not a data set",
    "memtools.align(est, labels)": "labels .* do not tell one example from another",
    "memtools.align(est, labels, order='offical')": "'offical' is not an order",
    "memtools.align(est, images.train_images)": "align --reference",
    "memtools.align(est, {})": "dict has no column",
    "memtools.align(est, [])": "no examples",
    "memtools.align(est, [None])": "list is not a data set",
    "memtools.align(est, files, split='training')": "'training' is not a split",
    "memtools.align(est, files, split=0)": "split is 0, not text",
    "memtools.align(est, files, labels='labels.npy')": "not labels",
    "memtools.align(est, files, reference='cifar-100-binary')": "cifar-100-binary is missing",
    "memtools.align(est, files, dataset='x')": "no argument 'dataset'",
    "memtools.align(files, est)": "numbers is a list of 36, .* memtools.align",
    "memtools.align('cifar100', to=files)": r"memtools.load\('cifar100'\)",
    "memtools.align(array, to=files)": r"numbers is of type ndarray, .* np\.save",
    "aligned.take(est)": "not an array of numbers",
    "aligned.take(files)": "not an array of numbers",
    "aligned.take(array[:5])": "5 numbers for an order of 36",
    "aligned.take(3)": "1 numbers for an order of 36",
    # load, fetch, join, verify
    "memtools.load(array)": "what is of type ndarray, not text or a path",
    "memtools.load(None)": "what is None",
    "memtools.load(['cifar100', 'imagenet'])": "what is a list of 2",
    "memtools.load({'a': array})": "what is a dict of 1",
    "memtools.load('')": "is a directory",
    "memtools.load('nosuch.npz')": "nosuch.npz is missing",
    "memtools.load('nosuch')": "no artifact or group is called 'nosuch'",
    "memtools.load('cifar-100')": "did you mean cifar100",
    "memtools.load('cifar100', 'mem')": "too many positional arguments",
    "memtools.load('est.npz', path='x')": "no argument 'path'",
    "memtools.load('est.npz', column=3)": "column is 3, not text",
    "memtools.load('est.npz', direction='up')": "typical or atypical",
    "memtools.load('est.npz', registries='r.toml')": r"the registry r\.toml cannot be read",
    "memtools.load('est.npz', registries=None)": "registries is None",
    "memtools.load('est.npz', registry='r.toml')": "no argument 'registry' .* registries",
    "memtools.load('est.npz', offline='1')": "offline is '1', not True or False",
    "memtools.load('est.npz', cache=3)": "cache is 3",
    "memtools.fetch(Path('cifar100-pairs'))": "name is PosixPath",
    "memtools.fetch(['a', 'b'])": r"name is a list of 2, .* for name in names",
    "memtools.fetch('cifar100')": "is a group of artifacts .* cifar100-influence",
    "memtools.fetch('cifar100-pairs', to=3)": "to is 3",
    "memtools.fetch('cifar100-pairs', huge=True)": "no argument 'huge'",
    "memtools.fetch()": "missing a required argument: 'name'",
    "memtools.fetch(None)": "name is None",
    "memtools.join('cifar100-pairs')": "missing a required argument: 'parts_in'",
    "memtools.join('imagenet-influence', ['a', 'b', 'c'])": "parts_in is a list of 3",
    "memtools.verify(['a'])": "what is a list of 1, .* for name in names",
    "memtools.verify()": "missing a required argument: 'what'",
    "memtools.verify(est)": "what is of type Estimates",
    "memtools.verify('cifar100')": "is a group of artifacts",
    "memtools.verify('nosuch.npz')": "nosuch.npz is missing",
    # estimate
    "memtools.estimate('nosuch')": "nosuch holds no sweep.toml",
    "memtools.estimate('est.npz')": "not a store of runs",
    "memtools.estimate([])": "there is no store",
    "memtools.estimate(None)": "stores is None",
    "memtools.estimate(array)": "stores is of type ndarray",
    "memtools.estimate(est)": "stores is of type Estimates",
    "memtools.estimate('runs', out='x.npz')": "no argument 'out'",
    "memtools.RunStore('runs')": r"missing a required argument: 'sweep' .* RunStore\.open",
    "memtools.RunStore.open(None)": "root is None",
    "memtools.RunStore.create('new')": "missing a required argument: 'sweep'",
    # publish, write_report
    "memtools.publish('est.npz')": "missing a required argument: 'to'",
    "memtools.publish(est, to='d')": "path is of type Estimates",
    "memtools.publish('est.npz', to=None)": "to is None",
    "memtools.publish('est.npz', 'd', license='CC')": "no argument 'license' .* imprint",
    "memtools.publish('est.npz', 'd', about='x')": "about is 'x', not About",
    "memtools.publish('est.npz', 'd', imprint={'license': 'CC'})": "imprint is a dict of 1",
    "memtools.publish('est.npz', 'd', part_size=0)": "parts of 0 bytes",
    "memtools.publish('est.npz', to='est.npz')": "a file stands where the directory should be",
    "memtools.publish('est.npz', to='d', name='Bad Name!')": "is not a name",
    "memtools.write_report(est)": "missing a required argument: 'to'",
    "memtools.write_report('est.npz', 'r')": r"memtools.load\('est.npz'\)",
    "memtools.write_report(array, 'r')": r"ndarray, .* np\.save",
    "memtools.write_report(pairs, 'r')": "lists pairs",
    "memtools.write_report(est, None)": "to is None",
    "memtools.write_report(est, 'r', images=3)": "int is not a data set",
    "memtools.write_report(est, 'r', images='nosuch')": "not a source of images",
    "memtools.write_report(est, 'r', stores='nosuch')": "nosuch holds no sweep.toml",
    "memtools.write_report(est, 'r', max_images=5)": "allow 1,000 or more",
}

WITH_TENSORFLOW = {
    "memtools.read_records('imgs', 'train')": "imgs holds no records",
    "memtools.read_records(Path('nosuch'), 'train')": "nosuch holds no records",
    "memtools.read_records(None, 'train')": "directory is None",
    "memtools.read_records('imgs')": "missing a required argument: 'split'",
    "memtools.read_records('imgs', 'training')": "'training' is not a split",
    "memtools.read_records('imgs', 'train', batch_size='256')": "batch_size is '256'",
    "memtools.read_records('imgs', 'train', batch=256)": "no argument 'batch'",
    "memtools.with_index(None, est)": "NoneType is not a tf.data.Dataset",
    "memtools.with_index(files, est)": r"list is not a tf.data.Dataset .* tfds.load",
    "memtools.with_index(est, files)": "index is a list of 36",
}


@pytest.mark.parametrize("text", WORKS)
def test_a_natural_call_works(text: str, guess: Any) -> None:
    guess(text)


def refused(guess: Any, text: str, words: str) -> None:
    """Assert that a call is refused in these words, message and hint, before anything is done."""
    with pytest.raises(MemtoolsError) as caught:
        guess(text)
    assert caught.value.hint, text
    told = f"{caught.value} {caught.value.hint}"
    assert re.search(words, told, re.DOTALL), told


@pytest.mark.parametrize("text", TOLD)
def test_a_wrong_call_is_told_in_plain_words(text: str, guess: Any) -> None:
    refused(guess, text, TOLD[text])


def test_a_wrong_call_of_what_needs_tensorflow_is_told_in_plain_words(guess: Any) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    for text, words in WITH_TENSORFLOW.items():
        refused(guess, text, words)


def test_a_refused_call_leaves_nothing_behind(guess: Any, names: dict[str, Any]) -> None:
    before = set(names["here"].rglob("*"))
    for text in (
        "est.save('fresh.npy')",
        "chosen.save('fresh.pt')",
        "memtools.write_report(est, 3)",
    ):
        with pytest.raises(MemtoolsError):
            guess(text)
    assert set(names["here"].rglob("*")) == before


def test_the_annotations_of_checked_functions_can_be_read() -> None:
    others = {"__version__", "read_records", "with_index"}  # the last two import TensorFlow
    public = [getattr(memtools, name) for name in memtools.__all__ if name not in others]
    functions = [each for each in public if hasattr(each, "__wrapped__")]
    assert len(functions) >= 14
    for function in functions:
        assert typing.get_type_hints(function.__wrapped__)


def test_a_checked_function_keeps_its_name_documentation_and_signature() -> None:
    import inspect

    assert memtools.select.__name__ == "select"
    assert "Return examples chosen" in (memtools.select.__doc__ or "")
    assert list(inspect.signature(memtools.select).parameters)[:2] == ["scores", "criteria"]


def test_an_error_from_within_is_not_taken_for_a_wrong_call() -> None:
    @arguments.checked("broken(1)")
    def broken(n: int) -> int:
        return len(n)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="has no len"):
        broken(1)
