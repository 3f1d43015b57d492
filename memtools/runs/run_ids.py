"""The numbers of runs, as ranges: a million of them take no more memory than one.

wanted = parse_runs("0:64,17,100:40000000")
len(wanted), 17 in wanted, next(iter(wanted))
wanted.without([0, 1])                   # RunIds of what is left
RunIds.of([3, 1, 2]).to_list()           # [[1, 4]], as JSON keeps them
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, overload

from memtools.errors import ConfigError

MAX_RUNS = 10**12
"""Run ids are below this: a number that every reader of JSON holds exactly."""


@dataclasses.dataclass(frozen=True, eq=False)
class RunIds(Sequence[int]):
    """Run ids, ascending and each once. ranges: (start, stop), disjoint, ascending, not empty."""

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, run_ids: Iterable[int]) -> Self:
        """Return any run ids, in any order, as ranges; ConfigError for one that cannot be."""
        if isinstance(run_ids, cls):
            return run_ids
        if isinstance(run_ids, range) and run_ids.step == 1:
            return cls.of_ranges([(run_ids.start, run_ids.stop)])
        return cls.of_ranges((int(run_id), int(run_id) + 1) for run_id in run_ids)

    @classmethod
    def of_ranges(cls, ranges: Iterable[tuple[int, int]]) -> Self:
        """Return the union of ranges [start, stop); ConfigError for ids that cannot be."""
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(each for each in ranges if each[0] < each[1]):
            if start < 0 or stop > MAX_RUNS:
                wrong = start if start < 0 else stop - 1
                raise ConfigError(
                    f"{wrong} is not the number of a run",
                    hint=f"runs are numbered from 0 to {MAX_RUNS - 1:,}",
                )
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(stop, merged[-1][1])
            else:
                merged.append((start, stop))
        return cls(tuple(merged))

    @classmethod
    def from_list(cls, document: Any) -> Self:
        """Return what `to_list` made, or a list of run ids; ValueError for anything else."""
        if not isinstance(document, list):
            raise ValueError("it is not a list of runs")
        ranges = []
        for each in document:
            start, stop = each if isinstance(each, list) and len(each) == 2 else (each, None)
            for number in (start, 0 if stop is None else stop):
                if type(number) is not int or not 0 <= number <= MAX_RUNS:
                    raise ValueError(f"{str(each)[:40]} is neither a run nor a range of runs")
            ranges.append((start, start + 1 if stop is None else stop))
        return cls.of_ranges(ranges)

    def to_list(self) -> list[list[int]]:
        """Return the ranges as JSON keeps them."""
        return [list(each) for each in self.ranges]

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.ranges)

    def __iter__(self) -> Iterator[int]:
        return itertools.chain.from_iterable(itertools.starmap(range, self.ranges))

    def __contains__(self, run_id: object) -> bool:
        try:
            number = operator.index(run_id)  # type: ignore[arg-type]  # NumPy's integers, too
        except TypeError:
            return False
        at = bisect.bisect_right(self.ranges, (number, MAX_RUNS)) - 1
        return at >= 0 and number < self.ranges[at][1]

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        if isinstance(at, slice):
            return RunIds.of(self[k] for k in range(*at.indices(len(self))))
        left = at + len(self) if at < 0 else at
        for start, stop in self.ranges:
            if 0 <= left < stop - start:
                return start + left
            left -= stop - start
        raise IndexError(f"there are {len(self)} runs, and none at {at}")

    def __eq__(self, other: object) -> bool:
        """Return whether other run ids, or a list or set of them, are the same."""
        if isinstance(other, (Sequence, set, frozenset)) and not isinstance(other, str):
            return self.ranges == RunIds.of(other).ranges
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.ranges)

    def __or__(self, other: RunIds) -> RunIds:
        return RunIds.of_ranges([*self.ranges, *other.ranges])

    def without(self, run_ids: Iterable[int]) -> RunIds:
        """Return these without others."""
        ranges: list[tuple[int, int]] = []
        others = iter(RunIds.of(run_ids).ranges)
        other = next(others, None)
        for start, stop in self.ranges:
            while other and other[1] <= start:
                other = next(others, None)
            while other and other[0] < stop:
                ranges.append((start, other[0]))
                start = min(stop, other[1])
                if other[1] > stop:
                    break
                other = next(others, None)
            ranges.append((start, stop))
        return RunIds(tuple(each for each in ranges if each[0] < each[1]))

    def groups(self, size: int) -> Iterator[tuple[int, ...]]:
        """Yield the runs in groups of a size, the last one perhaps smaller; none is kept."""
        run_ids = iter(self)
        while group := tuple(itertools.islice(run_ids, size)):
            yield group


def parse_runs(text: str) -> RunIds:
    """Return the runs of `7`, `0:64`, `0,17,123` and their mixtures; ConfigError for others."""
    ranges = []
    try:
        for part in text.split(","):
            start, colon, stop = part.partition(":")
            first = int(start or 0) if colon else int(start)
            ranges.append((first, int(stop) if colon else first + 1))
    except ValueError:
        ranges = []
    if not ranges or min(map(min, ranges)) < 0 or all(start >= stop for start, stop in ranges):
        raise ConfigError(f"{text!r:.80} names no runs", hint="write 7, or 0:64, or 0,17,123")
    return RunIds.of_ranges(ranges)
