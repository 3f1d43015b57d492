"""What a sweep costs on 1 to 512 workers: simulated, from what was measured.

    python benchmarks/cluster.py [--quick] [--run-seconds 7200] [--chips 8] [--failures 0.05]

Measured here: how many records of ImageNet's size (1,281,167 and 50,000 examples, with
probabilities and margins) the one driver can write to its store in a second, fsync included.
Simulated, event by event: workers that start, train run after run of varying length, die at the
given rate in an hour and are replaced, and hand their records to the driver, one at a time. Each
run's seconds are given (`--run-seconds`: yours, from the records), the failure rate is for an
hour of one worker.

The knee is the number of workers at which the driver would be busy all the time: beyond it, more
workers bring nothing. The latest figures are in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import heapq
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

N_TRAIN, N_TEST, N_RUNS = 1_281_167, 50_000, 2000
WORKERS = (1, 8, 64, 512)
START_UP = 120.0  # seconds of a worker: process, TensorFlow, compilation, the first data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer records are measured")
    parser.add_argument("--run-seconds", type=float, default=7200, help="of one run")
    parser.add_argument("--chips", type=int, default=8, help="of one worker")
    parser.add_argument("--failures", type=float, default=0.05, help="of one worker in an hour")
    arguments = parser.parse_args()
    rate = records_per_second(5 if arguments.quick else 20)
    print(f"the driver writes {rate:.1f} records of ImageNet a second")
    print(f"{'workers':>8}{'hours':>9}{'chip hours':>12}{'busy':>7}{'driver':>8}{'repeated':>10}")
    for n_workers in WORKERS:
        found = simulate(
            n_workers, arguments.run_seconds, arguments.failures / 3600, 1 / rate, seed=0
        )
        hours = found["seconds"] / 3600
        print(
            f"{n_workers:8}{hours:9.1f}{hours * n_workers * arguments.chips:12,.0f}"
            f"{found['busy']:7.1%}{found['driver']:8.2%}{found['repeated']:10.0f}"
        )
    knee = int(arguments.run_seconds * rate)
    print(json.dumps({"knee_workers": knee, "records_per_second": round(rate, 2)}))


def simulate(
    n_workers: int, run_seconds: float, failures: float, write_seconds: float, seed: int
) -> dict[str, float]:
    """A sweep of N_RUNS runs: its seconds, and where they went.

    busy, driver: shares of the time in which workers train usefully and the driver writes.
    repeated: runs that were lost with their worker.
    """
    rng = np.random.default_rng(seed)
    free_at = 0.0  # of the driver
    waiting, done, repeated = N_RUNS, 0, 0
    useful = writing = 0.0
    ready = [(START_UP * float(rng.uniform(0.8, 1.2)), worker) for worker in range(n_workers)]
    heapq.heapify(ready)
    now = 0.0
    while done < N_RUNS:
        now, worker = heapq.heappop(ready)
        if waiting == 0:
            continue  # nothing is left for it; what is under way ends by itself
        waiting -= 1
        length = run_seconds * float(rng.normal(1, 0.05))
        death = float(rng.exponential(1 / failures)) if failures else float("inf")
        if death < length:
            waiting, repeated = waiting + 1, repeated + 1
            heapq.heappush(ready, (now + death + START_UP, worker))
            continue
        useful += length
        free_at = max(free_at, now + length) + write_seconds
        writing += write_seconds
        done += 1
        heapq.heappush(ready, (now + length, worker))
    total = max(free_at, now)
    return {
        "seconds": total,
        "busy": useful / (total * n_workers),
        "driver": writing / total,
        "repeated": repeated,
    }


def records_per_second(n_records: int) -> float:
    from memtools.estimates.about import About
    from memtools.estimates.model import ExampleIndex
    from memtools.runs.record import RunRecord, RunSpec
    from memtools.runs.store import RunStore, Sweep

    rng = np.random.default_rng(0)
    labels = np.arange(N_TRAIN) % 1000, np.arange(N_TEST) % 1000
    examples = ExampleIndex(About(), labels[0], None, labels[1], None)
    sweep = Sweep("imagenet", "published", 0.7, N_TRAIN, N_TEST)
    bits = [rng.random(n) < 0.7 for n in (N_TRAIN, N_TRAIN, N_TEST)]
    kept = {
        f"{side}_{kind}": rng.random(n).astype(np.float16)
        for side, n in (("train", N_TRAIN), ("test", N_TEST))
        for kind in ("probability", "margin")
    }
    times = []
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        store = RunStore.create(Path(directory) / "runs", sweep, examples)
        for run in range(n_records):
            record = RunRecord(RunSpec(run, sweep.digest), *bits, **kept)
            begun = time.perf_counter()
            store.add(record)
            times.append(time.perf_counter() - begun)
    return 1 / statistics.median(times)


if __name__ == "__main__":
    main()
