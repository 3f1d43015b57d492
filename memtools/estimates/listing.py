"""What a user's data set says of its examples: names, labels, pixels; whatever it is.

    listing_of(torchvision.datasets.ImageFolder(root))   # .samples; so are .imgs
    listing_of(torch.utils.data.Subset(folder, chosen))  # .dataset and .indices, nested too
    listing_of(Path("/data/imagenet/train"))             # in the order of an ImageFolder
    listing_of(Path("names.csv"))                        # or .txt, .json, .parquet, .npy, .npz
    listing_of(["n01440764_10026.JPEG", ...])

Nothing of PyTorch is imported: what has the attributes is taken at its word.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools.errors import ConfigError
from memtools.estimates.identity import as_names
from memtools.estimates.names import NameColumn
from memtools.estimates.npz import Array
from memtools.files import disk_errors

IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""What torchvision takes for images, in any case."""

_NAMES = ("filename", "file_name", "filenames", "name", "path", "id", "image_path")
_LABELS = ("label", "labels", "targets", "fine_label", "target", "class")


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """The examples of a data set, in its order.

    Attributes:
        names: The name of each example, str [n], or None.
        labels: int64 [n], or None.
        images: uint8 [n, height, width, channels], or None.
        index: The position of each example in the canonical order `order`, int64 [n], or None.
        order: The order in which `index` counts: `official`, `tfds` or empty.
        dataset: The name of the data set, such as `cifar100`; empty where it is not known.
        split: `train` or `test`; empty where it is not known.
        what: A short description for messages, such as `torchvision CIFAR100, Subset`.
    """

    names: Sequence[str] | None = None
    labels: Array | None = None
    images: Array | None = None
    index: Array | None = None
    order: str = ""
    dataset: str = ""
    split: str = ""
    what: str = ""

    def __len__(self) -> int:
        columns = (self.names, self.images, self.labels, self.index)
        return len(next(column for column in columns if column is not None))

    def take(self, chosen: Array) -> Listing:
        """Return some of the examples, in the order of `chosen`, int [m]."""
        names = self.names
        if isinstance(names, NameColumn):
            names = names.take(chosen)
        elif names is not None:
            names = [names[k] for k in chosen.tolist()]
        columns = (self.labels, self.images, self.index)
        labels, images, index = (None if each is None else each[chosen] for each in columns)
        return dataclasses.replace(self, names=names, labels=labels, images=images, index=index)


def listing_of(source: Any, labels: Any = None) -> Listing:
    """The examples of whatever the user has; labels: int [n], if it does not know them itself.

    Raises ConfigError for what cannot be read as a data set.
    """
    found = _read(source)
    if labels is not None:
        found = dataclasses.replace(found, labels=_as_labels(labels))
    lengths = {len(c) for c in (found.names, found.labels, found.images) if c is not None}
    if len(lengths) > 1:
        raise ConfigError(
            f"there are {' and '.join(f'{n:,}' for n in sorted(lengths))} names, labels or images",
            hint="there must be one of each for every example",
        )
    if lengths == {0}:
        raise ConfigError("the data set has no examples", hint="look at what you gave")
    return found


def _read(source: Any) -> Listing:
    if isinstance(source, Listing):
        return source
    if isinstance(source, (str, Path)):
        return _of_path(Path(source))
    if hasattr(source, "indices") and hasattr(source, "dataset"):  # a Subset
        return _read(source.dataset).take(np.asarray(source.indices, np.int64))
    for attribute in ("samples", "imgs"):
        if samples := getattr(source, attribute, None):
            names, labels = zip(*((each[0], each[1]) for each in samples), strict=True)
            return Listing(as_names(names), _as_labels(labels))
    if hasattr(source, "data") and hasattr(source, "targets"):  # torchvision's CIFAR
        return Listing(None, _as_labels(source.targets), _as_images(source.data))
    column = np.asarray(source) if not isinstance(source, np.ndarray) else source
    if column.ndim == 4:
        return Listing(images=_as_images(column))
    if column.ndim == 1 and column.dtype.kind in "iu":
        return Listing(labels=_as_labels(column))
    if column.ndim == 1 and (column.dtype.kind in "SUO" or not len(column)):
        return Listing(as_names(source))
    raise ConfigError(
        f"{type(source).__name__} is no data set that we can read",
        hint="give file names, an ImageFolder, a Subset of it, a path, or images",
    )


def _of_path(path: Path) -> Listing:
    with disk_errors(path):
        if path.is_dir():
            return _of_directory(path)
        readers = {
            ".txt": _of_text,
            ".csv": _of_csv,
            ".json": _of_json,
            ".parquet": _of_parquet,
            ".npy": _of_npy,
            ".npz": _of_npz,
        }
        if path.suffix not in readers:
            raise ConfigError(
                f"{path} is no list of examples",
                hint=f"give a directory, or one of {', '.join(readers)}",
            )
        try:
            return readers[path.suffix](path)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ConfigError(
                f"{path} is no list of examples: {error}",
                hint=f"it needs a column of names ({', '.join(_NAMES[:4])}, ...)",
            ) from error


def _of_directory(root: Path) -> Listing:
    """As torchvision's ImageFolder lists it: classes sorted, then paths; or a flat directory."""
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    if not classes:
        return Listing(sorted(str(p) for p in root.iterdir() if p.suffix.lower() in IMAGES))
    names: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        for folder, _, files in sorted(os.walk(root / name, followlinks=True)):
            found = [f"{folder}/{file}" for file in sorted(files) if file.lower().endswith(IMAGES)]
            names += found
            labels += [label] * len(found)
    return Listing(names, np.array(labels, np.int64))


def _of_text(path: Path) -> Listing:
    return Listing([line for line in path.read_text("utf-8").splitlines() if line.strip()])


def _of_csv(path: Path) -> Listing:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError("it has no rows")
    return _of_columns({name: [row[name] for row in rows] for name in rows[0]})


def _of_json(path: Path) -> Listing:
    document = json.loads(path.read_text("utf-8"))
    if isinstance(document, list) and document and isinstance(document[0], dict):
        document = {name: [row[name] for row in document] for name in document[0]}
    return _of_columns(document) if isinstance(document, dict) else Listing(as_names(document))


def _of_parquet(path: Path) -> Listing:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{path}: pyarrow is not installed", hint="pip install 'memtools[parquet]'"
        ) from error
    table = pyarrow.parquet.read_table(path)
    wanted = [name for name in table.column_names if name in (*_NAMES, *_LABELS)]
    return _of_columns({name: table[name].to_pylist() for name in wanted})


def _of_npy(path: Path) -> Listing:
    return _read(np.load(path, allow_pickle=False))


def _of_npz(path: Path) -> Listing:
    with np.load(path, allow_pickle=False) as arrays:
        if "images" in arrays:
            labels = next((_as_labels(arrays[n]) for n in _LABELS if n in arrays), None)
            return Listing(images=_as_images(arrays["images"]), labels=labels)
        return _of_columns({name: arrays[name] for name in arrays.files})


def _of_columns(columns: Mapping[str, Sequence[Any]]) -> Listing:
    names = next((columns[name] for name in _NAMES if name in columns), None)
    labels = next((columns[name] for name in _LABELS if name in columns), None)
    if names is None and labels is None:
        raise ValueError(f"its columns are {', '.join(columns)}")
    return Listing(
        None if names is None else as_names(names), None if labels is None else _as_labels(labels)
    )


def _as_labels(labels: Any) -> Array:
    try:
        found = np.asarray(labels)
        whole = found.astype(np.int64)
        if found.ndim != 1 or (found.dtype.kind == "f" and (found != whole).any()):
            raise ValueError(f"of the shape {found.shape} and the kind {found.dtype}")
    except (TypeError, ValueError) as error:
        raise ConfigError(f"these are no labels: {error}", hint="labels are integers") from error
    return whole


def _as_images(images: Any) -> Array:
    found = np.asarray(images)
    if found.ndim != 4 or found.dtype != np.uint8 or found.shape[-1] not in (1, 3):
        raise ConfigError(
            f"images are uint8 [n, height, width, channels], not {found.dtype} {list(found.shape)}",
            hint="give the decoded pixels, before any normalisation",
        )
    return found
