"""Phrases that several messages share.

list_first(["a", "b", "c", "d"])    # "a, b, c, ..."
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

SHOWN = 3  # examples in a message


def list_first(items: Iterable[str], n: int = SHOWN) -> str:
    """Return the first `n` items, and "..." if there are more."""
    first = list(itertools.islice(items, n + 1))
    return ", ".join(first[:n] + ["..."] * (len(first) > n))
