"""Bringing ImageNet's published order and a folder's together, beside plain joins.

    python benchmarks/align.py [--quick]

1,281,167 file names in random order against the paths and labels of an ImageFolder, each contender
in a process of its own on one core, alternating, medians of 5 (--quick: 3) rounds; imports and the
data come before the clock starts.

    names     memtools.align: names in any writing, labels, folders, duplicates and case checked
    dict      {name: position}, and a look-up of each base name: what people write; checks nothing
    pandas    a merge on a column of base names; checks nothing
    content   keys of 50,000 images of 32x32x3

Memory is the peak of the process, both lists included. The floor is the dict: a Python object is
made and hashed for each name. The latest figures are in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

N_TRAIN, N_CLASSES, N_IMAGES = 1_281_167, 1000, 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(WAYS[arguments.child]()))
        return
    names = [name for name in WAYS if name != "pandas" or importlib.util.find_spec("pandas")]
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(3 if arguments.quick else 5):
        for name in names:
            results[name].append(ask(name))
    seconds = {
        name: statistics.median(each["seconds"] for each in found)
        for name, found in results.items()
    }
    memory = {name: max(each["memory"] for each in found) for name, found in results.items()}
    for name in names:
        print(f"{name:9}{seconds[name]:7.2f} s{memory[name] / 1e6:8.0f} MB")
    if "pandas" not in names:
        print("pandas is not installed")
    ratio = seconds["pandas"] / seconds["names"] if "pandas" in names else None
    summary = {
        "names_seconds": round(seconds["names"], 2),
        "names_memory_mb": round(memory["names"] / 1e6),
        "names_ratio_dict": round(seconds["dict"] / seconds["names"], 2),
        "names_ratio_pandas": None if ratio is None else round(ratio, 2),
        "content_seconds": round(seconds["content"], 2),
    }
    print(json.dumps(summary))


def ask(way: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", way]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def data() -> tuple[Any, Any, list[str], Any, Any]:
    """(published names, labels, paths of a folder, its labels, the true positions)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, N_CLASSES, N_TRAIN))
    synsets = [f"n{1_000_000 + 97 * k:08d}" for k in range(N_CLASSES)]
    stems = [f"{synsets[label]}_{k}.JPEG" for k, label in enumerate(labels.tolist())]
    listed = sorted(range(N_TRAIN), key=lambda k: (int(labels[k]), stems[k]))
    paths = [f"/data/imagenet/train/{synsets[labels[k]]}/{stems[k]}" for k in listed]
    order = rng.permutation(N_TRAIN)
    position = np.empty(N_TRAIN, np.int64)
    position[order] = np.arange(N_TRAIN)
    return np.array(stems)[order], labels[order], paths, labels[listed], position[listed]


def timed(work: Callable[[], Any], truth: Any) -> dict[str, float]:
    begun = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if truth is not None and not np.array_equal(found, truth):
        raise SystemExit("a join is wrong")
    return {"seconds": seconds, "memory": 1024 * peak}


def memtools_way() -> dict[str, float]:
    from memtools.estimates.about import About
    from memtools.estimates.alignment import align
    from memtools.estimates.listing import Listing
    from memtools.estimates.model import ExampleIndex

    names, labels, paths, theirs, truth = data()
    index = ExampleIndex(About(order="published"), labels, names, None, None)
    return timed(lambda: align(index, Listing(paths, theirs)).position, truth)


def dict_way() -> dict[str, float]:
    names, _, paths, _, truth = data()

    def work() -> Any:
        place = {name: position for position, name in enumerate(names.tolist())}
        return np.array([place[os.path.basename(path)] for path in paths])  # noqa: PTH119

    return timed(work, truth)


def pandas_way() -> dict[str, float]:
    import pandas

    names, _, paths, _, truth = data()

    def work() -> Any:
        ours = pandas.DataFrame({"name": names.tolist(), "position": np.arange(len(names))})
        theirs = pandas.DataFrame({"name": [path.rpartition("/")[2] for path in paths]})
        return theirs.merge(ours, on="name", how="left")["position"].to_numpy()

    return timed(work, truth)


def content_way() -> dict[str, float]:
    from memtools.estimates.pixels import keys_of

    images = np.random.default_rng(0).integers(0, 256, (N_IMAGES, 32, 32, 3), np.uint8)
    return timed(lambda: len(set(keys_of(images))), N_IMAGES)


WAYS = {"names": memtools_way, "dict": dict_way, "pandas": pandas_way, "content": content_way}


if __name__ == "__main__":
    main()
