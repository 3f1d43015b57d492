"""Names out of pickles, and nothing else."""

import io
import pickle
import pickletools

import numpy as np
import pytest

from memtools.errors import SchemaError
from memtools.estimates.pickles import read_names


class Evil:
    """Runs code when it is unpickled, if anybody lets it."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def objects(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize("protocol", range(5))  # 5 pickles another way, and is never in an npy
@pytest.mark.parametrize("names", [(b"a.JPEG", b"\xff b"), ("a.JPEG", "ü"), ()])
def test_names_of_every_protocol_are_read(protocol, names):
    payload = pickle.dumps(objects(*names), protocol=protocol)
    assert read_names(payload, len(names)) == list(names)


def test_names_pickled_by_python_2_are_read():
    # what Python 2 wrote for np.array(["ab", "c"], dtype=object): its str is our bytes
    payload = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b"
        b"\x87Rq\x03(K\x01K\x02\x85cnumpy\ndtype\nq\x04U\x02O8K\x00K\x01\x87Rq\x05(K\x03U\x01|NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89]q\x06(U\x02abU\x01cetb."
    )
    assert read_names(payload, 2) == [b"ab", b"c"]


def test_numpy_byte_strings_count_as_bytes():
    assert read_names(pickle.dumps(objects(np.bytes_(b"a.JPEG"))), 1) == [b"a.JPEG"]


def test_code_in_a_pickle_does_not_run(tmp_path):
    witness = tmp_path / "ran"
    payload = pickle.dumps(objects(Evil(exec, f"import os; os.mkdir({str(witness)!r})")))
    with pytest.raises(SchemaError, match=r"it asks for builtins\.exec"):
        read_names(payload, 1)
    assert not witness.exists()
    pickle.loads(payload)  # the same bytes do run where nobody stops them
    assert witness.exists()


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (Evil(eval, "1"), "builtins.eval"),
        (Evil(getattr, "", "join"), "builtins.getattr"),
        (Evil(io.open, "/dev/null"), "(_io|io).open"),
        (Evil(np.load, "x"), "numpy.load"),
        (Evil(np.array, 1), "numpy.*array"),
    ],
)
def test_what_a_pickle_asks_for_is_named(asked, name):
    with pytest.raises(SchemaError, match=f"it asks for {name}"):
        read_names(pickle.dumps(objects(asked)), 1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((b"a", "a"), "bytes, str"),
        ((b"a", None), "NoneType, bytes"),
        ((1, 2), "int"),
        (([b"a"],), "list"),
        ((objects(b"a"),), "_Array"),
    ],
)
def test_anything_but_names_is_refused_by_type(values, words):
    with pytest.raises(SchemaError, match=words):
        read_names(pickle.dumps(objects(*values)), len(values))


def test_other_shapes_and_lengths_are_refused():
    square = objects(b"a", b"b", b"c", b"d").reshape(2, 2)
    with pytest.raises(SchemaError, match="one-dimensional"):
        read_names(pickle.dumps(square), 4)
    with pytest.raises(SchemaError, match="2 names where its header promises 3"):
        read_names(pickle.dumps(objects(b"a", b"b")), 3)


def test_arrays_of_numbers_are_refused():
    with pytest.raises(SchemaError, match="one-dimensional array of objects"):
        read_names(pickle.dumps(np.arange(3)), 3)


def test_bytes_behind_the_pickle_are_refused():
    with pytest.raises(SchemaError, match="bytes follow"):
        read_names(pickle.dumps(objects(b"a")) + b"x", 1)


def test_every_cut_and_every_flipped_byte_is_refused_or_harmless():
    names = [b"n01440764_10026.JPEG", b"n01440764_1.JPEG"]
    payload = pickle.dumps(objects(*names), protocol=3)
    for stop in range(len(payload)):
        with pytest.raises(SchemaError):
            read_names(payload[:stop], 2)
    refused = 0
    for position in range(len(payload)):
        damaged = bytearray(payload)
        damaged[position] ^= 0x55
        if any(each[0].name in ("LONG_BINPUT", "LONG4") for each in opcodes(bytes(damaged))):
            continue  # a memo index of billions: refused too, but it takes the memory first
        try:
            found = read_names(bytes(damaged), 2)
            assert all(type(name) is bytes for name in found)
        except SchemaError:
            refused += 1
    assert refused > len(payload) / 2


def opcodes(payload):
    try:
        yield from pickletools.genops(payload)
    except Exception:  # noqa: BLE001 - damaged on purpose
        return


def test_stand_ins_cannot_be_changed_from_inside():
    # BUILD with slot state on what find_class returned: (None, {"_call": "mine"})
    payload = b"\x80\x02cnumpy\ndtype\nN}X\x05\x00\x00\x00_callX\x04\x00\x00\x00mines\x86b."
    with pytest.raises(SchemaError, match="changes what it was given"):
        read_names(payload, 1)
    assert read_names(pickle.dumps(objects(b"a")), 1) == [b"a"]


@pytest.mark.parametrize(
    "payload",
    [
        b"Nr\xe8\x03\x00\x00.",  # 1,000 in a pickle of 7 bytes
        b"Np100000\n.",
        b"]" + b"U\x04abcd" * 3 + b"r\xe8\x03\x00\x00.",
        b"cnumpy\ndtype\nr\xe8\x03\x00\x00.",
        b"\x8a\x02\x01\x01Np000100000\n.",
    ],
)
def test_a_pickle_that_numbers_an_object_higher_than_its_size_is_refused(payload):
    with pytest.raises(SchemaError, match="numbers an object"):
        read_names(payload, 1)


def test_text_that_looks_like_a_high_number_is_read():
    names = [f"r\xff\xff\xff{k}p99999999" for k in range(300)]
    for protocol in (0, 1, 2, 4):
        payload = pickle.dumps(np.array(names, object), protocol=protocol)
        assert read_names(payload, 300) == names
