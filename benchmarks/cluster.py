"""What a sweep costs on 1 to 512 workers: simulated, from what was measured.

    python benchmarks/cluster.py [--quick] [--run-seconds 7200] [--chips 8] [--failures 0.05]
                                 [--start-up 120]

Measured here: how many records of ImageNet's size (1,281,167 and 50,000 examples, with
probabilities and margins) the one driver can take from Ray and write to its store in a second,
fsync included. They come from tasks on this machine, which share its CPUs with the driver: on a
cluster it would be more.
Simulated, event by event: workers that start, train run after run of varying length, die at the
given rate in an hour, and come back after the time of a start; the run that a worker had is given
out again when it dies. Records wait for the driver in the order in which they come. The seconds of
a run and of a start (process, TensorFlow, compilation, the first data) are yours to give: the
records of a sweep have the first.

The knee is the number of workers whose records come as fast as the driver can write them: beyond
it, more workers bring nothing. The latest figures are in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import heapq
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

N_TRAIN, N_TEST, N_RUNS = 1_281_167, 50_000, 2000
WORKERS = (1, 8, 64, 512)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer records are measured")
    parser.add_argument("--run-seconds", type=float, default=7200, help="of one run")
    parser.add_argument("--chips", type=int, default=8, help="of one worker")
    parser.add_argument("--failures", type=float, default=0.05, help="of one worker in an hour")
    parser.add_argument("--start-up", type=float, default=120, help="seconds, of one worker")
    asked = parser.parse_args()
    rate = records_per_second(10 if asked.quick else 60)
    print(f"the driver takes and writes {rate:.1f} records of ImageNet a second")
    print(f"{'workers':>8}{'hours':>9}{'chip hours':>12}{'busy':>7}{'driver':>8}{'repeated':>10}")
    for n_workers in WORKERS:
        found = simulate(
            n_workers, asked.run_seconds, asked.failures / 3600, asked.start_up, 1 / rate
        )
        hours = found["seconds"] / 3600
        print(
            f"{n_workers:8}{hours:9.1f}{hours * n_workers * asked.chips:12,.0f}"
            f"{found['busy']:7.1%}{found['driver']:8.2%}{found['repeated']:10.0f}"
        )
    knee = int(asked.run_seconds * rate)
    print(json.dumps({"knee_workers": knee, "records_per_second": round(rate, 2)}))


def simulate(
    n_workers: int, run_seconds: float, failures: float, start_up: float, write_seconds: float
) -> dict[str, float]:
    """A sweep of N_RUNS runs: its seconds, and where they went.

    busy, driver: shares of the time in which workers train usefully and the driver writes.
    repeated: runs that were lost with their worker.
    """
    rng, order = np.random.default_rng(0), itertools.count()
    events: list[tuple[float, int, str, float]] = []
    waiting, done, repeated, idle = N_RUNS, 0, 0, 0
    driver_free = useful = 0.0

    def later(seconds: float, what: str, length: float = 0.0) -> None:
        heapq.heappush(events, (now + seconds, next(order), what, length))

    def begin() -> None:
        length = run_seconds * float(rng.normal(1, 0.05))
        death = float(rng.exponential(1 / failures)) if failures else float("inf")
        if death < length:
            later(death, "death")
        else:
            later(length, "record", length)

    now = 0.0
    for _ in range(n_workers):
        later(start_up * float(rng.uniform(0.8, 1.2)), "free")
    while done < N_RUNS:
        now, _, what, length = heapq.heappop(events)
        if what == "death":
            waiting, repeated = waiting + 1, repeated + 1
            later(start_up, "free")
        else:
            idle += 1
        if what == "record":
            driver_free = max(driver_free, now) + write_seconds
            done, useful = done + 1, useful + length
        while idle and waiting:
            idle, waiting = idle - 1, waiting - 1
            begin()
    return {
        "seconds": driver_free,
        "busy": useful / (driver_free * n_workers),
        "driver": N_RUNS * write_seconds / driver_free,
        "repeated": repeated,
    }


def records_per_second(n_records: int) -> float:
    from memtools.cluster import outcomes
    from memtools.estimates.about import About
    from memtools.estimates.model import ExampleIndex
    from memtools.runs.record import RunRecord, RunSpec
    from memtools.runs.store import RunStore, Sweep

    labels = np.arange(N_TRAIN) % 1000, np.arange(N_TEST) % 1000
    examples = ExampleIndex(About(), labels[0], None, labels[1], None)
    sweep = Sweep("imagenet", "published", 0.7, N_TRAIN, N_TEST)
    rng = np.random.default_rng(0)
    bits = [rng.random(n) < 0.7 for n in (N_TRAIN, N_TRAIN, N_TEST)]
    kept = {
        f"{side}_{kind}": rng.random(n).astype(np.float16)
        for side, n in (("train", N_TRAIN), ("test", N_TEST))
        for kind in ("probability", "margin")
    }
    made_up = RunRecord(RunSpec(0, sweep.digest), *bits, **kept)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        store = RunStore.create(Path(directory) / "runs", sweep, examples)
        begun = 0.0
        for k, (_, record) in enumerate(
            outcomes(functools.partial(run, made_up), range(n_records))
        ):
            if k == 4:  # by now Ray and its workers have started
                begun = time.perf_counter()
            store.add(record)
        return (n_records - 4) / (time.perf_counter() - begun)


def run(made_up: Any, run_id: int) -> Any:
    """What a worker sends: only the number differs, so that it takes no time to make."""
    spec = dataclasses.replace(made_up.spec, run_id=run_id)
    return dataclasses.replace(made_up, spec=spec)


if __name__ == "__main__":
    main()
