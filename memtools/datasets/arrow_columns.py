"""Columns of Arrow tables as examples: data sets of Hugging Face and parquet files.

    columns = columns_of(table)              # "image.path", "image.bytes", "label"
    read_arrow(columns, "train.parquet")

pyarrow is not imported: its tables bring their methods along. Structs are taken apart without a
copy, so that the bytes of images are not touched where their paths are names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from memtools.datasets.example_arrays import as_labels
from memtools.datasets.example_columns import (
    LABELS,
    NAMES,
    choose_names,
    choose_positions,
    is_known,
    positions_of,
    without,
)
from memtools.datasets.image_pixels import decode_images
from memtools.datasets.listing import Listing
from memtools.datasets.names import NameColumn
from memtools.errors import ConfigError
from memtools.estimates import columns as roles
from memtools.estimates.npz import Array
from memtools.estimates.parquet_tables import count_range, pandas_levels
from memtools.estimates.positions import require_no_positions

IMAGES = ("image", "img", "images", "jpg", "jpeg", "png", "webp")
"""Names of columns of images, in the order in which they are preferred."""

_TEXT = ("string", "large_string", "string_view")
_POSITIONS = (*roles.POSITIONS, *(name.casefold() for name in roles.UNNAMED))
_INDEX = "__index_level_0__"  # as pandas calls an index without a name
_PNG = b"\x89PNG"
_MOST_BYTES = 512 << 20  # of encoded images that are decoded in memory: CIFAR has 0.1 GB


class _Taken(Mapping[str, Any]):
    """Columns of which some rows are taken, each only when it is asked for."""

    def __init__(self, columns: Mapping[str, Any], rows: Any) -> None:
        self._columns, self._rows = columns, rows

    def __getitem__(self, name: str) -> Any:
        column = self._columns[name]
        if hasattr(column, "combine_chunks"):  # taking from many chunks takes minutes
            column = column.combine_chunks()
        return column.take(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __contains__(self, name: object) -> bool:
        return name in self._columns


def columns_of(table: Any) -> dict[str, Any]:
    """Return the columns of a pyarrow.Table; a struct becomes a column for each of its fields."""
    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name)
        if not str(column.type).startswith("struct"):
            columns[name] = column
            continue
        fields = [column.type.field(k).name for k in range(column.type.num_fields)]
        children = column.flatten()
        columns |= {f"{name}.{field}": each for field, each in zip(fields, children, strict=True)}
    return columns | _pandas_index(table, columns)


def _pandas_index(table: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the index that pandas wrote as metadata only, or under a name of its own."""
    levels = pandas_levels(getattr(table.schema, "metadata", None))
    if len(levels) != 1 or _INDEX in columns:
        return {}
    level = levels[0]
    if isinstance(level, Mapping):
        index = count_range(level, table.num_rows)
        return {} if index is None else {_INDEX: index}
    known = str(level).casefold() in (*_POSITIONS, *LABELS, *NAMES)
    return {} if known or level not in columns else {_INDEX: columns[level]}


def with_rows(columns: Mapping[str, Any], rows: Any) -> Mapping[str, Any]:
    """Return columns with only the given rows, an integer array of pyarrow."""
    if hasattr(rows, "combine_chunks"):
        rows = rows.combine_chunks()
    return _Taken(columns, rows)


def read_arrow(columns: Mapping[str, Any], what: str) -> Listing:
    """Return the examples of a table.

    Args:
        columns: Columns of pyarrow by name, as `columns_of` returns them.
        what: Where they come from, for messages.

    Returns:
        The listing, in the order of the rows: names from the paths of images or a column of names;
        where there are none, the pixels of images in PNG. Labels and positions in any case.

    Raises:
        ConfigError: No column is known, two contradict each other, or some examples have a name
            and others do not.
        SchemaError: A column of positions holds others than positions.
    """
    folded = {name.casefold(): name for name in columns}
    label = _find(columns, folded, LABELS)
    positions = positions_of(
        {name: _to_numpy(columns[folded[name]]) for name in _POSITIONS if name in folded}
    )
    names = choose_names(_texts(columns, folded, positions), what)
    images = None if names is not None else _decode_pngs(columns, folded)
    index = choose_positions(positions, what, named=names is not None)
    if names is None and set(positions) <= {name.casefold() for name in roles.UNNAMED}:
        others = [name for name in columns if not is_known(name) and _is_integer(columns[name])]
        numbers = {name: _to_numpy(columns[name]) for name in others}
        require_no_positions(without(numbers, index), what, None)
    if names is None and label is None and images is None and index is None:
        raise ConfigError(
            f"the {what} has no column of names, labels or positions: its columns are"
            f" {', '.join(columns)}",
            hint=f"call a column {', '.join(NAMES[:2])} or {LABELS[0]}",
        )
    return Listing(
        names=names,
        labels=None if label is None else as_labels(_to_numpy(label)),
        images=images,
        index=index,
        what=what,
    )


def read_arrow_column(columns: Mapping[str, Any], name: str, what: str) -> Listing:
    """Return the examples of one column: names, the paths of images, or labels.

    Args:
        columns: Columns of pyarrow by name, as `columns_of` returns them.
        name: The name of the column.
        what: Where it comes from, for messages.

    Returns:
        The listing, in the order of the rows.

    Raises:
        ConfigError: The column holds something else, or its images have no paths.
    """
    path = f"{name}.path"
    if path in columns:
        column = columns[path]
        if column.null_count == len(column):
            raise ConfigError(
                f"the images of the {what} have no file names",
                hint="give the whole data set: it may have labels or a column of names",
            )
        return Listing(NameColumn.from_arrow(column), what=what)
    column = columns.get(name)
    if _is_text(column):
        return Listing(NameColumn.from_arrow(column), what=what)
    if _is_integer(column):
        return Listing(labels=as_labels(_to_numpy(column)), what=what)
    raise ConfigError(
        f"the {what} holds neither names nor labels", hint="give the column of images or labels"
    )


def _texts(
    columns: Mapping[str, Any], folded: Mapping[str, str], positions: Collection[str]
) -> dict[str, NameColumn]:
    """Return the paths of the images, and columns of names, each once."""
    paths = [name.removesuffix(".path") for name in folded if name.endswith(".path")]
    found = {}
    for name in [each for each in IMAGES if each in paths] or paths:
        column = columns[folded[f"{name}.path"]]
        if column.null_count < len(column):
            found[f"{name}.path"] = NameColumn.from_arrow(column)
            break
    for name in dict.fromkeys((*NAMES, *_POSITIONS)):
        if name not in folded or name in positions:
            continue
        column = columns[folded[name]]
        if _is_text(column) and len(column.unique()) == len(column):
            found[name] = NameColumn.from_arrow(column)
    return found


def _find(columns: Mapping[str, Any], folded: Mapping[str, str], known: tuple[str, ...]) -> Any:
    found = (columns[folded[name]] for name in known if name in folded)
    return next((column for column in found if _is_integer(column)), None)


def _decode_pngs(columns: Mapping[str, Any], folded: Mapping[str, str]) -> Array | None:
    """Return the pixels of images that are kept as PNG, if they fit into memory; else None.

    Only PNG: what a JPEG decodes to depends on the decoder, and pixels are compared bit by bit.
    """
    name = next((folded[f"{name}.bytes"] for name in IMAGES if f"{name}.bytes" in folded), None)
    if name is None:
        return None
    encoded = columns[name]
    if encoded.null_count or not len(encoded) or encoded.nbytes > _MOST_BYTES:
        return None
    if encoded[0].as_py()[: len(_PNG)] != _PNG:
        return None
    return decode_images(encoded.to_pylist())


def _is_text(column: Any) -> bool:
    if column is None or isinstance(column, np.ndarray):
        return False
    kind = str(column.type)
    return kind in _TEXT or (kind.startswith("dictionary") and "string" in kind)


def _is_integer(column: Any) -> bool:
    if isinstance(column, np.ndarray):
        return column.dtype.kind in "iu"
    return column is not None and str(column.type).startswith(("int", "uint"))


def _to_numpy(column: Any) -> Array:
    if isinstance(column, np.ndarray):
        return column
    values: Array = column.to_numpy(zero_copy_only=False)
    return values
