"""Which examples a run trains on: a function of the seed and the run alone.

    mask = draw(labels, ratio=0.7, design="uniform", seed=0, run_id=17)     # bool [n_train]

    uniform         every subset of `ratio n` examples is equally likely: the paper's (Feldman &
                    Zhang 2020, sec. 2)
    balanced        within each period of runs every example is in the same number of them, up to
                    one: an example is out in a contiguous stretch of a shuffled circle
    complementary   runs 2 k and 2 k + 1 are a random half and its complement (ratio 0.5)
    stratified      uniform within each class

Records store the mask; nothing ever derives it again from a seed.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.training.config import Design

STREAMS = {"subset": 0, "init": 1, "shuffle": 2, "augment": 3, "flip": 4}


def generator(seed: int, run_id: int, stream: str) -> np.random.Generator:
    """The random numbers of one purpose of one run; no other run or purpose shares them."""
    spawn_key = (run_id, STREAMS[stream])
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=spawn_key))


def draw(
    labels: Array, *, ratio: float, design: Design, seed: int, run_id: int
) -> NDArray[np.bool_]:
    """The subset of one run, bool [n_train]; labels: int [n_train]."""
    n = len(labels)
    mask = np.zeros(n, np.bool_)
    if design == "uniform":
        mask[generator(seed, run_id, "subset").permutation(n)[: size_of(n, ratio)]] = True
    elif design == "stratified":
        rng = generator(seed, run_id, "subset")
        for label in np.unique(labels):
            of_class = np.flatnonzero(labels == label)
            mask[rng.permutation(of_class)[: size_of(len(of_class), ratio)]] = True
    elif design == "complementary":
        if ratio != 0.5:
            raise ConfigError(
                f"complementary subsets have the ratio 0.5, not {ratio}", hint="set ratio=0.5"
            )
        mask[generator(seed, run_id // 2, "subset").permutation(n)[: n // 2]] = True
        mask = mask if run_id % 2 == 0 else ~mask
    else:
        length = period(ratio)
        circle = generator(seed, run_id // length, "subset").permutation(n)
        share = Fraction(str(ratio))
        start = run_id % length * share * n
        inside = np.arange(int(start), int(start + share * n)) % n
        mask[circle[inside]] = True
    return mask


def period(ratio: float) -> int:
    """Runs after which a balanced design has used every example equally often."""
    return Fraction(str(ratio)).denominator


def size_of(n: int, ratio: float) -> int:
    """Examples in a subset of n."""
    return int(Fraction(str(ratio)) * n)


def subset_sizes(labels: Array, ratio: float, design: Design) -> tuple[int, int]:
    """Return the least and the largest number of examples in a subset of a design.

    Args:
        labels: int [n_train].
        ratio: The share of the training examples in a subset.
        design: How subsets are drawn.

    Raises:
        ConfigError: A stratified subset would never hold an example of some class.
    """
    n = len(labels)
    if design == "complementary":
        return n // 2, n - n // 2
    if design == "balanced":
        return size_of(n, ratio), math.ceil(Fraction(str(ratio)) * n)
    if design == "uniform":
        return size_of(n, ratio), size_of(n, ratio)
    classes, counts = np.unique(labels, return_counts=True)
    sizes = np.array([size_of(int(count), ratio) for count in counts])
    if len(sizes) and not sizes.min():
        k = int(sizes.argmin())
        raise ConfigError(
            f"a stratified subset holds no example of class {classes[k]}: it has {counts[k]},"
            f" and the ratio is {ratio:g}",
            hint="set a larger ratio, or design=uniform",
        )
    return int(sizes.sum()), int(sizes.sum())
