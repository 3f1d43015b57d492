"""Bringing ImageNet's published order and a folder's together, beside plain joins.

    python benchmarks/align.py [--quick]

1,281,167 file names in random order against the paths and labels of an ImageFolder, each contender
in a process of its own on one core, alternating, medians of 5 (--quick: 3) rounds; imports and the
data come before the clock starts.

    names     memtools.align: names in any writing, labels, folders, duplicates and case checked
    dict      {name: position}, and a look-up of each base name: what people write; checks nothing
    pandas    a merge on a column of base names; checks nothing
    hf_names  memtools.align with a set of Hugging Face, shuffled: a table of pyarrow in pieces of
              1,000 rows, whose images are structs of bytes and a path such as
              n01440764_10026_n01440764.JPEG, and a mapping of rows; everything checked as above
    content   keys of 50,000 images of 32x32x3

On a machine that others use, the seconds of CPU tell more. Memory is the peak of the process, both
lists included; what the process takes with the lists alone stands beside it. A Python object is
made and hashed for each name of the dict; memtools joins them as columns of bytes. The latest
figures are in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import numpy as np

N_TRAIN, N_CLASSES, N_IMAGES = 1_281_167, 1000, 50_000
EVERY = np.arange(N_CLASSES + 1)
SYNSETS = [f"n{1_000_000 + 97 * k:08d}" for k in range(N_CLASSES)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(WAYS[arguments.child]()))
        return
    needs = {"pandas": "pandas", "hf_names": "pyarrow"}
    missing = [name for name, module in needs.items() if not importlib.util.find_spec(module)]
    names = [name for name in WAYS if name not in missing]
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(3 if arguments.quick else 5):
        for name in names:
            results[name].append(ask(name))

    def over(rounds: Callable[[list[float]], float], figure: str) -> dict[str, float]:
        return {name: rounds([each[figure] for each in found]) for name, found in results.items()}

    seconds, cpu = over(statistics.median, "seconds"), over(statistics.median, "cpu")
    memory, inputs = over(max, "memory"), over(max, "inputs")
    for name in names:
        print(
            f"{name:9}{seconds[name]:7.2f} s{cpu[name]:7.2f} s of CPU{memory[name] / 1e6:8.0f} MB,"
            f" {inputs[name] / 1e6:.0f} MB of it before the clock starts"
        )
    for name in missing:
        print(f"{name}: {needs[name]} is not installed")
    ratio = seconds["pandas"] / seconds["names"] if "pandas" in names else None
    summary = {
        "names_seconds": round(seconds["names"], 2),
        "names_memory_mb": round(memory["names"] / 1e6),
        "names_ratio_dict": round(seconds["dict"] / seconds["names"], 2),
        "names_ratio_pandas": None if ratio is None else round(ratio, 2),
        "content_seconds": round(seconds["content"], 2),
        "hf_names_seconds": round(seconds["hf_names"], 2) if "hf_names" in names else None,
    }
    print(json.dumps(summary))


def ask(way: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", way]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def data() -> tuple[Any, Any, list[str], Any, Any]:
    """Return published names, labels, paths of a folder, its labels and the true positions.

    The lists are made class by class, so that making them takes no more memory than holding them.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    rng = np.random.default_rng(0)
    classes = np.sort(rng.integers(0, N_CLASSES, N_TRAIN))
    position = rng.permutation(N_TRAIN)  # of the k-th image among the published ones
    names, listed = np.empty(N_TRAIN, "U22"), np.empty(N_TRAIN, np.int64)
    paths: list[str] = []
    for label, (begin, end) in enumerate(itertools.pairwise(np.searchsorted(classes, EVERY))):
        stems = [f"{SYNSETS[label]}_{k}.JPEG" for k in range(begin, end)]
        names[position[begin:end]] = stems
        order = sorted(range(len(stems)), key=stems.__getitem__)  # as a folder is listed
        listed[begin:end] = position[begin:end][order]
        paths += [f"/data/imagenet/train/{SYNSETS[label]}/{stems[k]}" for k in order]
    labels = np.empty_like(classes)
    labels[position] = classes
    return names, labels, paths, classes, listed


def timed(work: Callable[[], Any], truth: Any) -> dict[str, float]:
    inputs = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, cpu = time.perf_counter(), time.process_time()
    found = work()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if truth is not None and not np.array_equal(found, truth):
        raise SystemExit("a join is wrong")
    return {"seconds": seconds, "cpu": cpu, "memory": 1024 * peak, "inputs": 1024 * inputs}


def memtools_way() -> dict[str, float]:
    from memtools.alignment.alignment import align
    from memtools.datasets.listing import Listing
    from memtools.estimates.about import About
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


def hugging_face_way() -> dict[str, float]:
    import pyarrow

    from memtools.alignment.alignment import align
    from memtools.datasets.data_sources import listing_of  # noqa: F401 # before the clock starts
    from memtools.estimates.about import About
    from memtools.estimates.model import ExampleIndex

    names, labels, paths, theirs, truth = data()
    pieces = []
    for k in range(0, N_TRAIN, 1000):
        bases = [path.rpartition("/")[2].removesuffix(".JPEG") for path in paths[k : k + 1000]]
        images = [{"bytes": b"", "path": f"{base}_{base[:9]}.JPEG"} for base in bases]
        columns = {"image": images, "label": theirs[k : k + 1000]}
        pieces.append(pyarrow.table(columns, schema=image_schema(pyarrow)))
    del paths
    shuffled = np.random.default_rng(1).permutation(N_TRAIN)
    data_set = Dataset(pyarrow.concat_tables(pieces), shuffled.astype(np.uint64))
    index = ExampleIndex(About(order="published"), labels, names, None, None)
    return timed(lambda: align(index, data_set).position, truth[shuffled])


def image_schema(pyarrow: Any) -> Any:
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    return pyarrow.schema([("image", image), ("label", pyarrow.int64())])


class Dataset:
    """A stand-in for `datasets.Dataset` with what memtools reads of it.

    datasets 5.2.0 keeps its rows in `data.table`, in pieces of 1,000 rows, and the order of a
    shuffled set in `_indices`, a table of one column.
    """

    __module__ = "datasets.arrow_dataset"

    def __init__(self, table: Any, indices: Any) -> None:
        import pyarrow

        self.data = types.SimpleNamespace(table=table, column_names=table.column_names)
        self._indices = types.SimpleNamespace(table=pyarrow.table({"indices": indices}))

    def __len__(self) -> int:
        return N_TRAIN


def content_way() -> dict[str, float]:
    from memtools.alignment.pixels import keys_of

    images = np.random.default_rng(0).integers(0, 256, (N_IMAGES, 32, 32, 3), np.uint8)
    return timed(lambda: len(set(keys_of(images))), N_IMAGES)


WAYS = {
    "names": memtools_way,
    "dict": dict_way,
    "pandas": pandas_way,
    "hf_names": hugging_face_way,
    "content": content_way,
}


if __name__ == "__main__":
    main()
