"""Rules by which examples are chosen for their score.

    top(3000), bottom(3000), closest(0.5, 100), random(500), at_least(0.25), quantile_bin(9, 10)

`memtools.alignment.selection.select` applies them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np

from memtools.arguments import checked
from memtools.errors import ConfigError
from memtools.estimates.npz import Array

Kind = Literal["top", "bottom", "closest", "random", "at_least", "at_most", "bin"]

_MAX_BINS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Criterion:
    """One rule.

    top, bottom: the n highest or lowest. closest: the n nearest to `value`. random: any n.
    at_least, at_most: all on that side of `value`. bin: the n-th of `value` equally large bins,
    from 0, ascending.
    """

    kind: Kind
    n: int = 0
    value: float = 0.0


@checked("memtools.top(3000)")
def top(n: int) -> Criterion:
    """The n highest scores."""
    return Criterion("top", n)


@checked("memtools.bottom(3000)")
def bottom(n: int) -> Criterion:
    """The n lowest scores."""
    return Criterion("bottom", n)


@checked("memtools.closest(0.5, 100)")
def closest(value: float, n: int) -> Criterion:
    """The n scores nearest to a value."""
    return Criterion("closest", n, value)


@checked("memtools.random(500)")
def random(n: int) -> Criterion:
    """Any n examples."""
    return Criterion("random", n)


@checked("memtools.at_least(0.25)")
def at_least(value: float) -> Criterion:
    """All scores from a value on."""
    return Criterion("at_least", 0, value)


@checked("memtools.at_most(0.25)")
def at_most(value: float) -> Criterion:
    """All scores up to a value."""
    return Criterion("at_most", 0, value)


@checked("memtools.quantile_bin(9, 10)")
def quantile_bin(which: int, n_bins: int) -> Criterion:
    """One of equally large bins of ascending scores, counted from 0."""
    return Criterion("bin", which, n_bins)


def choose(
    criterion: Criterion,
    left: Array,
    values: Array,
    group: Array,
    rng: np.random.Generator,
    name: str,
) -> Array:
    """Return the positions that one criterion takes.

    Args:
        criterion: The rule.
        left: int64 [m], the positions that no earlier criterion took.
        values: float64 [n], all scores.
        group: int64 [g], the positions of the class, or all: what bins are made of.
        rng: The source of random choices.
        name: The group in words, for messages.

    Raises:
        ConfigError: Fewer positions are left than asked for, or there is no such bin.
    """
    kind, n, value = criterion.kind, criterion.n, criterion.value
    if kind == "at_least":
        return left[values[left] >= value]
    if kind == "at_most":
        return left[values[left] <= value]
    if kind == "bin":
        if not 0 <= n < value <= _MAX_BINS:
            raise ConfigError(f"there is no bin {n} of {value:g}", hint="bins count from 0")
        ranked = group[np.argsort(values[group], kind="stable")]
        return np.intersect1d(np.array_split(ranked, int(value))[n], left)
    if n < 1:
        raise ConfigError(f"{n} examples are asked for", hint="ask for 1 or more")
    if n > len(left):
        raise ConfigError(
            f"{n:,} examples{name} are asked for, and there are {len(left):,}",
            hint="ask for fewer, or widen what is chosen from",
        )
    keys: dict[str, Callable[[], Array]] = {
        "top": lambda: -values[left],
        "bottom": lambda: values[left],
        "closest": lambda: np.abs(values[left] - value),
        "random": lambda: rng.permutation(len(left)),
    }
    ranked = left[np.argsort(keys[kind](), kind="stable")]
    return ranked[:n]
