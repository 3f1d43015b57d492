"""The hot loops, compiled by numba: AND and population count over runs packed in words.

Bits lie word by word: `words[w, i]` holds runs 64 w to 64 w + 63 of example i, so that a loop
over neighbouring examples is a loop over neighbouring words, which the compiler turns into
vector instructions. Eight words are counted in one go: then the running sum is loaded and
stored once for eight population counts; what is left of the words follows one by one. A tile
of sums stays in the cache until it is used. Every kernel lets other threads run.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

ROWS, COLUMNS = 64, 256  # of a tile of sums: 64 kB, for the second-level cache
EDGE = 1e-9  # what is this near to a bar is compared again, exactly


def _compiled(function: Any) -> Any:
    """Return a function as numba compiles it, kept on disk for the next process where it can be."""
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    with contextlib.suppress(RuntimeError):  # no directory can be written to, as in a container
        compiled.enable_caching()
    return compiled


def _popcount(_typing: Any, word: Any) -> Any:  # noqa: ARG001
    """The number of ones in a uint64: one instruction where the processor has it."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


popcount: Any = intrinsic(_popcount)


@_compiled
def _columns(words: Any, start: int, stop: int, out: Any) -> None:
    """Copy some columns to the front of `out`: loops from zero on need no check for wrap-around."""
    for w in range(words.shape[0]):
        for j in range(stop - start):
            out[w, j] = words[w, start + j]


@_compiled
def _tile(a: Any, b: Any, rows: int, columns: int, tile: Any) -> None:
    """tile[i, j] = how many runs are in both a[:, i] and b[:, j]."""
    n_words = a.shape[0]
    for i in range(rows):
        for j in range(columns):
            tile[i, j] = 0
    for w in range(0, n_words - 7, 8):
        for i in range(rows):
            a0, a1, a2, a3 = a[w, i], a[w + 1, i], a[w + 2, i], a[w + 3, i]
            a4, a5, a6, a7 = a[w + 4, i], a[w + 5, i], a[w + 6, i], a[w + 7, i]
            for j in range(columns):
                tile[i, j] += np.int32(
                    popcount(a0 & b[w, j])
                    + popcount(a1 & b[w + 1, j])
                    + popcount(a2 & b[w + 2, j])
                    + popcount(a3 & b[w + 3, j])
                    + popcount(a4 & b[w + 4, j])
                    + popcount(a5 & b[w + 5, j])
                    + popcount(a6 & b[w + 6, j])
                    + popcount(a7 & b[w + 7, j])
                )
    for w in range(n_words // 8 * 8, n_words):
        for i in range(rows):
            a0 = a[w, i]
            for j in range(columns):
                tile[i, j] += np.int32(popcount(a0 & b[w, j]))


@_compiled
def joint(a: Any, b: Any, start: int, stop: int, out: Any) -> None:
    """out[i, j] = runs in a[:, i] and b[:, j], for rows start to stop; int32 [n_a, n_b]."""
    n_b = b.shape[1]
    tile = np.empty((ROWS, COLUMNS), np.int32)
    some_a = np.empty((a.shape[0], ROWS), np.uint64)
    some_b = np.empty((b.shape[0], COLUMNS), np.uint64)
    for j0 in range(0, n_b, COLUMNS):
        j1 = min(j0 + COLUMNS, n_b)
        _columns(b, j0, j1, some_b)
        for i0 in range(start, stop, ROWS):
            i1 = min(i0 + ROWS, stop)
            _columns(a, i0, i1, some_a)
            _tile(some_a, some_b, i1 - i0, j1 - j0, tile)
            for i in range(i1 - i0):
                row = out[i0 + i, j0:j1]
                for j in range(j1 - j0):
                    row[j] = tile[i, j]


@_compiled
def influence(
    a: Any, b: Any, start: int, stop: int, n_runs: int, n_in: Any, correct: Any, out: Any
) -> None:
    """out[i, j] = influence of i on j, for rows start to stop; float32 [n_a, n_b].

    n_in: float64 [n_a], runs with example i. correct: float64 [n_b], runs that are right on j.
    """
    n_b = b.shape[1]
    tile = np.empty((ROWS, COLUMNS), np.int32)
    some_a = np.empty((a.shape[0], ROWS), np.uint64)
    some_b = np.empty((b.shape[0], COLUMNS), np.uint64)
    for j0 in range(0, n_b, COLUMNS):
        j1 = min(j0 + COLUMNS, n_b)
        _columns(b, j0, j1, some_b)
        for i0 in range(start, stop, ROWS):
            i1 = min(i0 + ROWS, stop)
            _columns(a, i0, i1, some_a)
            _tile(some_a, some_b, i1 - i0, j1 - j0, tile)
            for i in range(i1 - i0):
                inside = n_in[i0 + i]
                divisor = inside * (n_runs - inside)
                if divisor == 0:
                    divisor = np.nan
                row, right = out[i0 + i, j0:j1], correct[j0:j1]
                for j in range(j1 - j0):
                    row[j] = (tile[i, j] * np.float64(n_runs) - right[j] * inside) / divisor


@_compiled
def _insert(values: Any, indices: Any, value: float, index: int) -> None:
    """Put a value into a descending list, behind its equals; the last falls out."""
    place = len(values) - 1
    while place > 0 and values[place - 1] < value:
        values[place] = values[place - 1]
        indices[place] = indices[place - 1]
        place -= 1
    values[place] = value
    indices[place] = index


@_compiled
def scan(
    a: Any,
    b: Any,
    start: int,
    stop: int,
    n_runs: int,
    n_in: Any,
    correct: Any,
    sign: int,
    least: Any,
    of_test: Any,
    test_index: Any,
    of_train: Any,
    train_index: Any,
    pairs: Any,
) -> int:
    """Look at every pair of rows start to stop with all columns; how many reach `least`.

    With d = sign (joint n_runs - correct n_in), which is influence times n_in n_out, an integer:
    least: float64 [n_a], pairs with |d| >= least[i] are written to `pairs`, int64 [room, 3],
    as (i, j, d), as long as there is room. of_test: float64 [n_b, k], the k largest
    influences on each column, descending, with test_index int64 [n_b, k]; of_train: float64
    [stop - start, k], the k largest of each of these rows, with train_index of that shape. Of
    equals the smaller index stays.
    """
    n_b, last_test, last_train = b.shape[1], of_test.shape[1] - 1, of_train.shape[1] - 1
    tile = np.empty((ROWS, COLUMNS), np.int32)
    some_a = np.empty((a.shape[0], ROWS), np.uint64)
    some_b = np.empty((b.shape[0], COLUMNS), np.uint64)
    bar = np.empty(COLUMNS, np.float64)
    found = 0
    for j0 in range(0, n_b, COLUMNS):
        j1 = min(j0 + COLUMNS, n_b)
        _columns(b, j0, j1, some_b)
        right = correct[j0:j1]
        for j in range(j1 - j0):
            bar[j] = of_test[j0 + j, last_test] if last_test >= 0 else np.inf
        for i0 in range(start, stop, ROWS):
            i1 = min(i0 + ROWS, stop)
            _columns(a, i0, i1, some_a)
            _tile(some_a, some_b, i1 - i0, j1 - j0, tile)
            for i in range(i0, i1):
                inside, sums = n_in[i], tile[i - i0]
                divisor = inside * (n_runs - inside)
                if divisor == 0:
                    continue
                times, minus, wanted = sign * np.float64(n_runs), sign * inside, least[i]
                row_bar = of_train[i - start, last_train] * divisor if last_train >= 0 else np.inf
                almost, nearly = row_bar * (1 - EDGE) - EDGE, divisor * (1 - EDGE)
                hits = 0
                for j in range(j1 - j0):  # no branches: the compiler makes vectors of it
                    d = sums[j] * times - right[j] * minus
                    hits += (abs(d) >= wanted) | (d > almost) | (d > bar[j] * nearly - EDGE)
                if hits == 0:
                    continue
                for j in range(j1 - j0):
                    d = sums[j] * times - right[j] * minus
                    if abs(d) < wanted and d <= almost and d <= bar[j] * nearly - EDGE:
                        continue
                    value = d / divisor
                    if abs(d) >= wanted:
                        if found < len(pairs):
                            pairs[found, 0], pairs[found, 1] = i, j0 + j
                            pairs[found, 2] = np.int64(d)
                        found += 1
                    if last_test >= 0 and value > bar[j]:
                        _insert(of_test[j0 + j], test_index[j0 + j], value, i)
                        bar[j] = of_test[j0 + j, last_test]
                    if last_train >= 0 and value > of_train[i - start, last_train]:
                        _insert(of_train[i - start], train_index[i - start], value, j0 + j)
    return found
