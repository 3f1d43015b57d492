"""examples.npz: labels and names of the examples, in the order of a store's records.

write_examples(root / "examples.npz", examples)
examples = read_examples(root / "examples.npz", about)   # RecordError if it is damaged
"""

from __future__ import annotations

from pathlib import Path

from memtools.documents import PARSE_ERRORS, describe
from memtools.errors import RecordError, SchemaError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex, as_text
from memtools.estimates.npz import Npz, write_npz
from memtools.file_kinds import require_regular

_EXAMPLES = {  # in examples.npz, under their published names
    "labels": "tr_labels",
    "filenames": "tr_filenames",
    "test_labels": "tt_labels",
    "test_filenames": "tt_filenames",
}
_DAMAGE: tuple[type[Exception], ...] = (SchemaError, *PARSE_ERRORS)
_HINT = (
    "restore it from a copy; or remove it, and run the command that made this store once more"
    " (memtools train, sweep run or import): it writes the file anew"
)


def read_examples(path: Path, about: About) -> ExampleIndex:
    """Return the examples of a store.

    Args:
        path: Of the npz.
        about: Where they come from.

    Raises:
        RecordError: The file is missing or damaged.
    """
    require_regular(path, error=RecordError, hint=_HINT)
    try:
        with Npz(path) as arrays:
            columns = {field: arrays.get(name) for field, name in _EXAMPLES.items()}
        columns["filenames"] = as_text(columns["filenames"])
        columns["test_filenames"] = as_text(columns["test_filenames"])
    except _DAMAGE as error:
        raise RecordError(f"{path} is damaged: {describe(error)}", hint=_HINT) from error
    return ExampleIndex(about, **columns)


def write_examples(path: Path, examples: ExampleIndex) -> None:
    """Write what is known of the examples, whole or not at all."""
    write_npz(path, examples.arrays, ours=True)
