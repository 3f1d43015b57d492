"""Files of other programs, parsed or refused in one line: JSON, TOML, and what a library parses.

    document = read_json(path)                     # SchemaError: path, and what is wrong with it
    document = read_toml(path, error=ConfigError)  # the class of the error is chosen by the caller
    sweep = fill(Sweep, document, f"{path}")       # a dataclass, whose types are compared
    with parsing(f"{path}", "a zip archive"):      # for any other library
        archive = zipfile.ZipFile(file)

A file may hold anything, and libraries raise anything for it: a number of 5,000 digits is a
ValueError, brackets that are nested too deeply are a RecursionError, a header that promises too
much is a MemoryError. Only the call of the library belongs inside `parsing`, so that a fault of
memtools itself still shows as one. What a document means is checked afterwards by its reader.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import lzma
import pickle
import re
import struct
import tokenize
import tomllib
import types
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from memtools.errors import MemtoolsError, SchemaError
from memtools.file_kinds import name_kind
from memtools.files import disk_errors
from memtools.wording import printable

T = TypeVar("T")

PARSE_ERRORS: tuple[type[Exception], ...] = (
    ValueError,  # also UnicodeError, JSONDecodeError, TOMLDecodeError
    TypeError,
    LookupError,
    ArithmeticError,  # OverflowError, ZeroDivisionError
    AttributeError,
    AssertionError,
    EOFError,
    MemoryError,
    RuntimeError,  # RecursionError, NotImplementedError, a zip with a password
    SyntaxError,
    ImportError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)
"""The exceptions that libraries raise for bytes that they cannot parse."""

_SHOWN = 160  # characters of what a library says
_HINT = "write or fetch it again"
_SURROGATE = re.compile("[\ud800-\udfff]")


@contextlib.contextmanager
def parsing(
    where: str, what: str, *, error: type[MemtoolsError] = SchemaError, hint: str = _HINT
) -> Iterator[None]:
    """Raise `error` where the library that is called inside cannot parse what it is given.

    Args:
        where: What is parsed, for the message: a path, an array.
        what: The format with its article, as in `a zip archive`.
        error: The class of the error.
        hint: What to do about it.
    """
    try:
        yield
    except PARSE_ERRORS as cause:
        raise error(f"{where} is not {what}: {describe(cause)}", hint=hint) from cause


@contextlib.contextmanager
def naming(where: Path | str) -> Iterator[None]:
    """Put the path of a file in front of the message of a SchemaError, unless it begins with it."""
    try:
        yield
    except SchemaError as error:
        if not where or str(error).startswith(printable(str(where))):
            raise
        raise SchemaError(f"{where}: {error}", hint=error.hint) from error


def describe(error: BaseException) -> str:
    """Return what an exception of a library says, short and on one line, never empty."""
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def read_json(path: Path, *, error: type[MemtoolsError] = SchemaError, hint: str = _HINT) -> Any:
    """Return what a JSON file holds.

    Raises:
        error: It is not UTF-8, not JSON, nested too deeply, or an object has one name twice.
        DiskError: It is missing or cannot be read.
    """
    return parse_json(read_utf8(path, error=error, hint=hint), str(path), error=error, hint=hint)


def read_toml(
    path: Path, *, error: type[MemtoolsError] = SchemaError, hint: str = _HINT
) -> dict[str, Any]:
    """Return what a TOML file holds; raises what `read_json` raises."""
    return parse_toml(read_utf8(path, error=error, hint=hint), str(path), error=error, hint=hint)


def parse_json(
    text: str, where: str, *, error: type[MemtoolsError] = SchemaError, hint: str = _HINT
) -> Any:
    """Return what a JSON text holds; `where` names it in the message. See `read_json`."""
    with parsing(where, "JSON", error=error, hint=hint):
        document = json.loads(text, object_pairs_hook=_distinct)
        if "\\u" in text:  # the only way in which half of a character gets in
            _require_characters(document)
    return document


def parse_toml(
    text: str, where: str, *, error: type[MemtoolsError] = SchemaError, hint: str = _HINT
) -> dict[str, Any]:
    """Return what a TOML text holds; `where` names it in the message. See `read_toml`."""
    with parsing(where, "TOML", error=error, hint=hint):
        document = tomllib.loads(text)
        require_small_integers(document)
    return document


def require_small_integers(document: Any, bits: int = 64) -> None:
    """Raise ValueError for an integer of more than 64 bits, which TOML does not have.

    Python reads it all the same, if it is hexadecimal, and cannot show one of 5,000 digits.
    """
    left = [document]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left += each.values()
        elif isinstance(each, list):
            left += each
        elif isinstance(each, int) and not -(1 << bits - 1) <= each < 1 << bits - 1:
            raise ValueError(f"an integer in it has more than {bits} bits")


def read_utf8(path: Path, *, error: type[MemtoolsError] = SchemaError, hint: str = _HINT) -> str:
    """Return a text in UTF-8, with or without a BOM; `error` names the row that is not."""
    data = read_regular(path, error=error)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise error(f"{path}: row 1 is UTF-16", hint="save the file as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        byte = cause.object[cause.start]
        raise error(f"{path}: row {line} is not UTF-8: byte 0x{byte:02x}", hint=hint) from cause


def read_regular(path: Path, *, error: type[MemtoolsError] = SchemaError) -> bytes:
    """Return the bytes of a file; `error` for a pipe, a socket or a device, which may never end."""
    with disk_errors(path):
        kind = name_kind(path.stat().st_mode)
        if kind not in ("", "a directory"):  # of which the disk says it
            raise error(f"{path} is {kind}, not a file", hint="give the path of a file")
        return path.read_bytes()


def fill(
    kind: type[T],
    facts: Any,
    where: str,
    *,
    error: type[MemtoolsError] = SchemaError,
    hint: str = _HINT,
) -> T:
    """Return a dataclass filled with the values of a document, which must be of its types.

    Args:
        kind: The dataclass, and those that its fields hold. A field with a default may be missing.
        facts: An object, or a table, with a value for each field.
        where: What holds it, for the message.
        error: The class of the error.
        hint: What to do about it.

    Raises:
        error: It is not an object, or a field is missing, unknown, or of another type.
    """
    try:
        made: T = _make(kind, facts, where)
    except _MismatchError as cause:
        raise error(str(cause), hint=hint) from cause
    return made


class _MismatchError(Exception):
    """A value of a document is not of the type that it should be."""


def _make(hint: Any, value: Any, where: str) -> Any:
    """Return a value of a document as the annotated type; integers fit into 64 bits."""
    kind, arguments = get_origin(hint) or hint, get_args(hint)
    if kind in (types.UnionType, Union):
        kind = next((each for each in arguments if type(value) is (get_origin(each) or each)), None)
        return _make(kind, value, where)
    if kind is Literal and value in arguments:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _make_dataclass(kind, value, where)
    if kind in (dict, Mapping) and isinstance(value, dict):
        each = arguments[1] if arguments else Any
        return {key: _make(each, item, f"{where}: {key}") for key, item in value.items()}
    if kind in (list, tuple, Sequence) and isinstance(value, list):
        items = [_make(arguments[0] if arguments else Any, each, where) for each in value]
        return tuple(items) if kind is tuple else items
    if type(value) is int and kind in (int, float) and abs(value) < 1 << 63:
        return kind(value)
    if kind is Any or (type(value) is kind and kind is not int):
        return value
    raise _MismatchError(f"{where} is {value!r:.40}")


def _make_dataclass(kind: Any, facts: dict[str, Any], where: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = get_type_hints(kind)
    for name, field in fields.items():
        has_default = not (field.default is field.default_factory is dataclasses.MISSING)
        if name not in facts and not has_default:
            raise _MismatchError(f"{where} has no {name}")
    if unknown := set(facts) - set(fields):
        raise _MismatchError(f"{where} has {min(unknown)!r:.40}, which is not known")
    return kind(**{name: _make(hints[name], v, f"{where}: {name}") for name, v in facts.items()})


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = collections.Counter(name for name, _ in pairs)
        twice = next(name for name, n in counts.items() if n > 1)
        raise ValueError(f"the name {twice!r} comes twice in one object")
    return found


def _require_characters(document: Any) -> None:
    """Raise ValueError for text with half of a surrogate pair, which UTF-8 cannot hold."""
    left = [document]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left += [*each, *each.values()]
        elif isinstance(each, list):
            left += each
        elif isinstance(each, str) and _SURROGATE.search(each):
            raise ValueError(f"{each!r:.40} is not text: it holds half of a character")
