"""Labels and images of a data set as arrays of one kind, from whatever holds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from memtools.errors import ConfigError
from memtools.estimates.npz import Array


def as_labels(labels: Any) -> Array:
    """Return labels as int64 [n]; ConfigError for what is not a label for each example."""
    try:
        found = np.asarray(labels)
        whole = found.astype(np.int64)
        if found.ndim != 1 or (found.dtype.kind == "f" and (found != whole).any()):
            raise ValueError(f"of the shape {found.shape} and the kind {found.dtype}")
    except (TypeError, ValueError) as error:
        raise ConfigError(f"these are no labels: {error}", hint="labels are integers") from error
    return whole


def as_images(images: Any) -> Array:
    """Return images as uint8 [n, height, width, channels]; ConfigError for anything else."""
    found = np.asarray(images)
    if found.ndim != 4 or found.dtype != np.uint8 or found.shape[-1] not in (1, 3):
        raise ConfigError(
            f"images are uint8 [n, height, width, channels], not {found.dtype} {list(found.shape)}",
            hint="give the decoded pixels, before any normalisation",
        )
    return found
