"""Arrays in an npz file: read one at a time, checked before they are believed, never unpickled.

    with Npz(path) as arrays:                # a Mapping; nothing is read yet
        arrays["tr_mem"]                     # ndarray, read-only
        arrays.shape("infl_matrix_class7")   # from its header alone
    write_npz(path, {"tr_mem": ...})         # appears whole or not at all

A zip archive promises a size for each member, and a header inside promises a shape:
memory is taken only when both agree and the size is one that such a file can have.
Stored or deflated members are read alike. Object arrays hold names or nothing: see
memtools.estimates.pickles.
"""

from __future__ import annotations

import contextlib
import errno
import math
import struct
import warnings
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from memtools.errors import DiskError, SchemaError
from memtools.estimates.pickles import read_names
from memtools.files import appearing, disk_errors, human_size

Array = NDArray[Any]

CHUNK = 256 * 1024  # bytes: what was just read is still in the processor's cache
_KINDS = "biufSU"
_BOMB_SIZE = 64 << 20  # bytes: below this nothing can hurt
_BOMB_RATIO = 100  # measured values do not shrink like that; zeros do
_HINT = (
    "it is damaged, cut, or joined in the wrong order: memtools verify compares its digests,"
    " memtools fetch or join makes it anew"
)
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


class Npz(Mapping[str, Array]):
    """The arrays of an npz file, by name.

    names: whether object arrays may be read (as names): only say so of a file whose
    digest held, or that you made yourself. Without it they are a SchemaError.

    Raises SchemaError for an archive that is cut, joined in the wrong order, a web
    page, or otherwise not what it says; DiskError where the disk fails.
    """

    def __init__(self, path: Path, *, names: bool = False) -> None:
        self.path = path
        self._names = names
        with disk_errors(path):
            self._file = path.open("rb")
        self.close = weakref.finalize(self, self._file.close)  # also when the last user has gone
        self._members = self._directory()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members  # a Mapping would read the array to find out

    def __getitem__(self, name: str) -> Array:
        """Read one array; KeyError if there is none of that name."""
        with self._open(name) as member:
            return read_array(member, self._members[name].file_size, names=self._names)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, from its header."""
        return self._header(name)[0]

    def dtype(self, name: str) -> np.dtype[Any]:
        """The dtype of an array, from its header."""
        return self._header(name)[1]

    def _header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with self._open(name) as member:
            shape, _, dtype = _read_header(member)
        return shape, dtype

    def _directory(self) -> dict[str, zipfile.ZipInfo]:
        with disk_errors(self.path):
            start = self._file.read(64)
        if start.lstrip().startswith(b"<"):
            raise self._refusal("it is a web page")
        with self._damage("it has no table of contents"):
            self._zip = zipfile.ZipFile(self._file)
        members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            name = info.filename.removesuffix(".npy")
            if name == info.filename:
                raise self._refusal(f"it holds {info.filename!r}, which is no array")
            if name in members:
                raise self._refusal(f"it holds {name!r} twice")
            if info.file_size > max(_BOMB_SIZE, _BOMB_RATIO * info.compress_size):
                raise self._refusal(
                    f"{name!r} would unpack {human_size(info.compress_size)}"
                    f" to {human_size(info.file_size)}"
                )
            members[name] = info
        return members

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        """One member, open for reading."""
        info = self._members[name]
        with self._damage(f"{name!r} is damaged"), self._zip.open(info) as member:
            try:
                yield member
            except SchemaError as error:
                raise SchemaError(f"{self.path}: {name}: {error}", hint=error.hint) from error

    @contextlib.contextmanager
    def _damage(self, what: str) -> Iterator[None]:
        """Say in our words what damage makes of a library; the disk's own faults stay its own."""
        try:
            with disk_errors(self.path):
                yield
        except _DAMAGE as error:
            raise self._refusal(f"{what} ({error})") from error
        except DiskError as error:
            if getattr(error.__cause__, "errno", None) != errno.EINVAL:
                raise
            raise self._refusal(f"{what} (it points outside of itself)") from error

    def _refusal(self, why: str) -> SchemaError:
        return SchemaError(f"{self.path}: not a valid npz: {why}", hint=_HINT)


def read_npy(path: Path) -> Array:
    """The array of a single npy file, read-only; SchemaError if it is not what it says."""
    try:
        with disk_errors(path), path.open("rb") as file:
            return read_array(file, path.stat().st_size, names=False)
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}", hint=error.hint) from error
    except _DAMAGE as error:
        raise SchemaError(f"{path}: not a valid npy: {error}", hint=_HINT) from error


def read_array(stream: IO[bytes], size: int, *, names: bool) -> Array:
    """The array in `size` bytes of npy format; memory is taken only for what is really there."""
    shape, fortran, dtype = _read_header(stream)
    left = size - stream.tell()
    if dtype.kind == "O":
        return _names_of(stream.read(left + 1), shape, allowed=names)
    if dtype.kind not in _KINDS or dtype.subdtype or dtype.itemsize == 0:
        raise SchemaError(
            f"its type is {dtype}, not numbers or text",
            hint="it can be whole, but cannot be read here: write plain arrays of numbers or text",
        )
    promised = math.prod(shape) * dtype.itemsize
    if promised != left:
        raise SchemaError(f"its header promises {promised} bytes, and {left} are there", hint=_HINT)
    payload = np.empty(left, np.uint8)
    filled = 0
    while data := stream.read(CHUNK):  # to the end, where zipfile compares the checksum
        payload[filled : filled + len(data)] = np.frombuffer(data, np.uint8)
        filled += len(data)
    if filled != left:
        raise EOFError(f"{filled} of {left} bytes are there")
    payload.flags.writeable = False
    return payload.view(dtype).reshape(shape, order="F" if fortran else "C")


def _names_of(payload: bytes, shape: tuple[int, ...], *, allowed: bool) -> Array:
    if not allowed:
        raise SchemaError(
            "it holds Python objects, and nothing vouches for this file",
            hint="fetch it by name, so that its digest is checked; or add --names if you trust"
            " its source: names alone are read, and nothing in it is run",
        )
    if len(shape) != 1:
        raise SchemaError(f"it holds Python objects in shape {shape}", hint=_HINT)
    names = read_names(payload, shape[0])
    lengths = np.fromiter(map(len, names), np.int64, len(names))
    kind = "U" if names and isinstance(names[0], str) else "S"
    text: Array = np.array(names, f"{kind}{lengths.max(initial=1)}")
    if (np.char.str_len(text) != lengths).any():  # fixed width cannot say this
        raise SchemaError("a name in it ends in a zero byte", hint=_HINT)
    text.flags.writeable = False
    return text


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, whether in Fortran order, dtype) as an npy header promises."""
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise SchemaError(f"its npy version is {version}", hint=_HINT)
    with warnings.catch_warnings():  # a header written by Python 2 is as good
        warnings.simplefilter("ignore", UserWarning)
        shape, fortran, dtype = read(stream)
    if min(shape, default=0) < 0:
        raise SchemaError(f"its header promises the shape {shape}", hint=_HINT)
    return shape, fortran, dtype


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays as an npz that appears whole or not at all; the same arrays, the same bytes.

    One array at a time is taken from `arrays`, so they need not fit into memory
    together. Names are stored as fixed-width text: this writes no pickles.
    """
    with (
        disk_errors(path),
        appearing(path) as file,
        zipfile.ZipFile(file, "w", allowZip64=True) as archive,
    ):
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # without a date: equal input, equal bytes
            with archive.open(info, "w", force_zip64=True) as member:
                npy.write_array(member, np.asarray(array), allow_pickle=False)
