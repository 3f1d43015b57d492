"""Commands whose extra is not installed say how to get it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


def require_for_images(source: str | None) -> None:
    """Say how to get TensorFlow where images come from it, before anything else is done."""
    if source is not None and source.endswith(".toml"):
        from memtools.training.config import load_config

        source = load_config(source).dataset
    if source is not None and source.startswith(("tfds:", "tfrecords:")):
        with needing("tf"):
            import memtools.tfrecords.reader
            import memtools.training.tfds_arrays  # noqa: F401


@contextlib.contextmanager
def needing(extra: str) -> Iterator[None]:
    """Wrap imports that an extra brings; keep what compiled code prints off the terminal."""
    from memtools import extras
    from memtools.progress import silence

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what comes later; before it, silence
    with extras.needing(extra), silence():
        yield
