"""The format of a file: by its first bytes, then by its ending; the rest is refused by name."""

import pickle
import zipfile

import numpy as np
import pytest

from memtools.errors import ConfigError, DiskError, MemtoolsError, SchemaError
from memtools.estimates.file_formats import recognise_format


def refusal(path):
    with pytest.raises(MemtoolsError) as caught:
        recognise_format(path)
    assert len(str(caught.value).splitlines()) == 1 and caught.value.hint
    return caught.value


def test_content_decides_before_the_ending(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(2))
    np.savez(tmp_path / "b.npz", scores=np.zeros(2))
    for source, format_ in (("a.npy", "npy"), ("b.npz", "npz")):
        for ending in (".csv", ".pt", ".dat", ""):
            path = tmp_path / f"renamed{ending}"
            path.write_bytes((tmp_path / source).read_bytes())
            assert recognise_format(path) == format_


@pytest.mark.parametrize(
    ("name", "content", "format_"),
    [
        ("a.csv", b"\xef\xbb\xbfindex,score\n", "csv"),
        ("a.CSV", b"[a],b\n", "csv"),
        ("a.tsv", b"a\tb\n", "tsv"),
        ("a.json", b"[1, 2]", "json"),
        ("a.txt", b' {"scores": []}', "json"),
        ("a.data", b"PAR1....", "parquet"),
        ("a.npz", b"not a zip", "npz"),
        ("a.npy", b"not an npy", "npy"),
    ],
)
def test_text_goes_by_its_ending_and_json_by_its_first_character(tmp_path, name, content, format_):
    (tmp_path / name).write_bytes(content)
    assert recognise_format(tmp_path / name) == format_


def test_missing_file_directory_and_empty_file_are_called_that(tmp_path):
    assert "none.npz is missing" in str(refusal(tmp_path / "none.npz"))
    assert "is a directory, not a file" in str(refusal(tmp_path))
    (tmp_path / "empty.npy").write_bytes(b"")
    assert str(refusal(tmp_path / "empty.npy")).endswith("empty.npy is empty")
    assert isinstance(refusal(tmp_path), DiskError)


def test_pointers_and_pages_in_place_of_a_file_are_called_that(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "is a Git LFS pointer" in str(refusal(tmp_path / "a.npz"))
    (tmp_path / "b.npy").write_bytes(b"\n<!doctype html><html>404</html>")
    error = refusal(tmp_path / "b.npy")
    assert "it is a web page" in str(error) and isinstance(error, SchemaError)


@pytest.mark.parametrize(
    ("name", "content", "words", "hint"),
    [
        ("a.pkl", pickle.dumps([1.0]), "is a Python pickle", "allow_pickle=True"),
        ("a.pickle", pickle.dumps([1.0], 0), "is a Python pickle", "import numpy; numpy.save("),
        ("a.npy", pickle.dumps([1.0]), "is a Python pickle", "numpy.load("),
        ("a.pth", pickle.dumps([1.0], 2), "is a PyTorch file", "torch.load("),
        ("a.mat", b"MATLAB 5.0 MAT-file", "is a MATLAB file", "scipy.io.loadmat("),
        ("a.mat", b"MATLAB 7.3 MAT-file", "is a MATLAB 7.3 file", "h5py.File("),
        ("a.npz", b"\x89HDF\r\n\x1a\n...", "is an HDF5 file", "h5py.File("),
        ("a.h5", b"broken", "is an HDF5 file", "import h5py, numpy; numpy.save("),
        ("a.safetensors", b"\x10\0\0\0", "is a safetensors file", "load_file("),
        ("a.feather", b"ARROW1\0\0", "is an Arrow file", "read_feather("),
        ("a.csv.gz", b"\x1f\x8b\x08\0", "is compressed with gzip", "gunzip"),
        ("a.pdf", b"%PDF-1.7", "is a PDF file", "npz"),
    ],
)
def test_formats_of_other_libraries_are_named_with_their_conversion(
    tmp_path, name, content, words, hint
):
    (tmp_path / name).write_bytes(content)
    error = refusal(tmp_path / name)
    assert words in str(error) and hint in error.hint and isinstance(error, ConfigError)


def test_text_of_no_known_ending_is_refused_with_the_endings_of_tables(tmp_path):
    (tmp_path / "a.txt").write_text("0.5\n0.25\n")
    error = refusal(tmp_path / "a.txt")
    assert "in none of the known formats" in str(error) and ".csv or .tsv" in error.hint


def test_an_archive_of_pytorch_is_named_whatever_its_ending(tmp_path):
    with zipfile.ZipFile(tmp_path / "scores.npz", "w") as archive:
        archive.writestr("scores/data.pkl", b"")
    assert "is a PyTorch file" in str(refusal(tmp_path / "scores.npz"))


def test_the_lines_that_convert_a_pickle_do_it(tmp_path):
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps([0.5, 1]))
    exec(refusal(tmp_path / "mine.pkl").hint.removeprefix("convert it: "))
    assert np.load(tmp_path / "mine.npy").tolist() == [0.5, 1]
