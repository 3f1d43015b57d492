"""Columns of examples by their names: which one has names, labels, images or positions.

Rows of TFDS and of PyTorch loaders, dicts of columns, data frames and npz files are read through
`read_columns`; tables in files have `memtools.estimates.columns`, which looks at the values, too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memtools.datasets.example_arrays import as_images, as_labels, as_texts, to_array
from memtools.datasets.listing import Listing
from memtools.datasets.names import NameColumn
from memtools.errors import ConfigError
from memtools.estimates import columns as roles
from memtools.estimates.npz import Array

IMAGES = ("image", "images", "img", "imgs", "data", "x")
LABELS = (*roles.LABELS, "y", "cls")
NAMES = (*roles.NAMES, "__key__", "key", "ids")
_PERHAPS_CLASSES = ("name", "names", "image", "key")
_PATH = "path"  # the field of an image of Hugging Face that holds the name of its file


def read_columns(columns: Mapping[str, Any], what: str) -> Listing:
    """Return the examples of named columns.

    Args:
        columns: By name, each [n]: sequences, arrays or tensors.
        what: Where they come from, for messages.

    Returns:
        The listing, in the order of the rows.

    Raises:
        ConfigError: None of the columns is known, or one does not hold what its name says.
    """
    folded = {str(name).casefold(): column for name, column in columns.items()}
    names = next((folded[name] for name in NAMES if _is_names(name, folded.get(name))), None)
    labels = next((folded[name] for name in LABELS if is_numeric(folded.get(name))), None)
    images = next((folded[name] for name in IMAGES if is_pixels(folded.get(name))), None)
    index = None
    if names is None and images is None:  # beside names, a number may count anything
        numbers = (folded[name] for name in roles.POSITIONS if is_numeric(folded.get(name)))
        index = next(numbers, None)
    if names is None and labels is None and images is None and index is None:
        raise ConfigError(
            f"{what} has no column of names, labels, images or positions: its columns are"
            f" {', '.join(map(str, columns))}",
            hint=f"call a column {', '.join(NAMES[:2])}, {LABELS[0]} or {roles.POSITIONS[0]}",
        )
    return Listing(
        names=None if names is None else as_texts(names),
        labels=None if labels is None else as_labels(labels),
        images=None if images is None else as_images(images),
        index=None if index is None else roles.as_positions(to_array(index).reshape(-1), what),
        what=what,
    )


def read_rows(rows: Sequence[Any], what: str) -> Listing:
    """Return the examples of rows that are dicts, such as those of `tfds.as_numpy`.

    Args:
        rows: n dicts with the same keys. An image that is a dict with a `path` gives a name.
        what: Where they come from, for messages.

    Returns:
        The listing, in the order of the rows.

    Raises:
        ConfigError: A row lacks a column, or as for `read_columns`.
    """
    first = rows[0]
    known = {*IMAGES, *LABELS, *NAMES, *roles.POSITIONS}
    columns: dict[str, Any] = {}
    for name in [key for key in first if str(key).casefold() in known]:
        try:
            values = [row[name] for row in rows]
        except (KeyError, TypeError, IndexError) as error:
            raise ConfigError(
                f"some rows of {what} have no {name!r}", hint="give rows of one kind"
            ) from error
        if isinstance(values[0], Mapping) and values[0].get(_PATH):
            name, values = _PATH, [_path_of(each, k, what) for k, each in enumerate(values)]
        columns[name] = values
    if not columns:
        columns = dict(first)  # for the message
    return read_columns(columns, what)


def _path_of(image: Any, k: int, what: str) -> Any:
    """Return the path of an image of Hugging Face; ConfigError for a row without one."""
    if isinstance(image, Mapping) and image.get(_PATH):
        return image[_PATH]
    raise ConfigError(
        f"example {k} of the {what} has an image without a path, and others have one",
        hint="give every example a name, or leave those without one out",
    )


def _is_names(name: str, column: Any) -> bool:
    """Return whether a column holds names of examples, and not those of their classes."""
    if not is_text(column):
        return False
    return name not in _PERHAPS_CLASSES or len(set(as_texts(column))) == len(column)


def is_text(column: Any) -> bool:
    """Return whether a column holds text, by its first value."""
    if isinstance(column, NameColumn):
        return True
    if isinstance(column, np.ndarray) and column.dtype.kind in "SU":
        return column.ndim == 1
    return isinstance(_first(column), (str, bytes, os.PathLike))


def is_numeric(column: Any) -> bool:
    """Return whether a column holds one number for each example, by its first value."""
    first = _first(column)
    if first is None or isinstance(first, (str, bytes, Mapping)):
        return False
    array = _try_array(first)
    return array is not None and array.size == 1 and array.dtype.kind in "biuf"


def is_pixels(column: Any) -> bool:
    """Return whether a column holds an array of at least two axes for each example."""
    first = _first(column)
    if first is None or isinstance(first, (str, bytes, Mapping)):
        return False
    array = _try_array(first)
    return array is not None and array.ndim >= 2 and array.dtype.kind in "biuf"


def _first(column: Any) -> Any:
    try:
        return None if column is None else next(iter(column), None)
    except TypeError:
        return None


def _try_array(value: Any) -> Array | None:
    try:
        return to_array(value)
    except (ConfigError, TypeError, ValueError):
        return None
