"""What is in a file of estimates, in a few lines: arrays, shapes, ranges, a histogram.

for facts in summarise(arrays): ...      # one for each array, or family of class arrays
for facts in outline(arrays): ...        # the same without ranges: of an npz, from the headers
histogram(values)                        # (counts, edges)
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.npz import Array, header_of

N_BINS = 18  # as many as the histograms on the publishers' page have

MEANINGS = {
    "tr_mem": "memorization of each training example; NaN where there is no estimate",
    "tr_mem_se": "its standard error",
    "tr_mem_low": "lower end of its 95 % interval",
    "tr_mem_high": "upper end of its 95 % interval",
    "tr_n_in": "how many runs trained on each training example",
    "tr_n_out": "how many runs held each training example out",
    "tr_labels": "label of each training example, from 0",
    "tt_labels": "label of each test example, from 0",
    "tr_filenames": "base name of each training example",
    "tt_filenames": "base name of each test example",
    "tr_classidx_{K}": "positions of the training examples of class K",
    "tt_classidx_{K}": "positions of the test examples of class K",
    "infl_matrix_class{K}": "influence of each training example of class K (rows, as in"
    " tr_classidx_{K}) on each test example of class K (columns, as in tt_classidx_{K})",
    "infl_se_class{K}": "standard error of that influence",
    "tr_idx": "position of the training example of each pair",
    "tt_idx": "position of the test example of each pair",
    "mem": "memorization of the training example of each pair",
    "infl": "influence of the training example on the test example of each pair",
    "min_mem": "memorization from which on the list of pairs is complete",
    "min_infl": "influence from which on the list of pairs is complete",
    "scores": "score of each training example",
    "labels": "label of each training example, from 0",
    "filenames": "base name of each training example",
    "infl_matrix": "influence of each training example (rows) on each test example (columns)",
    "memorization": "memorization of each training example",
    "influence": "influence on each test example (rows) of each training example (columns)",
    "standard_error": "its standard error",
    "n_in": "how many runs trained on each training example",
    "n_out": "how many runs held each training example out",
    "partial": "whether the scores may end before the last example",
    "position": "of each example of the data set that was aligned, its position in the original",
    "inverse": "of each example of the original, its position in that data set",
    "found": "whether there is a score for it",
    "quantity": "what the numbers are, or what the differences are of in place of correctness",
    "about": "what memtools knew of these numbers when it wrote them, as JSON",
}


@dataclasses.dataclass
class ArrayFacts:
    """One array, or all arrays of a name that ends in a class label.

    count: how many arrays. shapes: the smallest and the largest shape. low, high: the
    range of the finite numbers; None for names. n_nan: how many are NaN.
    """

    name: str
    dtype: str
    count: int = 0
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    low: float | None = None
    high: float | None = None
    n_nan: int = 0

    def add_shape(self, shape: tuple[int, ...]) -> None:
        """Count one more array in, whose numbers nobody looks at."""
        low, high = self.shapes if self.count else (shape, shape)
        self.shapes = (min(low, shape), max(high, shape))
        self.count += 1

    def add(self, array: Array) -> None:
        """Count one more array in."""
        self.add_shape(array.shape)
        if array.dtype.kind in "iuf":
            self.n_nan += int(np.isnan(array).sum())
            finite = array[np.isfinite(array)]
            if finite.size:
                known = [value for value in (self.low, self.high) if value is not None]
                self.low = min([*known, float(finite.min())])
                self.high = max([*known, float(finite.max())])

    @property
    def shape_in_words(self) -> str:
        """`500x100`; of several arrays, the smallest and the largest."""
        first, last = ("x".join(map(str, shape)) or "-" for shape in self.shapes)
        return first if first == last else f"{first} to {last}"

    @property
    def in_words(self) -> tuple[str, str, str, str]:
        """(name, dtype, shape, range) for a table."""
        span = "" if self.low is None else f"{self.low:g} to {self.high:g}"
        span += f", {self.n_nan:,} NaN" * bool(self.n_nan)
        name = self.name + f" ({self.count:,})" * (self.count > 1)
        return name, self.dtype, self.shape_in_words, span


def summarise(arrays: Mapping[str, Array]) -> list[ArrayFacts]:
    """Facts about every array; each is read once, one at a time."""
    families: dict[str, ArrayFacts] = {}
    for name in arrays:
        array = arrays[name]
        _family(families, name, str(array.dtype)).add(array)
    return list(families.values())


def outline(arrays: Mapping[str, Array]) -> list[ArrayFacts]:
    """Names, types and shapes of all arrays; of an npz, nothing but headers is read."""
    families: dict[str, ArrayFacts] = {}
    for name in arrays:
        shape, dtype = header_of(arrays, name)
        _family(families, name, str(dtype)).add_shape(shape)
    return list(families.values())


def _family(families: dict[str, ArrayFacts], name: str, dtype: str) -> ArrayFacts:
    """The facts of an array's family, which may be new."""
    family = re.sub(r"\d+$", "{K}", name)
    return families.setdefault(family, ArrayFacts(family, dtype))


def histogram(values: Array) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(counts [18], edges [19]) over [0, 1], or from the lowest value if that is below 0."""
    known = values[np.isfinite(values)]
    low = min(0.0, float(known.min(initial=0.0)))
    counts, edges = np.histogram(known, N_BINS, (low, max(1.0, float(known.max(initial=1.0)))))
    return counts, edges


def bars(counts: Iterable[int], edges: Iterable[float], width: int = 50) -> list[str]:
    """A histogram in text, a line for each bin."""
    shown, borders = list(counts), list(edges)
    unit = max(shown, default=0) / width or 1
    return [
        f"{borders[n]:6.2f} to {borders[n + 1]:5.2f} {count:>9,} {'█' * round(count / unit)}"
        for n, count in enumerate(shown)
    ]
