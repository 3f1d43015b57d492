"""What a sweep costs beside the bare trainer, and what processes and Ray bring.

    python benchmarks/sweep.py [--quick]

Each contender in a process of its own, alternating, medians of 3 (--quick: 2) rounds; imports and
compilation come before the clock starts, except where it is said.

    overhead   a serial sweep of runs of a small MLP, beside the bare trainer on the same runs: the
               difference for each run (lock, store, fsync of the record), as a share of one of 10 s
    process    a small conv net on 32x32x3, 8 runs: two pinned processes of one thread, beside one
               process with all threads; time of the runs, start of the processes apart
    ray        start of Ray on this machine up to the first result; milliseconds for each of 1,000
               tasks that do nothing

The latest figures are in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CONV = {"model": "convnet", "hidden": [16, 32], "epochs": 4, "batch_size": 64, "peak_lr": 0.05}
LONG_RUN = 10.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller, under two minutes")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        task, size = arguments.child
        print(json.dumps(TASKS[task](int(size))))
        return
    rounds = 2 if arguments.quick else 3
    found: dict[str, list[dict[str, float]]] = {name: [] for name in TASKS}
    sizes = {"overhead": 40, "serial": 3000, "process": 3000, "ray": 1000}
    if not arguments.quick:
        sizes |= {"overhead": 100, "serial": 20_000, "process": 20_000}
    for _ in range(rounds):
        for name, each in found.items():
            each.append(ask(name, sizes[name]))

    def median(task: str, figure: str) -> float:
        return statistics.median(each[figure] for each in found[task])

    extra = median("overhead", "extra")
    serial, process = median("serial", "seconds"), median("process", "seconds")
    print(f"overhead {1000 * extra:8.1f} ms for each run, {extra / LONG_RUN:.2%} of one of 10 s")
    print(f"conv net {serial:8.2f} s a run in one process, {process:.2f} s in two")
    print(f"ray      {median('ray', 'start'):8.1f} s to the first result")
    summary = {
        "overhead": round(extra / LONG_RUN, 4),
        "process_ratio": round(serial / process, 2),
        "ray_start_seconds": round(median("ray", "start"), 1),
        "ray_task_ms": round(median("ray", "task_ms"), 2),
    }
    print(json.dumps(summary))


def ask(task: str, size: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", task, str(size)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def overhead(n_runs: int) -> dict[str, float]:
    from memtools.runs.sweep import run_missing
    from memtools.training.config import load_config
    from memtools.training.datasets import load_dataset
    from memtools.training.trainer import store_of, train_group

    config = load_config("digits-demo", {"stack": 1, "epochs": 5})
    train = functools.partial(train_group, config)
    train([0])

    def bare() -> None:
        for run in range(n_runs):
            train([run])

    def swept() -> None:
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            store = store_of(Path(directory), config, load_dataset(config))
            if run_missing(store, range(n_runs), train):
                raise SystemExit("runs failed")

    times: dict[Any, list[float]] = {bare: [], swept: []}
    for _ in range(3):
        for way, each in times.items():
            begun = time.perf_counter()
            way()
            each.append(time.perf_counter() - begun)
    extra = statistics.median(times[swept]) - statistics.median(times[bare])
    return {"extra": extra / n_runs}


def conv(n_train: int, n_workers: int) -> dict[str, float]:
    from memtools.engines import outcomes
    from memtools.runs.sweep import run_missing
    from memtools.training.config import load_config
    from memtools.training.datasets import load_dataset
    from memtools.training.trainer import store_of, train_group

    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        rng = np.random.default_rng(0)
        sides = {"train": n_train, "test": n_train // 6}
        arrays = {f"{s}_images": rng.random((n, 32, 32, 3), np.float32) for s, n in sides.items()}
        arrays |= {f"{s}_labels": rng.integers(0, 10, n) for s, n in sides.items()}
        np.savez(directory / "noise.npz", **arrays)
        config = load_config("mnist-mlp", {"dataset": str(directory / "noise.npz"), **CONV})
        store = store_of(directory / "runs", config, load_dataset(config))
        engine = functools.partial(outcomes, n_workers=n_workers)
        if run_missing(store, range(8), functools.partial(train_group, config), engine=engine):
            raise SystemExit("runs failed")
        later = [run.facts["seconds"] for run in list(store)[n_workers:]]
    return {"seconds": statistics.median(later) / n_workers}


def ray(n_tasks: int) -> dict[str, float]:
    from memtools.cluster import outcomes

    begun = time.perf_counter()
    list(outcomes(abs, [1]))
    start = time.perf_counter() - begun
    begun = time.perf_counter()
    list(outcomes(abs, range(n_tasks)))
    return {"start": start, "task_ms": 1000 * (time.perf_counter() - begun) / n_tasks}


TASKS = {
    "overhead": overhead,
    "serial": functools.partial(conv, n_workers=1),
    "process": functools.partial(conv, n_workers=2),
    "ray": ray,
}


if __name__ == "__main__":
    main()
