"""Arrays in npy format: checked before memory is taken for them, and of one standard form.

    read_npy(path)                           # ndarray, read-only
    map_npy(path)                            # the same, mapped: for files larger than memory
    read_array(stream, size, names=False)    # a member of an npz

A header promises a shape and a type; it is believed only where the bytes that follow are as many as
that takes. Whatever a file holds, what is returned is bool, integers, float16 to float64, bytes or
text, in the byte order of this machine: nothing that works on the arrays has to know of another
one. Object arrays hold names or nothing: see memtools.estimates.pickles.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from memtools.documents import naming, parsing
from memtools.errors import SchemaError
from memtools.estimates.pickles import read_names
from memtools.file_kinds import require_regular
from memtools.files import disk_errors

Array = NDArray[Any]

CHUNK = 256 * 1024  # bytes: what was just read is still in the processor's cache
DAMAGED = (
    "it is damaged, cut, or joined in the wrong order: memtools verify compares its digests,"
    " memtools fetch or join makes it anew"
)
"""The hint for a file that is not what its headers promise."""

_KINDS = "biufSU"
_LENGTHS = {1: 2, 2: 4}  # bytes of the length of a header, by version
_MAX_HEADER = 10_000  # bytes: NumPy parses no more; that of an array of numbers has 118
_LONG, _WASTE = 10_000, 8  # characters of a text; times the memory of all texts
_LAST_CHARACTER = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
_TOO_LARGE = "a number in it is beyond the range of float64"


class Header(NamedTuple):
    """The header of an npy: the shape, whether in Fortran order, and the type in the file."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


def read_npy(path: Path) -> Array:
    """Return the array of a single npy file, read-only; SchemaError if it is not what it says."""
    require_regular(path)
    with _of_file(path), path.open("rb") as file:
        return read_array(file, path.stat().st_size, names=False)


def map_npy(path: Path) -> Array:
    """Return the numbers of an npy file, mapped and read-only, with the type that they have there.

    Raises SchemaError for a file that is not what it says, or that holds something else.
    """
    require_regular(path)
    with _of_file(path), path.open("rb") as file:
        header = read_header(file)
        _require_plain(header.dtype)
        _require_size(header, path.stat().st_size - file.tell())
        order = "F" if header.fortran else "C"
        if not math.prod(header.shape):
            return np.empty(header.shape, header.dtype)  # which the system cannot map
        return np.memmap(file, header.dtype, "r", file.tell(), header.shape, order)  # type: ignore[call-overload,no-any-return]


def read_array(stream: IO[bytes], size: int, *, names: bool) -> Array:
    """Return the array in `size` bytes of npy format; memory is taken for what is there alone.

    names: whether an array of Python objects is read, as names.
    """
    header = read_header(stream)
    left = size - stream.tell()
    if header.dtype.kind == "O":
        return _names_of(stream.read(left + 1), header.shape, allowed=names)
    _require_plain(header.dtype)
    _require_size(header, left)
    payload = np.empty(left, np.uint8)
    filled = 0
    while data := stream.read(CHUNK):  # to the end, where zipfile compares the checksum
        payload[filled : filled + len(data)] = np.frombuffer(data, np.uint8)
        filled += len(data)
    if filled != left:
        raise SchemaError(f"{filled} of {left} bytes are there", hint=DAMAGED)
    array = payload.view(header.dtype).reshape(header.shape, order="F" if header.fortran else "C")
    array = standardise(array)
    array.flags.writeable = False
    return array


def read_header(stream: IO[bytes]) -> Header:
    """Return what an npy header promises; the stream then stands where the numbers begin."""
    magic = stream.read(npy.MAGIC_LEN)
    length = _LENGTHS.get(magic[-2] if len(magic) == npy.MAGIC_LEN else 0)
    if not magic.startswith(npy.MAGIC_PREFIX) or length is None or magic[-1] != 0:
        raise SchemaError(f"it does not begin as an array: {magic!r}", hint=DAMAGED)
    prefix = stream.read(length)
    n_bytes = int.from_bytes(prefix, "little")
    if n_bytes > _MAX_HEADER:
        raise SchemaError(f"its header has {n_bytes:,} bytes", hint=DAMAGED)
    text = io.BytesIO(magic + prefix + stream.read(n_bytes))
    with parsing("its header", "that of an array", hint=DAMAGED), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a header written by Python 2 is as good
        npy.read_magic(text)
        read = npy.read_array_header_1_0 if length == 2 else npy.read_array_header_2_0
        shape, fortran, dtype = read(text)
    if min(shape, default=0) < 0:
        raise SchemaError(f"its header promises the shape {shape}", hint=DAMAGED)
    return Header(tuple(map(int, shape)), fortran, dtype)


def standard_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that an array of a file has in memory."""
    if dtype.kind == "f" and dtype.itemsize > np.dtype(np.float64).itemsize:
        return np.dtype(np.float64)  # the width of a longdouble differs between machines
    return dtype.newbyteorder("=")


def standardise(array: Array) -> Array:
    """Return an array of the standard type; SchemaError for what that type cannot hold."""
    if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise SchemaError("a boolean in it is neither 0 nor 1", hint=DAMAGED)
    wanted = standard_type(array.dtype)
    if wanted != array.dtype:
        with np.errstate(over="ignore"):
            standard = array.astype(wanted)
        if array.dtype.kind == "f" and (np.isinf(standard) & np.isfinite(array)).any():
            raise SchemaError(_TOO_LARGE, hint="write the numbers as float64")
        array = standard
    if array.dtype.kind == "U" and array.size:
        codes = array.ravel(order="K").view(np.uint32)
        first, last = _SURROGATES
        if codes.max() > _LAST_CHARACTER or ((codes >= first) & (codes <= last)).any():
            raise SchemaError("a text in it holds what is not a character", hint=DAMAGED)
    return array


def _require_plain(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in _KINDS or dtype.subdtype or dtype.itemsize == 0:
        raise SchemaError(
            f"its type is {dtype!s:.60}, not numbers or text",
            hint="it can be whole, but cannot be read here: write plain arrays of numbers or text",
        )


def _require_size(header: Header, left: int) -> None:
    promised = math.prod(header.shape) * header.dtype.itemsize
    if promised != left:
        raise SchemaError(
            f"its header promises {promised} bytes, and {left} are there", hint=DAMAGED
        )


def _names_of(payload: bytes, shape: tuple[int, ...], *, allowed: bool) -> Array:
    if not allowed:
        raise SchemaError(
            "it holds Python objects, and nothing vouches for this file",
            hint="fetch it by name, so that its digest is checked; or add --names if you trust"
            " its source: names alone are read, and nothing in it is run",
        )
    if len(shape) != 1:
        raise SchemaError(f"it holds Python objects in shape {shape}", hint=DAMAGED)
    names = read_names(payload, shape[0])
    text = standardise(pack_texts(names, "it"))
    lengths = np.fromiter(map(len, names), np.int64, len(names))
    if (np.char.str_len(text) != lengths).any():  # fixed width cannot say this
        raise SchemaError("a name in it ends in a zero byte", hint=DAMAGED)
    text.flags.writeable = False
    return text


def pack_texts(texts: Sequence[str] | Sequence[bytes], where: str) -> Array:
    """Return texts as an array of the width of the longest; SchemaError for one that is too long.

    One text of a megabyte among a million of ten characters would take a terabyte.
    """
    longest = max(map(len, texts), default=0)
    if longest > _LONG and longest * len(texts) > _WASTE * sum(map(len, texts)):
        raise SchemaError(
            f"{where} holds a text of {longest:,} characters among shorter ones",
            hint="is a quote or a line end missing? names of examples are short",
        )
    kind = "S" if texts and isinstance(texts[0], bytes) else "U"
    return np.array(list(texts), f"{kind}{max(longest, 1)}")


@contextlib.contextmanager
def _of_file(path: Path) -> Iterator[None]:
    """Name the file in every error; what the disk and NumPy raise becomes one."""
    require_regular(path)
    with naming(path), disk_errors(path), parsing(f"{path}", "a valid npy", hint=DAMAGED):
        yield
