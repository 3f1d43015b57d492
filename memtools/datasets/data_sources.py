"""Reading of any data set that a user holds: names, labels, pixels, positions, in its order.

    listing_of(torchvision.datasets.CIFAR100(root))      # in the official order, by its class
    listing_of(torch.utils.data.Subset(data, chosen))    # .dataset and .indices, nested too
    listing_of(datasets.load_from_disk("imagenet"))      # Hugging Face: no image is decoded
    listing_of((x_train, y_train))                       # Keras: images and labels
    listing_of(Path("/data/imagenet/train"))             # in the order of an ImageFolder
    listing_of(Path("names.csv"))                        # or .txt, .json, .parquet, .npy, .npz
    listing_of(["n01440764_10026.JPEG", ...])

Everything that takes a data set understands the same things, through this module. No library of
data sets is imported: objects are recognised by their classes and attributes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from memtools.datasets.data_files import read_path
from memtools.datasets.data_objects import read_object
from memtools.datasets.example_arrays import as_labels
from memtools.datasets.listing import Listing
from memtools.errors import ConfigError


def listing_of(
    source: Any, labels: Any = None, *, split: str = "train", class_folders: str = "auto"
) -> Listing:
    """Return the examples of a data set, in its order.

    Args:
        source: A path, or a data set object: see `memtools.datasets.data_objects.read_object`.
        labels: int [n] or [n, 1], if the data set does not tell them itself, or tells others.
        split: Which examples of a file or folder are wanted that holds several splits: `train`,
            `test`, `val` or `validation`.
        class_folders: How folders of classes are named: `auto`, `index`, `words` or `synset`.

    Returns:
        The listing; `what` describes the data set in messages.

    Raises:
        ConfigError: The source cannot be read as a data set, is empty, or its names, labels and
            images are not equally many.
        IntegrityError: A file is damaged.
        DiskError: A file cannot be read.
    """
    if isinstance(source, (str, Path)):
        listing = read_path(Path(source), split=split, class_folders=class_folders)
    else:
        listing = read_object(source)
    if labels is not None:
        listing = dataclasses.replace(listing, labels=as_labels(labels))
    lengths = sorted(listing.lengths)
    if len(lengths) > 1:
        raise ConfigError(
            f"there are {' and '.join(f'{n:,}' for n in lengths)} names, labels or images",
            hint="there must be one of each for every example",
        )
    if lengths in ([], [0]):
        raise ConfigError("the data set has no examples", hint="look at what you gave")
    return listing
