"""Documents and formats of other programs: read, or refused in one line."""

import dataclasses
import os
import zipfile
from typing import Literal

import pytest

from memtools.documents import describe, fill, parsing, read_json, read_toml
from memtools.errors import ConfigError, DiskError, SchemaError

BAD_JSON = {
    "empty": b"",
    "cut": b'{"a": [1, 2',
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "nested too deeply": b"[" * 200_000,
    "number of 5,000 digits": b"1" * 5_000,
    "name twice": b'{"a": 1, "a": 2}',
    "half of a character": b'{"a": ["\\ud800"]}',
    "half of a character in a name": b'{"\\udfff": 1}',
}
BAD_TOML = {
    "cut": b"[a\n",
    "not UTF-8": b'a = "\xff"',
    "nested too deeply": b"a = " + b"[" * 20_000,
    "number of 5,000 digits": b"a = " + b"1" * 5_000,
    "name twice": b"a = 1\na = 2\n",
    "integer of more than 64 bits": b"a = 9223372036854775808",
    "hexadecimal of 5,000 digits": b"a = [{b = 0x" + b"f" * 5_000 + b"}]",
    "no such day": b"a = 2024-02-31",
    "NUL": b"a = \0",
}


@pytest.mark.parametrize("data", BAD_JSON.values(), ids=BAD_JSON)
def test_json_that_cannot_be_read_is_refused_in_one_line(tmp_path, data):
    path = tmp_path / "document.json"
    path.write_bytes(data)
    with pytest.raises(SchemaError) as caught:
        read_json(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 250 and caught.value.hint


@pytest.mark.parametrize("data", BAD_TOML.values(), ids=BAD_TOML)
def test_toml_that_cannot_be_read_is_refused_with_the_error_that_was_chosen(tmp_path, data):
    path = tmp_path / "document.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_toml(path, error=ConfigError, hint="repair it")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.hint


def test_documents_are_read_with_and_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "document"
    for start in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(start + b'{"a": ["\xc3\xa9", "\\u00e9", "\\ud83d\\ude00"]}')
        assert read_json(path) == {"a": ["é", "é", "\U0001f600"]}
        path.write_bytes(start + b'a = "\xc3\xa9"')
        assert read_toml(path) == {"a": "é"}


def test_a_pipe_in_the_place_of_a_document_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SchemaError, match="is a pipe"):
        read_json(tmp_path / "pipe")


def test_missing_documents_and_directories_are_faults_of_the_disk(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(DiskError):
            read_toml(path)


def test_errors_of_a_library_become_one_line_and_other_errors_pass():
    with pytest.raises(SchemaError) as caught, parsing("x.zip", "a zip archive"):
        raise zipfile.BadZipFile("File is not\n a zip file")
    assert str(caught.value) == "x.zip is not a zip archive: File is not a zip file"
    with pytest.raises(ConfigError, match="mine"), parsing("x", "a zip archive"):
        raise ConfigError("mine")


def test_what_a_library_says_is_shortened_and_never_empty():
    assert describe(ValueError("x" * 9_999)).endswith("...")
    assert len(describe(ValueError("x" * 9_999))) < 200
    assert describe(EOFError()) == "EOFError"
    assert "memory" in describe(MemoryError()) and "deep" in describe(RecursionError())


@dataclasses.dataclass
class Part:
    """One part of a whole."""

    size: int
    share: float = 1.0


@dataclasses.dataclass
class Whole:
    """Parts, and what is said of them."""

    name: str
    kind: Literal["a", "b"]
    parts: tuple[Part, ...]
    by_name: dict[str, Part]
    note: str | None = None
    is_open: bool = False


FACTS = {
    "name": "x",
    "kind": "a",
    "parts": [{"size": 1}],
    "by_name": {"y": {"size": 2, "share": 3}},
}


def test_a_document_fills_dataclasses_within_dataclasses():
    found = fill(Whole, FACTS, "x.json")
    assert found == Whole("x", "a", (Part(1),), {"y": Part(2, 3.0)})
    assert isinstance(found.by_name["y"].share, float)
    assert fill(Whole, {**FACTS, "note": "n"}, "x.json").note == "n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": 1}, "x.json: name is 1"),
        ({"kind": "c"}, "x.json: kind is 'c'"),
        ({"kind": []}, r"x.json: kind is \[\]"),
        ({"parts": {}}, "x.json: parts is {}"),
        ({"parts": [1]}, "x.json: parts is 1"),
        ({"parts": [{"size": True}]}, "x.json: parts: size is True"),
        ({"parts": [{"size": 2**63}]}, "size is 9223372036854775808"),
        ({"parts": [{"size": 1, "share": 10**400}]}, "share is 1000"),
        ({"parts": [{}]}, "x.json: parts has no size"),
        ({"by_name": {"y": None}}, "x.json: by_name: y is None"),
        ({"note": 3}, "x.json: note is 3"),
        ({"is_open": 0}, "x.json: is_open is 0"),
        ({"color": 0}, "x.json has 'color', which is not known"),
    ],
)
def test_a_document_of_other_types_is_refused_by_its_field(change, words):
    with pytest.raises(ConfigError, match=words):
        fill(Whole, {**FACTS, **change}, "x.json", error=ConfigError, hint="repair it")


def test_a_document_that_is_not_an_object_fills_nothing():
    for document in (None, [], 1, "x"):
        with pytest.raises(SchemaError, match=r"^x\.json is "):
            fill(Whole, document, "x.json")
