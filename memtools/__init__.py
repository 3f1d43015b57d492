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
    "align": "memtools.alignment.alignment",
    "compare": "memtools.alignment.comparison",
    "estimate": "memtools.estimation.estimator",
    "fetch": "memtools.artifacts.fetcher",
    "join": "memtools.artifacts.fetcher",
    "load": "memtools.artifacts.loader",
    "publish": "memtools.artifacts.bundle",
    "read_records": "memtools.tfrecords.reader",
    "select": "memtools.alignment.selection",
    "verify": "memtools.artifacts.checker",
    "with_index": "memtools.tfrecords.reader",
}

if TYPE_CHECKING:
    from memtools.alignment.alignment import align as align
    from memtools.alignment.comparison import compare as compare
    from memtools.alignment.selection import select as select
    from memtools.artifacts.bundle import publish as publish
    from memtools.artifacts.checker import verify as verify
    from memtools.artifacts.fetcher import fetch as fetch
    from memtools.artifacts.fetcher import join as join
    from memtools.artifacts.loader import load as load
    from memtools.estimation.estimator import estimate as estimate
    from memtools.tfrecords.reader import read_records as read_records
    from memtools.tfrecords.reader import with_index as with_index

__all__ = [
    "__version__",
    "align",
    "compare",
    "estimate",
    "fetch",
    "join",
    "load",
    "publish",
    "read_records",
    "select",
    "verify",
    "with_index",
]


def __getattr__(name: str) -> Any:
    """Import what users call at its first use (PEP 562)."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'memtools' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
