"""Columns of examples by their names: which one has names, labels, images or positions.

Rows of TFDS and of PyTorch loaders, dicts of columns, data frames and npz files are read through
`read_columns`; tables in files have `memtools.estimates.columns`, which looks at the values, too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.datasets.example_arrays import (
    as_images,
    as_integers,
    as_labels,
    as_texts,
    to_array,
)
from memtools.datasets.identity import identify
from memtools.datasets.listing import Listing
from memtools.datasets.names import NameColumn
from memtools.errors import ConfigError, SchemaError
from memtools.estimates import columns as roles
from memtools.estimates.npz import Array
from memtools.estimates.positions import parse_positions, require_no_positions

IMAGES = ("image", "images", "img", "imgs", "data", "x")
LABELS = (*roles.LABELS, "y", "cls")
NAMES = (*roles.NAMES, "__key__", "key", "ids")
_UNNAMED = tuple(name.casefold() for name in roles.UNNAMED)
_KNOWN = {*IMAGES, *LABELS, *NAMES, *roles.POSITIONS, *_UNNAMED}
_PERHAPS_CLASSES = ("name", "names", "image", "key", *_UNNAMED)
_PATH = "path"  # the field of an image of Hugging Face that holds the name of its file


def read_columns(columns: Mapping[str, Any], what: str) -> Listing:
    """Return the examples of named columns.

    Args:
        columns: By name, each [n]: sequences, arrays or tensors.
        what: Where they come from, for messages.

    Returns:
        The listing, in the order of the rows.

    Raises:
        ConfigError: None of the columns is known, one does not hold what its name says, or two
            contradict each other.
        SchemaError: A column of positions holds others than positions.
    """
    folded = {str(name).casefold(): column for name, column in columns.items()}
    positions = positions_of(folded)
    texts = {
        name: folded[name]
        for name in (*NAMES, *_UNNAMED)
        if name not in positions and _is_names(name, folded.get(name))
    }
    names = choose_names(texts, what)
    labels = choose_labels(folded, what)
    images = next((folded[name] for name in IMAGES if is_pixels(folded.get(name))), None)
    index = choose_positions(positions, what, named=names is not None)
    if names is None and set(positions) <= set(_UNNAMED):
        found = {name: as_integers(folded[name]) for name in folded if not is_known(name)}
        numbers = {name: values for name, values in found.items() if values is not None}
        require_no_positions(without(numbers, index), what, None)
    if names is None and labels is None and images is None and index is None:
        raise ConfigError(
            f"{what} has no column of names, labels, images or positions: its columns are"
            f" {', '.join(map(str, columns))}",
            hint=f"call a column {', '.join(NAMES[:2])}, {LABELS[0]} or {roles.POSITIONS[0]}",
        )
    return Listing(
        names=names,
        labels=labels,
        images=None if images is None else as_images(images),
        index=index,
        what=what,
    )


def choose_labels(folded: Mapping[str, Any], what: str) -> Array | None:
    """Return the labels, int64 [n]; None where no column has any.

    Args:
        folded: Columns [n] by their names in lower case.
        what: Where they come from, for messages.

    Raises:
        ConfigError: Two columns of labels differ: one of them is of something else.
    """
    names = [name for name in LABELS if is_numeric(folded.get(name))]
    if not names:
        return None
    first, labels = names[0], as_labels(folded[names[0]])
    for name in names[1:]:  # y, beside labels, may be anything
        if name in roles.LABELS and not np.array_equal(labels, as_labels(folded[name])):
            raise ConfigError(
                f"{what} has two columns of labels that differ, {first} and {name}",
                hint="leave out the one that does not hold the labels of the numbers",
            )
    return labels


def positions_of(folded: Mapping[str, Any]) -> dict[str, Array]:
    """Return the columns of positions: numbers, or digits as text, under the name of positions.

    Args:
        folded: Columns [n] by their names in lower case.

    Returns:
        Arrays [n] by name: those that pandas wrote without a name only where there are no others.
    """
    known = [name for name in roles.POSITIONS if name in folded]
    found = {name: _as_numbers(folded[name]) for name in known}
    named = {name: values for name, values in found.items() if values is not None}
    if named:
        return named
    unnamed = {name: _as_numbers(folded[name]) for name in _UNNAMED if name in folded}
    return {name: values for name, values in unnamed.items() if values is not None}


def _as_numbers(column: Any) -> Array | None:
    """Return a column of numbers or of digits as an array [n]; None for another column."""
    if is_numeric(column):
        array = to_array(column).reshape(-1)
        return None if array.dtype.kind == "b" else array
    return parse_positions(np.array(list(as_texts(column)))) if is_text(column) else None


def choose_positions(
    positions: Mapping[str, Array], what: str, *, named: bool
) -> NDArray[np.int64] | None:
    """Return the positions of the examples.

    Args:
        positions: What `positions_of` returns.
        what: Where they come from, for messages.
        named: Whether the examples have names. Then a number may count anything, and is used only
            if it can be a position.

    Returns:
        int64 [n], or None.

    Raises:
        ConfigError: Two columns differ.
        SchemaError: They cannot be positions.
    """
    if not positions:
        return None
    first, *others = positions
    differing = next(
        (name for name in others if not np.array_equal(positions[name], positions[first])), None
    )
    try:
        if differing is not None:
            raise ConfigError(
                f"{what}: columns {first!r} and {differing!r} both hold integers and differ: which"
                " are the positions?",
                hint="rename the other one, or remove it",
            )
        found = roles.as_positions(positions[first], f"{what}: column {first}")
        return None if named and np.array_equal(found, np.arange(len(found))) else found
    except (ConfigError, SchemaError):
        if named:
            return None
        raise


def choose_names(texts: Mapping[str, Any], what: str) -> Sequence[str] | None:
    """Return the names of the examples: those of the first column.

    Args:
        texts: Columns of names [n], by name, in the order in which they are preferred.
        what: Where they come from, for messages.

    Returns:
        str [n], or None where there is no column.

    Raises:
        ConfigError: Another column has the same names in another order.
    """
    if not texts:
        return None
    first, *others = texts
    names = as_texts(texts[first])
    stems = [identify(name)[0] for name in names] if others else []
    for other in others:
        theirs = [identify(name)[0] for name in as_texts(texts[other])]
        if theirs != stems and sorted(theirs) == sorted(stems):
            raise ConfigError(
                f"{what}: columns {first!r} and {other!r} hold the same names in another order:"
                " which are the names?",
                hint="rename the other one, or remove it",
            )
    return names


def without(numbers: Mapping[str, Array], index: Array | None) -> dict[str, Array]:
    """Return the columns that do not hold the positions that are known, int [n], or None."""
    return {
        name: each
        for name, each in numbers.items()
        if index is None or not np.array_equal(each, index)
    }


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
    columns: dict[str, Any] = {}
    for name in [key for key in first if is_known(str(key)) or _is_integer(first[key])]:
        try:
            values = [row[name] for row in rows]
        except (KeyError, TypeError, IndexError) as error:
            if not is_known(str(name)):
                continue
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


def is_known(name: str) -> bool:
    """Return whether a column of this name tells something of the examples."""
    folded = name.casefold()
    return folded in _KNOWN


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


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
