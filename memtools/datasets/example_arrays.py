"""Names, labels, images and positions of a data set, each as one kind of array.

Tensors of PyTorch and TensorFlow are recognised by their methods; neither is imported.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.datasets.identity import as_names
from memtools.datasets.names import NameColumn
from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.estimates.positions import looks_like_positions

_TEXT = (str, bytes, os.PathLike)
_CHANNELS = (1, 3)
_FEW = 20  # integers, of which it tells nothing that each comes once


def to_array(values: Any) -> Array:
    """Return values as an ndarray: tensors on any device, lists, arrays.

    Args:
        values: An array, a tensor of PyTorch (on a GPU, too) or TensorFlow, or a sequence.

    Returns:
        The array, of the dtype of the values; dtype object where they are of mixed kinds.

    Raises:
        ConfigError: The rows of the values have different lengths.
    """
    for method in ("detach", "cpu"):
        if callable(getattr(values, method, None)):
            values = getattr(values, method)()
    if callable(getattr(values, "numpy", None)):
        values = values.numpy()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ConfigError(
            f"these values do not form an array: {error}",
            hint="every example must have the same shape",
        ) from error


def as_texts(names: Any) -> Sequence[str]:
    """Return names as text; ConfigError for anything that is not text, bytes or a path."""
    if isinstance(names, NameColumn):
        return names
    if isinstance(names, np.ndarray) and names.dtype.kind in "SU" and names.ndim == 1:
        return NameColumn.from_array(names)
    values = names.tolist() if isinstance(names, np.ndarray) else list(names)
    others = {kind for kind in set(map(type, values)) if not issubclass(kind, _TEXT)}
    if others:
        k = next(k for k, each in enumerate(values) if type(each) in others)
        raise ConfigError(
            f"names are text, and example {k} has {values[k]!r}",
            hint="give one file name or id for each example",
        )
    return as_names(values)


def as_labels(labels: Any) -> Array:
    """Return labels as int64 [n].

    Args:
        labels: Whole numbers, [n] or [n, 1]; digits as text are read.

    Returns:
        The labels, int64 [n].

    Raises:
        ConfigError: They are not whole numbers, or not one for each example.
    """
    found = to_array(labels)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        several = found.ndim == 2 and found.shape[1] > 1
        raise ConfigError(
            f"these are not labels: of the shape {found.shape} and the kind {found.dtype}",
            hint="one-hot labels: give labels.argmax(1)" if several else "labels are integers [n]",
        )
    try:
        if found.dtype.kind not in "biufSUO":
            raise ValueError(f"of the kind {found.dtype}")
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise ValueError("some are not finite")
        whole = found.astype(np.int64)
        if found.dtype.kind in "fO" and (found != whole).any():
            raise ValueError(f"{found[np.flatnonzero(found != whole)[0]]} is not a whole number")
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"these are not labels: {error}", hint="labels are integers") from error
    return whole


def as_images(images: Any) -> Array:
    """Return images as uint8 [n, height, width, channels].

    Args:
        images: uint8 [n, height, width], or with 1 or 3 channels behind.

    Returns:
        The images; [n, height, width] gets one channel.

    Raises:
        ConfigError: They are floats, or have their channels in front, or another shape.
    """
    found = to_array(images)
    if found.ndim == 3 and found.dtype == np.uint8:
        found = found[..., None]
    if found.ndim == 4 and found.dtype == np.uint8 and found.shape[-1] in _CHANNELS:
        return found
    hint = "give the decoded pixels, before any normalisation"
    if found.dtype == np.uint8 and found.ndim == 4 and found.shape[1] in _CHANNELS:
        hint = "the channels come first: give images.transpose(0, 2, 3, 1)"
    raise ConfigError(
        f"images are uint8 [n, height, width, channels], not {found.dtype} {list(found.shape)}",
        hint=hint,
    )


def refuse_positions(values: Any) -> None:
    """Raise ConfigError for a bare list of integers that looks like positions instead of labels.

    Labels come several times each, and positions once. Of a few nothing can be told, unless they
    are 0 to n - 1 in another order.
    """
    found = as_integers(values)
    if found is None or not len(found):
        return
    distinct = len(np.unique(found)) == len(found) and bool((np.diff(found) != 1).any())
    if looks_like_positions(found) or (distinct and len(found) >= _FEW):
        raise ConfigError(
            f"{len(found):,} integers, each once: are they labels or positions?",
            hint='call them what they are: {"index": values} or {"label": values}; in a file, by'
            " a table with the header index or label",
        )


def as_integers(values: Any) -> Array | None:
    """Return a list, an array or a tensor of integers as an array [n]; None for anything else."""
    if isinstance(values, (list, tuple)):
        if not values or not isinstance(values[0], (int, np.integer)):
            return None  # names, or rows: without a copy as an array
    elif not isinstance(values, range) and not (hasattr(values, "dtype") and len(values.shape)):
        return None  # an object with a length may be a data set, which is not read for this
    try:
        found = to_array(values)
    except (ConfigError, TypeError, ValueError, OverflowError):
        return None
    found = found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found
    return found if found.ndim == 1 and found.dtype.kind in "iu" else None


def as_indices(indices: Any, n: int) -> NDArray[np.int64]:
    """Return the indices of a subset as positions in what it is a subset of.

    Args:
        indices: Whole numbers, in any sequence or tensor; negative ones count from the end.
        n: The number of examples that they point into.

    Returns:
        int64 [m], from 0 to n - 1.

    Raises:
        ConfigError: They are a mask, not whole numbers, or outside of the examples.
    """
    found = to_array(indices)
    if found.dtype.kind == "b":
        raise ConfigError(
            f"the indices are a mask of {len(found):,} truth values",
            hint="give np.flatnonzero(mask)",
        )
    if found.size == 0:
        return np.zeros(0, np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise ConfigError(
            f"the indices are {found.dtype} {list(found.shape)}", hint="indices are integers [m]"
        )
    whole = found.astype(np.int64)
    outside = np.flatnonzero((whole < -n) | (whole >= n))
    if len(outside):
        raise ConfigError(
            f"index {whole[outside[0]]} is outside of the {n:,} examples",
            hint="are these indices of another data set?",
        )
    return np.where(whole < 0, whole + n, whole)
