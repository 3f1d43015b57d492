"""Data set objects of Python: what their attributes say of the examples.

Nothing of PyTorch is imported: what has the attributes is taken at its word.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memtools.errors import ConfigError
from memtools.estimates.example_arrays import as_images, as_labels
from memtools.estimates.identity import as_names
from memtools.estimates.listing import Listing


def read_object(source: Any) -> Listing:
    """Return the examples of an object; ConfigError if it cannot be read as a data set."""
    if isinstance(source, Listing):
        return source
    if hasattr(source, "indices") and hasattr(source, "dataset"):  # a Subset
        return read_object(source.dataset).take(np.asarray(source.indices, np.int64))
    for attribute in ("samples", "imgs"):
        if samples := getattr(source, attribute, None):
            names, labels = zip(*((each[0], each[1]) for each in samples), strict=True)
            return Listing(as_names(names), as_labels(labels))
    if hasattr(source, "data") and hasattr(source, "targets"):  # torchvision's CIFAR
        return Listing(None, as_labels(source.targets), as_images(source.data))
    column = np.asarray(source) if not isinstance(source, np.ndarray) else source
    if column.ndim == 4:
        return Listing(images=as_images(column))
    if column.ndim == 1 and column.dtype.kind in "iu":
        return Listing(labels=as_labels(column))
    if column.ndim == 1 and (column.dtype.kind in "SUO" or not len(column)):
        return Listing(as_names(source))
    raise ConfigError(
        f"{type(source).__name__} is no data set that we can read",
        hint="give file names, an ImageFolder, a Subset of it, a path, or images",
    )
