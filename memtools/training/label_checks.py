"""Checks of labels: one integer for each example, counted from 0.

labels = check_labels(column, n_images, "mine.npz: the training labels")    # int64 [n]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.errors import ConfigError
from memtools.estimates.checked_arrays import MOST_CLASSES
from memtools.estimates.npz import Array

_RULE = "labels are integers that count from 0, one for each image"
_NUMBERED = "np.unique(labels, return_inverse=True)[1] numbers the classes"


def check_labels(labels: Array, n_images: int, what: str) -> NDArray[np.int64]:
    """Return labels as int64 [n].

    Args:
        labels: Integers [n] or [n, 1].
        n_images: The number of images that they are for.
        what: The labels in words, for messages.

    Raises:
        ConfigError: They are of another kind, shape or number, negative or very large.
    """
    _require_integers(labels, what)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ConfigError(f"{what} have the shape {labels.shape}", hint=_RULE)
    if len(labels) != n_images:
        raise ConfigError(
            f"{what}: {len(labels):,} labels and {n_images:,} images do not fit",
            hint="give one label for each image",
        )
    for wrong, hint in (
        (labels < 0, "labels count from 0: leave out examples without a label"),
        (labels >= MOST_CLASSES, _NUMBERED),
    ):
        if wrong.any():
            k = int(np.argmax(wrong))
            raise ConfigError(f"{what}: example {k} has the label {labels[k]}", hint=hint)
    return labels.astype(np.int64, copy=False)


def check_label_dtype(dtype: np.dtype[Any], what: str) -> None:
    """Raise ConfigError for a dtype that holds no numbers; `what`: the labels in words."""
    if dtype.kind in "biuf":
        return
    name = {"U": "text", "S": "text", "O": "Python objects"}.get(dtype.kind, str(dtype))
    raise ConfigError(
        f"{what} are {name}, not integers",
        hint=_NUMBERED if dtype.kind in "USO" else _RULE,
    )


def _require_integers(labels: Array, what: str) -> None:
    """Raise ConfigError for another dtype, and for one-hot labels, with the way to convert them."""
    kind = labels.dtype.kind
    if labels.ndim == 2 and labels.shape[1] > 1 and kind in "biuf":
        one = bool(((labels != 0).sum(1) == 1).all() and (labels.max(1) == 1).all())
        raise ConfigError(
            f"{what} are {'one-hot ' if one else ''}{list(labels.shape)}, not one for each image",
            hint="labels.argmax(1) makes integers of them" if one else _RULE,
        )
    if kind in "iu":
        return
    check_label_dtype(labels.dtype, what)
    if kind == "f" and labels.size and np.isfinite(labels).all() and (labels % 1 == 0).all():
        hint = "they are whole numbers: labels.astype('int64')"
    elif kind == "b":
        hint = "labels.astype('int64') makes 0 and 1 of them"
    else:
        hint = _RULE
    raise ConfigError(f"{what} are {labels.dtype}, not integers", hint=hint)
