"""In how many runs was example i in the subset and example j right: exact integers.

    joint(outcomes.mask.columns(rows), outcomes.test_correct)     # int32 [n_rows, n_test]

`joint[i, j] = sum_r mask[r, i] correct[r, j]`. With numba (the extra `fast`) on packed words,
on all cores; without it by products of float32 blocks, which are exact below 2^24 runs. Both
give the same integers.
"""

from __future__ import annotations

import concurrent.futures
import importlib.util
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.estimates.npz import Array
from memtools.estimation.bits import RunBits


def _compiled() -> Any:
    """The compiled loops, or None where numba is not installed."""
    if importlib.util.find_spec("numba") is None:
        return None
    return importlib.import_module("memtools.estimation.kernels")


kernels = _compiled()

BLOCK = 2048  # rows that one thread works on at a time
_NUMPY_ROWS, _NUMPY_COLUMNS = 1024, 4096  # of a float32 block without numba


def n_threads() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def joint(a: RunBits, b: RunBits) -> NDArray[np.int32]:
    """Runs that have a one in both, int32 [a.n, b.n]."""
    out = np.empty((a.n, b.n), np.int32)
    if kernels is None:
        for rows, columns, block in joint_blocks(a, b):
            out[rows, columns] = block
    else:
        in_threads(lambda start, stop: kernels.joint(a.words, b.words, start, stop, out), a.n)
    return out


def influence(a: RunBits, b: RunBits) -> NDArray[np.float32]:
    """Influence of each example of `a` (subsets) on each of `b` (correctness), [a.n, b.n].

    (joint n_runs - correct n_in) / (n_in n_out): one rounding of an exact fraction to float64,
    then to float32. NaN where an example was in no run or in all. Feldman & Zhang 2020, sec. 2.
    """
    out = np.empty((a.n, b.n), np.float32)
    n_in, correct = a.totals().astype(np.float64), b.totals().astype(np.float64)
    if kernels is None:
        divisor = n_in * (a.n_runs - n_in)
        divisor[divisor == 0] = np.nan
        for rows, columns, block in joint_blocks(a, b):
            difference = block * np.float64(a.n_runs) - np.outer(n_in[rows], correct[columns])
            out[rows, columns] = difference / divisor[rows, None]
        return out
    in_threads(
        lambda start, stop: kernels.influence(
            a.words, b.words, start, stop, a.n_runs, n_in, correct, out
        ),
        a.n,
    )
    return out


def joint_blocks(a: RunBits, b: RunBits) -> Iterator[tuple[slice, slice, Array]]:
    """(rows, columns, int64 block) over all pairs, by NumPy alone."""
    for j in range(0, b.n, _NUMPY_COLUMNS):
        columns = slice(j, min(j + _NUMPY_COLUMNS, b.n))
        right = _unpacked(b.words[:, columns])
        for i in range(0, a.n, _NUMPY_ROWS):
            rows = slice(i, min(i + _NUMPY_ROWS, a.n))
            yield rows, columns, (_unpacked(a.words[:, rows]).T @ right).astype(np.int64)


def in_threads(work: Callable[[int, int], object], n_rows: int, block: int = BLOCK) -> None:
    """Call work(start, stop) for blocks of rows, on all processors; the first error is raised."""
    if n_rows <= block:
        work(0, n_rows)
        return
    starts = range(0, n_rows, block)
    with concurrent.futures.ThreadPoolExecutor(n_threads()) as pool:
        for _ in pool.map(lambda start: work(start, min(start + block, n_rows)), starts):
            pass


def _unpacked(words: Array) -> NDArray[np.float32]:
    """0 and 1 of each run, [n_words * 64, n]."""
    n_words, n = words.shape
    eighths = np.ascontiguousarray(words.T).view(np.uint8).reshape(n, n_words * 8)
    return np.unpackbits(eighths, axis=1, bitorder="little").T.astype(np.float32)
