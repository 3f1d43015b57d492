"""Arrays in npy format: whatever a file holds, one standard form, or an error that names it."""

import io
import struct

import numpy as np
import pytest

from memtools.errors import SchemaError
from memtools.estimates.npy import map_npy, pack_texts, read_npy
from memtools.estimates.npz import Npz, scalar_of
from memtools.estimates.score_columns import Reading
from memtools.estimates.score_files import read_numbers
from memtools.estimates.tables import write_scores

N = 5
FORMATS = ["npz", "csv", "tsv", "json", "parquet"]
TYPES = [">f4", ">f8", ">f2", "<f2", "g", ">g", ">i4", "<u1", ">u8", "?"]


def saved(path, array):
    np.save(path, array, allow_pickle=False)
    return path


def with_header(text, version=b"\x01\x00", body=b""):
    size = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + version + size + text.encode() + body


@pytest.mark.parametrize("dtype", [*TYPES, ">U3", "S3"])
def test_arrays_are_native_and_no_wider_than_float64(tmp_path, dtype):
    written = np.arange(N).astype(dtype)
    found = read_npy(saved(tmp_path / "a.npy", written))
    assert found.dtype.isnative and (found.dtype.kind != "f" or found.dtype.itemsize <= 8)
    assert found.tolist() == written.tolist() and not found.flags.writeable
    np.savez(tmp_path / "a.npz", a=written)
    with Npz(tmp_path / "a.npz") as arrays:
        assert arrays.dtype("a") == found.dtype == arrays["a"].dtype


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("dtype", [each for each in TYPES if each != "?"])
def test_scores_of_every_type_are_written_in_every_format(tmp_path, dtype, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    values = (np.arange(N) / 4).astype(dtype)
    labels = np.arange(N).astype(">u2")
    np.savez(tmp_path / "a.npz", scores=values, labels=labels, n_in=labels)
    numbers = read_numbers(tmp_path / "a.npz", Reading())
    write_scores(tmp_path / f"b.{ending}", numbers)
    again = read_numbers(tmp_path / f"b.{ending}", Reading())
    assert again.values.tolist() == values.astype(np.float64).tolist()
    assert again.labels.tolist() == again.n_in.tolist() == labels.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "(" * 5_000,
        "[" * 9_000,
        "'",
        "{[]: 1}",
        "{'descr': '<f8', 'fortran_order': False}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1.5,)}",
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**62},)}}",
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**62}, 0)}}",
        f"{{'descr': '<U{2**40}', 'fortran_order': False, 'shape': (0,)}}",
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': {(1,) * 70}}}",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<c16', 'fortran_order': False, 'shape': (1,)}",
        "x" * 11_000,
    ],
)
@pytest.mark.parametrize("version", [b"\x01\x00", b"\x02\x00", b"\x03\x00"])
@pytest.mark.parametrize("read", [read_npy, map_npy])
def test_a_header_that_is_not_true_is_refused_in_one_line(tmp_path, text, version, read):
    path = tmp_path / "a.npy"
    path.write_bytes(with_header(text, version, bytes(8)))
    with pytest.raises(SchemaError) as caught:
        read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 300
    assert "allow_pickle" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.frombuffer(bytes([0, 1, 2]), np.bool_), "boolean"),
        (np.frombuffer(struct.pack("<2I", 65, 0x110000), "U1"), "not a character"),
        (np.frombuffer(struct.pack("<2I", 65, 0xD800), "U1"), "not a character"),
    ],
)
def test_contents_that_no_array_can_have_are_refused(tmp_path, array, words):
    with pytest.raises(SchemaError, match=words):
        read_npy(saved(tmp_path / "a.npy", array))


def test_a_longdouble_beyond_float64_is_refused_where_it_is_wider(tmp_path):
    big = np.array([np.finfo(np.longdouble).max, 1], np.longdouble)
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max:
        with pytest.raises(SchemaError, match="beyond the range of float64"):
            read_npy(saved(tmp_path / "a.npy", big))


def test_an_array_that_is_mapped_is_the_array_that_is_read(tmp_path):
    for array in (
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.ones((2, 3))),
        np.ones((0, 3)),
    ):
        path = saved(tmp_path / "a.npy", array)
        found = map_npy(path)
        assert np.array_equal(found, array) and found.shape == array.shape


def test_one_long_text_among_many_is_refused_before_it_takes_memory():
    with pytest.raises(SchemaError, match="1,000,000 characters"):
        pack_texts(["a"] * 100_000 + ["b" * 1_000_000], "x.csv: column name")
    assert pack_texts(["a", "bcd"], "x").tolist() == ["a", "bcd"]
    assert pack_texts([], "x").dtype.kind == "U" and pack_texts([b"a"], "x").dtype == "S1"


def test_one_value_is_told_from_an_array():
    assert scalar_of({"partial": np.array(True)}, "partial", "b") is True
    for array in (np.ones(2), np.array("x"), np.array(1.5 + 0j)):
        with pytest.raises(SchemaError, match="not one value"):
            scalar_of({"min_mem": array}, "min_mem", "iuf")


def test_an_archive_of_bytes_is_read_like_a_file(tmp_path):
    stream = io.BytesIO()
    np.savez(stream, a=np.arange(3))
    with Npz(tmp_path / "no file", data=stream.getvalue()) as arrays:
        assert arrays["a"].tolist() == [0, 1, 2]
    with pytest.raises(SchemaError, match="no file: not a valid npz"):
        Npz(tmp_path / "no file", data=stream.getvalue()[:-9])
