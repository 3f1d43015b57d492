"""Small worlds for tests: bytes to serve, and registries that promise them.

data = noise(300_000)
registry = write_registry(tmp_path / "r.toml", {"name": "thing", ...parts...})
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def noise(n_bytes: int, seed: int = 0) -> bytes:
    """Bytes that no compression shortens and no offset error leaves equal."""
    return np.random.default_rng(seed).bytes(n_bytes)


def git_blob(data: bytes) -> str:
    """The name that git gives to these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def md5(data: bytes) -> str:
    """The md5 of these bytes, in hex."""
    return hashlib.md5(data).hexdigest()


def artifact(
    urls: Sequence[str],
    contents: Sequence[bytes],
    *,
    name: str = "thing",
    file: str = "thing.npz",
    sizes: bool = True,
    blobs: bool = True,
    whole: bool = True,
    **fields: object,
) -> str:
    """An [[artifact]] table in TOML that promises `contents`, one part for each URL.

    sizes, blobs, whole: whether the registry knows the sizes and the git_blob of
    the parts, and the md5 of the whole.
    """
    facts: dict[str, object] = {
        "name": name,
        "file": file,
        "dataset": "cifar100",
        "kind": "checkpoints",
        "order": "official",
        "definition": "a test",
        "direction": "none",
        "paper": "none",
    }
    if whole:
        facts["md5"] = md5(b"".join(contents))
    lines = ["[[artifact]]", *(f"{k} = {_toml(v)}" for k, v in (facts | fields).items())]
    for url, data in zip(urls, contents, strict=True):
        lines += ["[[artifact.parts]]", f"url = {_toml(url)}"]
        lines += [f"size = {len(data)}"] * sizes + [f'git_blob = "{git_blob(data)}"'] * blobs
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f'"{value}"'


def write_registry(path: Path, *tables: str) -> Path:
    """A registry file of some tables made by `artifact`."""
    path.write_text("\n".join(tables))
    return path


def published_arrays(
    n_train: Sequence[int], n_test: int, *, dtype: type = np.float32, seed: int = 0
) -> dict[str, np.ndarray]:
    """Arrays under their published names: `n_train[k]` training examples of class k, shuffled.

    Memorization is that of the distribution in the paper, roughly: much at 0, some at 1.
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(n_train)), n_train))
    test_labels = rng.permutation(np.repeat(np.arange(len(n_train)), n_test))
    arrays = {
        "tr_labels": labels,
        "tt_labels": test_labels,
        "tr_mem": rng.beta(0.3, 0.7, len(labels)).astype(dtype),
    }
    train = np.split(np.argsort(labels, kind="stable"), np.cumsum(n_train)[:-1])
    test = np.split(np.argsort(test_labels, kind="stable"), len(n_train))
    for label, (rows, columns) in enumerate(zip(train, test, strict=True)):
        arrays[f"tr_classidx_{label}"] = rows
        arrays[f"tt_classidx_{label}"] = columns
        values = rng.normal(0, 0.05, (len(rows), len(columns))).clip(-1, 1)
        arrays[f"infl_matrix_class{label}"] = values.astype(dtype)
    return arrays


def imagenet_names(n: int, pattern: bytes = b"n%08d_%d.JPEG") -> np.ndarray:
    """File names as the published index keeps them: bytes in an object array."""
    return np.array([pattern % (n // 1300, i) for i in range(n)], dtype=object)
