"""The most, the least, the middle: the same whatever the order, and replayed to the byte."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from memtools.alignment.alignment import align
from memtools.alignment.selection import (
    Request,
    at_least,
    at_most,
    bottom,
    closest,
    quantile_bin,
    random,
    select,
    top,
)
from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.about import About
from memtools.estimates.scores import Scores

VALUES = np.array([0.9, 0.1, 0.5, np.nan, 0.5, 0.7, 0.1, 0.3, 1.0, 0.0])
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
NAMES = np.array([f"n{k}.png" for k in range(10)])


@pytest.fixture
def scores():
    about = About(dataset="mine", order="official", direction="high = atypical", source="a/b.npz")
    return Scores(about, "memorization", VALUES, LABELS, NAMES)


@pytest.mark.parametrize(
    ("criterion", "wanted"),
    [
        (top(2), [0, 8]),
        (bottom(2), [1, 9]),  # of the two 0.1 the lower position
        (closest(0.5, 3), [2, 4, 5]),
        (at_least(0.7), [0, 5, 8]),
        (at_most(0.1), [1, 6, 9]),
        (quantile_bin(0, 3), [1, 6, 9]),
        (quantile_bin(2, 3), [0, 5, 8]),
    ],
)
def test_each_criterion_takes_what_it_says(scores, criterion, wanted):
    assert select(scores, [criterion]).index.tolist() == wanted


def test_per_class_takes_so_many_of_each(scores):
    assert select(scores, [top(1)], per_class=True).index.tolist() == [0, 8]
    assert select(scores, [bottom(2)], per_class=True).index.tolist() == [1, 2, 6, 9]
    with pytest.raises(ConfigError, match="5 examples of class 0 are asked for, and there are 4"):
        select(scores, [random(5)], per_class=True)


def test_a_mix_takes_nothing_twice_and_chance_has_a_seed(scores):
    mix = select(scores, [top(3), random(4)], seed=1)
    assert len(mix) == 7 and {0, 5, 8} <= set(mix.index.tolist()) and 3 not in mix.index
    assert np.array_equal(mix.index, select(scores, [top(3), random(4)], seed=1).index)
    others = {tuple(select(scores, [random(4)], seed=seed).index) for seed in range(20)}
    assert len(others) > 10


def test_a_control_is_others_of_the_same_number_in_each_class(scores):
    chosen = select(scores, [top(2)], per_class=True)
    control = select(scores, [top(2)], per_class=True, control=True, seed=3)
    assert not set(chosen.index) & set(control.index)
    assert np.array_equal(np.bincount(control.labels), np.bincount(chosen.labels))
    with pytest.raises(ConfigError, match="a control of 7 others is asked for, and there are 2"):
        select(scores, [top(7)], control=True)


def test_a_subset_is_positions_or_a_mask(scores):
    mask = np.zeros(10, bool)
    mask[[1, 2, 7]] = True
    assert select(scores, [top(2)], within=mask).index.tolist() == [2, 7]
    assert select(scores, [top(2)], within=np.array([1, 2, 7])).index.tolist() == [2, 7]
    for wrong in (np.array([10]), np.array([-1]), np.ones(9, bool), np.array([0.5])):
        with pytest.raises(ConfigError):
            select(scores, [top(1)], within=wrong)


def test_positions_are_those_of_the_users_data(scores):
    order = np.random.default_rng(0).permutation(10)
    alignment = align(scores, to=NAMES[order], labels=LABELS[order])
    chosen = select(scores, [top(2)], alignment=alignment)
    assert set(order[chosen.index]) == {0, 8}
    assert [str(name) for name in NAMES[order][chosen.index]] == chosen.filenames.tolist()
    within = np.flatnonzero(order != 8)
    chosen = select(scores, [top(2)], alignment=alignment, within=within)
    assert set(order[chosen.index]) == {0, 5}


def test_what_cannot_be_selected_is_refused(scores, tmp_path):
    for criteria, words in (
        ([top(10)], "10 examples are asked for, and there are 9"),
        ([at_least(2)], "nothing is selected"),
        ([quantile_bin(3, 3)], "there is no bin 3 of 3"),
        ([top(0)], "0 examples are asked for"),
    ):
        with pytest.raises(ConfigError, match=words):
            select(scores, criteria)
    bare = Scores(About(), "score", VALUES)
    with pytest.raises(ConfigError, match="have no labels"):
        select(bare, [top(1)], per_class=True)
    with pytest.raises(ConfigError, match="unknown ending"):
        select(scores, [top(1)]).save(tmp_path / "x.pkl")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["npy", "txt", "csv", "json"])
def test_every_form_holds_the_same_and_a_manifest_that_asks_again(scores, tmp_path, ending):
    chosen = select(scores, [top(2), random(2)], seed=5)
    path = tmp_path / f"chosen.{ending}"
    chosen.save(path)
    found = {
        "npy": lambda: np.load(path).tolist(),
        "txt": lambda: [int(line) for line in path.read_text().split()],
        "csv": lambda: [int(line.split(",")[0]) for line in path.read_text().splitlines()[1:]],
        "json": lambda: json.loads(path.read_text())["indices"],
    }[ending]()
    assert found == chosen.index.tolist()
    manifest = json.loads((tmp_path / f"chosen.{ending}.manifest.json").read_text())
    assert (manifest["source"], manifest["order"], manifest["n"]) == ("b.npz", "official", 4)
    request = Request.of(manifest)
    again = select(scores, request.criteria, seed=request.seed, control=request.control)
    again.save(tmp_path / f"again.{ending}")
    assert (tmp_path / f"again.{ending}").read_bytes() == path.read_bytes()
    with pytest.raises(ConfigError, match="manifest of a selection has no criteria"):
        Request.of({"seed": 3})


def test_select_in_a_data_set_returns_its_positions_and_names_what_they_count(scores):
    theirs = NAMES[[8, 5, 0, 2]].tolist()
    subset = SimpleNamespace(dataset=SimpleNamespace(samples=[(n, 0) for n in NAMES]), indices=[8])
    found = select(scores, [top(2)], alignment=align(scores, to=theirs, allow_missing=True))
    assert found.index.tolist() == [0, 2] and found.counted_in == "list of 4 names"
    labels = dataclasses.replace(scores, labels=None)
    part = select(labels, [top(1)], to=subset)
    assert part.index.tolist() == [0] and part.scores.tolist() == [1.0]
    assert "Subset" in part.counted_in
    assert select(scores, [top(1)]).counted_in == "the official order of mine"


def test_an_infinite_score_is_the_extreme_of_a_ranking_and_not_a_gap(scores):
    values = np.where(np.arange(10) == 4, np.inf, VALUES)
    endless = dataclasses.replace(scores, values=values)
    assert select(endless, [top(1)]).index.tolist() == [4]
    assert 4 not in select(endless, [bottom(8)]).index
    assert select(endless, [closest(0.5, 8)]).index.tolist() == [0, 1, 2, 5, 6, 7, 8, 9]


def test_select_refuses_scores_of_a_part_as_positions_in_a_whole_order(scores):
    about = About(dataset="cifar10", order="official")
    part = Scores(about, "score", np.arange(45_000.0))
    with pytest.raises(AlignmentError, match="45,000 scores in the official order of"):
        select(part, [top(3)])
    placed = dataclasses.replace(part, partial=True)
    assert select(placed, [top(1)]).index.tolist() == [44_999]
