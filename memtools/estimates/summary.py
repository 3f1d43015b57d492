"""What is in a file of estimates, in a few lines: arrays, shapes, ranges, a histogram.

for facts in summarise(arrays): ...      # one for each array, or family of class arrays
histogram(values)                        # (counts, edges)
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.npz import Array

N_BINS = 18  # as many as the histograms on the publishers' page have


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

    def add(self, array: Array) -> None:
        """Count one more array in."""
        low, high = self.shapes if self.count else (array.shape, array.shape)
        self.shapes = (min(low, array.shape), max(high, array.shape))
        self.count += 1
        if array.dtype.kind in "iuf":
            self.n_nan += int(np.isnan(array).sum())
            finite = array[np.isfinite(array)]
            if finite.size:
                known = [value for value in (self.low, self.high) if value is not None]
                self.low = min([*known, float(finite.min())])
                self.high = max([*known, float(finite.max())])

    @property
    def in_words(self) -> tuple[str, str, str, str]:
        """(name, dtype, shape, range) for a table."""
        first, last = ("x".join(map(str, shape)) or "-" for shape in self.shapes)
        shape = first if first == last else f"{first} to {last}"
        span = "" if self.low is None else f"{self.low:g} to {self.high:g}"
        span += f", {self.n_nan:,} NaN" * bool(self.n_nan)
        return self.name + f" ({self.count:,})" * (self.count > 1), self.dtype, shape, span


def summarise(arrays: Mapping[str, Array]) -> list[ArrayFacts]:
    """Facts about every array; each is read once, one at a time."""
    families: dict[str, ArrayFacts] = {}
    for name in arrays:
        array = arrays[name]
        family = re.sub(r"\d+$", "{K}", name)
        if family not in families:
            families[family] = ArrayFacts(family, str(array.dtype))
        families[family].add(array)
    return list(families.values())


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
