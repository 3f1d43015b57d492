"""Tables: csv, json, parquet, whole or not at all."""

import csv
import json
import math

import numpy as np
import pyarrow.parquet
import pytest

import memtools
from memtools.errors import ConfigError, DiskError, MemtoolsError
from memtools.estimates.about import About
from memtools.estimates.scores import Scores
from memtools.estimates.tables import rows, score_columns, write_scores, write_table

ABOUT = About(dataset="mine", direction="high = atypical")
SCORES = Scores(
    ABOUT,
    "memorization",
    np.array([0.1, np.nan, 1.0], np.float32),
    np.array([2, 0, 1], np.uint8),
    np.array(["a.JPEG", 'b,"c".JPEG', "ü\n.JPEG"]),
    n_in=np.array([7, 0, 3]),
)


def test_a_csv_reads_back_as_it_was(tmp_path):
    path = tmp_path / "scores.csv"
    write_table(path, score_columns(SCORES), ABOUT)
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["index", "label", "filename", "memorization", "n_in"]
    assert [row["memorization"] for row in found] == ["0.1", "", "1.0"]
    assert [row["filename"] for row in found] == SCORES.filenames.tolist()
    assert [int(row["label"]) for row in found] == [2, 0, 1]
    beside = json.loads((tmp_path / "scores.csv.about.json").read_text())
    assert beside["direction"] == "high = atypical"


AWKWARD = [
    "\r",
    "a\rb",
    "a\r\nb",
    "\r\n",
    "\n",
    "\t",
    '"',
    "'",
    "\\",
    ",",
    ";",
    " a ",
    "=cmd()",
    "nan",
]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".json", ".parquet"])
def test_names_read_back_as_they_were_whatever_they_hold(tmp_path, ending):
    n = len(AWKWARD)
    values = np.linspace(0, 1, n)
    path = tmp_path / f"a{ending}"
    write_scores(path, Scores(ABOUT, "memorization", values, filenames=np.array(AWKWARD)))
    assert memtools.load(path).filenames.tolist() == AWKWARD


def test_a_selection_quotes_carriage_returns_in_its_names(tmp_path):
    scores = Scores(
        ABOUT, "memorization", np.linspace(0, 1, 3), filenames=np.array(["a\rb", "c", "d"])
    )
    memtools.select(scores, memtools.top(3)).save(tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(newline="", encoding="utf-8") as file:
        assert {row["filename"] for row in csv.DictReader(file)} == {"a\rb", "c", "d"}


def test_json_and_parquet_carry_what_the_numbers_mean(tmp_path):
    write_table(tmp_path / "a.json", score_columns(SCORES), ABOUT)
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["about"]["dataset"] == "mine"
    assert document["rows"][1] == {
        "index": 1, "label": 0, "filename": 'b,"c".JPEG', "memorization": None, "n_in": 0,
    }  # fmt: skip
    write_table(tmp_path / "a.parquet", score_columns(SCORES), ABOUT)
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert json.loads(table.schema.metadata[b"memtools"])["direction"] == "high = atypical"
    assert table["memorization"].to_pylist()[1] is None
    assert table["memorization"].type == "float"
    assert table["filename"].to_pylist() == SCORES.filenames.tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_digits_give_back_the_very_number(dtype):
    values = np.random.default_rng(0).random(500).astype(dtype)
    texts = [repr(value) for (value,) in rows({"x": values})]
    assert [dtype(text) for text in texts] == values.tolist()
    assert max(map(len, texts)) <= {np.float16: 9, np.float32: 13, np.float64: 24}[dtype]


def test_blocks_of_rows_join_without_a_seam():
    n = (1 << 16) + 3
    found = list(rows({"a": np.arange(n), "b": np.arange(n) * 0.5}))
    assert len(found) == n and all(a == 2 * b for a, b in found)
    assert math.isclose(found[-1][1], (n - 1) / 2)


def test_an_empty_table_has_its_heading(tmp_path):
    write_table(tmp_path / "a.csv", {"index": np.arange(0)}, ABOUT)
    assert (tmp_path / "a.csv").read_text() == "index\n"
    write_table(tmp_path / "a.json", {"index": np.arange(0)}, ABOUT)
    assert json.loads((tmp_path / "a.json").read_text())["rows"] == []


def test_an_unknown_ending_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="names no format"):
        write_table(tmp_path / "a.xls", score_columns(SCORES), ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    path.write_text("older")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MemtoolsError, match="this needs pyarrow") as caught:
        write_table(path, score_columns(SCORES), ABOUT)
    assert "memtools[parquet]" in caught.value.hint
    assert path.read_text() == "older" and list(tmp_path.iterdir()) == [path]


def test_a_directory_that_is_missing_is_a_disk_error(tmp_path):
    with pytest.raises(DiskError):
        write_table(tmp_path / "none" / "a.csv", score_columns(SCORES), ABOUT)


@pytest.mark.parametrize("quantity", ["label", "Index", "standard_error"])
def test_a_quantity_with_the_name_of_another_column_is_refused(tmp_path, quantity):
    scores = Scores(About(), quantity, np.arange(3.0), labels=np.array([7, 8, 9]))
    with pytest.raises(ConfigError, match=f"the quantity is called '{quantity}'"):
        write_scores(tmp_path / "a.csv", scores)
    assert not (tmp_path / "a.csv").exists()
