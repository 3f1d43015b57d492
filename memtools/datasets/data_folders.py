"""Folders of a data set: official copies of CIFAR and MNIST, and images in files.

read_folder(Path("data/cifar-10-batches-py"), split="test")
read_folder(Path("data"))                    # with one official copy in it
read_folder(Path("imagenet/train"))          # as torchvision's ImageFolder lists it
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memtools.datasets.image_folders import list_images
from memtools.datasets.listing import Listing
from memtools.datasets.splits import parse_split
from memtools.datasets.tfds_order import known_size
from memtools.errors import ConfigError

COPIES = (
    "cifar-10-batches-py",
    "cifar-100-python",
    "cifar-10-batches-bin",
    "cifar-100-binary",
    "MNIST/raw",
    "FashionMNIST/raw",
    "KMNIST/raw",
)
"""Directories of official copies, as torchvision lays them into its root."""

_MARKS = (
    *("batches.meta", "batches.meta.txt", "data_batch_1", "data_batch_1.bin"),
    *("test_batch", "test_batch.bin", "fine_label_names.txt", "train.bin", "test.bin"),
    *(f"{name}-images-idx3-ubyte{end}" for name in ("train", "t10k") for end in ("", ".gz")),
)


def read_folder(root: Path, *, split: str = "train", class_folders: str = "auto") -> Listing:
    """Return the examples of a directory.

    Args:
        root: An official copy of CIFAR or MNIST, a directory that holds one such copy, a directory
            of class folders, or a flat one of images.
        split: The split of an official copy that is wanted.
        class_folders: How folders of classes are named, one of
            `memtools.datasets.class_folders.KINDS`.

    Returns:
        The listing: in the official order, or as torchvision's ImageFolder lists files.

    Raises:
        ConfigError: It holds several splits or data sets, or no images.
        IntegrityError: An official copy is damaged.
    """
    copies = [root / name for name in COPIES if (root / name).is_dir()]
    if len(copies) > 1:
        names = ", ".join(path.relative_to(root).as_posix() for path in copies)
        raise ConfigError(
            f"{root} holds {len(copies)} data sets: {names}",
            hint=f"give one of them, for example {copies[0]}",
        )
    copy = copies[0] if copies else root
    if _is_official(copy):
        return _read_copy(copy, split)
    images = list_images(root, split=parse_split(split), class_folders=class_folders)
    note = f" ({images.note})" if images.note else ""
    what = f"the folder {root.name} of {len(images.names):,} images{note}"
    return Listing(images.names, images.labels, what=what)


def _is_official(root: Path) -> bool:
    python_cifar100 = (root / "meta").is_file() and (
        (root / "train").is_file() or (root / "test").is_file()
    )
    return python_cifar100 or any((root / name).is_file() for name in _MARKS)


def _read_copy(root: Path, split: str) -> Listing:
    """Read an official copy; a copy that is cut tells no positions, since they may be shifted."""
    from memtools.datasets.official_copies import read_official

    side = parse_split(split)
    dataset, listing = read_official(root, side)
    n = len(listing)
    whole = known_size(dataset, side) == n
    return Listing(
        labels=listing.labels,
        images=listing.images,
        index=np.arange(n) if whole else None,
        order="official" if whole else "",
        dataset=dataset,
        split=side,
        what=f"the official {dataset} {side} split of {n:,}"
        if whole
        else f"a part of {dataset}, {n:,} images of its {side} split",
    )
