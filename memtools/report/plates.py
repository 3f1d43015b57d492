"""The figures of a report: what its page shows, for a paper, each as PDF and as PNG.

draw_plates(root / "figures", subject, choice, quality, sheets)

memorization   the histogram
influence      that of all influences, where there are any
memorized      the most atypical examples, where there are images
pairs          training examples and the test examples that they help on most, likewise
convergence    two halves of the runs, where runs are known
halves         score against score: what the larger of these halves say of each example
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from memtools.estimates.npz import Array
from memtools.estimates.pairs import MIN_INFL
from memtools.estimation.reliability import Halves
from memtools.files import disk_errors
from memtools.report import figures
from memtools.report.choice import Choice, Row
from memtools.report.quality import Quality
from memtools.report.subject import Subject
from memtools.report.thumbnails import Example, Sheets
from memtools.report.ties import EDGES, Ties

_MEMORIZED, _ROWS, _BESIDE = 40, 6, 6


def draw_plates(
    root: Path, subject: Subject, choice: Choice, quality: Quality, sheets: Sheets | None
) -> None:
    """Draw what there is to draw into a new directory."""
    with disk_errors(root):
        root.mkdir()
    ties = subject.ties
    _twice(
        root / "memorization",
        lambda path: figures.histogram(subject.values, path, quantity=subject.quantity),
    )
    if ties is not None:
        _twice(
            root / "influence", lambda path: figures.influences(ties.counts, EDGES, MIN_INFL, path)
        )
    if len(quality.curve) > 1:
        _twice(root / "convergence", lambda path: figures.convergence(quality.curve, path))
    if quality.curve:
        _twice(root / "halves", lambda path: _against(subject, quality.curve[-1], path))
    if sheets is None:
        return
    images, captions = _memorized(subject, choice, sheets)
    if images:
        _twice(root / "memorized", lambda path: figures.gallery(images, captions, path))
    if ties is not None and choice.helpful:
        rows = [_row(subject, ties, row, sheets) for row in choice.helpful[:_ROWS]]
        _twice(root / "pairs", lambda path: figures.pair_rows(rows, path))


def _twice(stem: Path, draw: Callable[[Path], None]) -> None:
    for ending in (".pdf", ".png"):
        draw(stem.with_suffix(ending))


def _against(subject: Subject, halves: Halves, path: Path) -> None:
    names = f"{subject.quantity}, half of the runs", "the other half"
    title = f"{halves.n_runs:,} runs each, Spearman {halves.spearman:.3f}"
    figures.scatter(*halves.memorization, names, title, path)


def _memorized(subject: Subject, choice: Choice, sheets: Sheets) -> tuple[list[Array], list[str]]:
    """The most atypical of those with images, and their captions."""
    kept = np.concatenate(choice.train)
    kept = kept[np.argsort(subject.rank[kept])][:_MEMORIZED]
    found = [(k, image) for k in kept.tolist() if (image := sheets.image(("train", k)))]
    captions = [_caption(subject, k) for k, _ in found]
    return [np.asarray(image) for _, image in found], captions


def _row(subject: Subject, ties: Ties, row: Row, sheets: Sheets) -> list[tuple[Array, str]]:
    drawn = [(_pixels(sheets, ("train", row.train)), _caption(subject, row.train))]
    for entry in row.entries[:_BESIDE].tolist():
        k = int(ties.test[entry])
        words = f"test {k}\ninfluence {ties.values[entry]:.2f}"
        drawn.append((_pixels(sheets, ("test", k)), words))
    return drawn


def _pixels(sheets: Sheets, example: Example) -> Array:
    """uint8 [height, width, 3]; white where there is no image."""
    image = sheets.image(example)
    return np.full((1, 1, 3), 255, np.uint8) if image is None else np.asarray(image)


def _caption(subject: Subject, k: int) -> str:
    label = "" if subject.labels is None else f": {subject.labels[subject.train.shelf[k]]}"
    return f"train {k}{label}\n{subject.quantity} {subject.values[k]:.2f}"
