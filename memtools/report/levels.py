"""The levels of a score: equal steps of round numbers, and how many examples stand on each.

levels = levels_of(values)              # 0 to 1 in steps of .05; further where there is more
levels.of(values)                       # int64 [n], -1 where there is no score
levels.edge(3)                          # 0.15
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.npz import Array

BARS = 2  # of the histogram, on each level
_MOST = 40  # levels
_SLACK = 1e-5  # of a step: .35 as float32 is below .35


@dataclasses.dataclass(frozen=True)
class Levels:
    """first: of the lowest edge, in steps. n: how many. width: of one."""

    first: int
    n: int
    width: float

    @property
    def decimals(self) -> int:
        """Of an edge."""
        return max(0, -math.floor(math.log10(self.width) + 1e-9))

    def edge(self, level: int) -> float:
        """The lower edge of a level; `edge(n)` is the upper one of the last."""
        return round((self.first + level) * self.width, self.decimals)

    def of(self, values: Array) -> NDArray[np.int64]:
        """The level of each value, -1 for NaN; a value on an edge belongs to the upper level."""
        return self._bars_of(values) // BARS  # so that a value stands in a bar of its own level

    def bars(self, values: Array) -> NDArray[np.int64]:
        """How many values stand in each bar, int64 [BARS n]."""
        place = self._bars_of(values)
        return np.bincount(place[place >= 0], minlength=BARS * self.n)

    def _bars_of(self, values: Array) -> NDArray[np.int64]:
        """Return the bar of each value, -1 for NaN."""
        known = np.isfinite(values)
        scaled = np.where(known, values, 0) / (self.width / BARS) - self.first * BARS
        bars = np.floor(scaled + _SLACK).astype(np.int64)
        return np.where(known, np.clip(bars, 0, self.n * BARS - 1), -1)


def levels_of(values: Array) -> Levels:
    """Levels that reach over [0, 1] and all finite values, float [n]."""
    finite = values[np.isfinite(values)]
    low, high = min(0.0, float(finite.min(initial=0))), max(1.0, float(finite.max(initial=1)))
    width = _width(high - low)
    first = math.floor(low / width + _SLACK)
    return Levels(first, math.ceil(high / width - _SLACK) - first, width)


def _width(span: float) -> float:
    """The least of .05, .1, .2, .5, 1, 2, 5, ... that makes few enough levels."""
    scale = 0.01
    while True:
        for digit in (1, 2, 5):
            width = digit * scale
            if width >= 0.05 and span <= _MOST * width:
                return round(width, 10)
        scale *= 10
