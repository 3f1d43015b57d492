"""Data sets around data sets: subsets, concatenations, loaders and wrappers.

Subset(data, indices), random_split(...)   the examples at `indices`, nested too
ConcatDataset([a, b])                      one after the other
DataLoader(data)                           its data set, if it is read from the first to the last
any object with `.dataset`                 what is inside, if the number of examples is the same
"""

from __future__ import annotations

import contextlib
import dataclasses
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from memtools.datasets.example_arrays import as_indices, as_integers, as_labels, to_array
from memtools.datasets.listing import Listing, concatenate
from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.estimates.positions import looks_like_positions

INNER = ("dataset", "base_dataset", "ds", "data_source")
"""Attributes under which wrappers keep the data set that they are around."""

_LABELS = ("label", "labels", "target", "targets", "fine_label", "y")
_PROBED = 32  # examples that are compared: a permutation of ten classes would pass one in 10^32

Read = Callable[[Any], Listing]


def read_composed(source: Any, read: Read) -> Listing | None:
    """Return the examples of a Subset, ConcatDataset or DataLoader; None for any other object.

    Args:
        source: An object with `.dataset` and `.indices`, `.datasets`, or `.dataset` and `.sampler`.
        read: The function that reads a data set inside.

    Returns:
        The listing, in the order of `source`.

    Raises:
        ConfigError: Indices are out of range, the parts have nothing in common, or a loader reads
            in another order than that of its data set.
    """
    if _is_concatenation(source):
        return _read_concatenation(source, read)
    attribute = _inner_attribute(source)
    if attribute is not None and hasattr(source, "indices"):
        return _read_subset(source, attribute, read(getattr(source, attribute)))
    if attribute is not None and hasattr(source, "batch_size") and hasattr(source, "sampler"):
        _require_sequential(source, attribute)
        listing = read(getattr(source, attribute))
        return dataclasses.replace(listing, what=f"{listing.what}, in a {type(source).__name__}")
    return None


def read_wrapper(source: Any, read: Read) -> Listing | None:
    """Return the examples of a data set that changes another, example by example.

    A few examples are read and compared, since a wrapper may permute what is inside. One that
    cannot be compared is refused.

    Args:
        source: An object with one of `INNER`, of the same length.
        read: The function that reads the data set inside.

    Returns:
        The listing of what is inside; None for an object that is not a wrapper.

    Raises:
        ConfigError: It has another number of examples, or other labels, than its inside; it keeps
            a permutation; or nothing tells in which order it returns its examples.
    """
    attribute = _inner_attribute(source)
    if attribute is None:
        return None
    return _read_wrapper(source, attribute, read(getattr(source, attribute)))


def _require_sequential(loader: Any, attribute: str) -> None:
    """Raise ConfigError for a loader whose batches come in another order than its data set."""
    sampler = type(loader.sampler).__name__
    batches = type(getattr(loader, "batch_sampler", None)).__name__
    if sampler == "SequentialSampler" and batches in ("BatchSampler", "NoneType"):
        return
    how = sampler if sampler != "SequentialSampler" else batches
    raise ConfigError(
        f"the {type(loader).__name__} reads its data set through a {how}: its batches come in"
        " another order",
        hint=f"give its .{attribute}, if numbers in the order of that are wanted",
    )


def _inner_attribute(source: Any) -> str | None:
    return next((name for name in INNER if _is_dataset(getattr(source, name, None))), None)


def _is_dataset(value: Any) -> bool:
    return value is not None and not isinstance(value, (str, int, bool)) and not callable(value)


def _is_concatenation(source: Any) -> bool:
    parts = getattr(source, "datasets", None)
    return isinstance(parts, (list, tuple)) and len(parts) > 0 and hasattr(source, "__len__")


def _read_concatenation(source: Any, read: Read) -> Listing:
    parts = [read(part) for part in source.datasets]
    name = type(source).__name__
    for part in parts:
        if len(part.lengths) != 1:
            raise ConfigError(
                f"a part of the {name} has columns of {sorted(part.lengths)} examples",
                hint="there must be one of each for every example",
            )
    listing = concatenate(parts)
    if not listing.lengths:
        whats = " and ".join(part.what for part in parts)
        raise ConfigError(
            f"the parts of the {name} have nothing in common: {whats}",
            hint="give one of them, or the file names of all",
        )
    if len(source) != len(listing):
        raise ConfigError(
            f"the {name} has {len(source):,} examples, and its parts {len(listing):,}",
            hint="give the file names or labels of its examples, in its order",
        )
    what = f"{name} of {' and '.join(part.what for part in parts)}"
    return dataclasses.replace(listing, what=what)


def _read_subset(source: Any, attribute: str, inner: Listing) -> Listing:
    if len(inner.lengths) > 1:
        raise ConfigError(
            f"the data set inside has columns of {sorted(inner.lengths)} examples",
            hint="there must be one of each for every example",
        )
    chosen, name = as_indices(source.indices, len(inner)), type(source).__name__
    if hasattr(source, "__len__") and len(source) != len(chosen):
        raise ConfigError(
            f"{name} has {len(source):,} examples, and its .indices name {len(chosen):,}",
            hint="its .indices are not those of a Subset: give names or labels in its order",
        )
    listing = inner.take(chosen)
    listing = dataclasses.replace(listing, what=f"{inner.what}, Subset of {len(chosen):,}")
    listing = _with_own_labels(source, listing)
    if name != "Subset":  # a class of the user's, whose .indices may mean something else
        _refuse_permutation(source, attribute, len(chosen), chosen)
        _require_same_labels(source, attribute, listing)
    return listing


def _read_wrapper(source: Any, attribute: str, inner: Listing) -> Listing:
    name = type(source).__name__
    try:
        n = len(source)
    except TypeError as error:
        raise ConfigError(
            f"{name} has no length, so that its examples cannot be told",
            hint=f"give its .{attribute}, or names or labels in its order",
        ) from error
    if n != len(inner):
        raise ConfigError(
            f"{name} has {n:,} examples, and its .{attribute} has {len(inner):,}",
            hint="give a Subset with its .indices, or the names or labels of these examples",
        )
    _refuse_permutation(source, attribute, n)
    if not _require_same_labels(source, attribute, inner):
        raise ConfigError(
            f"{name} does not tell in which order it returns the examples of its .{attribute}:"
            " they could not be compared by their labels",
            hint=f"give its .{attribute} if the order is the same; or names or labels in its order",
        )
    listing = dataclasses.replace(inner, what=f"{inner.what}, in a {name}")
    return _with_own_labels(source, listing)


def _refuse_permutation(source: Any, attribute: str, n: int, known: Array | None = None) -> None:
    """Raise ConfigError for an object that keeps the numbers 0 to n - 1 in an order of its own.

    known: the order that was applied, int [n].
    """
    for name, value in getattr(source, "__dict__", {}).items():
        held = None if name == attribute else as_integers(value)
        if held is None or len(held) != n or not looks_like_positions(held):
            continue
        if known is not None and np.array_equal(held, known):
            continue
        raise ConfigError(
            f"{type(source).__name__} keeps a permutation of its {n:,} examples in its .{name}",
            hint=f"give a Subset of its .{attribute} with these indices, if they are its order;"
            f" or its .{attribute}, if it returns the examples in the order of that",
        )


def _require_same_labels(source: Any, attribute: str, inner: Listing) -> bool:
    """Compare a few labels, since a wrapper may permute; return whether that tells anything."""
    if inner.labels is None:
        return False
    probed = np.unique(np.linspace(0, len(inner) - 1, _PROBED).astype(int))
    if len(inner) > 1 and len(np.unique(inner.labels[probed])) == 1:
        return False
    for k in probed.tolist():
        try:
            found = _labels_of(source[k])
        except Exception:  # noqa: BLE001 - whatever the transforms of a user may raise
            return False
        if not found:
            return False
        if int(inner.labels[k]) not in found:
            raise ConfigError(
                f"example {k} of {type(source).__name__} has the label {found[0]}, and that of its"
                f" .{attribute} {inner.labels[k]}",
                hint=f"give its .{attribute} if that is meant; or names or labels in its order",
            )
    return True


def _labels_of(example: Any) -> list[int]:
    """Return the whole numbers in an example, one of which is its label."""
    if isinstance(example, Mapping):
        values = [example[name] for name in _LABELS if name in example]
    else:
        values = list(example) if isinstance(example, (tuple, list)) else []
    found = []
    for value in values:
        if isinstance(value, numbers.Integral):
            found.append(int(value))
        elif getattr(value, "shape", None) in ((), (1,)):
            array = to_array(value)
            found += array.reshape(-1).tolist() if array.dtype.kind in "iu" else []
    return found


def _with_own_labels(source: Any, listing: Listing) -> Listing:
    """Take the labels that a wrapper or a Subset was given itself, if they are one for each."""
    own: Array | None = None
    with contextlib.suppress(ConfigError):
        own = as_labels(getattr(source, "targets", None))
    if own is None or len(own) != len(listing):
        return listing
    return dataclasses.replace(listing, labels=own)
