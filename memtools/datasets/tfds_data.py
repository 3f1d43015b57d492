"""Data sources of TensorFlow Datasets, and what to do about data sets that are streamed.

A `tf.data.Dataset` is read in an order of its own: blocks of 16 rows from up to 16 shards by turns.
A data source is counted shard by shard, in the order that `memtools.datasets.tfds_order` computes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memtools.datasets.example_columns import NAMES, read_rows
from memtools.datasets.listing import Listing
from memtools.datasets.tfds_order import tfds_order
from memtools.errors import ConfigError

_KEPT = ("label", *NAMES)
_ROWS = "list(tfds.as_numpy(data)), with `id`, `file_name` or `label` in its rows"


def refuse_tensorflow(source: Any) -> None:
    """Raise ConfigError for a tf.data.Dataset, and for what `tfds.as_numpy` makes of one."""
    streamed = hasattr(source, "element_spec") and hasattr(source, "as_numpy_iterator")
    library = type(source).__module__.split(".")[0]
    if streamed or (library == "tensorflow_datasets" and not hasattr(source, "__getitem__")):
        raise ConfigError(
            "a tf.data.Dataset is read in an order of its own", hint=f"give its rows: {_ROWS}"
        )


def read_data_source(source: Any) -> Listing | None:
    """Return the examples of a `tfds.data_source`; None for any other object.

    Args:
        source: A data source of one split.

    Returns:
        The listing, in the order of the data source, with official positions where the order of
        the whole split can be computed.

    Raises:
        ConfigError: It holds several splits, or rows without names and labels.
    """
    info, split = getattr(source, "dataset_info", None), str(getattr(source, "split", ""))
    if info is None or not hasattr(source, "__getitem__"):
        return None
    name = str(getattr(info, "name", ""))
    config = getattr(info, "config_name", None)
    dataset = f"{name}/{config}" if config and name == "emnist" else name
    rows = [{key: row[key] for key in _KEPT if key in row} for row in source]
    if not rows:
        return Listing([])
    what = f"TFDS {dataset} {split} of {len(rows):,}".replace("  ", " ")
    order = tfds_order(dataset, split) if split in ("train", "test") else None
    listing = read_rows(rows, what)
    index = None if order is None or len(order) != len(rows) else np.array(order)
    return Listing(
        names=listing.names,
        labels=listing.labels,
        index=listing.index if index is None else index,
        order="" if index is None else "official",
        dataset="" if index is None else dataset,
        split="" if index is None else split,
        what=what,
    )
