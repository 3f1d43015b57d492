"""Names of examples as one column: a buffer of UTF-8 bytes, and where each name begins.

    names = NameColumn.from_strings(["n01440764_10026.JPEG", "n01440764_10027.JPEG"])
    names[0], len(names), names.take(np.array([1, 0]))

ImageNet has 1.28 million names: as Python objects they take 100 MB, and every step over them takes
a second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.npz import Array


@dataclasses.dataclass(frozen=True, eq=False)
class NameColumn(Sequence[str]):
    """Names in columnar form.

    Attributes:
        data: uint8 [n_bytes], all names one after the other, UTF-8.
        offsets: int64 [n + 1]; name k is `data[offsets[k]:offsets[k + 1]]`.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def from_strings(cls, names: Sequence[str]) -> Self:
        """Return the column of some names."""
        encoded = [name.encode() for name in names]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, k: int) -> str: ...
    @overload
    def __getitem__(self, k: slice) -> NameColumn: ...
    def __getitem__(self, k: int | slice) -> Any:
        """Return one name; or the column of a slice."""
        if isinstance(k, slice):
            return self.take(np.arange(len(self))[k])
        k = range(len(self))[k]
        return self.data[self.offsets[k] : self.offsets[k + 1]].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        return (self[k] for k in range(len(self)))

    def take(self, chosen: Array) -> NameColumn:
        """Return some of the names, in the order of `chosen`, int [m]."""
        return type(self).from_strings([self[k] for k in chosen.tolist()])
