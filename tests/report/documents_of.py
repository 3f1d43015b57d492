"""Reading a report back, as its page does."""

import base64
import json
import re

import numpy as np


def document(root, name):
    """The document of a data file, its columns as arrays."""
    text = (root / "data" / f"{name}.js").read_text("ascii")
    match = re.fullmatch(r'memtools\.receive\("([\w/]+)",(.*)\);\n', text, re.DOTALL)
    assert match and match[1] == name
    return _unpacked(json.loads(match[2]))


def _unpacked(value):
    if isinstance(value, list):
        return [_unpacked(each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (code := next(iter(value))) in ("u1", "u2", "u4", "i4", "f4"):
        return np.frombuffer(base64.b64decode(value[code]), "<" + code)
    return {name: _unpacked(each) for name, each in value.items()}
