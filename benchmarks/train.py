"""Models per hour, beside a loop over runs that builds, compiles and `fit`s a Keras model each.

    python benchmarks/train.py [--quick]

Made-up pictures of ten classes that a model can learn; the same data, subsets, batches, epochs and
optimiser; both score every example in the end and must be as accurate. Each contender in a process
of its own, alternating, medians of 3 (--quick: 2) rounds. TensorFlow's import comes before the
clock starts. Building and compiling count: for `fit` for each model, as whoever writes that loop
pays for it; ours are spread over the models of a round. "Whole" is our sweep from its first
instant, start of the worker processes included.

    mlp       MNIST-shaped, 512-256, 10 epochs, batch 128: 20 models in two pinned processes;
              --quick: 6,000 training examples instead of 60,000
    floor     (4 x weights of the first layer + 6 x the rest) x examples x epochs, at this
              machine's rate for float32 products of 2,048 x 2,048; our share of it is that of
              runs after the first, with scoring and all
    tiny      scikit-learn's digits, 128 units, 50 epochs: stacks of 32
    conv      32x32x3, 16 and 32 channels, 4 epochs, batch 64: 8 models in two pinned processes

The latest figures are in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import functools
import itertools
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

N_WORKERS = 2
FIT_MODELS = 2  # of one process
TASKS: dict[str, dict[str, Any]] = {
    "mlp": {"models": 20, "preset": "mnist-mlp", "set": {}},
    "tiny": {"models": 64, "preset": "digits-demo", "set": {}},
    "conv": {
        "models": 8,
        "preset": "mnist-mlp",
        "set": {
            "model": "convnet",
            "hidden": [16, 32],
            "epochs": 4,
            "batch_size": 64,
            "peak_lr": 0.05,
        },
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller, under two minutes")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        way, task, directory = arguments.child
        print(json.dumps(WAYS[way](task, Path(directory))))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        pictures(directory / "mlp.npz", 6_000 if arguments.quick else 60_000, (28, 28, 1))
        pictures(directory / "conv.npz", 3_000 if arguments.quick else 20_000, (32, 32, 3))
        rounds = 2 if arguments.quick else 3
        found = {task: compare(task, directory, rounds) for task in TASKS}
    summary = {
        "mlp_ratio_fit": round(found["mlp"]["ratio"], 2),
        "mlp_share_of_floor": round(found["mlp"]["share"], 2),
        "tiny_ratio_fit": round(found["tiny"]["ratio"], 1),
        "conv_ratio_fit": round(found["conv"]["ratio"], 2),
    }
    print(json.dumps(summary))


def pictures(path: Path, n_train: int, shape: tuple[int, ...]) -> None:
    """Sparse pictures of ten classes, with noise on top."""
    rng = np.random.default_rng(0)
    classes = rng.random((10, *shape)) * (rng.random((10, *shape)) < 0.2)
    arrays = {}
    for side, n in (("train", n_train), ("test", n_train // 6)):
        labels = rng.integers(0, 10, n)
        noise = rng.random((n, *shape), np.float32) * (rng.random((n, *shape)) < 0.3)
        arrays[f"{side}_images"] = (0.6 * classes[labels] + 0.4 * noise).astype(np.float32)
        arrays[f"{side}_labels"] = labels
    np.savez(path, **arrays)


def compare(task: str, directory: Path, rounds: int) -> dict[str, float]:
    results: dict[str, list[dict[str, float]]] = {"memtools": [], "fit": []}
    for _ in range(rounds):
        for way, each in results.items():
            each.append(ask(way, task, directory))
    seconds = {
        way: statistics.median(result["seconds"] for result in each)
        for way, each in results.items()
    }
    accuracy = {
        way: statistics.mean(result["accuracy"] for result in each) for way, each in results.items()
    }
    if abs(accuracy["memtools"] - accuracy["fit"]) > 0.02:
        raise SystemExit(f"{task}: the accuracies differ: {accuracy}")
    ratio = seconds["fit"] / seconds["memtools"]
    whole = statistics.median(each["whole"] for each in results["memtools"])
    print(
        f"{task:6}memtools {3600 / seconds['memtools']:9,.0f} models/h (whole"
        f" {3600 / whole:9,.0f}), fit {3600 / seconds['fit']:7,.0f}: {ratio:.2f} x; test accuracy"
        f" {accuracy['memtools']:.3f} and {accuracy['fit']:.3f}"
    )
    found = {"ratio": ratio}
    if task == "mlp":
        ours = results["memtools"]
        rate = max(each["matrix_rate"] for each in ours)
        ideal = ours[0]["flops"] / rate
        found["share"] = ideal / statistics.median(each["steady"] for each in ours)
        print(
            f"floor {rate / 1e9:.0f} GFLOP/s here, {ideal:.3f} s per model;"
            f" ours, compiled, is {found['share']:.2f} of it"
        )
    return found


def ask(way: str, task: str, directory: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", way, task, str(directory)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def config_of(task: str, directory: Path) -> Any:
    from memtools.training.config import load_config

    recipe = TASKS[task]
    data = {} if task == "tiny" else {"dataset": str(directory / f"{task}.npz")}
    return load_config(recipe["preset"], {**data, **recipe["set"], "flipped": 0.0})


def memtools_way(task: str, directory: Path) -> dict[str, float]:
    """Seconds for each model: compiled on the way, whole, and of those that came later."""
    from memtools.engines import outcomes
    from memtools.runs.sweep import run_missing
    from memtools.training.datasets import load_dataset
    from memtools.training.trainer import store_of, train_group

    config, n_models = config_of(task, directory), TASKS[task]["models"]
    n_workers = 1 if task == "tiny" else N_WORKERS
    store = store_of(Path(tempfile.mkdtemp(dir=directory)), config, load_dataset(config))
    train = functools.partial(train_group, config)
    begun = time.perf_counter()
    engine = functools.partial(outcomes, n_workers=n_workers)
    failed = run_missing(store, range(n_models), train, group=config.stack, engine=engine)
    whole = (time.perf_counter() - begun) / n_models
    if failed:
        raise SystemExit(f"runs failed: {failed}")
    runs = list(store)
    later = [run.facts["seconds"] for run in runs[n_workers * config.stack :]]
    return {
        "seconds": statistics.mean(run.facts["seconds"] for run in runs) / n_workers,
        "whole": whole,
        "steady": statistics.median(later) / n_workers,
        "accuracy": statistics.mean(run.test_accuracy for run in runs),
        "flops": flops(config, int(runs[0].mask.sum())),
        "matrix_rate": matrix_rate(),
    }


def flops(config: Any, n_inside: int) -> float:
    """Of the products of one MLP's training: forward, and backward but to the pixels."""
    sizes = [784, *config.hidden, 10]
    weights = [a * b for a, b in itertools.pairwise(sizes)]
    return float(4 * weights[0] + 6 * sum(weights[1:])) * n_inside * config.epochs


def matrix_rate(n: int = 2048) -> float:
    """Floating-point operations per second of large float32 products, on all cores."""
    import tensorflow as tf

    a = tf.random.uniform([n, n])
    times = []
    for _ in range(12):
        begun = time.perf_counter()
        tf.matmul(a, a).numpy()
        times.append(time.perf_counter() - begun)
    return 2 * n**3 / statistics.median(times)


def fit_way(task: str, directory: Path) -> dict[str, float]:
    """Seconds for each model: build, compile, fit, score."""
    import keras

    from memtools.training.datasets import load_arrays
    from memtools.training.models import build_model
    from memtools.training.subsets import draw

    config = config_of(task, directory)
    data = load_arrays(config)
    seconds, accuracies = [], []
    for run in range(FIT_MODELS):
        mask = draw(data.train_labels, ratio=config.ratio, design=config.design, seed=0, run_id=run)
        begun = time.perf_counter()
        model = build_model(
            config.model, data.image_shape, n_classes=data.n_classes, hidden=config.hidden
        )
        n_steps = -(-config.epochs * int(mask.sum()) // config.batch_size)
        rate: Any = config.peak_lr
        if config.schedule == "linear":
            rate = keras.optimizers.schedules.PolynomialDecay(config.peak_lr, n_steps, 0.0)
        model.compile(
            optimizer=keras.optimizers.SGD(rate, momentum=config.momentum),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        model.fit(
            data.train_images[mask],
            data.train_labels[mask],
            batch_size=config.batch_size,
            epochs=config.epochs,
            verbose=0,
        )
        model.predict(data.train_images, batch_size=512, verbose=0)
        found = model.predict(data.test_images, batch_size=512, verbose=0)
        seconds.append(time.perf_counter() - begun)
        accuracies.append(float((found.argmax(1) == data.test_labels).mean()))
    return {"seconds": statistics.median(seconds), "accuracy": statistics.mean(accuracies)}


WAYS = {"memtools": memtools_way, "fit": fit_way}


if __name__ == "__main__":
    main()
