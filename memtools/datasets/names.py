"""Names of examples as one column: a buffer of UTF-8 bytes, and where each name begins and ends.

    names = NameColumn.of(["n01440764_10026.JPEG", Path("train/n01440764/n01440764_10027.JPEG")])
    names[0], len(names), names.take(np.array([1, 0]))
    NameColumn.from_arrow(table["file_name"])

ImageNet has 1.28 million names: as Python objects they take 100 MB, and every step over them takes
a second. In a column, a step over all of them takes some milliseconds, and some of the names are
taken without a copy of their bytes.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from memtools.errors import ConfigError
from memtools.estimates.npz import Array

_SEPARATOR = 10  # "\n", which hardly any file name holds; one that does is found, and costs time
_HINT = "names are text, bytes or paths"
_BLOCK = 1 << 15


@dataclasses.dataclass(frozen=True, eq=False)
class NameColumn(Sequence[str]):
    """Names in columnar form.

    Bytes that are not UTF-8 become surrogates on reading, and bytes again on writing, as Python
    does with the names of files.

    Attributes:
        data: uint8 [n_bytes], UTF-8; between two names there may be bytes of neither.
        starts: int64 [n]; name k is `data[starts[k]:ends[k]]`.
        ends: int64 [n].
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, names: Any) -> NameColumn:
        """Return the column of names in any form that this class can read.

        Args:
            names: A column; a NumPy array [n] of text, bytes or objects; an array of pyarrow; a
                pandas Series; or a sequence of str, bytes and paths.

        Returns:
            The column, n names.

        Raises:
            ConfigError: An element is not a name, or a name is missing.
        """
        if isinstance(names, NameColumn):
            return names
        if isinstance(names, np.ndarray):
            return cls.from_array(names)
        if type(names).__module__.partition(".")[0] == "pyarrow":
            return cls.from_arrow(names)
        if hasattr(names, "to_numpy"):
            return cls.from_array(names.to_numpy())
        return cls.from_strings(names)

    @classmethod
    def from_strings(cls, names: Sequence[str | bytes | os.PathLike[Any]]) -> Self:
        """Return the column of some names; ConfigError for what is not text, bytes or a path."""
        names = names if isinstance(names, (list, tuple)) else list(names)
        data = bytearray()  # which grows in place: one copy of the bytes at a time
        starts, ends = np.empty(len(names), np.int64), np.empty(len(names), np.int64)
        for k in range(0, len(names), _BLOCK):
            encoded, stops = _encode_block(names[k : k + _BLOCK])
            ends[k : k + _BLOCK] = stops + len(data)
            starts[k] = len(data)
            starts[k + 1 : k + _BLOCK] = ends[k : k + _BLOCK][:-1] + 1
            data += encoded
        return cls(np.frombuffer(data, np.uint8), starts, ends)

    @classmethod
    def from_array(cls, names: Array) -> Self:
        """Return the column of an array [n] of text (U, T), bytes (S) or objects.

        The bytes of an array of kind S are not copied if it is contiguous.

        Raises:
            ConfigError: The array has more than one axis, or holds what is not a name.
        """
        if names.ndim != 1:
            raise ConfigError(f"names of shape {list(names.shape)} are not a list", hint=_HINT)
        width = names.dtype.itemsize // (4 if names.dtype.kind == "U" else 1)
        if names.dtype.kind not in "SU" or not names.size or not width:
            return cls.from_strings(names.tolist())
        names = np.ascontiguousarray(names)
        if names.dtype.kind == "U":
            units = names.astype(names.dtype.newbyteorder("="), copy=False).view(np.uint32)
            if units.max() >= 128:  # beyond ASCII a letter takes more than one byte
                return cls.from_strings(names.tolist())
            data = units.astype(np.uint8)
        else:
            data = names.view(np.uint8)
        starts = np.arange(len(names), dtype=np.int64) * width
        return cls(data, starts, starts + np.strings.str_len(data.view(f"S{width}")))

    @classmethod
    def from_arrow(cls, names: Any) -> NameColumn:
        """Return the column of a pyarrow Array or ChunkedArray of strings or binary values.

        The bytes of an array in one piece are not copied. pyarrow is not imported.

        Args:
            names: string, large_string, binary, large_binary, string_view or a dictionary of
                these, n values.

        Returns:
            The column, n names.

        Raises:
            ConfigError: A value is null, or the values are not strings.
        """
        if names.null_count:
            missing = np.asarray(names.is_null())
            raise ConfigError(
                f"{names.null_count:,} of {len(names):,} names are missing,"
                f" the first is number {int(np.argmax(missing))}",
                hint="give every example a name, or leave those without one out",
            )
        chunks = names.chunks if hasattr(names, "chunks") else [names]
        return concatenate([cls._from_arrow_array(chunk) for chunk in chunks])

    @classmethod
    def _from_arrow_array(cls, names: Any) -> Self:
        kind = str(names.type)
        if kind.startswith("dictionary"):
            names = names.dictionary_decode()
            kind = str(names.type)
        if kind in ("string_view", "binary_view"):
            names = names.cast(f"large_{kind.removesuffix('_view')}")
            kind = str(names.type)
        if kind not in ("string", "binary", "large_string", "large_binary"):
            raise ConfigError(f"a column of the type {kind} does not hold names", hint=_HINT)
        _, offsets, data = names.buffers()
        if offsets is None or not len(names):
            return cls.from_strings([])
        width = np.dtype(np.int64 if kind.startswith("large_") else np.int32)
        counted = np.frombuffer(offsets, width)[names.offset : names.offset + len(names) + 1]
        bounds = counted.astype(np.int64)
        if data is None:
            return cls(np.zeros(0, np.uint8), bounds[:-1], bounds[1:])
        # A slice shares the buffer of the whole: its own part, so that slices are joined in their
        # own size.
        own = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
        return cls(own, bounds[:-1] - bounds[0], bounds[1:] - bounds[0])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The length of each name in bytes, int64 [n]."""
        return self.ends - self.starts

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, k: int) -> str: ...
    @overload
    def __getitem__(self, k: slice) -> NameColumn: ...
    def __getitem__(self, k: int | slice) -> Any:
        """Return one name; or the column of a slice."""
        if isinstance(k, slice):
            return type(self)(self.data, self.starts[k], self.ends[k])
        k = range(len(self))[k]
        return _decode(self.data[self.starts[k] : self.ends[k]].tobytes())

    def __iter__(self) -> Iterator[str]:
        view = self.data.data
        for k in range(0, len(self), _BLOCK):  # not all positions as Python objects at once
            starts, ends = self.starts[k : k + _BLOCK].tolist(), self.ends[k : k + _BLOCK].tolist()
            for start, end in zip(starts, ends, strict=True):
                yield str(view[start:end], "utf-8", "surrogateescape")

    def take(self, chosen: Array) -> NameColumn:
        """Return some of the names in the order of `chosen`, int [m]; their bytes are shared."""
        return type(self)(self.data, self.starts[chosen], self.ends[chosen])

    def rows(self, begins: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
        """Return `width` bytes of the buffer from each of `begins`, uint8 [m, width].

        Bytes before the buffer's first and behind its last are zero.
        """
        last = len(self.data) - width
        outside = np.flatnonzero((begins < 0) | (begins > last))
        if last < 0:
            found = np.zeros((len(begins), width), np.uint8)
        else:
            kind = np.dtype((np.void, width))  # one copy of `width` bytes for each row
            every = np.ndarray((last + 1,), kind, np.ascontiguousarray(self.data), strides=(1,))
            inside = begins.clip(0, last) if len(outside) else begins
            found = every[inside].view(np.uint8).reshape(len(begins), width)
        if len(outside) and len(self.data):
            index = begins[outside, None] + np.arange(width)
            held = (index >= 0) & (index < len(self.data))
            found[outside] = np.where(held, self.data[index.clip(0, len(self.data) - 1)], 0)
        return found


def concatenate(columns: Sequence[NameColumn]) -> NameColumn:
    """Return the names of several columns as one; the bytes of a single one are not copied."""
    if len(columns) == 1:
        return columns[0]
    sizes = np.array([len(each.data) for each in columns], np.int64)
    shifts = np.cumsum(sizes) - sizes
    empty = np.zeros(0, np.int64)
    return NameColumn(
        np.concatenate([np.zeros(0, np.uint8), *(each.data for each in columns)]),
        np.concatenate([empty, *(c.starts + s for c, s in zip(columns, shifts, strict=True))]),
        np.concatenate([empty, *(c.ends + s for c, s in zip(columns, shifts, strict=True))]),
    )


def as_text(name: Any) -> str:
    """Return a name as text, from text, bytes or a path; ConfigError for anything else."""
    if isinstance(name, os.PathLike):
        name = os.fspath(name)
    if isinstance(name, bytes):
        return _decode(name)
    if not isinstance(name, str):
        raise ConfigError(f"{name!r} ({type(name).__name__}) is not a name", hint=_HINT)
    return name


def _encode_block(
    names: Sequence[str | bytes | os.PathLike[Any]],
) -> tuple[bytes, NDArray[np.int64]]:
    """Return names in UTF-8 with a separator between them, and where each ends, int64 [m]."""
    try:
        joined = "\n".join(names).encode()  # type: ignore[arg-type] # what is not str raises
        breaks = np.flatnonzero(np.frombuffer(joined, np.uint8) == _SEPARATOR)
        if len(breaks) == len(names) - 1:
            return joined, np.append(breaks, len(joined))
    except (TypeError, UnicodeEncodeError):
        pass  # some are bytes, paths or not names at all, or hold bytes that are not UTF-8
    encoded = [_encode(as_text(name)) for name in names]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    return b"\n".join(encoded), np.cumsum(lengths + 1) - 1


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _encode(name: str) -> bytes:
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{name!r} is not text: it holds half of a character",
            hint="read the names as UTF-8",
        ) from error
