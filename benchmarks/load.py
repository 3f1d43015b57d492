"""`memtools.load` beside `numpy.load(allow_pickle=True)`: files of ImageNet's shape.

    python benchmarks/load.py [--quick]

The files have the published schema and size with synthetic values: influence matrices of 1000
classes, 256 MB, and an index of 1,281,167 examples whose names are bytes in an object array.
Timed are, each in a process of its own, with imports done before:

    class    from the path to the matrix of one class
    memory   from the path to all memorization values
    index    from the path to memorization, labels and file names as text
    csv, parquet   from the path to a file with a row for each example

NumPy does the same, and runs whatever the pickle says; memtools reads it through stand-ins, and
checks each array's size before it takes memory. NumPy's objects are decoded to text, since bytes
equal no str.
The floor of `class` is zipfile's reading of a table of contents with 3000 entries, which both do.
Memory is the peak of the process above that of one that only imports. The latest figures are in
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

N_TRAIN, N_TEST, N_CLASSES = 1_281_167, 50_000, 1000
TASKS = ("class", "memory", "index", "csv", "parquet")
CONTENDERS = ("memtools", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 15")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        ask("write", "files", directory)
        compare(directory, rounds=5 if arguments.quick else 15)


def compare(directory: str, rounds: int) -> None:
    """Run every task by every contender, in turns; print the medians."""
    idle = ask("memtools", "nothing", directory)["memory"]
    print(f"{'':10}{'memtools':>11}{'numpy':>11}{'ratio':>8}{'memory':>11}{'numpy':>11}")
    figures: dict[str, dict[str, float]] = {}
    for task in TASKS:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
        for _ in range(rounds if task in ("class", "memory", "index") else max(3, rounds // 3)):
            for name in random.sample(CONTENDERS, len(CONTENDERS)):
                runs[name].append(ask(name, task, directory))
        seconds = {
            name: statistics.median(run["seconds"] for run in each) for name, each in runs.items()
        }
        memory = {name: max(run["memory"] for run in each) - idle for name, each in runs.items()}
        figures[task] = {
            "seconds": seconds["memtools"],
            "ratio": seconds["memtools"] / seconds["numpy"],
            "memory": memory["memtools"],
        }
        print(
            f"{task:10}{seconds['memtools'] * 1e3:8.1f} ms{seconds['numpy'] * 1e3:8.1f} ms"
            f"{figures[task]['ratio']:8.2f}"
            + "".join(f"{memory[name] / 2**20:7.0f} MiB" for name in CONTENDERS)
        )
    summary = {
        "class_ms": round(figures["class"]["seconds"] * 1e3, 2),
        "class_ratio_numpy": round(figures["class"]["ratio"], 3),
        "class_memory_mb": round(figures["class"]["memory"] / 2**20, 1),
        "memorization_ratio_numpy": round(figures["memory"]["ratio"], 3),
        "index_ratio_numpy": round(figures["index"]["ratio"], 3),
        "export_seconds": round(figures["csv"]["seconds"], 2),
        "export_ratio_numpy": round(figures["csv"]["ratio"], 3),
        "parquet_seconds": round(figures["parquet"]["seconds"], 2),
        "parquet_ratio_numpy": round(figures["parquet"]["ratio"], 3),
    }
    print(json.dumps(summary))


def ask(contender: str, task: str, directory: str) -> dict[str, float]:
    """Do one task in a fresh process; its seconds, and the peak of its memory in bytes."""
    command = (sys.executable, __file__, "--child", contender, task, directory)
    shown = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    answer: dict[str, float] = json.loads(shown.stdout)
    return answer


def child(contender: str, task: str, directory: str) -> None:
    work = {"memtools": by_memtools, "numpy": by_numpy, "write": write}[contender](
        task, Path(directory)
    )
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(json.dumps({"seconds": seconds, "memory": memory}))


def by_memtools(task: str, directory: Path) -> Callable[[], object]:
    """The work of a task; what it imports is imported now."""
    import platformdirs  # noqa: F401 - imported when the cache is first asked for

    import memtools.artifacts.loader
    from memtools.estimates.model import Estimates
    from memtools.estimates.tables import score_columns, write_table

    def load(name: str) -> Estimates:
        loaded = memtools.artifacts.loader.load(directory / name, names=True)
        assert isinstance(loaded, Estimates)
        return loaded

    def index() -> object:
        estimates = load("index.npz")
        return estimates.memorization, estimates.labels, estimates.filenames

    def export(name: str) -> None:
        estimates = load("index.npz")
        write_table(directory / name, score_columns(estimates.scores), estimates.about)

    return {
        "nothing": lambda: None,
        "class": lambda: load("influence.npz").influence(7).values,
        "memory": lambda: load("index.npz").memorization,
        "index": index,
        "csv": lambda: export("ours.csv"),
        "parquet": lambda: export("ours.parquet"),
    }[task]


def by_numpy(task: str, directory: Path) -> Callable[[], object]:
    """The same with numpy.load, csv and pyarrow."""
    import csv

    import numpy as np

    def arrays(name: str, *wanted: str) -> list[Any]:
        with np.load(directory / name, allow_pickle=True) as file:
            return [file[each] for each in wanted]

    columns = ("tr_labels", "tr_filenames", "tr_mem")

    def index() -> object:
        labels, names, values = arrays("index.npz", *columns)
        return labels, np.array([name.decode() for name in names]), values

    def export_csv() -> None:
        labels, names, values = arrays("index.npz", *columns)
        with (directory / "theirs.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("index", "label", "filename", "memorization"))
            text = (name.decode() for name in names)
            writer.writerows(
                zip(range(len(labels)), labels.tolist(), text, values.tolist(), strict=True)
            )

    def export_parquet() -> None:
        import pyarrow
        import pyarrow.parquet

        labels, names, values = arrays("index.npz", *columns)
        table = pyarrow.table(
            {
                "index": np.arange(len(labels)),
                "label": labels,
                "filename": [name.decode() for name in names],
                "memorization": values,
            }
        )
        pyarrow.parquet.write_table(table, directory / "theirs.parquet")

    return {
        "class": lambda: arrays("influence.npz", "infl_matrix_class7"),
        "memory": lambda: arrays("index.npz", "tr_mem"),
        "index": index,
        "csv": export_csv,
        "parquet": export_parquet,
    }[task]


def write(_task: str, directory: Path) -> Callable[[], object]:
    import numpy as np

    def work() -> None:
        rng = np.random.default_rng(0)
        n_train = np.full(N_CLASSES, N_TRAIN // N_CLASSES)
        n_train[: N_TRAIN - n_train.sum()] += 1
        labels = rng.permutation(np.repeat(np.arange(N_CLASSES), n_train))
        train = np.split(np.argsort(labels, kind="stable"), np.cumsum(n_train)[:-1])
        test = np.split(rng.permutation(N_TEST), N_CLASSES)
        influence: dict[str, Any] = {}
        for k in range(N_CLASSES):
            influence[f"tr_classidx_{k}"], influence[f"tt_classidx_{k}"] = train[k], test[k]
            values = rng.standard_normal((len(train[k]), len(test[k])), np.float32) * 0.05
            influence[f"infl_matrix_class{k}"] = values
        np.savez(directory / "influence.npz", **influence)
        names = np.array(
            [b"n%08d_%d.JPEG" % (label, n) for n, label in enumerate(labels)], dtype=object
        )
        memorization = rng.beta(0.3, 0.7, N_TRAIN)
        np.savez(directory / "index.npz", tr_filenames=names, tr_labels=labels, tr_mem=memorization)

    return work


if __name__ == "__main__":
    main()
