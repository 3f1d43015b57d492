"""What was verified when; nothing else about a file's presence is believed."""

import datetime
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import artifact, git_blob, md5

import memtools
from memtools.artifacts.manifest import parse_registry
from memtools.artifacts.receipts import (
    Receipt,
    read_receipt,
    receipt_path,
    stamp,
    write_receipt,
)
from memtools.files import digest_file

DATA = b"the bytes of a thing"
PARTS = [{"name": "a.bin", "size": len(DATA), "git_blob": git_blob(DATA)}]


def known(data=DATA, **options):
    text = artifact(["a.bin"], [data], **options)
    return parse_registry(text, where="r", base="https://example.org/")["thing"]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "thing.npz"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def digests(path):
    return digest_file(path, ("md5", "sha256", "git_blob"))


def test_a_receipt_lies_hidden_beside_its_file(path):
    assert receipt_path(path) == path.parent / ".thing.npz.receipt.json"


def test_a_receipt_says_what_was_verified_when(path, digests):
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    write_receipt(path, known(), digests, PARTS)
    receipt = read_receipt(path)
    assert receipt.artifact == "thing"
    assert receipt.digests == digests
    assert receipt.parts == PARTS
    assert receipt.proven is True
    info = path.stat()
    assert receipt.stamp == [info.st_size, info.st_ino, info.st_mtime_ns, info.st_ctime_ns]
    assert receipt.memtools == memtools.__version__
    when = datetime.datetime.fromisoformat(receipt.verified)
    assert before <= when <= datetime.datetime.now(datetime.UTC)


def test_a_receipt_of_what_nothing_could_prove_says_so(path, digests):
    write_receipt(path, known(whole=False, blobs=False), digests, PARTS)
    assert read_receipt(path).proven is False


def test_a_file_untouched_since_fits_its_receipt(path, digests):
    write_receipt(path, known(), digests, PARTS)
    assert read_receipt(path).fits(path, known())


def rewritten(path):
    path.write_bytes(DATA[::-1])


def longer(path):
    with path.open("ab") as file:
        file.write(b"!")


def replaced(path):
    other = path.with_name("other")
    other.write_bytes(DATA)
    os.replace(other, path)


def edited_with_the_old_time(path):
    info = path.stat()
    with path.open("r+b") as file:
        file.write(b"X")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def redated(path):
    os.utime(path, ns=(0, 10**18))


@pytest.mark.parametrize("touch", [rewritten, longer, replaced, edited_with_the_old_time, redated])
def test_a_file_touched_since_does_not_fit(path, digests, touch):
    write_receipt(path, known(), digests, PARTS)
    touch(path)
    assert not read_receipt(path).fits(path, known())


@pytest.mark.parametrize("n", range(4), ids=["size", "inode", "mtime", "ctime"])
def test_each_number_of_the_stamp_counts(path, digests, n):
    write_receipt(path, known(), digests, PARTS)
    facts = json.loads(receipt_path(path).read_text())
    facts["stamp"][n] += 1
    receipt_path(path).write_text(json.dumps(facts))
    assert not read_receipt(path).fits(path, known())


def test_a_file_that_the_registry_wants_otherwise_now_does_not_fit(path, digests):
    write_receipt(path, known(), digests, PARTS)
    assert not read_receipt(path).fits(path, known(b"a newer version"))
    assert not read_receipt(path).fits(path, known(b"a newer version", blobs=False))


def test_a_digest_that_the_receipt_does_not_have_does_not_fit(path):
    write_receipt(path, known(), {"md5": md5(DATA)}, PARTS)  # and no git_blob
    assert not read_receipt(path).fits(path, known())
    assert read_receipt(path).fits(path, known(blobs=False))


TWO = (DATA[:10], DATA[10:])
TWO_PARTS = [
    {"name": name, "size": len(data), "git_blob": git_blob(data)}
    for name, data in zip(["a.bin", "b.bin"], TWO, strict=True)
]


def of_two(names=("a.bin", "b.bin"), contents=TWO, **promises):
    text = artifact(names, contents, **promises)
    return parse_registry(text, where="r", base="https://example.org/")["thing"]


CHANGES = {
    "a digest of a part": lambda: of_two(contents=(DATA[:10], DATA[10:-1] + b"?"), whole=False),
    "a size of a part": lambda: of_two(contents=(DATA[:9], DATA[9:]), blobs=False),
    "the order of the parts": lambda: of_two(("b.bin", "a.bin"), TWO[::-1], whole=False),
    "the name of a part": lambda: of_two(("a.bin", "c.bin")),
    "the number of parts": lambda: of_two(["a.bin"], [DATA], sizes=False, blobs=False),
    "the size of the whole": lambda: of_two(size=len(DATA) + 1, sizes=False),
    "a digest that is new": lambda: of_two(sha256="0" * 64),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_receipt_does_not_fit_a_registry_that_changed(path, digests, change):
    write_receipt(path, of_two(), {"md5": digests["md5"]}, TWO_PARTS)
    assert read_receipt(path).fits(path, of_two())
    assert read_receipt(path).fits(path, of_two(sizes=False))
    assert read_receipt(path).fits(path, of_two(blobs=False, whole=False))
    assert not read_receipt(path).fits(path, CHANGES[change]())


@pytest.mark.parametrize("name", ["name", "size"])
def test_a_receipt_whose_part_lacks_a_field_is_none(path, digests, name):
    part = {key: value for key, value in PARTS[0].items() if key != name}
    write_receipt(path, known(), digests, [part])
    assert read_receipt(path) is None


def test_a_pipe_in_place_of_a_receipt_is_none(path):
    os.mkfifo(receipt_path(path))
    assert read_receipt(path) is None


def test_a_link_to_itself_in_place_of_a_receipt_is_none(path):
    receipt_path(path).symlink_to(receipt_path(path))
    assert read_receipt(path) is None


def test_the_parts_of_a_receipt_survive_its_file(path, digests):
    write_receipt(path, known(), digests, [*PARTS, {"name": "b", "size": 16, "git_blob": "2" * 40}])
    assert [part["name"] for part in read_receipt(path).parts] == ["a.bin", "b"]


def test_no_receipt_is_no_error(path):
    assert read_receipt(path) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = [*Receipt.__dataclass_fields__]


NESTED = b"[" * 100_000  # deeper than the parser goes


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff", b'{"digests": {}}', NESTED]
)
def test_what_cannot_be_read_is_no_receipt(path, content):
    receipt_path(path).write_bytes(content)
    assert read_receipt(path) is None


@pytest.mark.parametrize("size", [-1, 1.5, True, "4", [], float("nan"), 10**30])
def test_a_receipt_with_a_part_of_no_possible_size_is_none(path, digests, size):
    write_receipt(path, known(), digests, [{**PARTS[0], "size": size}])
    assert read_receipt(path) is None


@settings(deadline=None, max_examples=150)
@given(field=st.sampled_from(FIELDS), value=JSON)
def test_a_receipt_with_a_strange_value_is_none_or_harmless(field, value, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "strange.npz"
    path.write_bytes(DATA)
    write_receipt(path, known(), digest_file(path, ("md5", "git_blob")), PARTS)
    facts = json.loads(receipt_path(path).read_text())
    receipt_path(path).write_text(json.dumps({**facts, field: value}))
    receipt = read_receipt(path)
    if receipt is not None:
        assert receipt.fits(path, known()) in (True, False)
        if field in ("digests", "stamp") and value != facts[field]:
            assert not receipt.fits(path, known())
        for part in receipt.parts:
            assert {"name", "size"} <= set(part)


def test_a_file_touched_while_it_was_read_is_not_noted_as_verified(path, digests):
    before = stamp(path)
    path.write_bytes(path.read_bytes()[::-1])
    write_receipt(path, known(), digests, PARTS, before=before)
    assert read_receipt(path) is None
