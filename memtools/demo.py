"""From nothing to a finished estimate: hundreds of small models on scikit-learn's digits.

    memtools demo

2 % of the training labels are flipped. A model that has seen such a label gets it "right", one
that has not does not: memorization finds them. Everything that a real estimate has is here:
a store of runs, estimates with errors, reliability, pictures, a page to look through.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from memtools.alignment.comparison import ranks
from memtools.artifacts.loader import load
from memtools.errors import SweepError
from memtools.estimates.model import Estimates
from memtools.estimates.npz import Array
from memtools.estimates.summary import bars, histogram
from memtools.estimation import reliability
from memtools.estimation.bits import Outcomes
from memtools.estimation.estimator import estimate
from memtools.files import write_atomically
from memtools.report import figures
from memtools.report.page import require_free_place, write_report
from memtools.runs.sweep import run_missing
from memtools.training.config import load_config
from memtools.training.datasets import Dataset, load_arrays
from memtools.training.trainer import store_of, train_group

_SHOWN, _ROWS = 40, 6
_SHADES = " .:-=+*#%@"


@dataclasses.dataclass(frozen=True)
class Summary:
    """What the demonstration found; `summary.json`."""

    n_runs: int
    n_flipped: int
    flipped_precision: float
    flipped_auroc: float
    split_half_spearman: float
    train_accuracy: float
    seconds: float


def run(
    root: Path, n_runs: int = 400, tell: Callable[..., object] = lambda *lines: None
) -> Summary:
    """Train, estimate, draw; everything is written to `root`. What was interrupted goes on.

    Args:
        root: The directory for runs, estimates, figures and the report.
        n_runs: How many models to train.
        tell: Is called with the lines that describe the result.
    """
    begun = time.monotonic()
    require_free_place(root / "report", over=True)
    config = load_config("digits-demo")
    data = load_arrays(config)
    store = store_of(root / "runs", config, data)
    failed = run_missing(
        store, range(n_runs), functools.partial(train_group, config), group=config.stack
    )
    if failed:
        raise SweepError(f"{len(failed)} runs failed", failed_run_ids=sorted(failed))
    estimates = estimate([store])
    estimates.save(root / "estimates.npz")
    outcomes = Outcomes.of(store, store.sweep.n_train, store.sweep.n_test)
    halves = reliability.split_half(outcomes, store.examples)
    right = outcomes.mask.both(outcomes.train_correct).sum() / outcomes.mask.totals().sum()
    _draw(root, estimates, data)
    saved = load(root / "estimates.npz")
    write_report(saved, root / "report", images=data, stores=[store], over=True)
    precision, auroc = found(estimates.memorization, data.flipped)
    summary = Summary(
        n_runs=len(store),
        n_flipped=len(data.flipped),
        flipped_precision=round(precision, 4),
        flipped_auroc=round(auroc, 4),
        split_half_spearman=round(halves.spearman, 4),
        train_accuracy=round(float(right), 5),
        seconds=round(time.monotonic() - begun, 1),
    )
    document = json.dumps(dataclasses.asdict(summary))
    write_atomically(root / "summary.json", document.encode(), ours=True)
    tell(*_describe(root, estimates, data, summary))
    return summary


def found(memorization: Array, flipped: Array) -> tuple[float, float]:
    """How well memorization finds the flipped labels.

    Precision among as many of the most memorized as there are flipped; area under the ROC curve,
    the probability that a flipped one is above another (Mann and Whitney).
    """
    is_flipped = np.zeros(len(memorization), np.bool_)
    is_flipped[flipped] = True
    top = np.argsort(-memorization, kind="stable")[: len(flipped)]
    rank = ranks(memorization)
    n, m = len(flipped), len(memorization) - len(flipped)
    auroc = (rank[is_flipped].sum() - n * (n - 1) / 2) / (n * m)
    return float(is_flipped[top].mean()), float(auroc)


def _draw(root: Path, estimates: Estimates, data: Dataset) -> None:
    """The three pictures."""
    memorization, images = estimates.memorization, data.train_images
    flipped = np.isin(np.arange(len(memorization)), data.flipped)
    figures.histogram(memorization, root / "histogram.png", flipped)
    top = np.argsort(-memorization, kind="stable")[:_SHOWN]
    captions = [
        f"{data.train_labels[i]}{' (flipped)' if flipped[i] else ''}  {memorization[i]:.2f}"
        for i in top
    ]
    figures.gallery(images[top], captions, root / "memorized.png")
    if rows := strongest(estimates):
        drawn = [
            [
                (images[i], f"train {i}: {data.train_labels[i]}\nmem {memorization[i]:.2f}"),
                *(
                    (data.test_images[j], f"test {j}: {data.test_labels[j]}\ninfl {value:.2f}")
                    for j, value in helped
                ),
            ]
            for i, helped in rows
        ]
        figures.pair_rows(drawn, root / "pairs.png")


def strongest(estimates: Estimates) -> list[tuple[int, list[tuple[int, float]]]]:
    """The training examples of the strongest high-influence pairs: (i, its test examples)."""
    pairs = estimates.pairs()
    order = np.argsort(-pairs.influence, kind="stable")
    rows: dict[int, list[tuple[int, float]]] = {}
    for k in order.tolist():
        helped = rows.setdefault(int(pairs.train_index[k]), [])
        if len(helped) < 4:
            helped.append((int(pairs.test_index[k]), float(pairs.influence[k])))
    return list(rows.items())[:_ROWS]


def _describe(root: Path, estimates: Estimates, data: Dataset, summary: Summary) -> list[str]:
    """Return the result in lines, for people."""
    counts, edges = histogram(estimates.memorization)
    lines = [
        f"{summary.n_runs} models, each on a random 70 % of {len(data.train_labels)} digits",
        f"training accuracy inside the subsets: {summary.train_accuracy:.4f}",
        "",
        "memorization, number of examples:",
        *bars(counts, edges),
        "",
        f"{summary.n_flipped} labels were flipped. Of the {summary.n_flipped} most memorized,"
        f" {summary.flipped_precision:.0%} are flipped; area under the ROC curve"
        f" {summary.flipped_auroc:.3f}.",
        f"Two halves of the runs agree: Spearman {summary.split_half_spearman:.3f}.",
        "",
    ]
    rows = strongest(estimates)[:3]
    if rows:
        lines.append("strongest influence: a training digit, and the test digit it helps on most")
    for i, helped in rows:
        j, value = helped[0]
        pictures = zip(_text(data.train_images[i]), _text(data.test_images[j]), strict=True)
        lines += [f"  {left}   ->   {right}" for left, right in pictures]
        lines += [
            f"  train {i}, label {data.train_labels[i]}, memorization"
            f" {estimates.memorization[i]:.2f} -> test {j}: influence {value:.2f}",
            "",
        ]
    return [
        *lines,
        f"{root}/: summary.json, estimates.npz, runs, histogram.png, memorized.png, pairs.png",
        f"Look through all of it, in any browser: {root}/report/index.html",
        "",
        "Go on with:",
        f"  memtools info {root}/estimates.npz",
        f"  memtools pairs {root}/runs --cross-class --top 10",
        f"  memtools train digits-demo --runs 0:{2 * summary.n_runs} --to {root}/runs",
    ]


def _text(image: Array) -> list[str]:
    """A small grey image in characters, two for each pixel."""
    levels = (image[..., 0] * (len(_SHADES) - 1)).round().astype(int)
    return ["".join(2 * _SHADES[level] for level in row) for row in levels]
