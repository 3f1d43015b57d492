"""Files and directories that list the examples of a data set.

read_path(Path("names.csv"))             # or .tsv, .json, .parquet, .npy, .npz, .txt
read_path(Path("cifar-10-batches-py"))   # an official copy: the official order
read_path(Path("imagenet/train"))        # images, as torchvision's ImageFolder lists them
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.datasets.arrow_columns import IMAGES, columns_of, read_arrow
from memtools.datasets.data_objects import read_names, read_object
from memtools.datasets.example_arrays import as_labels, as_texts, refuse_positions
from memtools.datasets.example_columns import choose_names, choose_positions, positions_of
from memtools.datasets.image_lists import (
    KAGGLE_COLUMNS,
    is_kaggle_table,
    kaggle_names,
    read_text_list,
)
from memtools.datasets.listing import Listing
from memtools.datasets.split_files import read_splits
from memtools.errors import ConfigError, SchemaError
from memtools.estimates import columns as roles
from memtools.estimates.file_formats import Format, recognise_format
from memtools.estimates.npy import read_npy
from memtools.estimates.npz import Array
from memtools.estimates.parquet_tables import reading_parquet
from memtools.estimates.positions import parse_positions
from memtools.estimates.table_reader import read_table
from memtools.estimates.text_tables import require_distinct
from memtools.extras import needing


def read_path(path: Path, *, split: str = "train", class_folders: str = "auto") -> Listing:
    """Return the examples of a file or a directory, in its order.

    Args:
        path: A list of names or labels, a file of arrays, an official copy of CIFAR or MNIST, or a
            directory of images.
        split: Which examples are wanted, where there are several splits: `train`, `test`, `val`
            or `validation`.
        class_folders: How folders of classes are named, one of
            `memtools.datasets.class_folders.KINDS`.

    Returns:
        The listing.

    Raises:
        ConfigError: It does not list examples, or none of this split.
        IntegrityError: A file is damaged.
        DiskError: It cannot be read.
    """
    if path.is_dir():
        from memtools.datasets.data_folders import read_folder

        return read_folder(path, split=split, class_folders=class_folders)
    if path.suffix.lower() in (".txt", ".lst", ".list"):
        return _read_lines(path)
    format_ = recognise_format(path)
    if format_ == "npz":
        listing = read_splits(path, split)
    elif format_ == "npy":
        listing = _read_npy(path)
    elif format_ == "parquet":
        listing = _read_parquet(path)
    else:
        listing = _read_table(path, format_)
    return dataclasses.replace(listing, what=f"{path.name} of {len(listing):,}")


def _read_lines(path: Path) -> Listing:
    """Read a name in each line; or a label, where all are integers of which some come again."""
    images = read_text_list(path)
    n, what = len(images.names), f"{path.name} of {len(images.names):,}"
    if images.labels is not None:
        return Listing(images.names, images.labels, what=what)
    if len(set(images.names)) < n and parse_positions(np.array(images.names)) is not None:
        return Listing(labels=as_labels(images.names), what=what)
    return dataclasses.replace(read_names(images.names, str(path)), what=what)


def _read_npy(path: Path) -> Listing:
    try:
        return read_object(read_npy(path))
    except SchemaError as error:
        if "Python objects" not in str(error):
            raise
        hint = "write names as text: np.save(path, names.astype(str))"
        raise SchemaError(f"{path} holds Python objects", hint=hint) from error


def _read_table(path: Path, format_: Format) -> Listing:
    columns = read_table(path, format_).columns
    if is_kaggle_table(columns):
        names = kaggle_names(*(columns[name].astype(str).tolist() for name in KAGGLE_COLUMNS))
        return Listing(names)
    if format_ == "json" and list(columns) == ["score"] and columns["score"].dtype.kind == "i":
        refuse_positions(columns["score"])
        return Listing(labels=columns["score"])  # a plain list of whole numbers
    columns = roles.read_digits(columns)
    found = _find_roles(columns, path)
    label = None if found.label is None else as_labels(columns[found.label])
    if found.name is not None:
        return Listing(_names_of(columns, found.name, path), label, index=_index_of(columns, path))
    if found.position is not None:
        index = roles.as_positions(columns[found.position], f"{path}: column {found.position}")
        return Listing(labels=label, index=index)
    if label is None:
        raise ConfigError(
            f"{path} is not a list of examples: its columns are {', '.join(columns)}",
            hint=f"it needs a column of names ({', '.join(roles.NAMES[:4])}, ...), labels or"
            f" positions ({', '.join(roles.POSITIONS[:3])}, ...), and a first row that says so",
        )
    return Listing(labels=label)


def _names_of(columns: Mapping[str, Array], name: str, path: Path) -> Sequence[str]:
    """Return the names; ConfigError if another column has the same ones in another order."""
    others = {
        other: column
        for other, column in columns.items()
        if other.casefold() in roles.NAMES and other != name and column.dtype.kind in "US"
    }
    names = choose_names({name: columns[name], **others}, str(path))
    return as_texts(columns[name]) if names is None else names


def _index_of(columns: Mapping[str, Array], path: Path) -> NDArray[np.int64] | None:
    """Return the positions beside names, which are used where an order is declared."""
    folded = {name.casefold(): column for name, column in columns.items()}
    return choose_positions(positions_of(folded), str(path), named=True)


def _find_roles(columns: Mapping[str, Array], path: Path) -> roles.Roles:
    """Return the roles of the columns; names come before positions, which may count anything."""
    others = {
        name: column
        for name, column in columns.items()
        if not (name.casefold() in roles.POSITIONS or name in roles.UNNAMED)
        or column.dtype.kind in "US"
    }
    found = roles.find_roles(others, where=str(path), need_score=False) if others else None
    if found is not None and found.name is not None:
        return found
    return roles.find_roles(columns, where=str(path), need_score=False)


def _read_parquet(path: Path) -> Listing:
    """Read the columns that are known; of images at first only the field `path`."""
    with needing("parquet"):
        import pyarrow
        import pyarrow.parquet
    with reading_parquet(path):
        file = pyarrow.parquet.ParquetFile(path)
        require_distinct(path, file.schema_arrow.names)
        table = file.read(columns=_wanted(file.schema_arrow, with_bytes=False))
        listing = read_arrow(columns_of(table), path.name)
        if listing.names is None and any(_is_image(field) for field in file.schema_arrow):
            table = file.read(columns=_wanted(file.schema_arrow, with_bytes=True))
            listing = read_arrow(columns_of(table), path.name)
    return listing


def _wanted(schema: Any, *, with_bytes: bool) -> list[str]:
    wanted = []
    for field in schema:
        kind = str(field.type)
        if _is_image(field) or kind.startswith("struct"):
            fields = [field.type.field(k).name for k in range(field.type.num_fields)]
            kept = ("path", "bytes") if with_bytes and _is_image(field) else ("path",)
            wanted += [f"{field.name}.{name}" for name in fields if name in kept]
        elif not kind.startswith(("list", "large_list", "fixed_size_list", "binary", "map")):
            wanted.append(field.name)
    return wanted


def _is_image(field: Any) -> bool:
    """Return whether a field is a struct with the encoded bytes of an image."""
    return field.name.casefold() in IMAGES and str(field.type).startswith("struct")
