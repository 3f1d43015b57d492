"""Arrays by their published names, of one file or of several, each checked when it is read.

    arrays = CheckedArrays(Npz(influence), Npz(index))
    arrays["tr_classidx_7"]                  # int [n_train_k], each within the training examples
    arrays.shape("infl_matrix_class7")       # from its header alone

Whatever comes out has the type and the shape that the schema gives to its name
(memtools.estimates.schema), so that nothing else has to ask. Ranges of floats are what
`memtools verify` looks at: that would read everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from memtools.documents import naming
from memtools.errors import SchemaError
from memtools.estimates.npz import Array, header_of
from memtools.estimates.positions import MAX_POSITION

MOST_CLASSES = 100_000
"""Labels are below this: ImageNet-21k has 21,841 classes; beyond it a number is an identifier, and
tables by class would take the memory."""
_BY_CLASS = ["tr_classidx_", "tt_classidx_", "infl_matrix_class", "infl_se_class"]
_CLASS = re.compile(f"({'|'.join(_BY_CLASS)})(0|[1-9][0-9]{{0,8}})", re.ASCII)
_KINDS = {"f": "floating-point numbers", "iu": "integers", "SU": "names"}
_RULES: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(("tr_mem", "tr_mem_se", "tr_mem_low", "tr_mem_high"), ("f", ("train",))),
    **dict.fromkeys(("tr_n_in", "tr_n_out", "tr_labels"), ("iu", ("train",))),
    "tt_labels": ("iu", ("test",)),
    "tr_filenames": ("SU", ("train",)),
    "tt_filenames": ("SU", ("test",)),
    "infl_matrix": ("f", ("train", "test")),
    "tr_classidx_": ("iu", ("train of class",)),
    "tt_classidx_": ("iu", ("test of class",)),
    "infl_matrix_class": ("f", ("train of class", "test of class")),
    "infl_se_class": ("f", ("train of class", "test of class")),
}
"""By name: the kinds of the type, and the size of each axis."""
_SIZES = {
    "train": ("tr_mem", "tr_labels", "tr_filenames"),
    "test": ("tt_labels", "tt_filenames"),
}
"""The arrays of which the first that is there tells the size of an axis."""
_SIDES = {"train of class": "tr", "test of class": "tt"}
_HINT = "the file is not of the published schema, or two files do not belong together"


def class_of(name: str) -> tuple[str, int] | None:
    """Return the family of an array that there is for each class, and the class; None for others.

    Raises SchemaError for a name of such a family without a class.
    """
    match = _CLASS.fullmatch(name)
    if match:
        return match[1], int(match[2])
    if name.startswith(tuple(_BY_CLASS)):
        raise SchemaError(f"{name!r:.60} ends in something else than a class", hint=_HINT)
    return None


class CheckedArrays(Mapping[str, Array]):
    """The arrays of some files; of a name that two of them have, that of the first.

    Raises SchemaError, when an array is read, if it has not the type and shape of its name.
    """

    def __init__(self, *files: Mapping[str, Array]) -> None:
        self._places = {name: file for file in reversed(files) for name in file}
        self._sizes: dict[str, int | None] = {}
        for name in self._places:
            class_of(name)

    def __getitem__(self, name: str) -> Array:
        """Read one array; KeyError if there is none of that name."""
        file = self._places[name]
        array = file[name]
        family, label = class_of(name) or (name, None)
        if family in _RULES:
            kinds, axes = _RULES[family]
            with naming(getattr(file, "path", "")):
                self._require(name, array, kinds, axes, label)
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places  # a Mapping would read the array to find out

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array, from its header."""
        return header_of(self._places[name], name)[0]

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the type of an array, from its header."""
        return header_of(self._places[name], name)[1]

    def _require(
        self, name: str, array: Array, kinds: str, axes: tuple[str, ...], label: int | None
    ) -> None:
        if array.dtype.kind not in kinds:
            raise SchemaError(f"{name} holds {array.dtype}, not {_KINDS[kinds]}", hint=_HINT)
        if array.ndim != len(axes):
            raise SchemaError(
                f"{name} has the shape {array.shape}, and it needs {len(axes)} axes", hint=_HINT
            )
        if not array.size and axes == ("train",):
            raise SchemaError(f"{name} holds no values", hint=_HINT)
        for n, axis in zip(array.shape, axes, strict=True):
            known = self._size(axis, label)
            if known not in (None, n):
                raise SchemaError(
                    f"{name} has the shape {array.shape}, and there are {known:,} {axis} examples",
                    hint=_HINT,
                )
        if kinds == "iu" and array.size:
            limit = self._limit(name)
            for value in (int(array.min()), int(array.max())):
                if not 0 <= value < limit:
                    raise SchemaError(f"{name} holds {value}, not 0 to {limit - 1:,}", hint=_HINT)

    def _limit(self, name: str) -> int:
        """Return the number above all that an array of integers may hold."""
        if name.endswith("_labels"):
            return MOST_CLASSES
        axis = {"tr_classidx": "train", "tt_classidx": "test"}.get(name.rpartition("_")[0])
        known = self._size(axis, None) if axis else None
        return MAX_POSITION if known is None else known

    def _size(self, axis: str, label: int | None) -> int | None:
        """Return the size of an axis as another array tells it; None where none does."""
        names = _SIZES.get(axis) or (f"{_SIDES[axis]}_classidx_{label}",)
        name = next((each for each in names if each in self), "")
        if name and name not in self._sizes:
            self._sizes[name] = next(iter(self.shape(name)), None)
        return self._sizes.get(name)
