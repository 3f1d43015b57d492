"""Data as a page opened from a disk can read them: scripts that hand over columns.

    write_script(root / "data", "level/7", {"index": columns_of(index), "score": ...})

A page under file:// may not fetch, but it may load a script; each calls `memtools.receive` with
its name and a document. Columns of numbers are base64 of little-endian arrays: `{"u2": "AAAB..."}`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memtools.estimates.npz import Array
from memtools.files import disk_errors

Column = dict[str, str]


def integers(values: Array) -> Column:
    """Numbers from 0 on, in the narrowest type that holds them."""
    widths = (np.uint8, np.uint16, np.uint32)
    most = values.max(initial=0)
    return _column(values, next(w for w in widths if most <= np.iinfo(w).max))


def positions(values: Array) -> Column:
    """Positions of which some are none, -1: int32."""
    return _column(values, np.int32)


def numbers(values: Array) -> Column:
    """float32; NaN stays NaN."""
    return _column(values, np.float32)


def write_script(root: Path, name: str, document: Mapping[str, Any]) -> None:
    """Write `name`.js, ASCII, in which no text can end a script or begin a comment."""
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e")
    path = root / f"{name}.js"
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'memtools.receive("{name}",{safe});\n', "ascii")


def _column(values: Array, dtype: type[np.generic]) -> Column:
    array = np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<"))
    code = f"{array.dtype.kind}{array.dtype.itemsize}"
    return {code: base64.b64encode(array.tobytes()).decode("ascii")}
