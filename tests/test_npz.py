"""Archives: lazy, bounded, and refused in our own words when they are broken."""

import copy
import io
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from memtools.errors import DiskError, SchemaError
from memtools.estimates.npz import Npz, read_npy, write_npz


def npy(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), **options)
    return stream.getvalue()


def header(shape, descr="<f8"):
    stream = io.BytesIO()
    facts = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, facts)
    return stream.getvalue()


def archive(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read_as_numpy_reads_it(tmp_path, save):
    arrays = {
        "f4": np.float32([[1, 2], [np.nan, -1]]),
        "f8": np.linspace(-1, 1, 7),
        "big": np.arange(3, dtype=">i8"),
        "u1": np.arange(5, dtype=np.uint8),
        "s": np.array([b"a", b"bc"]),
        "u": np.array(["ü", "bc"]),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.zeros((0, 3)),
        "scalar": np.array(3.5),
    }
    save(tmp_path / "a.npz", **arrays)
    with Npz(tmp_path / "a.npz") as found:
        assert sorted(found) == sorted(arrays)
        for name, array in arrays.items():
            native = array.dtype.newbyteorder("=")
            assert found[name].dtype == native
            np.testing.assert_array_equal(found[name], array)
            assert (found.shape(name), found.dtype(name)) == (array.shape, native)
            assert not found[name].flags.writeable


def test_what_is_written_is_read_back_to_the_byte_and_by_numpy_without_pickle(tmp_path):
    arrays = {"tr_mem": np.float32([0.1, np.nan]), "tr_filenames": np.array([b"a.JPEG", b"b"])}
    write_npz(tmp_path / "a.npz", arrays)
    write_npz(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        for name, array in arrays.items():
            assert found[name].tobytes() == array.tobytes()


def test_writing_fails_whole(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, {"a": np.arange(3)})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="allow_pickle"):
        write_npz(path, {"a": np.arange(4), "b": np.array([object()])})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_one_array_is_read_without_the_others(tmp_path):
    write_npz(tmp_path / "a.npz", {"large": np.zeros(4_000_000), "small": np.arange(10)})
    tracemalloc.start()
    with Npz(tmp_path / "a.npz") as found:
        assert "large" in found
        assert found["small"].sum() == 45
        assert found.shape("large") == (4_000_000,)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_names_need_somebody_to_vouch_for_the_file(tmp_path):
    names = np.array([b"a.JPEG", b"bc.JPEG"], dtype=object)
    np.savez(tmp_path / "a.npz", tr_filenames=names)
    with Npz(tmp_path / "a.npz") as found:
        with pytest.raises(SchemaError, match="tr_filenames: it holds Python objects") as caught:
            found["tr_filenames"]
        assert "--names" in caught.value.hint
    with Npz(tmp_path / "a.npz", names=True) as found:
        assert found["tr_filenames"].tolist() == [b"a.JPEG", b"bc.JPEG"]
        assert found["tr_filenames"].dtype == "S7"


def test_a_name_that_ends_in_zero_is_not_cut_silently(tmp_path):
    np.savez(tmp_path / "a.npz", n=np.array([b"a\0", b"bc"], dtype=object))
    with Npz(tmp_path / "a.npz", names=True) as found, pytest.raises(SchemaError, match="zero"):
        found["n"]


def test_a_header_of_python_2_is_read(tmp_path):
    data = npy(np.arange(3.0)).replace(b"'shape': (3,), ", b"'shape': (3L,),")
    assert b"3L" in data
    with Npz(archive(tmp_path / "a.npz", [("a.npy", data)])) as found:
        assert found["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (header((10_000_000_000_000,)), "promises 80000000000000 bytes, and 0 are there"),
        (header((3,)) + b"\0" * 23, "promises 24 bytes, and 23 are there"),
        (header((3,)) + b"\0" * 25, "promises 24 bytes, and 25 are there"),
        (header((-1,)) + b"\0" * 8, "damaged|shape"),
        (header((1,), "|V8") + b"\0" * 8, "not numbers or text"),
        (header((1,), [("a", "<f8")]) + b"\0" * 8, "not numbers or text"),
        (header((1,), "<c16") + b"\0" * 16, "not numbers or text"),
        (b"\x93NUMPY\x09\x00" + b"\0" * 50, "damaged|version"),
        (b"not an array at all", "damaged"),
        (b"", "damaged"),
    ],
)
def test_a_member_that_lies_is_refused_without_taking_memory(tmp_path, member, words):
    path = archive(tmp_path / "a.npz", [("a.npy", member)])
    tracemalloc.start()
    with Npz(path) as found, pytest.raises(SchemaError, match=words) as caught:
        found["a"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000
    assert str(path) in str(caught.value)
    assert "pickle" not in f"{caught.value} {caught.value.hint}"


def test_a_bomb_is_refused_before_it_unpacks(tmp_path):
    bomb = npy(np.zeros(16_000_000))
    path = archive(tmp_path / "a.npz", [("a.npy", bomb)], zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(SchemaError, match=r"would unpack 12.*kB to 128\.0 MB"):
        Npz(path)


def test_zeros_of_a_usual_size_are_no_bomb(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros((500, 100)))
    with Npz(tmp_path / "a.npz") as found:
        assert found["a"].sum() == 0


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    data = npy(np.arange(3))
    path = archive(tmp_path / "a.npz", [("a.npy", data), ("a.npy", data)])
    with pytest.raises(SchemaError, match="holds 'a' twice"):
        Npz(path)


def test_a_member_that_is_no_array_is_refused(tmp_path):
    path = archive(tmp_path / "a.npz", [("../x.py", b"print()")])
    with pytest.raises(SchemaError, match="not an array"):
        Npz(path)


def test_a_web_page_is_called_one(tmp_path):
    (tmp_path / "a.npz").write_text("\n <!DOCTYPE html><title>Log in</title>")
    with pytest.raises(SchemaError, match="it is a web page"):
        Npz(tmp_path / "a.npz")


def test_no_cut_and_no_flipped_byte_goes_unnoticed(tmp_path):
    whole, path = tmp_path / "a.npz", tmp_path / "b.npz"
    expected = {"a": np.random.default_rng(0).random(50), "b": np.arange(20)}
    np.savez_compressed(whole, **expected)
    data = whole.read_bytes()
    for stop in range(0, len(data), 7):
        path.write_bytes(data[:stop])
        with pytest.raises(SchemaError):
            read_all(path)
    refused = 0
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        try:
            found = read_all(path)
        except SchemaError as error:
            refused += 1
            assert "pickle" not in f"{error} {error.hint}"
            continue
        for name, array in found.items():  # a flip in a date or a name changes no number
            if name in expected:
                np.testing.assert_array_equal(array, expected[name])
    assert refused > 0.7 * len(data)


def read_all(path):
    with Npz(path) as found:
        return {name: found[name] for name in found}


def test_parts_joined_in_the_wrong_order_are_refused_in_our_words(tmp_path):
    whole, path = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(whole, **{f"a{n}": np.random.default_rng(n).random(100) for n in range(30)})
    data = whole.read_bytes()
    third = len(data) // 3
    a, b, c = data[:third], data[third : 2 * third], data[2 * third :]
    for order in ((b, a, c), (c, b, a), (a, c, b), (b, c, a)):
        path.write_bytes(b"".join(order))
        with pytest.raises(SchemaError, match="not a valid npz") as caught:
            read_all(path)
        assert "joined in the wrong order" in caught.value.hint


def test_an_encrypted_or_exotic_member_is_refused(tmp_path):
    path = archive(tmp_path / "a.npz", [("a.npy", npy(np.arange(300)))])
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag of encryption, in the local header and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(SchemaError):
        read_all(path)


def test_a_missing_file_is_a_disk_error(tmp_path):
    with pytest.raises(DiskError):
        Npz(tmp_path / "none.npz")
    with pytest.raises(DiskError):
        read_npy(tmp_path / "none.npy")


def test_a_single_npy_is_read_under_the_same_rules(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(4.0))
    assert read_npy(tmp_path / "a.npy").tolist() == [0, 1, 2, 3]
    np.save(tmp_path / "b.npy", np.array([b"x"], dtype=object), allow_pickle=True)
    with pytest.raises(SchemaError, match="Python objects"):
        read_npy(tmp_path / "b.npy")
    (tmp_path / "c.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    with pytest.raises(SchemaError, match=r"c\.npy: its header promises 32 bytes"):
        read_npy(tmp_path / "c.npy")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_arrays_can_be_copied_and_sent_to_other_processes(tmp_path, monkeypatch, copied):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=np.arange(3))
    with Npz(Path("a.npz")) as arrays:
        assert len(pickle.dumps(arrays)) < 1000
        monkeypatch.chdir("/")
        with copied(arrays) as again:
            np.testing.assert_array_equal(again["x"], np.arange(3))
        data = Npz(Path("of a member"), data=(tmp_path / "a.npz").read_bytes())
        with copied(data) as again:
            np.testing.assert_array_equal(again["x"], np.arange(3))


def test_arrays_of_a_file_that_was_replaced_are_not_mixed_with_the_new_ones(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(3))
    with Npz(path) as arrays:
        sent = pickle.dumps(arrays)
        path.unlink()
        np.savez(path, x=np.arange(4))
        with pytest.raises(SchemaError, match="was replaced after it was loaded"):
            pickle.loads(sent)
