"""What a report says at once: the summary for its scripts, and the facts for its text.

    write_script(data, "summary", summary_of(subject, levels, choice, quality, drawn))
    template.render(**facts_of(subject, quality, drawn))

What is not known is null, or "not recorded".
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools import __version__
from memtools.estimates.pairs import MIN_INFL, MIN_MEM
from memtools.files import digest_file, disk_errors, human_size
from memtools.report.choice import ON_PAGE, Choice, Row
from memtools.report.citation import citations
from memtools.report.documents import Document, n_buckets_of
from memtools.report.levels import BARS, Levels
from memtools.report.quality import Quality, Spread
from memtools.report.subject import SHELF, Subject, class_names
from memtools.report.thumbnails import COLUMNS, ON_SHEET, Example, Sheets
from memtools.report.ties import Ties

UNKNOWN = "not recorded"


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The thumbnails: sheets, or None without images; n of them; examples that were unreadable."""

    sheets: Sheets | None
    n: int
    unreadable: set[Example]

    @property
    def n_missing(self) -> int:
        """Examples of which the source has no image, or one that cannot be read."""
        if self.sheets is None:
            return 0
        images = self.sheets.images
        sides = [images.train] if images.test is None else [images.train, images.test]
        return sum(int((~side.there).sum()) for side in sides) + len(self.unreadable)


def summary_of(
    subject: Subject, levels: Levels, choice: Choice, quality: Quality, drawn: Drawn
) -> Document:
    """JSON: everything that the page's scripts know from the start."""
    place = levels.of(subject.values)
    return {
        "quantity": subject.quantity,
        "atypical": subject.atypical,
        "sign": subject.sign,
        "memorization": subject.is_memorization,
        "cScore": subject.quantity == "C-score",
        "dataset": subject.about.dataset,
        "n": {"train": subject.train.n, "test": subject.test.n},
        "lost": quality.n_lost,
        "levels": {
            "edges": [levels.edge(k) for k in range(levels.n + 1)],
            "decimals": levels.decimals,
            "counts": np.bincount(place[place >= 0], minlength=levels.n).tolist(),
            "bars": levels.bars(subject.values).tolist(),
            "perLevel": BARS,
        },
        "classes": _classes(subject, choice, drawn),
        "shelf": SHELF,
        "buckets": n_buckets_of(subject),
        "pairs": None if subject.ties is None else _pairs(subject, subject.ties, choice),
        "images": _images(drawn),
        "curve": [
            {"runs": h.n_runs, "spearman": _finite(h.spearman), "jaccard": _finite(h.jaccard)}
            for h in quality.curve
        ],
    }


def facts_of(subject: Subject, quality: Quality, drawn: Drawn) -> dict[str, Any]:
    """What the template shows as text."""
    about = subject.about
    heading = subject.quantity[0].upper() + subject.quantity[1:]
    return {
        "title": f"{heading} · {about.dataset or 'memtools report'}",
        "heading": heading,
        "dataset": about.dataset,
        "about": _known(
            ("data set", about.dataset),
            ("definition", about.definition),
            ("direction", about.direction),
            ("order of the examples", about.order),
            ("paper", about.paper),
            ("left open by the publisher", about.doubt),
            *_sources(about.source),
        ),
        "n_train": subject.train.n,
        "n_test": subject.test.n,
        "quality": quality,
        "accuracies": [
            ("inside the subset", _percent(quality.inside)),
            ("training examples held out", _percent(quality.outside)),
            ("test examples", _percent(quality.test)),
        ],
        "errors": None if quality.errors is None else [f"{e:.4f}" for e in quality.errors],
        "curve": [_half(h) for h in quality.curve],
        "n_high": None if subject.ties is None else len(subject.ties.high(subject.values)),
        "thresholds": (MIN_MEM, MIN_INFL),
        "images": None if drawn.sheets is None else drawn.sheets.images.proof,
        "n_drawn": drawn.n,
        "n_missing": drawn.n_missing,
        "citations": citations(about),
        "version": __version__,
        "unknown": UNKNOWN,
    }


def _classes(subject: Subject, choice: Choice, drawn: Drawn) -> Document | None:
    """Columns of the table of classes, in the order of the shelves."""
    if subject.labels is None:
        return None
    named = class_names(subject.index)
    if drawn.sheets is not None:
        named = {**named, **drawn.sheets.images.class_names}
    names = [named.get(label) for label in subject.labels.tolist()]
    n = np.diff(subject.train.bounds)
    known, shelf = subject.known, subject.train.shelf
    n_known = np.bincount(shelf[known], minlength=subject.n_shelves)
    totals = np.bincount(shelf[known], subject.values[known], minlength=subject.n_shelves)
    high = np.bincount(shelf[subject.values >= MIN_MEM], minlength=subject.n_shelves)
    first = subject.train.order[np.minimum(subject.train.bounds[:-1], subject.train.n - 1)]
    tops = list(zip(first, n_known > 0, strict=True))
    table: Document = {
        "label": subject.labels.tolist(),
        "name": names if any(names) else None,
        "n": n.tolist(),
        "tests": np.diff(subject.test.bounds).tolist(),
        "mean": _ratios(totals, n_known),
        "share": _ratios(high, n_known) if subject.is_memorization else None,
        "top": [int(k) if some else None for k, some in tops],
        "score": [_finite(subject.values[k]) if some else None for k, some in tops],
        "pairs": None,
        "pictured": choice.tops is not None and drawn.sheets is not None,
    }
    if subject.ties is not None:
        trained = subject.ties.train[subject.ties.high(subject.values)]
        table["pairs"] = np.bincount(shelf[trained], minlength=subject.n_shelves).tolist()
    return table


def _pairs(subject: Subject, ties: Ties, choice: Choice) -> Document:
    high = ties.high(subject.values)
    return {
        "minMem": MIN_MEM,
        "minInfl": MIN_INFL,
        "n": len(high),
        "train": len(np.unique(ties.train[high])),
        "test": len(np.unique(ties.test[high])),
        "negative": len(ties.negative()),
        "pages": {"pairs": _pages(choice.helpful), "harmful": _pages(choice.harmful)},
        "rows": {"pairs": len(choice.helpful), "harmful": len(choice.harmful)},
    }


def _pages(rows: Sequence[Row]) -> int:
    return -(-len(rows) // ON_PAGE)


def _images(drawn: Drawn) -> Document | None:
    if drawn.sheets is None:
        return None
    images = drawn.sheets.images
    return {
        "side": images.side,
        "small": images.small,
        "ending": drawn.sheets.ending,
        "columns": COLUMNS,
        "onSheet": ON_SHEET,
        "tests": images.test is not None,
    }


def _sources(source: str) -> list[tuple[str, str]]:
    """Size, md5, sha256 of each file that the numbers were read from; where it lay is private."""
    rows = []
    several = [source] if Path(source).is_file() else source.split("; ")  # of a group
    for path in (Path(each) for each in several if each):
        name = path.name.encode("utf-8", "replace").decode()  # on a disk it may be any bytes
        if path.is_file():
            with disk_errors(path):
                digests = digest_file(path, ("md5", "sha256"))
            rows.append(("file", f"{name}, {human_size(path.stat().st_size)}"))
            rows += list(digests.items())
        else:
            rows.append(("source", name))
    return rows or [("source", UNKNOWN)]


def _known(*rows: tuple[str, str]) -> list[tuple[str, str]]:
    required = {"definition", "direction", "order of the examples"}
    return [(term, text or UNKNOWN) for term, text in rows if text or term in required]


def _percent(spread: Spread | None) -> list[str] | None:
    return None if spread is None else [f"{100 * share:.1f} %" for share in spread]


def _half(halves: Any) -> list[str]:
    first, second = halves.n_pairs
    numbers = (halves.pearson, halves.spearman, halves.jaccard)
    pearson, spearman, jaccard = ("-" if math.isnan(x) else f"{x:.3f}" for x in numbers)
    return [f"{halves.n_runs:,}", pearson, spearman, f"{first:,} and {second:,}", jaccard]


def _ratios(totals: Any, counts: Any) -> list[float | None]:
    return [
        round(float(total / count), 5) if count else None
        for total, count in zip(totals, counts, strict=True)
    ]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
