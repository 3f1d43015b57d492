"""Data set objects of Python: what they say of their examples, whatever library they come from.

Nothing of PyTorch, Hugging Face, TensorFlow or pandas is imported: an object is recognised by its
class or its attributes. What cannot be listed in a certain order is refused with what to do.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from memtools.datasets.arrow_columns import columns_of, read_arrow
from memtools.datasets.example_arrays import (
    as_images,
    as_labels,
    as_texts,
    refuse_positions,
    to_array,
)
from memtools.datasets.example_columns import (
    is_known,
    is_text,
    read_columns,
    read_rows,
)
from memtools.datasets.hugging_face import read_hugging_face
from memtools.datasets.listing import Listing
from memtools.datasets.names import NameColumn
from memtools.datasets.tfds_data import read_data_source, refuse_tensorflow
from memtools.datasets.torchvision_data import read_attributes, read_samples
from memtools.datasets.wrapped_data import read_composed, read_wrapper
from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.estimates.positions import UNNAMED, as_positions, parse_positions

_HINT = "give file names, an ImageFolder, a Subset of it, a path, or images"
_TEXT = (str, bytes, os.PathLike)
_SPLITS = {"train", "test", "val", "validation", "valid", "dev"}
_OWN = ("samples", "imgs", "data", "_samples", "_image_files", "image_paths")


def read_object(source: Any) -> Listing:
    """Return the examples of an object, in its order.

    Args:
        source: A data set of torchvision, Hugging Face or medmnist, a wrapper around one, rows of
            TFDS, a pair (images, labels) of Keras, names, labels, images, a dict of columns or a
            data frame.

    Returns:
        The listing; its columns may still differ in length.

    Raises:
        ConfigError: It cannot be read as a data set.
    """
    if isinstance(source, Listing):
        return source
    _refuse_unordered(source)
    if isinstance(source, NameColumn):
        return Listing(source, what=f"{len(source):,} names")
    if isinstance(source, (list, tuple, range)):
        return _read_sequence(source)
    if (series := _read_series(source)) is not None:
        return series
    if _is_array(source):
        return _read_array(source)
    listing = _read_library_object(source)
    if listing is not None:
        return listing
    if isinstance(source, Mapping):
        return _read_mapping(source)
    raise _refusal(source)


def _read_library_object(source: Any) -> Listing | None:
    """Read the first of these that an object is; its own attributes before those of its inside."""
    own = any(name in getattr(source, "__dict__", {}) for name in _OWN)
    readers: tuple[Callable[[Any], Listing | None], ...] = (
        read_hugging_face,
        read_data_source,
        _read_frame,
        lambda each: read_composed(each, read_object),
        *((read_attributes,) if own else ()),
        lambda each: read_wrapper(each, read_object),
        read_attributes,
        _read_tensors,
    )
    listings = (read(source) for read in readers)
    return next((listing for listing in listings if listing is not None), None)


def _read_frame(source: Any) -> Listing | None:
    """Read a table of pyarrow or a data frame of pandas or polars."""
    if callable(getattr(source, "column", None)) and hasattr(source, "column_names"):
        return read_arrow(columns_of(source), f"table of {source.num_rows:,}")
    names = getattr(source, "columns", None)
    if names is None or not hasattr(source, "to_dict") or isinstance(source, Mapping):
        return None
    columns = {str(name): to_array(source[name].to_numpy()) for name in names}
    index = _read_pandas_index(getattr(source, "index", None), columns)
    return read_columns(columns | index, f"data frame of {len(source):,}")


def _read_series(source: Any) -> Listing | None:
    """Read a Series of pandas with an index that tells something; None for anything else."""
    if not hasattr(source, "iloc") or not hasattr(source, "index") or hasattr(source, "columns"):
        return None
    values = to_array(source.to_numpy())
    name = str(source.name or "")
    if not name or not is_known(name):
        name = "label" if values.dtype.kind in "iu" else "filename" if is_text(values) else name
    index = _read_pandas_index(source.index, {name: values})
    if not index:
        return None
    return read_columns({name: values, **index}, f"Series of {len(source):,}")


def read_names(names: Sequence[str], what: str) -> Listing:
    """Return the listing of bare names; those that are digits are positions, too.

    Args:
        names: str [n].
        what: Where they come from, for messages.

    Returns:
        The listing, with positions if all names are digits.

    Raises:
        SchemaError: All names are digits, and not positions.
    """
    if not len(names) or not names[0][:1].isdigit():
        return Listing(names, what=what)
    numbers = parse_positions(np.array(list(names)))
    index = None if numbers is None else as_positions(numbers, what)
    return Listing(names, index=index, what=what)


def _read_pandas_index(index: Any, columns: Mapping[str, Any]) -> dict[str, Array]:
    """Return the index of a data frame or Series as a column, if it tells something.

    Args:
        index: An index of pandas with n elements, or None.
        columns: The other columns by name, each [n].

    Returns:
        The index under its name, if that is known, else under the name that pandas gives it in
        files; nothing if it only counts the rows.

    Raises:
        ConfigError: The index has several levels.
    """
    if index is None or not hasattr(index, "to_numpy"):
        return {}
    if getattr(index, "nlevels", 1) > 1:
        raise ConfigError(
            f"the index of the data frame has {index.nlevels} levels", hint="give .reset_index()"
        )
    values = to_array(index.to_numpy())
    if values.dtype.kind in "iu" and np.array_equal(values, np.arange(len(values))):
        return {}
    if values.dtype.kind not in "iu" and not is_text(values):
        return {}
    name = str(index.name or "")
    return {name if is_known(name) and name not in columns else UNNAMED[-1]: values}


def _read_tensors(source: Any) -> Listing | None:
    """Read a TensorDataset: images, and labels where it has two tensors."""
    tensors = getattr(source, "tensors", None)
    if not isinstance(tensors, tuple) or not 1 <= len(tensors) <= 2:
        return None
    listing = _read_pair(tensors) if len(tensors) == 2 else _read_array(tensors[0])
    return dataclasses.replace(listing, what=f"{type(source).__name__} of {len(listing):,}")


def _read_mapping(source: Mapping[Any, Any]) -> Listing:
    if source and all(str(name).casefold() in _SPLITS for name in source):
        raise ConfigError(
            f"the dict holds several splits: {', '.join(map(str, source))}",
            hint=f"give one split, for example data[{next(iter(source))!r}]",
        )
    return read_columns({str(name): column for name, column in source.items()}, "dict")


def _read_sequence(source: Sequence[Any]) -> Listing:
    """Read a list by the kind of its first element."""
    if not len(source):
        return Listing([])
    first, n = source[0], len(source)
    if isinstance(first, _TEXT):
        return read_names(as_texts(source), f"list of {n:,} names")
    if isinstance(first, Mapping):
        return read_rows(source, f"list of {n:,} rows")
    if _is_row(first) and isinstance(first[0], _TEXT):  # (path, label), as .samples has them
        return dataclasses.replace(read_samples(source), what=f"list of {n:,} names and labels")
    if isinstance(source, tuple) and n == 2 and all(map(_is_column, source)):
        if all(isinstance(each, (tuple, list)) and _is_split(each) for each in source):
            raise ConfigError(
                "two pairs of images and labels were given: the training and the test split",
                hint="give one of the two: (x_train, y_train) or (x_test, y_test)",
            )
        return _read_pair(source)
    if _is_row(first) and len(first) == 2 and to_array(first[0]).ndim >= 2:  # as_supervised
        images, labels = zip(*source, strict=True)
        return _read_pair((images, labels))
    return _read_array(source)


def _read_pair(pair: Sequence[Any]) -> Listing:
    """Read (images, labels) of Keras, or (names, labels)."""
    listing = _read_array(pair[0]) if not isinstance(pair[0], list) else _read_sequence(pair[0])
    n = len(listing)
    labels = as_labels(pair[1])
    return dataclasses.replace(listing, labels=labels, what=f"pair of {n:,} examples and labels")


def _read_array(source: Any) -> Listing:
    column = to_array(source)
    n = len(column) if column.ndim else 0
    if column.dtype.names:
        return read_columns({name: column[name] for name in column.dtype.names}, "record array")
    if column.ndim == 4 or (column.ndim == 3 and column.dtype == np.uint8):
        return Listing(images=as_images(column), what=f"array of {n:,} images")
    whole = column.dtype.kind in "iu"
    if whole and (column.ndim == 1 or (column.ndim == 2 and column.shape[1] == 1)):
        refuse_positions(column)
        return Listing(labels=as_labels(column), what=f"array of {n:,} labels")
    if column.ndim == 1 and column.dtype.kind == "b":
        raise ConfigError(
            f"a mask of {n:,} truth values does not tell which examples they are",
            hint="give a Subset, or the names or labels of the examples",
        )
    if column.ndim == 1 and (column.dtype.kind in "SUT" or not n):
        return read_names(as_texts(column), f"array of {n:,} names")
    if column.ndim == 1 and column.dtype.kind == "O" and isinstance(column[0], _TEXT):
        return read_names(as_texts(column), f"array of {n:,} names")
    raise _refusal(source)


def _is_row(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) >= 2


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (hasattr(value, "dtype") and hasattr(value, "shape"))


def _is_column(value: Any) -> bool:
    """Return whether a value holds something for each of several examples."""
    return isinstance(value, (list, tuple)) or (_is_array(value) and len(value.shape) > 0)


def _is_split(value: Sequence[Any]) -> bool:
    return len(value) == 2 and all(_is_array(each) and len(each.shape) > 0 for each in value)


def _refuse_unordered(source: Any) -> None:
    """Refuse what is missing, is read once, or has no order."""
    kind = type(source).__name__
    if source is None:
        raise ConfigError("no data set was given", hint=_HINT)
    refuse_tensorflow(source)
    if isinstance(source, (set, frozenset)):
        raise ConfigError(
            f"a {kind} has no order", hint="give a list, in the order of your data set"
        )
    if isinstance(source, Iterator):
        raise ConfigError(f"a {kind} can be read only once", hint="give a list: list(...)")


def _refusal(source: Any) -> ConfigError:
    """Return the error for what is not a data set; its hint names data sets inside of it."""
    kind = type(source).__name__
    inside = [
        name
        for name, value in getattr(source, "__dict__", {}).items()
        if hasattr(value, "__getitem__")
        and hasattr(value, "__len__")
        and not isinstance(value, (str, bytes, Mapping, list, tuple))
    ]
    hint = _HINT
    if inside:
        hint = f"if its order is that of its .{inside[0]}, give that; else its names or labels"
    return ConfigError(f"{kind} is not a data set that can be read", hint=hint)
