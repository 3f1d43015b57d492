"""The same difference for a number in place of right or wrong: probability, or margin.

    estimates = estimate_means("runs", "probability")

    mean of the number over runs with i - mean over runs without i

That is another estimand than Feldman & Zhang's, smoother and less noisy, and it is named so in
what it returns. Records keep these numbers as float16: each is a multiple of 2^-24, so that their
float64 sums are exact, in any order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memtools.errors import ConfigError, RecordError
from memtools.estimates.model import Estimates, ExampleIndex
from memtools.estimates.npz import Array
from memtools.estimation.estimator import describe
from memtools.estimation.run_checks import CONVERGED, Gate, unique_runs
from memtools.estimation.statistics import Classes, classes_of
from memtools.runs.record import RunRecord
from memtools.runs.store import RunStore
from memtools.runs.stores import Stores, open_stores

Quantity = Literal["probability", "margin"]
_SQUARES = 2.0**20  # squares are rounded to multiples of its inverse, so that sums stay exact
_TOGETHER = 64  # runs that are multiplied at one time


@dataclasses.dataclass(frozen=True, eq=False)
class Means:
    """Sums over runs, float64: total and inside [n_train], squares of both, joint by label."""

    n_runs: int
    n_in: NDArray[np.int64]
    total: Array
    inside: Array
    total_squares: Array
    inside_squares: Array
    test_total: Array
    joint: dict[int, Array]


def estimate_means(
    stores: Stores,
    quantity: Quantity,
    *,
    converged: float = CONVERGED,
    strict: bool = False,
) -> Estimates:
    """Memorization and influence by class of a number that the records carry.

    Args:
        stores: As for `memtools.estimate`, of the same configuration and examples.
        quantity: Which of their numbers.
        converged: As for `memtools.estimate`.
        strict: As for `memtools.estimate`.

    Returns:
        Estimates of that quantity, with standard errors and counts.

    Raises:
        ConfigError: A record does not carry it, or what `memtools.estimate` raises it for.
        RecordError: A number is NaN or infinite, or the runs cannot be right.
        SweepError: With `strict`, a run has not converged.
    """
    stores = open_stores(stores)
    gate = Gate(stores, converged)
    sweep, classes = stores[0].sweep, classes_of(gate.examples)
    records = gate.watch(unique_runs(stores))
    sums = _sum(records, quantity, classes, sweep.n_train, sweep.n_test)
    doubt = gate.close(strict=strict)
    gate.require_contrast()
    made = _finish(sums, classes, gate.examples, stores, quantity)
    return dataclasses.replace(made, about=dataclasses.replace(made.about, doubt=doubt))


def _sum(
    records: Iterable[RunRecord], quantity: Quantity, classes: Classes, n_train: int, n_test: int
) -> Means:
    n_in, n_runs = np.zeros(n_train, np.int64), 0
    total, inside, total_squares, inside_squares = np.zeros((4, n_train))
    test_total = np.zeros(n_test)
    joint = {k: np.zeros((len(a), len(b))) for k, (a, b) in classes.items()}
    waiting: list[tuple[Array, Array]] = []

    def multiply() -> None:
        masks, tests = (np.array(side, np.float64) for side in zip(*waiting, strict=True))
        for label, (train, test) in classes.items():
            joint[label] += masks[:, train].T @ tests[:, test]
        waiting.clear()

    for record in records:
        train, test = (getattr(record, f"{side}_{quantity}") for side in ("train", "test"))
        if train is None or test is None:
            raise ConfigError(
                f"run {record.spec.run_id} carries no {quantity}",
                hint="estimate from correctness, or train again and keep it",
            )
        _require_finite(record.spec.run_id, quantity, train, test)
        values = train.astype(np.float64)
        squares = np.rint(values**2 * _SQUARES) / _SQUARES
        n_runs, n_in = n_runs + 1, n_in + record.mask
        total, total_squares = total + values, total_squares + squares
        inside = inside + values * record.mask
        inside_squares = inside_squares + squares * record.mask
        test_total = test_total + test.astype(np.float64)
        waiting.append((record.mask, test))
        if len(waiting) == _TOGETHER:
            multiply()
    if waiting:
        multiply()
    return Means(n_runs, n_in, total, inside, total_squares, inside_squares, test_total, joint)


def _require_finite(run_id: int, quantity: Quantity, train: Array, test: Array) -> None:
    """Raise RecordError for a number that no mean can be taken of."""
    for what, values in (("training", train), ("test", test)):
        low, high = (0, 1) if quantity == "probability" else (-np.inf, np.inf)
        wrong = ~np.isfinite(values) | (values < low) | (values > high)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise RecordError(
                f"run {run_id}: the {quantity} of {what} example {at} is {values[at]:g}",
                hint="estimate from correctness, or run that run again",
            )


def _finish(
    sums: Means,
    classes: Classes,
    examples: ExampleIndex,
    stores: Sequence[RunStore],
    quantity: Quantity,
) -> Estimates:
    n_in, n_out = sums.n_in, sums.n_runs - sums.n_in
    outside = sums.total - sums.inside
    error = np.sqrt(
        _variance(sums.inside, sums.inside_squares, n_in)
        + _variance(outside, sums.total_squares - sums.inside_squares, n_out)
    )
    arrays: dict[str, Array] = {
        "quantity": np.array(quantity),
        "tr_mem": _difference(sums.inside, n_in, outside, n_out),
        "tr_mem_se": error.astype(np.float32),
        "tr_n_in": n_in,
        "tr_n_out": n_out,
        **examples.arrays,
    }
    for label, (train, test) in classes.items():
        with_, without = n_in[train][:, None], n_out[train][:, None]
        rest = sums.test_total[test] - sums.joint[label]
        arrays[f"tr_classidx_{label}"], arrays[f"tt_classidx_{label}"] = train, test
        arrays[f"infl_matrix_class{label}"] = _difference(sums.joint[label], with_, rest, without)
    about = describe(stores, sums.n_runs, f"of the {quantity} of the true label, by class;")
    return Estimates(arrays, about)


def _difference(inside: Array, n_in: Array, outside: Array, n_out: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = inside / n_in - outside / n_out
    return np.where((n_in > 0) & (n_out > 0), difference, np.nan).astype(np.float32)


def _variance(total: Array, squares: Array, n: Array) -> Array:
    """Of a mean; NaN for fewer than two runs."""
    with np.errstate(invalid="ignore", divide="ignore"):
        variance: Array = np.maximum(squares - total**2 / n, 0) / (n - 1) / n
    return np.where(n > 1, variance, np.nan)
