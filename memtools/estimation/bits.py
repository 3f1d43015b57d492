"""Yes or no of many runs, packed in words: what all counting works on.

    outcomes = Outcomes.of(store)            # one pass over the records
    outcomes.mask.words                      # uint64 [n_words, n_train]

Run r is bit r % 64 of word r // 64. 2,000 runs of ImageNet take 0.33 GB for the subsets, and as
much for what was right on them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from memtools.errors import RecordError
from memtools.estimates.npz import Array
from memtools.runs.record import RunRecord

WORD = 64  # runs


@dataclasses.dataclass(frozen=True, eq=False)
class RunBits:
    """One bit for each run and example. words: uint64 [n_words, n], zero beyond n_runs."""

    words: NDArray[np.uint64]
    n_runs: int

    @classmethod
    def pack(cls, rows: Iterable[Array], n: int) -> Self:
        """From bool [n] of each run."""
        packer = _Packer(n)
        for row in rows:
            packer.add(row)
        return cls(*packer.finish())

    @property
    def n(self) -> int:
        """The number of examples."""
        return int(self.words.shape[1])

    def columns(self, index: Array) -> RunBits:
        """Those of some examples."""
        return RunBits(np.ascontiguousarray(self.words[:, index]), self.n_runs)

    def runs(self, chosen: Array) -> RunBits:
        """Those of some runs, int [m]."""
        unpacked = (self._row(run) for run in chosen)
        return RunBits.pack(unpacked, self.n)

    def totals(self) -> NDArray[np.int64]:
        """Runs with a one, int64 [n]."""
        return _counted(self.words)

    def both(self, other: RunBits) -> NDArray[np.int64]:
        """Runs with a one here and there, for each example, int64 [n]."""
        return _counted(a & b for a, b in zip(self.words, other.words, strict=True))

    def _row(self, run: int) -> Array:
        bits: Array = self.words[run // WORD] >> np.uint64(run % WORD) & np.uint64(1)
        return bits.astype(np.bool_)


@dataclasses.dataclass(frozen=True, eq=False)
class Outcomes:
    """Subsets and correctness of many runs. test_correct has the test examples' columns."""

    mask: RunBits
    train_correct: RunBits
    test_correct: RunBits

    @classmethod
    def of(cls, records: Iterable[RunRecord], n_train: int, n_test: int) -> Self:
        """Pack records as they come; their order has no influence on any count."""
        packers = _Packer(n_train), _Packer(n_train), _Packer(n_test)
        for record in records:
            rows = record.mask, record.train_correct, record.test_correct
            for packer, row in zip(packers, rows, strict=True):
                packer.add(row)
        return cls(*(RunBits(*packer.finish()) for packer in packers))

    @property
    def n_runs(self) -> int:
        """The number of runs."""
        return self.mask.n_runs

    def runs(self, chosen: Sequence[int] | Array) -> Outcomes:
        """Those of some runs, int [m]."""
        index = np.asarray(chosen)
        return Outcomes(
            self.mask.runs(index), self.train_correct.runs(index), self.test_correct.runs(index)
        )


class _Packer:
    """Collects rows of bool, 64 at a time, into words."""

    def __init__(self, n: int) -> None:
        self._buffer = np.zeros((WORD, n), np.bool_)
        self._words: list[Array] = []
        self._n_runs = 0

    def add(self, row: Array) -> None:
        if row.shape != self._buffer.shape[1:]:
            raise RecordError(
                f"run number {self._n_runs} speaks of {row.shape[0]} examples, the others"
                f" of {self._buffer.shape[1]}",
                hint="records of one store are of one data set",
            )
        self._buffer[self._n_runs % WORD] = row
        self._n_runs += 1
        if self._n_runs % WORD == 0:
            self._flush()

    def finish(self) -> tuple[NDArray[np.uint64], int]:
        if self._n_runs % WORD:
            self._buffer[self._n_runs % WORD :] = False
            self._flush()
        if not self._words:
            return np.zeros((1, self._buffer.shape[1]), np.uint64), 0
        return np.stack(self._words), self._n_runs

    def _flush(self) -> None:
        """Eight rows into a byte, eight bytes into a word: a third of packbits' time on columns."""
        rows = self._buffer.view(np.uint8)
        eighths, shifted = np.empty((8, rows.shape[1]), np.uint8), np.empty_like(rows[0])
        for byte, eight in zip(eighths, rows.reshape(8, 8, -1), strict=True):
            byte[:] = eight[0]
            for bit in range(1, 8):
                np.left_shift(eight[bit], bit, out=shifted)
                np.bitwise_or(byte, shifted, out=byte)
        self._words.append(np.ascontiguousarray(eighths.T).view("<u8").ravel())


def _counted(words: Iterable[Array]) -> NDArray[np.int64]:
    """Ones in each column, one row of words at a time."""
    total: NDArray[np.int64] = sum(np.bitwise_count(row).astype(np.int64) for row in words)  # type: ignore[assignment]
    return total
