"""Tables of any hand, read as columns; what is ambiguous is refused with its row."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from memtools.errors import SchemaError
from memtools.estimates.json_tables import parse_values
from memtools.estimates.table_reader import read_table
from memtools.estimates.text_tables import parse_cells


def table(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


def columns(found):
    return {name: column.tolist() for name, column in found.columns.items()}


@pytest.mark.parametrize(
    "content",
    [
        "index,score,name\n0,0.5,a\n1,1,b\n",
        b"\xef\xbb\xbfindex,score,name\r\n0,0.5,a\r\n1,1,b\r\n\r\n",
        'index\tscore\tname\n0\t0.5\t"a"\n1\t1\tb',
        "# index, score;name\n".replace(", ", ";") + "0;0.5;a\n1;1;b\n",
    ],
)
def test_a_table_is_the_same_with_any_delimiter_bom_and_line_ending(tmp_path, content):
    expected = {"index": [0, 1], "score": [0.5, 1.0], "name": ["a", "b"]}
    assert columns(table(tmp_path, content)) == expected


def test_quotes_hold_commas_quotes_and_lines(tmp_path):
    found = table(tmp_path, 'name,score\n"a,""b""\nc",1\n')
    assert columns(found) == {"name": ['a,"b"\nc'], "score": [1]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("index,score\n0,1\n1\n", "row 3 has 1 fields, and the header has 2"),
        ("index,score\n0,1,2\n", "row 2 has 3 fields"),
        ("index,score\n0,1\n\n1,2\n", "row 3 has 0 fields"),
        ("score,score\n1,2\n", "row 1: two columns are called 'score'"),
        ("a,,\n1,2,3\n", "row 1: two columns are called without a name"),
        ("0.5\n0.25\n", "row 1 holds '0.5', a number, in place of names"),
        ("a.png,0.5\nb.png,1\n", "row 1 holds '0.5'"),
        ("1,2\n3,4\n", "row 1 holds '1'"),
        (b"name,score\na,1\n\xe9,2\n", "row 3 is not UTF-8: byte 0xe9"),
        ("name,score\n".encode("utf-16"), "row 1 is UTF-16"),
        ('name,score\n"a,1\n', "a row cannot be read"),
        ("\n\n", "has no rows"),
    ],
)
def test_a_csv_that_is_ambiguous_or_damaged_is_refused_with_its_row(tmp_path, content, words):
    with pytest.raises(SchemaError, match=words) as caught:
        table(tmp_path, content)
    assert caught.value.hint and len(str(caught.value).splitlines()) == 1


def test_a_series_of_pandas_has_an_index_without_a_name(tmp_path):
    assert columns(table(tmp_path, ",0\n3,0.5\n1,0.25\n")) == {"": [3, 1], "0": [0.5, 0.25]}


@pytest.mark.parametrize(
    ("cells", "expected", "kind"),
    [
        (["1", "-2"], [1, -2], "i"),
        (["1", "2.5e-1", " .5 "], [1, 0.25, 0.5], "f"),
        (["inf", "-Infinity"], [np.inf, -np.inf], "f"),
        (["True", "false"], [True, False], "b"),
        (["001", "002"], ["001", "002"], "U"),
        (["1_000"], ["1_000"], "U"),
        (["0x10"], ["0x10"], "U"),
        (["12345678901234567890123"], [1.2345678901234568e22], "f"),
        (["1", "much"], ["1", "much"], "U"),
    ],
)
def test_cells_become_numbers_only_where_all_of_them_are(cells, expected, kind):
    found = parse_cells(cells, "x")
    assert found.tolist() == expected and found.dtype.kind == kind


def test_an_empty_cell_is_nan_and_makes_a_column_float():
    assert np.array_equal(parse_cells(["1", "", "NaN"], "x"), [1, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(parse_values([1, None], "x"), [1, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([{"id": 1, "s": 0.5}, {"id": 0, "s": None}], {"id": [1, 0], "s": [0.5, None]}),
        ({"scores": [0.5, 1], "labels": [3, 4]}, {"scores": [0.5, 1.0], "labels": [3, 4]}),
        ([0.5, 1], {"score": [0.5, 1.0]}),
        (["a", "b"], {"name": ["a", "b"]}),
        ({"a.png": 0.5, "b.png": 1}, {"name": ["a.png", "b.png"], "score": [0.5, 1.0]}),
        ({"7": 0.5, "3": 1}, {"": [7, 3], "score": [0.5, 1.0]}),
        ([{"s": "Infinity"}, {"s": 1}], {"s": [np.inf, 1.0]}),
        (
            {"s": {"7": 0.5, "3": 1}, "n": {"7": "a", "3": "b"}},
            {"": [7, 3], "s": [0.5, 1.0], "n": ["a", "b"]},
        ),
    ],
)
def test_json_of_any_shape_is_columns(tmp_path, document, expected):
    found = table(tmp_path, json.dumps(document), "t.json")
    shown = {
        name: [None if value != value else value for value in column]
        for name, column in columns(found).items()
    }
    assert shown == expected


def test_json_lines_are_rows(tmp_path):
    found = table(tmp_path, '{"s": 0.5, "id": 3}\n{"s": 1, "id": 2}\n', "t.jsonl")
    assert columns(found) == {"s": [0.5, 1.0], "id": [3, 2]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"a": 1}, {"b": 1}]', "row 2 has other names than row 1"),
        ('{"a": [1, 2], "b": [1]}', "columns differ in length: 'a' 2, 'b' 1"),
        ('{"a": [1], "n": {}}', "'n' is not a list"),
        ('{"a": [1], "a": [2]}', "'a' comes twice"),
        ('[1, "much"]', "item 1 of the list is 'much', not a number"),
        ("[1", "is not JSON"),
        ("3", "is not a table"),
    ],
)
def test_json_that_is_not_a_table_is_refused(tmp_path, text, words):
    with pytest.raises(SchemaError, match=words):
        table(tmp_path, text, "t.json")


def test_parquet_keeps_types_and_does_not_read_images(tmp_path):
    made = pyarrow.table(
        {
            "mem": pyarrow.array([0.5, None], "float32"),
            "label": pyarrow.array([3, 4], "uint8"),
            "name": pyarrow.array(["a", "b"]).dictionary_encode(),
            "image": [{"bytes": b"x", "path": "a"}] * 2,
            "n": pyarrow.array([1, None]),
        }
    )
    pyarrow.parquet.write_table(made, tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet").columns
    assert found["mem"].dtype == np.float32 and np.isnan(found["mem"][1])
    assert found["label"].dtype == np.uint8 and found["name"].tolist() == ["a", "b"]
    assert found["image"].tolist() == [None, None] and np.isnan(found["n"][1])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SchemaError, match="not a valid parquet file"):
        read_table(tmp_path / "bad.parquet")


def test_a_record_beside_another_table_is_refused(tmp_path):
    (tmp_path / "t.csv.about.json").write_text(json.dumps({"types": {"x": "<f4"}, "order": "tfds"}))
    assert table(tmp_path, "x,y\n0.1,2\n").columns["x"].dtype == np.float32
    assert table(tmp_path, "x,y\n0.1,2\n").about.order == "tfds"
    with pytest.raises(SchemaError, match="has no column 'x'"):
        table(tmp_path, "z\n1\n")
    (tmp_path / "t.csv.about.json").write_text(json.dumps({"types": {"x": "<i8"}}))
    with pytest.raises(SchemaError, match="column x held int64, and now holds other values"):
        table(tmp_path, "x,y\n1,1\n,2\n")
    (tmp_path / "t.csv.about.json").write_text("[]")
    with pytest.raises(SchemaError, match="is not what memtools writes"):
        table(tmp_path, "x\n1\n")
