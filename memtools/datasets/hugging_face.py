"""Data sets of Hugging Face, read from their Arrow tables: no image is decoded for a name.

An image is a struct of `bytes` and `path`; the path is the name of its file. `select`, `shuffle`
and `filter` leave the table as it is and keep a mapping of rows, which is applied here. datasets is
not imported: its objects are recognised by their classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from memtools.datasets.arrow_columns import columns_of, read_arrow, read_arrow_column, with_rows
from memtools.datasets.listing import Listing
from memtools.errors import ConfigError

_DATASETS = {
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "mnist": "mnist",
    "fashion_mnist": "fashion_mnist",
    "imagenet-1k": "imagenet",
}


def hugging_face_class(source: Any) -> str:
    """Return the class of `datasets` that an object is, or is derived from; "" for others."""
    for kind in type(source).__mro__:
        if kind.__module__.split(".")[0] == "datasets":
            return kind.__name__
    return ""


def read_hugging_face(source: Any) -> Listing | None:
    """Return the examples of a Dataset or a Column; None for objects of other libraries.

    Args:
        source: A `datasets.Dataset`, or a column of one.

    Returns:
        The listing, in the order of the object: names from the paths of images or a column of
        names, labels, and the pixels of small PNG images where there are no names.

    Raises:
        ConfigError: It is streamed, holds several splits, or has no column that we know.
    """
    name = hugging_face_class(source)
    if name in ("DatasetDict", "IterableDatasetDict"):
        splits = ", ".join(map(str, source))
        raise ConfigError(
            f"a {name} holds several splits: {splits}",
            hint=f"give one split, for example data[{next(iter(source), 'train')!r}]",
        )
    if name.startswith("Iterable"):
        raise ConfigError(
            f"an {name} of Hugging Face is read once, from its beginning",
            hint="load it without streaming=True; or give a list of its file names or labels",
        )
    if name == "Column":
        return _read_column(source)
    if name != "Dataset":
        return None
    what = f"Hugging Face Dataset of {len(source):,}"
    listing = read_arrow(_columns(source), what)
    info = getattr(source, "info", None)
    dataset = _DATASETS.get(str(getattr(info, "dataset_name", "") or ""), "")
    return dataclasses.replace(listing, dataset=dataset)


def _read_column(column: Any) -> Listing:
    """Read `data["image"]` or `data["label"]`, lazy columns of datasets 4 and later."""
    path, source = [column.column_name], column.source
    while hasattr(source, "column_name"):
        path.insert(0, source.column_name)
        source = source.source
    name = ".".join(map(str, path))
    return read_arrow_column(_columns(source), name, f"Hugging Face column {name}")


def _columns(source: Any) -> Mapping[str, Any]:
    """Return the Arrow columns of a Dataset, in the order of its rows."""
    columns = columns_of(_plain_table(source.data))
    indices = getattr(source, "_indices", None)
    return columns if indices is None else with_rows(columns, _plain_table(indices).column(0))


def _plain_table(table: Any) -> Any:
    """Return the pyarrow.Table inside of a table of `datasets`."""
    return getattr(table, "table", table)
