"""Files and directories that list the examples of a data set."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memtools.errors import ConfigError
from memtools.estimates.data_objects import read_object
from memtools.estimates.example_arrays import as_images, as_labels
from memtools.estimates.identity import as_names
from memtools.estimates.listing import Listing
from memtools.files import disk_errors

IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""What torchvision takes for images, in any case."""

_NAMES = ("filename", "file_name", "filenames", "name", "path", "id", "image_path")
_LABELS = ("label", "labels", "targets", "fine_label", "target", "class")


def read_path(path: Path) -> Listing:
    """Return the examples of a file or directory; ConfigError if it does not list any."""
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
    return read_object(np.load(path, allow_pickle=False))


def _of_npz(path: Path) -> Listing:
    with np.load(path, allow_pickle=False) as arrays:
        if "images" in arrays:
            labels = next((as_labels(arrays[n]) for n in _LABELS if n in arrays), None)
            return Listing(images=as_images(arrays["images"]), labels=labels)
        return _of_columns({name: arrays[name] for name in arrays.files})


def _of_columns(columns: Mapping[str, Sequence[Any]]) -> Listing:
    names = next((columns[name] for name in _NAMES if name in columns), None)
    labels = next((columns[name] for name in _LABELS if name in columns), None)
    if names is None and labels is None:
        raise ValueError(f"its columns are {', '.join(columns)}")
    return Listing(
        None if names is None else as_names(names), None if labels is None else as_labels(labels)
    )
