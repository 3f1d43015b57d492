"""The arrays of a data set in an npz file of one's own.

    train_images, train_labels, test_images, test_labels = read_npz_dataset(Path("mine.npz"))

Types and shapes are checked in the headers, before anything large is read.
"""

from __future__ import annotations

from pathlib import Path

from memtools.errors import ConfigError
from memtools.estimates.npz import Array, Npz
from memtools.file_kinds import require_regular
from memtools.files import disk_errors
from memtools.training.data_checks import check_image_shape, check_pixel_dtype
from memtools.training.label_checks import check_label_dtype

NAMES = ("train_images", "train_labels", "test_images", "test_labels")
_OTHERS = {  # names that other programs give to the same arrays
    "train_images": ("x_train", "X_train", "train_x", "images", "x", "X"),
    "train_labels": ("y_train", "Y_train", "train_y", "labels", "y", "Y"),
    "test_images": ("x_test", "X_test", "test_x", "val_images", "validation_images", "x_val"),
    "test_labels": ("y_test", "Y_test", "test_y", "val_labels", "validation_labels", "y_val"),
}


def read_npz_dataset(path: Path) -> tuple[Array, Array, Array, Array]:
    """Return the arrays of `NAMES`, in that order, read-only, as the file has them.

    Raises:
        ConfigError: The file is missing or lacks an array, or one of them cannot hold images or
            labels.
        SchemaError: The file is damaged.
    """
    hint = f"give an npz with {', '.join(NAMES)}"
    with disk_errors(path):
        if not path.exists():
            raise ConfigError(f"{path} does not exist", hint=hint)
    require_regular(path, error=ConfigError, hint=hint)
    with Npz(path) as npz:
        _require_names(npz, path)
        for name in NAMES:
            _require_readable(npz, name, path)
        train_images, train_labels, test_images, test_labels = (npz[name] for name in NAMES)
    return train_images, train_labels, test_images, test_labels


def _require_names(npz: Npz, path: Path) -> None:
    missing = [name for name in NAMES if name not in npz]
    if not missing:
        return
    found = {name: [other for other in _OTHERS[name] if other in npz] for name in missing}
    renamed = [f"{name}=data[{others[0]!r}]" for name, others in found.items() if others]
    if renamed:
        others = "" if len(renamed) == len(NAMES) else ", and the others"
        hint = f"data = np.load(...); np.savez(..., {', '.join(renamed)}{others})"
    else:
        shown = ", ".join(list(npz)[:8]) or "nothing"
        hint = f"it should hold {', '.join(NAMES)}, and it holds {shown}"
    raise ConfigError(f"{path} lacks {', '.join(missing)}", hint=hint)


def _require_readable(npz: Npz, name: str, path: Path) -> None:
    """Raise ConfigError for an array that cannot hold what its name says, from its header."""
    dtype, what = npz.dtype(name), f"{path}: the {_WORDS[name]}"
    if name.endswith("_images"):
        check_pixel_dtype(dtype, what)
        check_image_shape(npz.shape(name), what)
    else:
        check_label_dtype(dtype, what)


_WORDS = {
    "train_images": "training images",
    "train_labels": "training labels",
    "test_images": "test images",
    "test_labels": "test labels",
}
