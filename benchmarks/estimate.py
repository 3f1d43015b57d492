"""From the outcomes of runs to estimates, beside the direct formula in float32.

    python benchmarks/estimate.py [--quick]

2,000 runs, 60,000 training and 10,000 test examples, random outcomes as bool arrays in memory;
each contender in a process of its own, alternating, medians of 3; imports and compilation before
the clock starts. --quick: 12,000 and 4,000 examples, and a tenth of ImageNet.

    dense     all of the influence matrix, float32. The direct way is that of the authors' MNIST
              demo: a product of correctness and masks, one of correctness and inverse masks,
              each divided by its counts, and their difference.
    top       memorization, and the 20 strongest training examples of each test example
    kernel    words of 64 runs per second on one core, beside a plain loop of AND and population
              count over data in the first-level cache: the floor of all counting
    add       100 runs more, read from a store, beside all 2,100 anew: 50,000 and 10,000
              examples of 100 classes
    imagenet  2,000 runs, 1,281,167 and 50,000 examples, random bits (11 in 16 in a subset): the
              10 strongest of each test example and all pairs of |influence| >= .15

Memory is the peak of the process, its outcomes included. The latest figures are in
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

N_RUNS, ROUNDS, TOP = 2000, 3, 20
IMAGENET = (1_281_167, 50_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller, under two minutes")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        task, n_train, n_test = arguments.child
        print(json.dumps(TASKS[task](int(n_train), int(n_test))))
        return
    n_train, n_test = (12_000, 4_000) if arguments.quick else (60_000, 10_000)
    figures = compare("dense", n_train, n_test) | compare("top", n_train, n_test)
    kernel = ask("kernel", 8192, 8192)
    print(
        f"kernel    {kernel['rate'] / 1e9:.1f} of {kernel['floor'] / 1e9:.1f} billion words/s"
        f" on one core, {kernel['rate'] / kernel['floor']:.2f} of the floor"
    )
    added = ask("add", 50_000, 10_000)
    print(f"add       100 runs {added['some']:.3f} s, all {added['all']:.3f} s")
    rows = IMAGENET[0] // 10 if arguments.quick else IMAGENET[0]
    scan = ask("imagenet", rows, IMAGENET[1])
    minutes = scan["seconds"] / 60 * IMAGENET[0] / rows
    print(
        f"imagenet  {rows:,} of {IMAGENET[0]:,} training examples in {scan['seconds']:.0f} s:"
        f" {minutes:.1f} minutes in all; {scan['memory'] / 1e9:.2f} GB;"
        f" {scan['found']:.0f} pairs over the threshold"
    )
    summary = {
        "dense_ratio": figures["dense_ratio"],
        "topk_ratio": figures["top_ratio"],
        "dense_memory_ratio": figures["dense_memory_ratio"],
        "topk_memory_gb": figures["top_memory_gb"],
        "kernel_share": round(kernel["rate"] / kernel["floor"], 2),
        "add_share": round(added["some"] / added["all"], 3),
        "imagenet_minutes": round(minutes, 2),
        "imagenet_measured_share": round(rows / IMAGENET[0], 2),
        "imagenet_memory_gb": round(scan["memory"] / 1e9, 2),
    }
    print(json.dumps(summary))


def compare(task: str, n_train: int, n_test: int) -> dict[str, float]:
    """Both ways of one task, in turns."""
    results: dict[str, list[dict[str, float]]] = {"memtools": [], "direct": []}
    for _ in range(ROUNDS):
        for name, each in results.items():
            each.append(ask(f"{task}-{name}", n_train, n_test))
    seconds = {n: statistics.median(r["seconds"] for r in each) for n, each in results.items()}
    memory = {n: max(r["memory"] for r in each) for n, each in results.items()}
    if len({each["check"] for runs in results.values() for each in runs}) != 1:
        raise SystemExit(f"{task}: the two ways differ")
    for name in results:
        print(f"{task:10}{name:10}{seconds[name]:8.2f} s{memory[name] / 1e9:8.2f} GB")
    return {
        f"{task}_ratio": round(seconds["direct"] / seconds["memtools"], 2),
        f"{task}_memory_ratio": round(memory["memtools"] / memory["direct"], 3),
        f"{task}_memory_gb": round(memory["memtools"] / 1e9, 3),
    }


def ask(task: str, n_train: int, n_test: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", task, str(n_train), str(n_test)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def outcomes(n_train: int, n_test: int) -> tuple[Any, Any, Any]:
    """mask, train_correct, test_correct: bool [n_runs, n]."""
    rng = np.random.default_rng(0)
    return (
        rng.integers(0, 10, (N_RUNS, n_train), np.uint8) < 7,
        rng.integers(0, 10, (N_RUNS, n_train), np.uint8) < 9,
        rng.integers(0, 10, (N_RUNS, n_test), np.uint8) < 8,
    )


def timed(work: Callable[[], Any], check: Callable[[Any], float]) -> dict[str, float]:
    begun = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "memory": peak, "check": check(result)}


def dense_memtools(n_train: int, n_test: int) -> dict[str, float]:
    from memtools.estimation import counts
    from memtools.estimation.bits import RunBits

    mask, _, correct = outcomes(n_train, n_test)
    few = RunBits.pack(mask[:, :70], 70)
    counts.influence(few, few)
    return timed(
        lambda: counts.influence(RunBits.pack(mask, n_train), RunBits.pack(correct, n_test)),
        lambda matrix: round(float(matrix[: n_train // 7, n_test // 3].mean()), 5),
    )


def dense_direct(n_train: int, n_test: int) -> dict[str, float]:
    mask, _, correct = outcomes(n_train, n_test)
    return timed(
        lambda: direct_influence(mask, correct),
        lambda matrix: round(float(matrix[n_test // 3, : n_train // 7].mean()), 5),
    )


def direct_influence(mask: Any, correct: Any) -> Any:
    """[n_test, n_train], as the demo has it."""

    def mean(chosen: Any) -> Any:
        product = np.matmul(correct.T.astype(np.float32), chosen.astype(np.float32))
        return (product / np.maximum(chosen.sum(0, keepdims=True), 1e-10)).astype(np.float32)

    return mean(mask) - mean(~mask)


def top_memtools(n_train: int, n_test: int) -> dict[str, float]:
    from memtools.estimation.bits import Outcomes, RunBits
    from memtools.estimation.pair_scan import scan

    def work(mask: Any, train: Any, test: Any) -> Any:
        packed = Outcomes(*(RunBits.pack(each, each.shape[1]) for each in (mask, train, test)))
        n_in, both = packed.mask.totals(), packed.mask.both(packed.train_correct)
        outside = packed.train_correct.totals() - both
        return both / n_in - outside / (N_RUNS - n_in), scan(packed, per_test=TOP)

    mask, train, test = outcomes(n_train, n_test)
    work(mask[:, :70], train[:, :70], test[:, :70])
    return timed(
        lambda: work(mask, train, test),
        lambda found: round(float(found[0].mean() + found[1].per_test.influence.mean()), 5),
    )


def top_direct(n_train: int, n_test: int) -> dict[str, float]:
    mask, train, test = outcomes(n_train, n_test)

    def work() -> Any:
        inside = (train * mask).sum(0) / np.maximum(mask.sum(0), 1e-10)
        outside = (train * ~mask).sum(0) / np.maximum((~mask).sum(0), 1e-10)
        influence = direct_influence(mask, test)
        strongest = np.argpartition(-influence, TOP, axis=1)[:, :TOP]
        return inside - outside, np.take_along_axis(influence, strongest, 1)

    return timed(
        work,
        lambda found: round(float(found[0].mean() + found[1].mean(dtype=np.float64)), 5),
    )


def kernel(n_train: int, n_test: int) -> dict[str, float]:
    import numba

    from memtools.estimation import kernels

    @numba.njit(nogil=True)  # type: ignore[untyped-decorator,unused-ignore]
    def floor(a: Any, b: Any, times: int) -> int:
        total = np.uint64(0)
        for _ in range(times):
            for j in range(len(a)):
                total += kernels.popcount(a[j] & b[j])
            a[0] += np.uint64(1)
        return total

    rng = np.random.default_rng(0)

    def words(*shape: int) -> Any:
        return rng.integers(0, 1 << 63, shape, np.uint64)

    small, few = words(1024), words(32, 70)
    floor(small, small.copy(), 1)
    kernels.joint(few, few, 0, 70, np.empty((70, 70), np.int32))
    begun = time.perf_counter()
    floor(small, small.copy(), 1_000_000)
    rate_of_floor = 1024e6 / (time.perf_counter() - begun)
    a, b = words(32, n_train), words(32, n_test)
    out = np.zeros((n_train, n_test), np.int32)
    begun = time.perf_counter()
    kernels.joint(a, b, 0, n_train, out)
    rate = 32 * out.size / (time.perf_counter() - begun)
    return {"rate": rate, "floor": rate_of_floor}


def add(n_train: int, n_test: int) -> dict[str, float]:
    from memtools.estimates.about import About
    from memtools.estimates.model import ExampleIndex
    from memtools.estimation.bits import Outcomes
    from memtools.estimation.statistics import Statistics
    from memtools.runs.record import RunRecord, RunSpec
    from memtools.runs.store import RunStore, Sweep

    labels = np.arange(n_train) % 100, np.arange(n_test) % 100
    examples = ExampleIndex(About(), labels[0], None, labels[1], None)
    sweep = Sweep("random", "official", 0.7, n_train, n_test)
    columns = outcomes(n_train, n_test)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        store = RunStore.create(Path(directory) / "runs", sweep, examples)
        for run in range(N_RUNS + 100):
            row = run % N_RUNS
            spec = RunSpec(run, sweep.digest)
            store.add(RunRecord(spec, *(each[row] for each in columns)))

        def of(runs: range, before: Statistics) -> tuple[Statistics, float]:
            begun = time.perf_counter()
            records = (store.read(run) for run in runs)
            result = before.add(Outcomes.of(records, n_train, n_test))
            return result, time.perf_counter() - begun

        empty = Statistics.empty(examples, n_train, n_test)
        known, _ = of(range(N_RUNS), empty)
        some = statistics.median(of(range(N_RUNS, N_RUNS + 100), known)[1] for _ in range(ROUNDS))
        every = statistics.median(of(range(N_RUNS + 100), empty)[1] for _ in range(ROUNDS))
    return {"some": some, "all": every}


def imagenet(n_train: int, n_test: int) -> dict[str, float]:
    from memtools.estimation.bits import Outcomes, RunBits
    from memtools.estimation.pair_scan import scan

    rng = np.random.default_rng(0)

    def words(n: int) -> Any:
        return rng.integers(0, 1 << 64, (32, n), np.uint64, endpoint=False)

    mask = words(n_train)
    for combine in (np.bitwise_or, np.bitwise_and, np.bitwise_or):  # 1/2, 3/4, 3/8, 11/16
        combine(mask, words(n_train), out=mask)
    test = words(n_test) | words(n_test)
    beyond = np.uint64((1 << (N_RUNS - 31 * 64)) - 1)  # the last word is not full
    mask[-1] &= beyond
    test[-1] &= beyond
    packed = Outcomes(RunBits(mask, N_RUNS), RunBits(mask, N_RUNS), RunBits(test, N_RUNS))
    few = Outcomes(*(RunBits(each.words[:, :70].copy(), N_RUNS) for each in vars(packed).values()))
    scan(few, per_test=10, least=0.15)
    found: list[int] = []
    figures = timed(
        lambda: scan(packed, per_test=10, least=0.15),
        lambda each: found.append(len(each.pairs.influence)) or 0.0,
    )
    return figures | {"found": found[0]}


TASKS: dict[str, Callable[[int, int], dict[str, float]]] = {
    "dense-memtools": dense_memtools,
    "dense-direct": dense_direct,
    "top-memtools": top_memtools,
    "top-direct": top_direct,
    "kernel": kernel,
    "add": add,
    "imagenet": imagenet,
}


if __name__ == "__main__":
    main()
