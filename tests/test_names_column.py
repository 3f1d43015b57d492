"""Names in columnar form are the names that were given, from whatever they are read."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtools.datasets.identity import as_names
from memtools.datasets.names import NameColumn, concatenate
from memtools.errors import ConfigError

SMALL = settings(max_examples=80, deadline=None, derandomize=True, database=None)
TEXT = st.one_of(
    st.text(max_size=8),
    st.binary(max_size=6).map(os.fsdecode),  # bytes that are not UTF-8 become surrogates
    st.sampled_from(["", "\n", "a\nb", "n01440764_10026.JPEG", "größe/图.png"]),
)
NAMES = ["n01440764_10026.JPEG", "", "größe/图.png", "a\nb", "x" * 200]


@SMALL
@given(st.lists(TEXT, max_size=8), st.data())
def test_column_of_strings_behaves_as_the_list(names, data):
    column = NameColumn.of(names)
    assert len(column) == len(names) and list(column) == names
    assert [column[k] for k in range(-len(names), len(names))] == names + names
    assert list(column[1:6:2]) == names[1:6:2] and list(column[::-1]) == names[::-1]
    chosen = data.draw(
        st.lists(st.integers(0, len(names) - 1), max_size=9) if names else st.just([])
    )
    assert list(column.take(np.array(chosen, np.int64))) == [names[k] for k in chosen]
    assert list(concatenate([column, column[:2], column])) == names + names[:2] + names
    assert column.lengths.tolist() == [len(os.fsencode(name)) for name in names]


@SMALL
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=7), max_size=6))
def test_column_of_an_array_holds_what_the_array_holds(names):
    array = np.array(names, "U9")  # NumPy drops zero characters at the end
    truth = array.tolist()
    encoded = np.array([name.encode() for name in truth], "S40")
    objects = np.array([*truth, None], object)[:-1]
    for source in (array, array.astype(">U9"), np.repeat(array, 2)[::2], encoded, objects):
        assert list(NameColumn.of(source)) == truth


def test_column_of_bytes_shares_the_buffer_of_the_array():
    array = np.array([b"n01440764_1.JPEG", b"n01440764_23.JPEG"])
    assert np.shares_memory(NameColumn.of(array).data, array)


def test_column_takes_text_bytes_and_paths_together():
    names = ["a.png", b"b.png", Path("c") / "d.png", np.str_("e"), os.fsencode("größe"), b"\xff"]
    truth = ["a.png", "b.png", f"c{os.sep}d.png", "e", "größe", "\udcff"]
    assert list(NameColumn.of(names)) == truth == as_names(names)
    assert list(NameColumn.of(np.array(names, object))) == truth
    assert list(NameColumn.of(iter(["a", "b"]))) == ["a", "b"]


def test_column_of_a_column_is_itself():
    column = NameColumn.of(["a"])
    assert NameColumn.of(column) is column


@pytest.mark.parametrize("wrong", [None, 1.5, 7, ["a"], float("nan")])
def test_column_of_what_is_not_a_name_is_refused(wrong):
    for read in (NameColumn.of, as_names):
        with pytest.raises(ConfigError, match="is not a name"):
            read(["a.png", wrong])
    with pytest.raises(ConfigError, match="is not a name"):
        NameColumn.of(np.array(["a.png", wrong, None], object))


def test_column_of_half_a_character_is_refused():
    with pytest.raises(ConfigError, match=r"'a\\ud800' is not text"):
        NameColumn.of(["b", "a\ud800"])


def test_column_of_an_array_with_two_axes_is_refused():
    with pytest.raises(ConfigError, match=r"shape \[2, 1\] are not a list"):
        NameColumn.of(np.array([["a"], ["b"]]))


def arrow_forms(arrow):
    """The names as every type of pyarrow that holds text, whole and cut."""
    padded = ["left", "out", *NAMES, "behind"]
    for kind in (arrow.string(), arrow.large_string(), arrow.string_view()):
        yield arrow.array(NAMES, kind)
        yield arrow.array(padded, kind).slice(2, len(NAMES))
        yield arrow.chunked_array([NAMES[:2], [], NAMES[2:]], kind)
        yield arrow.chunked_array([padded[:4], padded[4:]], kind).slice(2, len(NAMES))
    yield arrow.array([name.encode() for name in NAMES], arrow.binary())
    yield arrow.array([name.encode() for name in NAMES], arrow.large_binary())
    yield arrow.array(padded).dictionary_encode().slice(2, len(NAMES))
    structs = arrow.array([{"bytes": b"", "path": name} for name in padded])
    yield structs.slice(2, len(NAMES)).flatten()[1]
    table = arrow.table({"image": arrow.chunked_array([structs, structs])})
    yield table.slice(2, len(NAMES)).flatten()["image.path"]


def test_column_of_arrow_holds_the_names_of_every_type():
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    for source in arrow_forms(arrow):
        assert list(NameColumn.of(source)) == NAMES, source.type
    for empty in (arrow.array([], arrow.string()), arrow.chunked_array([], arrow.string())):
        assert list(NameColumn.of(empty)) == []
    assert list(NameColumn.of(arrow.array(["", ""]))) == ["", ""]


def test_column_of_arrow_does_not_copy_the_bytes():
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    source = arrow.array(NAMES)
    buffer = np.frombuffer(source.buffers()[2], np.uint8)
    assert np.shares_memory(NameColumn.of(source).data, buffer)
    chunked = arrow.chunked_array([source])
    assert np.shares_memory(NameColumn.of(chunked).data, buffer)


def test_column_of_arrow_with_a_missing_name_or_numbers_is_refused():
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    chunked = arrow.chunked_array([["a", "b"], ["c", None, None]])
    with pytest.raises(ConfigError, match="2 of 5 names are missing, the first is number 3"):
        NameColumn.of(chunked)
    with pytest.raises(ConfigError, match="type int64 does not hold names"):
        NameColumn.of(arrow.array([1, 2]))


def test_column_of_a_pandas_series_holds_its_names():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    assert list(NameColumn.of(pandas.Series(NAMES, index=range(9, 14)))) == NAMES
    with pytest.raises(ConfigError, match="is not a name"):
        NameColumn.of(pandas.Series(["a", None]))
