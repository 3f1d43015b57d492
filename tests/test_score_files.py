"""Scores, pairs and estimates out of a file of any format: right, or refused with a reason."""

import dataclasses
import json

import numpy as np
import pytest

import memtools
from memtools.alignment.comparison import compare
from memtools.errors import AlignmentError, ConfigError, DiskError, SchemaError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.scores import Scores
from memtools.estimates.tables import write_pairs, write_scores

FORMATS = ("npz", "csv", "tsv", "json", "parquet")
ABOUT = About(
    "cifar100", "official", "el2n, 10 epochs", "high el2n = atypical", "Paul et al.", "a doubt"
)


def same(a, b):
    if a is None or b is None:
        return a is b
    if a.dtype.kind == "U":
        return a.tolist() == b.tolist()
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


# ---- round trips


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scores_come_back_the_same_through_every_format(tmp_path, format_, dtype):
    rng = np.random.default_rng(0)
    values = rng.normal(size=50).astype(dtype)
    values[[3, 7, 9]] = np.nan, np.inf, -np.inf
    names = [f"{k:04d}" for k in range(48)] + ['a,"b"\nc.png', " ü "]
    scores = Scores(
        ABOUT,
        "el2n",
        values,
        rng.integers(0, 9, 50).astype(np.uint8),
        np.array(names),
        rng.random(50).astype(np.float32),
        rng.integers(0, 9, 50),
        rng.integers(0, 9, 50).astype(np.int32),
    )
    first, second = tmp_path / f"a.{format_}", tmp_path / f"b.{format_}"
    write_scores(first, scores)
    found = memtools.load(first)
    for name in ("values", "labels", "filenames", "standard_error", "n_in", "n_out"):
        assert same(getattr(found, name), getattr(scores, name)), name
    assert (found.quantity, found.partial) == ("el2n", False)
    assert dataclasses.replace(found.about, source="") == ABOUT
    write_scores(second, found)
    strip = str(first).encode()
    if format_ != "parquet":
        assert second.read_bytes().replace(str(second).encode(), strip) == first.read_bytes() or (
            format_ in ("npz", "json")
        )
    assert memtools.verify(first).kind == "scores"


@pytest.mark.parametrize("format_", FORMATS)
def test_pairs_come_back_with_their_thresholds_through_every_format(tmp_path, format_):
    index = np.array([5, 3, 5, 9])
    pairs = HighInfluencePairs(
        dataclasses.replace(ABOUT, direction="high memorization = atypical"),
        index,
        np.array([0, 0, 1, 2]),
        np.array([0.5, 0.625, 0.5, 1], np.float32),
        np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        0.5,
        0.1,
    )
    write_pairs(tmp_path / f"p.{format_}", pairs)
    found = memtools.load(tmp_path / f"p.{format_}")
    assert isinstance(found, HighInfluencePairs) and (found.min_mem, found.min_infl) == (0.5, 0.1)
    for name in ("train_index", "test_index", "memorization", "influence"):
        assert same(getattr(found, name), getattr(pairs, name)), name
    assert dataclasses.replace(found.about, source="") == pairs.about
    assert memtools.verify(tmp_path / f"p.{format_}").kind == "pairs"


@pytest.mark.parametrize("format_", FORMATS)
def test_an_empty_list_of_pairs_comes_back(tmp_path, format_):
    none = np.zeros(0)
    write_pairs(
        tmp_path / f"p.{format_}",
        HighInfluencePairs(ABOUT, none.astype(int), none.astype(int), none, none),
    )
    assert len(memtools.load(tmp_path / f"p.{format_}")) == 0


@pytest.mark.parametrize("format_", FORMATS)
def test_the_published_pairs_exported_and_compared_give_what_the_published_give(
    published, tmp_path, format_
):
    pairs = memtools.load(published / "cifar100_high_infl_pairs_infl0.15_mem0.25.npz")
    cscores = memtools.load(published / "cifar100-cscores-orig-order.npz")
    write_pairs(tmp_path / f"p.{format_}", pairs)
    write_scores(tmp_path / f"c.{format_}", cscores)
    found = compare(
        memtools.load(tmp_path / f"p.{format_}"), memtools.load(tmp_path / f"c.{format_}")
    )
    assert (found.n, round(found.spearman, 3), round(found.spearman_raw, 3)) == (964, 0.793, -0.793)


def test_pairs_of_a_csv_without_its_record_need_their_origin(published, tmp_path):
    pairs = memtools.load(published / "cifar100_high_infl_pairs_infl0.15_mem0.25.npz")
    write_pairs(tmp_path / "p.csv", pairs)
    (tmp_path / "p.csv.about.json").unlink()
    found = memtools.load(tmp_path / "p.csv", dataset="CIFAR-100", order="official")
    assert (found.about.dataset, found.about.order) == ("cifar100", "official")
    assert compare(found, memtools.load(published / "cifar100-cscores-orig-order.npz")).n == 964
    assert (found.min_mem, found.min_infl) == (0.25, 0.15)


def test_rows_that_were_cut_from_an_export_stand_where_they_stood(tmp_path):
    write_scores(tmp_path / "a.csv", Scores(ABOUT, "el2n", np.arange(10.0), np.arange(10) % 3))
    lines = (tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "a.csv").write_text("\n".join([lines[0], lines[9], lines[4]]) + "\n")
    found = memtools.load(tmp_path / "a.csv")
    assert len(found) == 10 and not found.partial
    assert np.flatnonzero(~np.isnan(found.values)).tolist() == [3, 8] and found.values[8] == 8
    assert found.labels.tolist() == [-1, -1, -1, 0, -1, -1, -1, -1, 2, -1]


# ---- files of other hands


def csv(tmp_path, text, name="t.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_the_chosen_column_and_the_positions_are_noted(tmp_path):
    path = csv(tmp_path, "Unnamed: 0,label,Memorization\n4,1,0.5\n0,2,0.25\n")
    found = memtools.load(path)
    assert (found.quantity, len(found), found.partial) == ("memorization", 5, True)
    assert found.about.direction == "high memorization = atypical"
    assert np.array_equal(found.values, [0.25, np.nan, np.nan, np.nan, 0.5], equal_nan=True)
    assert found.labels.tolist() == [2, -1, -1, -1, 1]
    assert "the scores are the column 'Memorization'" in found.notes[0]
    assert "2 values placed by column Unnamed: 0, at 5 positions" in found.notes[-1]


def test_an_index_of_all_examples_in_another_order_sorts_everything(tmp_path):
    path = csv(tmp_path, "index,score,filename,label\n2,0.5,c,7\n0,0.1,a,8\n1,0.2,b,9\n")
    found = memtools.load(path)
    assert found.values.tolist() == [0.1, 0.2, 0.5] and found.labels.tolist() == [8, 9, 7]
    assert found.filenames.tolist() == ["a", "b", "c"]


def test_positions_without_0_are_obeyed_where_the_user_gives_them_too(tmp_path):
    path = csv(tmp_path, "idx,score\n1,0.5\n2,0.25\n3,1\n")
    with pytest.raises(SchemaError, match="holds 1 to 3; positions count from 0"):
        memtools.load(path)
    assert memtools.load(path, index=[1, 2, 3]).values[1:].tolist() == [0.5, 0.25, 1]


def test_an_export_that_was_cut_counts_from_0_whatever_is_missing(tmp_path):
    write_scores(tmp_path / "a.csv", Scores(ABOUT, "el2n", np.arange(40.0)))
    lines = (tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "a.csv").write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    found = memtools.load(tmp_path / "a.csv")
    assert np.isnan(found.values[0]) and found.values[1:].tolist() == list(range(1, 40))


def test_a_column_that_only_counts_the_rows_tells_no_positions(tmp_path):
    path = csv(tmp_path, "Unnamed: 0,score\n0,0.5\n1,0.1\n2,0.2\n3,1\n")
    part = memtools.load(path, dataset="d", order="official", direction="typical")
    assert not part.partial and "counts all 4 rows in order" in part.notes[-1]
    whole = Scores(part.about, "score", np.arange(9.0))
    with pytest.raises(AlignmentError, match="one has 4 values, the other 9"):
        compare(part, whole)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tt_idx": None}, "tt_idx is missing"),
        ({"tt_idx": np.array([1.5, 2])}, "tt_idx is not one number for each pair"),
        ({"mem": np.zeros(3)}, "mem is not one number for each pair"),
    ],
)
def test_pairs_that_lack_an_array_or_mix_lengths_are_refused(tmp_path, changed, words):
    arrays = {"tr_idx": np.arange(2), "tt_idx": np.arange(2), "mem": np.ones(2), "infl": np.ones(2)}
    arrays |= changed
    np.savez(tmp_path / "a.npz", **{n: a for n, a in arrays.items() if a is not None})
    with pytest.raises(SchemaError, match=words):
        memtools.load(tmp_path / "a.npz")


def test_an_npz_with_an_index_is_placed_by_it(tmp_path):
    np.savez(tmp_path / "u.npz", **{"Unnamed: 0": [3, 1], "scores": [0.5, 0.25]})
    assert memtools.load(tmp_path / "u.npz").values[3] == 0.5
    np.savez(tmp_path / "a.npz", scores=[0.5, 0.25], idx=[3, 1], labels=[7, 8])
    found = memtools.load(tmp_path / "a.npz")
    assert len(found) == 4 and found.partial and found.labels.tolist() == [-1, 8, -1, 7]
    assert (found.values[1], found.values[3]) == (0.25, 0.5)


def test_rows_with_names_keep_them_where_positions_are_missing(tmp_path):
    found = memtools.load(csv(tmp_path, "index,score,filename\n7,0.5,c\n0,0.1,a\n"), order="tfds")
    assert found.filenames.tolist() == ["c", "a"] and found.values.tolist() == [0.5, 0.1]
    assert found.about.order == "file" and not found.partial


def test_a_column_is_asked_for_and_its_name_is_the_quantity(tmp_path):
    path = csv(tmp_path, "index,el2n,loss\n0,1,3\n1,2,4\n")
    with pytest.raises(ConfigError, match="which column holds the scores"):
        memtools.load(path)
    found = memtools.load(path, column="loss", direction="atypical")
    assert (found.quantity, found.about.direction) == ("loss", "high loss = atypical")
    assert found.values.tolist() == [3, 4] and found.values.dtype == np.float64


@pytest.mark.parametrize(
    ("arrays", "options", "quantity"),
    [
        ({"scores": [0.5, 1.0]}, {}, "score"),
        ({"scores": [0.5, 1.0], "labels": [1, 2]}, {}, "score"),
        ({"weights": [0.5, 1.0], "labels": [1, 2]}, {}, "weights"),
        ({"memorization": [0.5, 1.0]}, {}, "memorization"),
        ({"arr_0": [0.5, 1.0]}, {}, "score"),
        ({"a": [0.5, 1.0], "b": [2.0, 3.0]}, {"column": "a"}, "a"),
        ({"a": [0.5, 1.0], "mem": [0.5, 1.0]}, {}, "memorization"),
        ({"scores": [0.5, 1.0], "a": [2.0, 3.0]}, {}, "score"),
        ({"scores": [2.0, 3.0], "a": [0.5, 1.0]}, {"column": "a"}, "a"),
    ],
)
def test_an_npz_is_read_by_its_only_array_or_by_the_name_of_one(
    tmp_path, arrays, options, quantity
):
    np.savez(tmp_path / "a.npz", **arrays)
    found = memtools.load(tmp_path / "a.npz", **options)
    assert (found.quantity, found.values.tolist()) == (quantity, [0.5, 1.0])
    direction = "high memorization = atypical" if quantity == "memorization" else ""
    assert found.about.direction == direction
    assert (found.labels is None) == ("labels" not in arrays)


def test_an_npz_of_several_arrays_asks_for_one(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(2), b=np.zeros(2))
    with pytest.raises(ConfigError, match="which column holds the scores") as caught:
        memtools.load(tmp_path / "a.npz")
    assert "a, b" in caught.value.hint


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 2)), r"has the shape \[3, 2\], and scores are \[n\]"),
        (np.array(0.5), r"has the shape \[\]"),
        (np.zeros(3, bool), "holds booleans"),
        (np.zeros(3, complex), "complex128"),
        (np.array(["a", "b"]), r"holds text \(row 2 is a\), not numbers"),
        (np.array([0.5, None]), "is a pickle of Python objects"),
        (np.zeros(0), "holds no values"),
    ],
)
def test_arrays_that_are_not_one_number_for_each_example_are_refused(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(SchemaError, match=words) as caught:
        memtools.load(tmp_path / "a.npy")
    assert caught.value.hint and "a.npy" in str(caught.value)


def test_a_column_of_width_one_is_read_and_said(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1], [2]]))
    found = memtools.load(tmp_path / "a.npy")
    assert found.values.tolist() == [1.0, 2.0] and "read as one column" in found.notes[0]


def test_nan_and_infinity_are_noted(tmp_path):
    np.save(tmp_path / "a.npy", np.array([1, np.nan, np.inf]))
    nan, infinite = memtools.load(tmp_path / "a.npy").notes
    assert "1 of 3 values are NaN" in nan and "1 values are infinite" in infinite


def test_a_pickled_dict_in_an_npy_is_refused_with_lines_that_work(tmp_path):
    np.save(tmp_path / "d.npy", {"memorization": np.ones(3)})
    with pytest.raises(SchemaError, match="dtype object") as caught:
        memtools.load(tmp_path / "d.npy")
    exec(caught.value.hint.partition(": ")[2])
    assert memtools.load(tmp_path / "d-plain.npz").values.tolist() == [1, 1, 1]


# ---- what users declare


def test_positions_are_given_by_a_file_a_list_or_a_mask(tmp_path):
    np.save(tmp_path / "a.npy", np.array([7.0, 8.0]))
    mask = np.zeros(6, bool)
    mask[[1, 4]] = True
    np.save(tmp_path / "mask.npy", mask)
    (tmp_path / "index.txt").write_text("1\n4\n")
    (tmp_path / "index.json").write_text('{"indices": [1, 4]}')
    (tmp_path / "index.csv").write_text("index,score\n1,9\n4,9\n")
    for index in ([1, 4], "index.txt", "index.json", "index.csv", "mask.npy", mask):
        given = tmp_path / index if isinstance(index, str) else index
        found = memtools.load(tmp_path / "a.npy", index=given)
        is_mask = index is mask or index == "mask.npy"
        assert (len(found), found.partial) == ((6, False) if is_mask else (5, True))
        assert (found.values[1], found.values[4], int(np.isnan(found.values).sum())) == (
            7,
            8,
            4 if is_mask else 3,
        )
    for index, words in (
        ([1], "the index names 1 examples, and there are 2 values"),
        ([0.5, 1], "not positions"),
        ([1, 1], "position 1 comes twice"),
        ([-1, 1], "below 0"),
        (np.ones(3, bool), "the mask of 3 names 3 examples"),
    ):
        with pytest.raises((ConfigError, SchemaError), match=words):
            memtools.load(tmp_path / "a.npy", index=index)
    path = csv(tmp_path, "index,score\n0,1\n1,2\n")
    with pytest.raises(ConfigError, match="has positions of its own"):
        memtools.load(path, index=[4, 5])


@pytest.mark.parametrize("format_", [*FORMATS, "npy"])
def test_what_is_declared_is_obeyed_for_every_format(tmp_path, format_):
    path = tmp_path / f"a.{format_}"
    if format_ == "npy":
        np.save(path, np.arange(4.0))
    else:
        write_scores(path, Scores(About(), "score", np.arange(4.0)))
    found = memtools.load(
        path, dataset="cifar10", order="tfds", direction="typical", definition="mine"
    ).about
    assert (found.dataset, found.order, found.definition) == ("cifar10", "tfds", "mine")
    assert found.direction == "high score = typical"


@pytest.mark.parametrize("format_", FORMATS)
def test_what_contradicts_the_file_is_refused(tmp_path, format_):
    path = tmp_path / f"a.{format_}"
    write_scores(path, Scores(ABOUT, "el2n", np.arange(4.0)))
    for option, value in (
        ("dataset", "cifar10"),
        ("order", "tfds"),
        ("direction", "typical"),
        ("definition", "another"),
    ):
        with pytest.raises(ConfigError, match=f"the {option} of .* is recorded as"):
            memtools.load(path, **{option: value})
    agreeing = memtools.load(path, dataset="CIFAR-100", order="official", direction="atypical")
    assert dataclasses.replace(agreeing.about, source="") == ABOUT
    with pytest.raises(ConfigError, match="order is 'mine', not one of official"):
        memtools.load(path, order="mine")
    with pytest.raises(ConfigError, match="direction is 'up'"):
        memtools.load(path, direction="up")


def test_a_column_or_an_index_for_estimates_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", tr_mem=np.zeros(3))
    with pytest.raises(ConfigError, match="no columns to choose from"):
        memtools.load(tmp_path / "a.npz", column="x")
    with pytest.raises(ConfigError, match="records its positions"):
        memtools.load(tmp_path / "a.npz", index=[0, 1, 2])


# ---- copies of published files, and files that are not there


def test_a_copy_under_another_name_is_recognised_by_its_digest(published, tmp_path):
    for name, kind in (
        ("mnist-cscores.npy", "cscores"),
        ("cifar10-cscores-orig-order.npz", "cscores"),
        ("imagenet_high_infl_pairs_infl0.15_mem0.25.npz", "pairs"),
    ):
        copy = tmp_path / "my scores.bin"
        copy.write_bytes((published / name).read_bytes())
        found, original = memtools.load(copy), memtools.load(published / name)
        assert dataclasses.replace(found.about, source="") == dataclasses.replace(
            original.about, source=""
        )
        assert [path.name for path in tmp_path.iterdir()] == ["my scores.bin"]
        assert memtools.verify(copy).kind == kind
        (tmp_path / ".my scores.bin.receipt.json").unlink()


def test_c_scores_that_were_changed_are_scores_of_unknown_direction(published, tmp_path):
    with np.load(published / "cifar10-cscores-orig-order.npz") as arrays:
        changed = {name: arrays[name].copy() for name in arrays.files}
    changed["scores"][0] += 1e-9
    np.savez(tmp_path / "cscores.npz", **changed)
    found = memtools.load(tmp_path / "cscores.npz")
    assert (found.quantity, found.about.direction, found.about.order) == ("score", "", "")
    assert "direction:  not recorded" in repr(found)


def test_a_missing_file_is_called_missing(tmp_path):
    for what in ("foo.npz", "foo.csv", "dir/foo", tmp_path / "foo"):
        with pytest.raises(DiskError, match=r"foo.* is missing"):
            memtools.load(what)
    with pytest.raises(ConfigError, match="no artifact or group"):
        memtools.load("foo")
    with pytest.raises(DiskError, match="is a directory"):
        memtools.load(tmp_path)


# ---- one influence matrix over all classes


def test_results_of_the_authors_demo_are_estimates_transposed_on_reading(tmp_path):
    rng = np.random.default_rng(0)
    memorization = rng.random(30).astype(np.float32)
    influence = rng.uniform(-0.2, 0.4, (1100, 30)).astype(np.float32)
    np.savez(tmp_path / "estimates_results.npz", memorization=memorization, influence=influence)
    found = memtools.load(tmp_path / "estimates_results.npz")
    assert isinstance(found, Estimates) and found.about.direction == "high memorization = atypical"
    assert np.array_equal(found.memorization, memorization)
    assert np.array_equal(found.full_influence, influence.T)
    pairs = found.pairs(0.5, 0.3)
    expected = {
        (i, j)
        for i in np.flatnonzero(memorization >= 0.5).tolist()
        for j in np.flatnonzero(influence[:, i] >= 0.3).tolist()
    }
    assert len(pairs) == len(expected) > 500
    assert set(zip(pairs.train_index.tolist(), pairs.test_index.tolist(), strict=True)) == expected
    assert np.array_equal(pairs.influence, influence[pairs.test_index, pairs.train_index])
    with pytest.raises(SchemaError, match="one influence matrix and no labels"):
        found.influence(0)
    assert memtools.verify(tmp_path / "estimates_results.npz").kind == "influence"
    found.save(tmp_path / "again.npz")
    again = memtools.load(tmp_path / "again.npz")
    assert np.array_equal(again.full_influence, influence.T)
    assert memtools.verify(tmp_path / "again.npz").kind == "influence"
    labelled = Estimates(
        {**found.arrays, "tr_labels": np.arange(30) % 3, "tt_labels": np.arange(1100) % 3},
        found.about,
    )
    of_class = labelled.influence(2)
    assert np.array_equal(of_class.values, influence[2::3, 2::3].T)


def test_a_matrix_the_wrong_way_round_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", memorization=np.zeros(30), influence=np.zeros((30, 20)))
    with pytest.raises(SchemaError, match=r"influence has the shape \(30, 20\)"):
        memtools.load(tmp_path / "a.npz")


def test_a_json_of_ones_own_is_read_by_name(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"a.png": 0.5, "b.png": None}))
    found = memtools.load(tmp_path / "a.json")
    assert found.filenames.tolist() == ["a.png", "b.png"] and np.isnan(found.values[1])


@pytest.mark.parametrize("position", [-1, 9_000_000_000])
def test_pairs_of_examples_that_cannot_be_are_refused_in_every_format(tmp_path, position):
    table, archive = tmp_path / "pairs.csv", tmp_path / "pairs.npz"
    head = "train_index,test_index,memorization,influence"
    table.write_text(f"{head}\n3,0,0.5,0.4\n{position},0,0.5,0.4\n")
    index = np.array([3, position])
    np.savez(archive, tr_idx=index, tt_idx=np.zeros(2, int), mem=np.ones(2), infl=np.ones(2))
    for path in (table, archive):
        with pytest.raises(SchemaError, match=f"holds {position}, which is not the position"):
            memtools.load(path)


@pytest.mark.parametrize("format_", FORMATS)
def test_another_column_than_the_recorded_one_has_neither_its_direction_nor_its_definition(
    tmp_path, format_
):
    scores = Scores(ABOUT, "el2n", np.arange(4.0), standard_error=np.full(4, 0.1))
    write_scores(tmp_path / f"a.{format_}", scores)
    found = memtools.load(tmp_path / f"a.{format_}", column="standard_error")
    assert (found.quantity, found.about.direction, found.about.definition) == ("score", "", "")
    assert found.values.tolist() == [0.1] * 4 and found.about.dataset == "cifar100"


def test_labels_of_published_c_scores_are_not_c_scores(published):
    found = memtools.load(published / "cifar10-cscores-orig-order.npz", column="labels")
    assert (found.quantity, found.about.direction) == ("labels", "")
