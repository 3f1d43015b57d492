"""Pictures of estimates, with matplotlib: each function draws one figure into one file.

    histogram(estimates.memorization, Path("histogram.png"))
    gallery(images, captions, Path("memorized.pdf"))
    pair_rows(rows, Path("pairs.png"))

The ending of the file says its format.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools.arguments import StrPath
from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.estimation.reliability import Halves
from memtools.extras import needing
from memtools.files import appearing, disk_errors
from memtools.wording import printable

with needing("report"):
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

_COLUMNS = 8  # pictures in a row of a gallery
_MANY = 3000  # points that are still told apart
_INK, _LIGHT, _SECOND = "#1f4e79", "#9db8d2", "#a4511f"


def histogram(
    memorization: Array, path: StrPath, marked: Array | None = None, quantity: str = "memorization"
) -> None:
    """Counts of memorization values, logarithmic; marked: bool [n], drawn in front."""
    figure = Figure((7, 4), layout="constrained")
    axes = figure.subplots()
    known = ~np.isnan(memorization)
    low, high = memorization[known].min(initial=0), memorization[known].max(initial=1)
    edges = np.linspace(low, high, 41).tolist()
    colour = _INK if marked is None else _LIGHT
    axes.hist(memorization[known], edges, color=colour, label="all training examples")
    if marked is not None:
        axes.hist(memorization[known & marked], edges, color=_INK, label="flipped labels")
        axes.legend(frameon=False)
    axes.set(xlabel=_plain(quantity), ylabel="number of examples")
    axes.set_yscale("log" if known.any() else "linear")
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def influences(counts: Array, edges: Array, least: float, path: StrPath) -> None:
    """Counts of influences, int [n] between edges [n + 1], logarithmic; least: of a high one."""
    figure = Figure((7, 4), layout="constrained")
    axes = figure.subplots()
    axes.stairs(counts, edges, fill=True, color=_INK)
    axes.axvline(least, color=_SECOND, linewidth=1, linestyle="--")
    axes.annotate(f" {least:g}", (least, 1), xycoords=("data", "axes fraction"), va="top")
    axes.set(xlabel="influence", ylabel="number of pairs", yscale="log")
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def convergence(curve: Sequence[Halves], path: StrPath) -> None:
    """How well two halves of the runs agree, over the number of runs in each."""
    figure = Figure((5.5, 4), layout="constrained")
    axes = figure.subplots()
    runs = [halves.n_runs for halves in curve]
    scores, pairs = zip(*((halves.spearman, halves.jaccard) for halves in curve), strict=True)
    axes.plot(runs, scores, "o-", color=_INK, label="scores (Spearman)")
    axes.plot(runs, pairs, "s--", color=_SECOND, label="high-influence pairs (Jaccard)")
    axes.set_xscale("log", base=2)
    axes.set_xticks(runs, [f"{n:,}" for n in runs])
    axes.set(xlabel="runs in each half", ylabel="agreement of two halves", ylim=(0, 1.02))
    axes.minorticks_off()
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def scatter(first: Array, second: Array, names: tuple[str, str], title: str, path: StrPath) -> None:
    """Score against score, [n] each: points, or their density where they are many."""
    figure = Figure((5.5, 5), layout="constrained")
    axes = figure.subplots()
    if len(first) > _MANY:
        drawn = axes.hexbin(first, second, gridsize=60, bins="log", mincnt=1, cmap="Blues")
        figure.colorbar(drawn, label="examples")
    else:
        axes.scatter(first, second, s=9, alpha=0.5, color=_INK, linewidths=0)
    axes.set(xlabel=_plain(names[0]), ylabel=_plain(names[1]), title=_plain(title))
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def gallery(images: Array | Sequence[Array], captions: Sequence[str], path: StrPath) -> None:
    """Images [n, height, width, channels], or of any sizes, with a caption under each."""
    n_rows = -(-len(images) // _COLUMNS)
    figure = Figure((1.15 * _COLUMNS, 1.45 * n_rows), layout="constrained")
    for axes, image, caption in zip(
        figure.subplots(n_rows, _COLUMNS, squeeze=False).flat, images, captions, strict=False
    ):
        _show(axes, image, caption)
    for axes in figure.axes[len(images) :]:
        axes.set_axis_off()
    _save(figure, path)


def pair_rows(rows: Sequence[Sequence[tuple[Array, str]]], path: StrPath) -> None:
    """A row for each training image: (image, caption) of it, then of the test images it helps."""
    width = max(len(row) for row in rows)
    figure = Figure((1.3 * width, 1.55 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), width, squeeze=False)
    for row, line in zip(rows, grid, strict=True):
        for axes in line:
            axes.set_axis_off()
        for axes, (image, caption) in zip(line, row, strict=False):
            _show(axes, image, caption)
    _save(figure, path)


def _show(axes: Any, image: Array, caption: str) -> None:
    grey = image.shape[-1] == 1
    axes.imshow(image[..., 0] if grey else image, cmap="gray_r" if grey else None)
    text = {"fontsize": 7, "ha": "center", "va": "top"}
    axes.text(0.5, -0.05, _plain(caption), transform=axes.transAxes, **text)
    axes.set_axis_off()


def _plain(text: str) -> str:
    """Return text that is drawn as it is: a name may hold a `$`, which begins a formula."""
    return printable(text, keep="\n").replace("$", r"\$")


def _save(figure: Figure, path: StrPath) -> None:
    path = Path(path)
    FigureCanvasAgg(figure)
    kind = path.suffix[1:].lower()
    if kind not in figure.canvas.get_supported_filetypes():
        raise ConfigError(
            f"{path}: the ending names no format of figures", hint="choose .png, .pdf or .svg"
        )
    metadata = {"CreationDate": None} if kind == "pdf" else None  # the same bytes every day
    with disk_errors(path), appearing(path) as file, matplotlib.rc_context({"savefig.dpi": 150}):
        figure.savefig(file, format=kind, metadata=metadata)
