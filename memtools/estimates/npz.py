"""Arrays in an npz file: read one at a time, checked before they are believed, never unpickled.

    with Npz(path) as arrays:                # a Mapping; nothing is read yet
        arrays["tr_mem"]                     # ndarray, read-only
        arrays.shape("infl_matrix_class7")   # from its header alone
    write_npz(path, {"tr_mem": ...})         # appears whole or not at all

A zip archive promises a size for each member, and a header inside promises a shape:
memory is taken only when both agree and the size is one that such a file can have.
Stored or deflated members are read alike. What an array may hold: see memtools.estimates.npy.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import weakref
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, Protocol, Self, runtime_checkable

import numpy as np
from numpy.lib import format as npy

from memtools.documents import PARSE_ERRORS, describe
from memtools.errors import DiskError, SchemaError
from memtools.estimates.npy import CHUNK as CHUNK
from memtools.estimates.npy import DAMAGED, Header, read_array, read_header, standard_type
from memtools.estimates.npy import Array as Array
from memtools.estimates.npy import read_npy as read_npy
from memtools.file_kinds import require_regular
from memtools.files import appearing, disk_errors, human_size
from memtools.wording import encodable

_MAX_NAME = 200  # characters of the name of an array
_BOMB_SIZE = 64 << 20  # bytes: below this nothing can hurt
_BOMB_RATIO = 100  # measured values do not shrink like that; zeros do


@runtime_checkable
class WithHeaders(Protocol):
    """Arrays whose shapes and types are known without reading them."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array."""

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the type of an array."""


def header_of(arrays: Mapping[str, Array], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the type of an array, without reading it where that is possible."""
    if isinstance(arrays, WithHeaders):
        return arrays.shape(name), arrays.dtype(name)
    return arrays[name].shape, arrays[name].dtype


def scalar_of(arrays: Mapping[str, Array], name: str, kinds: str) -> Any:
    """Return the one value of an array without dimensions.

    Args:
        arrays: That hold it.
        name: Its name.
        kinds: The kinds of types that it may have, as NumPy abbreviates them, such as `iuf`.

    Raises SchemaError for another array.
    """
    array = np.asarray(arrays[name])
    if array.ndim or array.dtype.kind not in kinds:
        raise SchemaError(
            f"{name} is {array.dtype} {list(array.shape)}, not one value",
            hint="write the file anew; memtools records what it needs itself",
        )
    return array.item()


class Npz(Mapping[str, Array]):
    """The arrays of an npz file, by name.

    names: whether object arrays may be read (as names): only say so of a file whose
    digest held, or that you made yourself. Without it they are a SchemaError. data: the bytes of
    the archive, where it is not a file; `path` then names it in messages.

    Raises SchemaError for an archive that is cut, joined in the wrong order, a web
    page, or otherwise not what it says; DiskError where the disk fails.
    """

    def __init__(self, path: Path, *, names: bool = False, data: bytes | None = None) -> None:
        self.path = path
        self._names = names
        self._file: BinaryIO = io.BytesIO(data or b"")
        if data is None:
            require_regular(path)
            require_regular(path)
            with disk_errors(path):
                self._file = path.open("rb")
                self._place = path.absolute()  # for a process that works elsewhere
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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the place of the file, which is opened again: worker processes read it, too."""
        if isinstance(self._file, io.BytesIO):
            return _open_again, (self.path, self._names, self._file.getvalue(), None)
        return _open_again, (self._place, self._names, None, self._version())

    def _version(self) -> tuple[int, int]:
        about = os.fstat(self._file.fileno())
        return about.st_size, about.st_mtime_ns

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
        return self._header(name).shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """The dtype that an array has once it is read, from its header."""
        return standard_type(self._header(name).dtype)

    def _header(self, name: str) -> Header:
        with self._open(name) as member:
            return read_header(member)

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
                raise self._refusal(f"it holds {info.filename!r}, which is not an array")
            if len(name) > _MAX_NAME:
                raise self._refusal(f"a name in it has {len(name):,} characters: {name[:20]!r}...")
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
        except PARSE_ERRORS as error:
            raise self._refusal(f"{what} ({describe(error)})") from error
        except DiskError as error:
            if getattr(error.__cause__, "errno", None) != errno.EINVAL:
                raise
            raise self._refusal(f"{what} (it points outside of itself)") from error

    def _refusal(self, why: str) -> SchemaError:
        return SchemaError(f"{self.path}: not a valid npz: {why}", hint=DAMAGED)


def _open_again(
    path: Path, names: bool, data: bytes | None, version: tuple[int, int] | None
) -> Npz:
    """Return the arrays that were pickled; SchemaError if the file is another one by now."""
    arrays = Npz(path, names=names, data=data)
    if version is not None and arrays._version() != version:
        raise SchemaError(
            f"{path} was replaced after it was loaded", hint="load it once more, then pickle that"
        )
    return arrays


def encodable_text(column: Array) -> Array:
    """Return text with lone surrogates escaped, which no format holds; other arrays as they are."""
    if column.dtype.kind != "U" or not column.dtype.itemsize:
        return column
    codes = np.ascontiguousarray(column, column.dtype.newbyteorder("=")).view(np.uint32)
    if not ((codes >= 0xD800) & (codes <= 0xDFFF)).any():
        return column
    return np.array([*map(encodable, column.ravel().tolist())]).reshape(column.shape)


def write_npz(
    path: Path, arrays: Mapping[str, Array], *, once: bool = False, ours: bool = False
) -> None:
    """Write arrays as an npz that appears whole or not at all; the same arrays, the same bytes.

    One array at a time is taken from `arrays`, so they need not fit into memory
    together. Names are stored as fixed-width text: this writes no pickles.

    Args:
        path: Where it appears.
        arrays: By name.
        once: As for `files.appearing`: DiskError, from FileExistsError, if the name is taken.
        ours: As for `files.appearing`.
    """
    with (
        disk_errors(path),
        appearing(path, once=once, ours=ours) as file,
        zipfile.ZipFile(file, "w", allowZip64=True) as archive,
    ):
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # without a date: equal input, equal bytes
            with archive.open(info, "w", force_zip64=True) as member:
                npy.write_array(member, encodable_text(np.asarray(array)), allow_pickle=False)
