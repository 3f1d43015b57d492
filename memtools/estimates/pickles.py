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
from collections.abc import Callable
from typing import Any, NoReturn

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


def read_names(payload: bytes, n: int) -> list[bytes] | list[str]:
    """The `n` elements of a pickled one-dimensional object array: all bytes, or all str.

    Raises SchemaError for any pickle that holds, or asks for, anything else.
    """
    stream = io.BufferedReader(io.BytesIO(payload), CHUNK)  # peeked into, so read in chunks
    try:
        array = _Reader(stream, encoding="bytes").load()
        names = _elements(array)
    except pickle.UnpicklingError as error:
        raise SchemaError(f"a pickle is refused: {error}", hint=_UNREADABLE) from error
    except Exception as error:  # whatever damage makes of a program; nothing of it was kept
        raise SchemaError(
            f"a pickle cannot be read ({type(error).__name__})", hint=_UNREADABLE
        ) from error
    if stream.read(1):
        raise SchemaError("bytes follow the end of a pickle", hint=_UNREADABLE)
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


def _elements(array: object) -> list[Any]:
    """The list inside the state (version, shape, dtype, is_fortran, list) of an array."""
    match array:
        case _Array(state=(_, (n,), _Dtype(code="O" | "O8"), _, list() as elements)) if type(
            n
        ) is int and n == len(elements):
            return elements
    raise pickle.UnpicklingError("it does not describe a one-dimensional array of objects")
