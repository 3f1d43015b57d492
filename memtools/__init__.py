"""Memorization and influence estimates of neural networks.

    import memtools
    path = memtools.fetch("cifar100-pairs")     # whole, verified, from the cache the next time
    estimates = memtools.load("cifar100")       # .memorization, .labels, .influence(label), ...

What users call is re-exported here, lazily: importing memtools loads nothing else.
Definitions: Feldman & Zhang 2020, "What Neural Networks Memorize and Why", sec. 2.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "RunStore": "memtools.runs.store",
    "align": "memtools.alignment.alignment",
    "at_least": "memtools.alignment.criteria",
    "at_most": "memtools.alignment.criteria",
    "bottom": "memtools.alignment.criteria",
    "closest": "memtools.alignment.criteria",
    "compare": "memtools.alignment.comparison",
    "estimate": "memtools.estimation.estimator",
    "fetch": "memtools.artifacts.fetcher",
    "join": "memtools.artifacts.fetcher",
    "load": "memtools.artifacts.loader",
    "publish": "memtools.artifacts.bundle",
    "quantile_bin": "memtools.alignment.criteria",
    "random": "memtools.alignment.criteria",
    "read_records": "memtools.tfrecords.reader",
    "select": "memtools.alignment.selection",
    "top": "memtools.alignment.criteria",
    "verify": "memtools.artifacts.checker",
    "with_index": "memtools.tfrecords.reader",
    "write_report": "memtools.report.page",
}

if TYPE_CHECKING:
    from memtools.alignment.alignment import align as align
    from memtools.alignment.comparison import compare as compare
    from memtools.alignment.criteria import at_least as at_least
    from memtools.alignment.criteria import at_most as at_most
    from memtools.alignment.criteria import bottom as bottom
    from memtools.alignment.criteria import closest as closest
    from memtools.alignment.criteria import quantile_bin as quantile_bin
    from memtools.alignment.criteria import random as random
    from memtools.alignment.criteria import top as top
    from memtools.alignment.selection import select as select
    from memtools.artifacts.bundle import publish as publish
    from memtools.artifacts.checker import verify as verify
    from memtools.artifacts.fetcher import fetch as fetch
    from memtools.artifacts.fetcher import join as join
    from memtools.artifacts.loader import load as load
    from memtools.estimation.estimator import estimate as estimate
    from memtools.report.page import write_report as write_report
    from memtools.runs.store import RunStore as RunStore
    from memtools.tfrecords.reader import read_records as read_records
    from memtools.tfrecords.reader import with_index as with_index

__all__ = [
    "RunStore",
    "__version__",
    "align",
    "at_least",
    "at_most",
    "bottom",
    "closest",
    "compare",
    "estimate",
    "fetch",
    "join",
    "load",
    "publish",
    "quantile_bin",
    "read_records",
    "select",
    "top",
    "verify",
    "with_index",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import what users call at its first use (PEP 562)."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'memtools' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
