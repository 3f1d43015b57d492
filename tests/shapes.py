"""A made-up data set of coloured shapes with estimates, for reports: numbers, images, names.

estimates, data = shapes()
shapes(names=False, labels=False, influence=False)
"""

from __future__ import annotations

import numpy as np

from memtools.estimates.about import About
from memtools.estimates.model import Estimates
from memtools.training.datasets import NONE, Dataset

ABOUT = About(
    dataset="shapes",
    order="file",
    definition="made-up shapes",
    direction="high memorization = atypical",
    paper="Feldman & Zhang 2020, arXiv:2008.03703",
)
HOSTILE = [
    "<img src=x onerror=alert(1)>.png",
    "</script><script>document.title='owned'</script>.png",
    "\"quoted\" 'and' & more.png",
    "\u2028line\u2029 separators.png",
    "\U0001f600\U0001f9ea emoji.png",
    "\u05e9\u05dc\u05d5\u05dd \u202egnp.rtl.png",
    "x" * 290 + ".png",
    "${summary.n}`{{ 7 * 7 }}.png",
]


def shapes(
    n_classes: int = 6,
    per_class: int = 40,
    tests: int = 8,
    *,
    names: bool = True,
    labels: bool = True,
    influence: bool = True,
    lost: int = 0,
    noise: float = 0.015,
    side: int = 16,
) -> tuple[Estimates, Dataset]:
    """Estimates of a few classes of images that differ in colour.

    lost: so many are NaN. noise: standard deviation of an influence of nothing.
    """
    rng = np.random.default_rng(7)
    train = rng.permutation(np.repeat(np.arange(n_classes), per_class))
    test = rng.permutation(np.repeat(np.arange(n_classes), tests))
    n = len(train)
    memorization = np.clip(rng.beta(0.4, 0.8, n) + rng.normal(0, 0.03, n), -0.1, 1)
    memorization[rng.permutation(n)[:lost]] = np.nan
    arrays = {"tr_mem": memorization.astype(np.float32)}
    arrays["tr_mem_se"] = np.where(np.isnan(memorization), np.nan, 0.024).astype(np.float32)
    arrays["tr_n_in"] = np.where(np.isnan(memorization), 2000, 1400)
    arrays["tr_n_out"] = 2000 - arrays["tr_n_in"]
    if labels:
        arrays |= {"tr_labels": train, "tt_labels": test}
    if names:
        arrays["tr_filenames"] = np.array([f"img_{k:05d}.png" for k in range(n)])
        arrays["tt_filenames"] = np.array([f"val_{k:05d}.png" for k in range(len(test))])
    if influence:
        arrays |= _influence(rng, train, test, n_classes, noise)
    images = (_images(rng, each, side, n_classes) for each in (train, test))
    return Estimates(arrays, ABOUT), Dataset("shapes", "file", train, test, NONE, *images)


def _influence(rng, train, test, n_classes, noise):
    """Noise; some strong ties of memorized examples; one that harms in each class."""
    arrays = {}
    for label in range(n_classes):
        rows, columns = np.flatnonzero(train == label), np.flatnonzero(test == label)
        values = rng.normal(0, noise, (len(rows), len(columns)))
        for row in range(0, len(rows), 3):
            values[row, rng.permutation(len(columns))[: 1 + row % 4]] = rng.uniform(0.2, 0.6)
        values[-1, 0] = -0.3
        arrays |= {f"tr_classidx_{label}": rows, f"tt_classidx_{label}": columns}
        values = np.clip(values, -1, 1)
        arrays[f"infl_matrix_class{label}"] = values.astype(np.float32)
        arrays[f"infl_se_class{label}"] = np.full(values.shape, 0.02, np.float32)
    return arrays


def _images(rng, labels, side, n_classes):
    """uint8 [n, side, side, 3]: a disc on a ground whose colour is that of the class."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    images = np.empty((len(labels), side, side, 3), np.uint8)
    for k, label in enumerate(labels):
        phase = 2 * np.pi * label / n_classes
        ground = 0.5 + 0.4 * np.sin(phase + np.array([0, 2.1, 4.2]))
        centre = rng.uniform(0.3, 0.7, 2)
        disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 0.06
        images[k] = np.where(disc[..., None], 1 - ground, ground) * 255
    return images
