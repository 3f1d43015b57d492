"""Names out of a pickled object array, without letting the pickle do anything.

    names = read_names(payload, n=1281167)     # list of bytes, or of str

Published files hold file names as NumPy object arrays, which are pickles, and a
pickle is a program. Here it meets stand-ins instead of NumPy: they take down what
the program says about an array and make nothing of it. A program that asks for
anything else is refused by the name of what it asked for.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from memtools.documents import parsing
from memtools.errors import SchemaError
from memtools.files import CHUNK

_UNREADABLE = "get the file again; if it is your own, write names as fixed-width strings"


class _StandIn:
    """What a pickle may call: takes down the call, and nothing can be set on it."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., object]) -> None:
        self._call = call

    def __call__(self, *arguments: object) -> object:
        return self._call(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise pickle.UnpicklingError("it changes what it was given")


class _Dtype:
    """A dtype as a pickle describes it; only that of objects is of use here."""

    __slots__ = ("code",)

    def __init__(self, code: object, *_: object) -> None:
        self.code = code.decode("latin1") if isinstance(code, bytes) else code

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment: of no meaning for objects."""


class _Array:
    """An array as a pickle describes it."""

    __slots__ = ("state",)

    def __init__(self, *_: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


def _encode(text: object, encoding: object) -> bytes:
    """How old protocols spell bytes: text, and the codec that maps it one to one."""
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("it encodes something that is not bytes")
    return text.encode("latin1")


def _scalar(dtype: object, data: object = b"") -> bytes:
    """A NumPy byte string inside an object array."""
    if not (isinstance(dtype, _Dtype) and str(dtype.code).startswith("S")):
        raise pickle.UnpicklingError("it holds NumPy scalars that are not byte strings")
    if not isinstance(data, bytes):
        raise pickle.UnpicklingError("it holds a NumPy scalar without bytes")
    return data.rstrip(b"\0")


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since NumPy 2
_STAND_INS: dict[tuple[str, str], Callable[..., object]] = {
    **{(module, "_reconstruct"): _Array for module in _MULTIARRAY},
    **{(module, "scalar"): _scalar for module in _MULTIARRAY},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Never the thing itself: a stand-in, or a refusal."""
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _StandIn(_STAND_INS[module, name])


def describe_pickle(payload: bytes) -> object:
    """Return what a pickle describes: dicts, lists, numbers, text, bytes, and stand-ins for arrays.

    Raises SchemaError for a pickle that asks for anything else, or is damaged.
    """
    _require_small_memo(payload)
    stream = io.BufferedReader(io.BytesIO(payload), CHUNK)  # peeked into, so read in chunks
    try:
        with parsing("a pickle", "readable", hint=_UNREADABLE):
            found: object = _Reader(stream, encoding="bytes").load()
    except OSError as error:  # a length in it is none that a stream can be read by
        raise SchemaError("a pickle is not readable: it is cut", hint=_UNREADABLE) from error
    if stream.read(1):
        raise SchemaError("bytes follow the end of a pickle", hint=_UNREADABLE)
    return found


def read_names(payload: bytes, n: int) -> list[bytes] | list[str]:
    """Return the `n` elements of a pickled one-dimensional object array: all bytes, or all str.

    Raises SchemaError for any pickle that holds, or asks for, anything else.
    """
    names = _elements(describe_pickle(payload))
    if len(names) != n:
        raise SchemaError(
            f"a pickle holds {len(names)} names where its header promises {n}", hint=_UNREADABLE
        )
    kinds = set(map(type, names))
    if kinds not in ({bytes}, {str}, set()):
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise SchemaError(
            f"a pickled array holds {found}: only bytes or only str are read", hint=_UNREADABLE
        )
    return names


def as_pixels(array: object) -> NDArray[np.uint8]:
    """Return the uint8 array [n, m] that a stand-in describes; SchemaError for another one."""
    match array:
        case _Array(state=(_, (n, m), _Dtype(code="u1"), fortran, bytes() as data)) if (
            type(n) is type(m) is int and min(n, m) >= 0 and n * m == len(data)
        ):
            order: Literal["C", "F"] = "F" if fortran else "C"
            return np.frombuffer(data, np.uint8).reshape((n, m), order=order)
    raise SchemaError("a pickle holds something else than an array uint8 [n, m]", hint=_UNREADABLE)


def _elements(array: object) -> list[Any]:
    """Return the list inside the state (version, shape, dtype, is_fortran, list) of an array."""
    match array:
        case _Array(state=(_, (n,), _Dtype(code="O" | "O8"), _, list() as elements)) if type(
            n
        ) is int and n == len(elements):
            return elements
    raise SchemaError(
        "a pickle does not describe a one-dimensional array of objects", hint=_UNREADABLE
    )


# ---- memory: a small pickle that numbers its objects in an unusual way could make Python's
# unpickler take far more than its size.

_PUT, _LONG_PUT, _STOP = ord(pickle.PUT), ord(pickle.LONG_BINPUT), ord(pickle.STOP)
_PUT_TEXT = re.compile(rb"p[0-9]{6,}")
_DIGITS = re.compile(rb"[0-9]{1,18}")  # of a longer number, enough of it
_TWO_LINES = {ord(pickle.GLOBAL), ord(pickle.INST)}
_SIZES = {ord(each.code): each.arg.n if each.arg else 0 for each in pickletools.opcodes}
_PREFIXES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}


def _require_small_memo(payload: bytes) -> None:
    """Raise SchemaError for a pickle that numbers an object higher than it has bytes."""
    if _may_number_high(payload):
        highest = max(_numbers(payload), default=0)
        if highest > len(payload):
            raise SchemaError(f"a pickle numbers an object {highest:,}", hint=_UNREADABLE)


def _numbers(payload: bytes) -> Iterator[int]:
    """Yield the numbers that a pickle gives to objects, up to where it ends or is damaged."""
    at = 0
    while at < len(payload) and payload[at] in _SIZES and payload[at] != _STOP:
        code, size, start = payload[at], _SIZES[payload[at]], at + 1
        if size == pickletools.UP_TO_NEWLINE:
            at = payload.find(b"\n", start) + 1
            if code in _TWO_LINES and at:
                at = payload.find(b"\n", at) + 1
            if not at:
                return
        elif size < 0:
            prefix = payload[start : start + _PREFIXES[size]]
            at = start + len(prefix) + int.from_bytes(prefix, "little")
        else:
            at = start + size
        if code == _LONG_PUT:
            yield int.from_bytes(payload[start:at], "little")
        elif code == _PUT and (digits := _DIGITS.match(payload, start)):
            yield int(digits[0])


def _may_number_high(payload: bytes) -> bool:
    """Return whether bytes of a pickle look as if they numbered an object higher than their count.

    The same bytes may stand in a text: this is quick, and walking through all opcodes is not.
    """
    if _PUT_TEXT.search(payload):
        return True
    data = np.frombuffer(payload, np.uint8)
    places = np.flatnonzero(data[:-4] == _LONG_PUT) + 1
    numbers = sum(data[places + k].astype(np.int64) << 8 * k for k in range(4))
    return bool(np.max(numbers, initial=0) > len(payload))
