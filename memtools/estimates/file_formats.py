"""The format of a file: recognised by its first bytes, then by its ending.

    recognise_format(Path("scores.csv"))     # "csv"
    recognise_format(Path("scores.pt"))      # ConfigError: how to convert it

Whatever cannot be read is refused here in one line: a missing file, a directory, an empty file, a
Git LFS pointer, a web page, and formats of other libraries, with the lines of Python that convert
them.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Literal, NoReturn

from memtools.documents import PARSE_ERRORS
from memtools.errors import ConfigError, DiskError, SchemaError
from memtools.file_kinds import require_regular
from memtools.files import disk_errors

Format = Literal["npz", "npy", "csv", "tsv", "json", "parquet"]
FORMATS: tuple[Format, ...] = ("npz", "npy", "csv", "tsv", "json", "parquet")
"""The formats that can be read."""
TABLES: tuple[Format, ...] = ("csv", "tsv", "json", "parquet")
"""The formats that have rows and named columns."""

_START = 1024  # bytes that are looked at
_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\x93NUMPY", "npy"),
    (b"PAR1", "parquet"),
)
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"MATLAB 7.3", "MATLAB 7.3"),
    (b"MATLAB", "MATLAB"),
    (b"ARROW1", "Arrow"),
    (b"\xd0\xcf\x11\xe0", "Excel"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"%PDF", "PDF"),
    *((b"\x80" + bytes([protocol]), "pickle") for protocol in range(2, 6)),
)
_ENDINGS = {
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".ckpt": "PyTorch",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "pickle",
    ".mat": "MATLAB",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".safetensors": "safetensors",
    ".feather": "Arrow",
    ".arrow": "Arrow",
    ".xls": "Excel",
    ".xlsx": "Excel",
    ".gz": "gzip",
}
_CONVERSIONS = {
    "PyTorch": (
        "import numpy, torch",
        "numpy.save({target}, torch.load({source}, map_location='cpu').numpy())",
    ),
    "pickle": (
        "import numpy",
        "numpy.save({target}, numpy.asarray(numpy.load({source}, allow_pickle=True), float))",
    ),
    "MATLAB": (
        "import numpy, scipy.io",
        "numpy.save({target}, scipy.io.loadmat({source})['NAME'].ravel())",
    ),
    "MATLAB 7.3": (
        "import h5py, numpy",
        "numpy.save({target}, h5py.File({source})['NAME'][()].ravel())",
    ),
    "HDF5": ("import h5py, numpy", "numpy.save({target}, h5py.File({source})['NAME'][()])"),
    "safetensors": (
        "import numpy; from safetensors.numpy import load_file",
        "numpy.savez({archive}, **load_file({source}))",
    ),
    "Arrow": ("import pandas", "pandas.read_feather({source}).to_csv({table}, index=False)"),
    "Excel": ("import pandas", "pandas.read_excel({source}).to_csv({table}, index=False)"),
}
_PACKERS = {"gzip": "gunzip", "bzip2": "bunzip2", "xz": "unxz"}


def recognise_format(path: Path) -> Format:
    """Return the format of a file.

    Raises:
        DiskError: The file is missing, or it is a directory.
        SchemaError: It is empty, a Git LFS pointer, a web page, or nothing that is known.
        ConfigError: It is in a format of another library; the hint says how to convert it.
    """
    require_file(path)
    with disk_errors(path), path.open("rb") as file:
        start = file.read(_START)
    if not start:
        raise SchemaError(f"{path} is empty", hint="it has 0 bytes: write or fetch it again")
    for magic, known in _MAGIC:
        if start.startswith(magic):
            return known
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _recognise_zip(path)
    ending = path.suffix.lower()
    for magic, foreign in _FOREIGN:
        if start.startswith(magic):
            is_legacy = foreign == "pickle" and _ENDINGS.get(ending) == "PyTorch"
            _refuse(path, "PyTorch" if is_legacy else foreign)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"version https://git-lfs"):
        raise SchemaError(
            f"{path} is a Git LFS pointer, not the file itself",
            hint="run `git lfs pull` in its repository, or download the file itself",
        )
    if text[:1] == b"<":
        raise SchemaError(
            f"{path}: not a valid {ending[1:] or 'file'}: it is a web page",
            hint="the server sent a page in its place: download the file itself",
        )
    if ending in _ENDINGS:
        _refuse(path, _ENDINGS[ending])
    return _recognise_text(path, text, ending)


def require_file(path: Path) -> None:
    """Raise DiskError if the file is missing, or is a directory, a pipe, a socket or a device."""
    with disk_errors(path):
        if not path.exists():
            raise DiskError(f"{path} is missing: No such file", hint="check the path")
    require_regular(path)


def is_path(text: str) -> bool:
    """Return whether a text that is not a known name is meant to be the path of a file."""
    return os.sep in text or Path(text).suffix.lower()[1:] in FORMATS


def _recognise_zip(path: Path) -> Format:
    try:
        with disk_errors(path), zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except PARSE_ERRORS:
        return "npz"  # whose reader says what is wrong with it
    except DiskError:
        return "npz"  # likewise
    if any(name.endswith("data.pkl") for name in names):
        _refuse(path, "PyTorch")
    if any(name.startswith("xl/") for name in names):
        _refuse(path, "Excel")
    return "npz"


def _recognise_text(path: Path, text: bytes, ending: str) -> Format:
    if ending == ".csv":
        return "csv"
    if ending == ".tsv":
        return "tsv"
    if ending == ".json" or text[:1] in (b"{", b"["):
        return "json"
    if ending == ".npz":
        return "npz"  # the readers say what is wrong with a damaged file
    if ending == ".npy":
        return "npy"
    if ending == ".parquet":
        return "parquet"
    raise SchemaError(
        f"{path} is in none of the known formats",
        hint=f"give one of {', '.join(FORMATS)}; a table as text must end in .csv or .tsv",
    )


def _refuse(path: Path, foreign: str) -> NoReturn:
    if foreign in _PACKERS:
        raise ConfigError(
            f"{path} is compressed with {foreign}", hint=f"unpack it first: {_PACKERS[foreign]}"
        )
    if foreign not in _CONVERSIONS:
        raise ConfigError(
            f"{path} is a {foreign} file, which cannot be read",
            hint=f"give one of {', '.join(FORMATS)}",
        )
    target = path.with_suffix("")
    names = {
        "source": json.dumps(str(path)),
        "target": json.dumps(f"{target}.npy"),
        "archive": json.dumps(f"{target}.npz"),
        "table": json.dumps(f"{target}.csv"),
    }
    lines = "; ".join(line.format(**names) for line in _CONVERSIONS[foreign])
    kind = f"{foreign} file" if foreign != "pickle" else "Python pickle"
    article = "an" if foreign in ("Arrow", "Excel", "HDF5") else "a"
    raise ConfigError(f"{path} is {article} {kind}, which is not read", hint=f"convert it: {lines}")
