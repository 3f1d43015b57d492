"""The images of a source: names, folders and places, in arrays.

listing = Listing.of(rows, first_folders)
listing.folders[listing.codes[0]]        # where the first image is kept
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from memtools.errors import RecordError
from memtools.estimates.npz import Array

_ROW = np.dtype([("name", "S64"), ("code", np.int32), ("offset", np.int64), ("size", np.int64)])


@dataclasses.dataclass(frozen=True)
class Listing:
    """The images of a source, in the order in which it keeps them.

    Attributes:
        names: Base names, bytes [n].
        codes: The folder of each image, int32 [n], a position in `folders`.
        places: Offset and size in the file, int64 [n, 2]; zeros for folders.
        folders: The folders in which images are kept, bytes [n_folders].
        classes: The class folder of each, str [n_folders]; empty where the source has none.
    """

    names: Array
    codes: Array
    places: Array
    folders: Array
    classes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        found: Iterator[tuple[bytes, bytes, int, int]],
        classes_of: Callable[[Sequence[str]], list[str]] | None = None,
    ) -> Listing:
        """Return the listing of some images.

        Args:
            found: (name, folder, offset, size) of each image.
            classes_of: The class folders of paths, str [n_folders]; the first part of each path
                if it is not given.

        Raises:
            RecordError: If a name is too long for an image.
        """
        codes: dict[bytes, int] = {}
        rows = (
            (_short(name, folder), codes.setdefault(folder, len(codes)), offset, size)
            for name, folder, offset, size in found
        )
        table = np.fromiter(rows, _ROW)  # a tenth of what objects would take
        places = np.stack([table["offset"], table["size"]], axis=1)
        classes = (classes_of or first_folders)([os.fsdecode(folder) for folder in codes])
        folders = np.array(list(codes) or [b""], "S")
        return cls(table["name"].copy(), table["code"].copy(), places, folders, tuple(classes))


def first_folders(folders: Sequence[str]) -> list[str]:
    """Return the first part of each path, str [n]."""
    return [folder.split("/")[0] for folder in folders]


def _short(name: bytes, folder: bytes) -> bytes:
    if len(name) > _ROW["name"].itemsize:
        shown = b"/".join(filter(None, (folder, name))).decode("utf-8", "replace")
        raise RecordError(
            f"{shown!r} is not the name of an image", hint="give the folder of the images"
        )
    return name
