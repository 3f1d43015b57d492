"""What a user's data set says of its examples: names, labels, pixels; whatever it is.

    listing_of(torchvision.datasets.ImageFolder(root))   # .samples; so are .imgs
    listing_of(torch.utils.data.Subset(folder, chosen))  # .dataset and .indices, nested too
    listing_of(Path("/data/imagenet/train"))             # in the order of an ImageFolder
    listing_of(Path("names.csv"))                        # or .txt, .json, .parquet, .npy, .npz
    listing_of(["n01440764_10026.JPEG", ...])

Nothing of PyTorch is imported: what has the attributes is taken at its word.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from memtools.errors import ConfigError
from memtools.estimates.data_files import read_path
from memtools.estimates.data_objects import read_object
from memtools.estimates.example_arrays import as_labels
from memtools.estimates.listing import Listing


def listing_of(source: Any, labels: Any = None) -> Listing:
    """The examples of whatever the user has; labels: int [n], if it does not know them itself.

    Raises ConfigError for what cannot be read as a data set.
    """
    found = read_path(Path(source)) if isinstance(source, (str, Path)) else read_object(source)
    if labels is not None:
        found = dataclasses.replace(found, labels=as_labels(labels))
    lengths = {len(c) for c in (found.names, found.labels, found.images) if c is not None}
    if len(lengths) > 1:
        raise ConfigError(
            f"there are {' and '.join(f'{n:,}' for n in sorted(lengths))} names, labels or images",
            hint="there must be one of each for every example",
        )
    if lengths == {0}:
        raise ConfigError("the data set has no examples", hint="look at what you gave")
    return found
