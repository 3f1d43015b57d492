"""How far a difference of two rates can be trusted.

Both rates are often exactly 0 or 1 here, where the plug-in error is zero. So:

    standard_error   Agresti & Caffo (2000, The American Statistician 54): one success and one
                     failure added to each side
    newcombe         Newcombe (1998, Statistics in Medicine 17, method 10): the score intervals
                     of Wilson on both sides, combined; never outside [-1, 1]
"""

from __future__ import annotations

import numpy as np

from memtools.estimates.npz import Array

Z = 1.959963984540054  # two-sided 95 %


def standard_error(right_in: Array, n_in: Array, right_out: Array, n_out: Array) -> Array:
    """Of right_in / n_in - right_out / n_out, float64; NaN where a side has no run."""
    variance = sum(
        (right + 1) * (n - right + 1) / (n + 2.0) ** 3
        for right, n in ((right_in, n_in), (right_out, n_out))
    )
    return np.where((n_in > 0) & (n_out > 0), np.sqrt(variance), np.nan)


def newcombe(
    right_in: Array, n_in: Array, right_out: Array, n_out: Array, z: float = Z
) -> tuple[Array, Array]:
    """The 95 % interval of the difference, float64 (low, high); NaN where a side has no run."""
    with np.errstate(invalid="ignore", divide="ignore"):
        inside, outside = right_in / n_in, right_out / n_out
        low_in, high_in = wilson(right_in, n_in, z)
        low_out, high_out = wilson(right_out, n_out, z)
    difference = inside - outside
    return (
        difference - np.hypot(inside - low_in, high_out - outside),
        difference + np.hypot(high_in - inside, outside - low_out),
    )


def wilson(right: Array, n: Array, z: float = Z) -> tuple[Array, Array]:
    """The score interval of one rate, float64 (low, high)."""
    rate = right / n
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return np.where(right == 0, 0.0, middle - half), np.where(right == n, 1.0, middle + half)
