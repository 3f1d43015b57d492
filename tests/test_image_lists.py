"""Kaggle's lists and those of the development kit."""

import csv

import pytest

from memtools.datasets.identity import identify
from memtools.datasets.image_lists import is_kaggle_table, kaggle_names, read_text_list
from memtools.errors import ConfigError


def written(tmp_path, *lines):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_counted_lines_of_the_development_kit_are_names_without_labels(tmp_path):
    lines = ("n01440764/n01440764_10026 1", "n01440764/n01440764_10027 2")
    found = read_text_list(written(tmp_path, *lines))
    assert found.names == ["n01440764/n01440764_10026", "n01440764/n01440764_10027"]
    assert found.labels is None
    found = read_text_list(written(tmp_path, "ILSVRC2012_val_00000001 1"))
    assert (found.names, found.labels) == (["ILSVRC2012_val_00000001"], None)


def test_labels_behind_names_are_read(tmp_path):
    lines = ("ILSVRC2012_val_00000001.JPEG 65", "ILSVRC2012_val_00000002.JPEG 970")
    found = read_text_list(written(tmp_path, *lines))
    assert found.names == ["ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000002.JPEG"]
    assert found.labels.tolist() == [65, 970]


@pytest.mark.parametrize(
    "lines",
    [("a.JPEG", "b.JPEG"), ("my photo 1.png", "my photo 2.png"), ("photo 1", "photo 2")],
)
def test_plain_lines_are_names_as_they_are(tmp_path, lines):
    found = read_text_list(written(tmp_path, *lines, ""))
    assert (found.names, found.labels) == (list(lines), None)


def test_a_byte_order_mark_is_not_a_part_of_the_first_name(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfa.JPEG\r\nb.JPEG\r\n")
    assert read_text_list(path).names == ["a.JPEG", "b.JPEG"]


def test_what_is_not_text_is_refused(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="UTF-16"):
        read_text_list(tmp_path / "list.txt")


def test_kaggles_tables_give_names_with_the_synset_that_they_state(tmp_path):
    path = tmp_path / "LOC_val_solution.csv"
    path.write_text(
        "ImageId,PredictionString\n"
        "ILSVRC2012_val_00048981,n03995372 85 1 499 272 \n"
        "ILSVRC2012_val_00037956,n03481172 131 0 499 254 n03481172 1 2 3 4 \n"
        "n01440764_10026,n01440764 13 17 304 354 \n"
        "odd,n01440764 1 1 1 1 n01443537 1 1 1 1\n"
    )
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert is_kaggle_table(rows[0].keys()) and not is_kaggle_table(["name", "score"])
    names = kaggle_names(*([row[c] for row in rows] for c in ("ImageId", "PredictionString")))
    assert [identify(name) for name in names] == [
        ("ILSVRC2012_val_00048981", "n03995372"),
        ("ILSVRC2012_val_00037956", "n03481172"),
        ("n01440764_10026", "n01440764"),
        ("odd", ""),
    ]


def test_a_number_that_no_label_can_be_is_part_of_a_name(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a.png 1\nb.png 99999999999999999999\n")
    assert read_text_list(path).labels is None
