"""The published estimates where they can be had; otherwise a small data set served from here.

name, registries = offline.estimates()
memtools.load(name, registries=registries)
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import socket
import tempfile
import threading
from pathlib import Path

import numpy as np

HOST = "pluskid.github.io"

REGISTRY = """
[[artifact]]
name = "synthetic"
file = "synthetic.npz"
dataset = "synthetic"
kind = "influence"
order = "file"
definition = "made-up numbers in the published schema: 10 classes of 200 training examples"
direction = "high memorization = atypical"
paper = "none"
md5 = "{md5}"
[[artifact.parts]]
url = "synthetic.npz"
"""


def estimates() -> tuple[str, list[str]]:
    """(name to load, registries to find it in): `cifar100` if its host answers.

    MEMTOOLS_SYNTHETIC=1 in the environment asks for the made-up data set.
    """
    try:
        if os.environ.get("MEMTOOLS_SYNTHETIC"):
            raise ConnectionError
        socket.create_connection((HOST, 443), timeout=3).close()
    except OSError:
        return "synthetic", [serve(Path(tempfile.mkdtemp()))]
    return "cifar100", []


def serve(folder: Path) -> str:
    """Serve made-up estimates from a folder for as long as this process lives; their registry."""
    np.savez(folder / "synthetic.npz", **synthetic())
    digest = hashlib.md5((folder / "synthetic.npz").read_bytes(), usedforsecurity=False)
    (folder / "registry.toml").write_text(REGISTRY.format(md5=digest.hexdigest()))
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/registry.toml"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def synthetic() -> dict[str, np.ndarray]:
    """Arrays of the published schema: most examples typical, a few memorized and helpful."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(10), 200))
    arrays = {"tr_labels": labels, "tt_labels": np.repeat(np.arange(10), 50)}
    arrays["tr_mem"] = rng.beta(0.2, 0.5, len(labels))
    for k in range(10):
        train = np.flatnonzero(labels == k)
        influence = rng.normal(0, 0.03, (len(train), 50))
        helped = rng.integers(50, size=len(train))  # each example helps one of the test set most
        influence[np.arange(len(train)), helped] += rng.random(len(train)) * arrays["tr_mem"][train]
        arrays[f"tr_classidx_{k}"] = train
        arrays[f"tt_classidx_{k}"] = np.arange(50 * k, 50 * k + 50)
        arrays[f"infl_matrix_class{k}"] = influence.clip(-1, 1)
    return arrays
