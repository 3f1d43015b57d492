"""The stores that a user means: one or several, opened, or by their paths.

stores = open_stores("runs")             # of a store, or of a directory of stores
stores = open_stores([store, "more"])
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from memtools.arguments import StrPath
from memtools.runs.store import RunStore

Stores = RunStore | StrPath | Sequence[RunStore | StrPath]
"""A store, or the path of one, or several; see `open_stores`."""


def open_stores(what: Stores) -> list[RunStore]:
    """Return stores, opened: of a directory, of several, or those that are given.

    Args:
        what: A store, the path of one, or of a directory of stores, or a sequence of all these.
    """
    if isinstance(what, (str, os.PathLike, RunStore)):
        what = [what]
    stores: list[RunStore] = []
    for each in what:
        if isinstance(each, RunStore):
            stores.append(each)
            continue
        root = Path(each)
        inside = sorted(path.parent for path in root.glob("*/sweep.toml"))
        one = os.path.lexists(root / "sweep.toml") or not inside
        stores += [RunStore.open(root)] if one else [RunStore.open(found) for found in inside]
    return stores
