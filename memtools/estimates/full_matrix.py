"""Influence as the authors' demo writes it: one matrix over all classes, test examples first.

    arrays = FullMatrix(Npz(Path("estimates_results.npz")))
    arrays["infl_matrix"]                    # float [n_train, n_test]: a view of `influence`

The file has `memorization` [n_train] and `influence` [n_test, n_train]; in memtools training
examples come first everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from memtools.errors import SchemaError
from memtools.estimates.npz import Array, Npz

_RENAMED = {"memorization": "tr_mem", "influence": "infl_matrix"}


def holds_full_matrix(arrays: Npz) -> bool:
    """Return whether a file is of this kind, by its table of contents."""
    return set(_RENAMED) <= set(arrays) and len(arrays.shape("influence")) == 2


class FullMatrix(Mapping[str, Array]):
    """The arrays of such a file by the names of memtools, read when they are asked for.

    Attributes:
        raw: The arrays by their own names.
    """

    def __init__(self, arrays: Npz) -> None:
        self.raw = arrays
        self._names = {_RENAMED.get(name, name): name for name in arrays}
        shape, memorization = arrays.shape("influence"), arrays.shape("memorization")
        if shape[1:] != memorization:
            raise SchemaError(
                f"{arrays.path}: influence has the shape {shape}, and memorization {memorization}",
                hint="influence is [n_test, n_train] in such a file: transpose it",
            )

    def __getitem__(self, name: str) -> Array:
        """Read one array; the influence is a transposed view of what was read."""
        array = self.raw[self._names[name]]
        return array.T if name == "infl_matrix" else array

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array, from its header."""
        shape = self.raw.shape(self._names[name])
        return shape[::-1] if name == "infl_matrix" else shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the dtype of an array, from its header."""
        return self.raw.dtype(self._names[name])

    def close(self) -> None:
        """Close the file."""
        self.raw.close()
