"""What identifies examples places the numbers, in any format and under any usual name."""

import json

import numpy as np
import pytest

import memtools
from memtools.errors import ConfigError, MemtoolsError, SchemaError
from memtools.estimates.columns import find_roles
from memtools.estimates.position_files import read_positions
from memtools.estimates.positions import as_positions, looks_like_positions, parse_positions

N = 30
TRUTH = np.random.default_rng(3).random(N)
ORDER = np.random.default_rng(4).permutation(N)
IDS = [f"train_{k:05d}" for k in ORDER]


def write_table(path, name, column):
    """Write the permuted truth beside a column, in the format of the ending."""
    rows = zip(column, TRUTH[ORDER].tolist(), strict=True)
    if path.suffix == ".csv":
        path.write_text(f"{name},score\n" + "".join(f"{a},{b!r}\n" for a, b in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps([{name: a, "score": b} for a, b in rows]))
    elif path.suffix == ".npz":
        np.savez(path, **{name: np.array(column), "score": TRUTH[ORDER]})
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.table({name: column, "score": TRUTH[ORDER]}), path)
    return path


@pytest.mark.parametrize("ending", ["csv", "json", "npz", "parquet"])
@pytest.mark.parametrize("name", ["id", "filename", "example_id"])
def test_ids_of_tfds_place_the_numbers_in_the_official_order(tmp_path, ending, name):
    path = write_table(tmp_path / f"a.{ending}", name, IDS)
    for order in ("", "official"):
        found = memtools.load(path, order=order)
        assert np.array_equal(found.values, TRUTH)
        assert found.about.order == "official" and found.filenames is None
    with pytest.raises(ConfigError, match=r"ids of TFDS.*declared as 'tfds'"):
        memtools.load(path, order="tfds")


def test_ids_of_tfds_of_some_examples_leave_gaps(tmp_path):
    (tmp_path / "a.csv").write_text("id,score\ntrain_00007,0.5\ntrain_00003,0.25\n")
    found = memtools.load(tmp_path / "a.csv")
    assert (len(found), found.partial, found.values[7], found.values[3]) == (8, True, 0.5, 0.25)
    assert int(np.isnan(found.values).sum()) == 6


def test_ids_of_test_examples_stay_names(tmp_path):
    (tmp_path / "a.csv").write_text("id,score\ntest_00001,0.5\ntest_00000,0.25\n")
    assert memtools.load(tmp_path / "a.csv").filenames.tolist() == ["test_00001", "test_00000"]


def test_positions_that_contradict_ids_of_tfds_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",id,score\n0,train_00002,1\n1,train_00000,2\n2,train_00001,3\n")
    assert memtools.load(path).values.tolist() == [2, 3, 1]
    assert memtools.load(path, index=[2, 0, 1]).values.tolist() == [2, 3, 1]
    with pytest.raises(ConfigError, match="the index gives others"):
        memtools.load(path, index=[0, 1, 2])
    path.write_text("index,id,score\n2,train_00000,1\n0,train_00002,2\n1,train_00001,3\n")
    with pytest.raises(ConfigError, match="the column of positions has others"):
        memtools.load(path)


@pytest.mark.parametrize("ending", ["csv", "json", "npz", "parquet"])
@pytest.mark.parametrize("shape", ["{:05d}", "{}", "{}.0"])
@pytest.mark.parametrize("name", ["index", "sample_idx"])
def test_digits_under_the_name_of_positions_are_positions(tmp_path, ending, shape, name):
    path = write_table(tmp_path / f"a.{ending}", name, [shape.format(k) for k in ORDER])
    assert np.array_equal(memtools.load(path, order="official").values, TRUTH)


@pytest.mark.parametrize("shape", ["{:05d}", "{}", "{}.0"])
@pytest.mark.parametrize("of_pandas", [False, True])
def test_keys_of_json_that_are_digits_are_positions(tmp_path, shape, of_pandas):
    values = {shape.format(k): TRUTH[k] for k in ORDER}
    (tmp_path / "a.json").write_text(json.dumps({"score": values} if of_pandas else values))
    assert np.array_equal(memtools.load(tmp_path / "a.json").values, TRUTH)


@pytest.mark.parametrize("ending", ["csv", "json", "npz", "parquet"])
@pytest.mark.parametrize(
    "name",
    [
        *("train_idx", "train_index", "indices", "ids", "tr_idx", "example_id", "sample_index"),
        *("Sample-Idx", "trainIdx", "orig_idx", "original index", "img_id", "positions"),
    ],
)
def test_the_usual_names_of_positions_are_known(tmp_path, ending, name):
    path = write_table(tmp_path / f"a.{ending}", name, ORDER.tolist())
    assert np.array_equal(memtools.load(path).values, TRUTH)


@pytest.mark.parametrize("ending", ["csv", "json", "npz", "parquet"])
@pytest.mark.parametrize("start", [0, 1])
def test_what_looks_like_positions_under_another_name_is_refused(tmp_path, ending, start):
    path = write_table(tmp_path / f"a.{ending}", "arr_0", (ORDER + start).tolist())
    with pytest.raises(ConfigError, match="column arr_0 looks like positions"):
        memtools.load(path)


def test_ranks_labels_and_counted_rows_do_not_look_like_positions():
    score = np.array([0.5, 0.1, 0.9, 0.7])
    columns = {"score": score, "rank": np.array([1, 0, 3, 2]), "row": np.arange(4)}
    assert find_roles(columns, where="t.csv").position is None
    columns = {"score": score, "label": np.array([3, 1, 0, 2])}
    assert find_roles(columns, where="t.csv").label == "label"
    columns = {"score": score, "index": np.array([3, 1, 0, 2]), "seed": np.array([0, 2, 1, 3])}
    assert find_roles(columns, where="t.csv").position == "index"


def test_integers_as_file_names_are_names_unless_they_count_the_rows():
    columns = {"score": np.ones(3), "filename": np.array([17, 5, 9])}
    assert find_roles(columns, where="t.csv").name == "filename"
    columns["filename"] = np.arange(3)
    assert find_roles(columns, where="t.csv").name is None
    columns |= {"filename": np.array([2, 0, 1]), "score": np.array([0.5, 0.2, 0.1])}
    with pytest.raises(ConfigError, match="filename looks like positions"):
        find_roles(columns, where="t.csv")


def test_an_index_of_names_without_a_name_is_names(tmp_path):
    (tmp_path / "a.csv").write_text(",score\nb.png,0.5\na.png,0.25\n")
    assert memtools.load(tmp_path / "a.csv").filenames.tolist() == ["b.png", "a.png"]


# ---- npz


def test_positions_of_an_npz_may_be_a_column_and_must_be_of_all_values(tmp_path):
    np.savez(tmp_path / "a.npz", score=TRUTH[ORDER], index=ORDER[:, None])
    assert np.array_equal(memtools.load(tmp_path / "a.npz").values, TRUTH)
    wrong = {"index": ORDER[:9], "labels": ORDER[:9], "filenames": np.array(["a"])}
    for name, other in wrong.items():
        np.savez(tmp_path / "a.npz", score=TRUTH[ORDER], **{name: other})
        with pytest.raises(SchemaError, match=rf"{name} has the shape \[\d\], and there are 30"):
            memtools.load(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["index", "train_idx", "ids", "shuffled"])
def test_estimates_with_positions_beside_them_are_refused(tmp_path, name):
    np.savez(tmp_path / "a.npz", tr_mem=TRUTH[ORDER], **{name: ORDER})
    with pytest.raises(SchemaError, match=f"holds estimates and the array '{name}'"):
        memtools.load(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", tr_mem=TRUTH, **{name: np.arange(N)})
    assert np.array_equal(memtools.load(tmp_path / "a.npz").memorization, TRUTH)
    np.savez(tmp_path / "a.npz", memorization=TRUTH, influence=np.zeros((40, N)), **{name: ORDER})
    with pytest.raises(SchemaError, match="holds estimates and the array"):
        memtools.load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (np.ones((3, 2)), r"has the shape \[3, 2\], and scores are \[n\]"),
        (np.array(0.5), r"has the shape \[\], and scores are \[n\]"),
        (np.ones(3, bool), "holds booleans, not numbers"),
        (np.array(["a", "b"]), "holds text"),
        (np.ones(3, complex), "its type is complex128"),
        (np.array(["2026-01-01"], "datetime64[D]"), r"its type is datetime64\[D\]"),
    ],
)
def test_scores_of_an_npz_that_are_not_numbers_are_told_what_they_are(tmp_path, score, words):
    np.savez(tmp_path / "a.npz", score=score)
    with pytest.raises(SchemaError, match=words) as caught:
        memtools.load(tmp_path / "a.npz")
    assert "damaged" not in caught.value.hint


# ---- parquet of pandas, in its metadata


def write_parquet(path, columns, levels):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table(columns)
    metadata = {b"pandas": json.dumps({"index_columns": levels})}
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


def test_an_index_of_pandas_that_is_a_range_places_the_numbers(tmp_path):
    backwards = {"kind": "range", "name": None, "start": N - 1, "stop": -1, "step": -1}
    path = write_parquet(tmp_path / "a.parquet", {"score": TRUTH[::-1]}, [backwards])
    assert np.array_equal(memtools.load(path).values, TRUTH)
    part = {"kind": "range", "name": None, "start": 10, "stop": 40, "step": 1}
    found = memtools.load(write_parquet(path, {"score": TRUTH}, [part]))
    assert found.partial and np.array_equal(found.values[10:], TRUTH)
    whole = {"kind": "range", "name": None, "start": 0, "stop": N, "step": 1}
    assert not memtools.load(write_parquet(path, {"score": TRUTH}, [whole])).partial


@pytest.mark.parametrize("name", ["number", "index", "__index_level_0__"])
def test_an_index_of_pandas_that_is_a_column_places_the_numbers(tmp_path, name):
    columns = {"score": TRUTH[ORDER], name: ORDER}
    path = write_parquet(tmp_path / "a.parquet", columns, [name])
    assert np.array_equal(memtools.load(path).values, TRUTH)


@pytest.mark.parametrize("name", ["example", "__index_level_0__", "filename"])
def test_an_index_of_pandas_that_is_ids_of_tfds_places_the_numbers(tmp_path, name):
    path = write_parquet(tmp_path / "a.parquet", {"score": TRUTH[ORDER], name: IDS}, [name])
    assert np.array_equal(memtools.load(path).values, TRUTH)


# ---- files of positions


def test_row_numbers_of_pandas_give_way_to_the_positions_beside_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",chosen\n0,7\n1,3\n2,9\n")
    assert read_positions(path).tolist() == [7, 3, 9]
    path.write_text(",0\n0,7\n1,3\n2,9\n")
    assert read_positions(path).tolist() == [7, 3, 9]
    path.write_text(",chosen\n0,2\n1,0\n2,1\n")
    assert read_positions(path).tolist() == [2, 0, 1]
    path.write_text(",first,second\n0,7,4\n1,3,5\n2,9,8\n")
    with pytest.raises(ConfigError, match="first and second may be positions"):
        read_positions(path)
    path.write_text(",score\n0,0.5\n1,0.25\n")
    assert read_positions(path).tolist() == [0, 1]


# ---- values


@pytest.mark.parametrize(
    "text", ["99999999999999999999", "1e300", "-99999999999999999999", "9223372036854775807"]
)
def test_numbers_beyond_int64_are_not_positions(tmp_path, text):
    (tmp_path / "a.csv").write_text(f"index,score\n0,0.5\n{text},0.25\n")
    with pytest.raises(SchemaError, match=r"too large for a position|is below 0"):
        memtools.load(tmp_path / "a.csv")


def test_text_is_positions_only_if_all_of_it_is_digits():
    assert parse_positions(np.array(["007", "2.0", " 3"])).tolist() == [7, 2, 3]
    assert parse_positions(np.array([b"007"])).tolist() == [7]
    for other in (["7", "a"], ["1.5"], ["-1"], ["7", ""], ["٣"]):
        assert parse_positions(np.array(other)) is None
    with pytest.raises(SchemaError, match="position 2 comes twice"):
        as_positions(np.array(["02", "2"]), "t.csv")


def test_integers_look_like_positions_if_each_comes_once_and_not_in_order():
    assert looks_like_positions(np.array([2.0, 0, 1]))
    assert looks_like_positions(np.array([3, 1, 2], np.uint8))
    for other in ([0, 1, 2], [1, 2, 3], [1, 0], [0, 2, 2], [4, 0, 2], [0.5, 1, 2]):
        assert not looks_like_positions(np.array(other))


@pytest.mark.parametrize(
    "document", [{"score": 0.5, "n": 3}, {"accuracy": 0.9, "loss": 0.1}, {"c_score": 1, "top1": 2}]
)
def test_a_json_of_metrics_is_not_scores(tmp_path, document):
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(MemtoolsError, match="does not name an example"):
        memtools.load(tmp_path / "a.json")
