"""What the arrays of a file must mean, whatever its digest says.

    check("influence", arrays)           # SchemaError names the array and what is wrong

The published names, n_k being the size of class k:

    tr_mem            float [n_train]    memorization, within [-1, 1], or NaN
    tr_labels         int [n_train]      0-based; tt_labels: int [n_test]
    tr_filenames      names [n_train]    tt_filenames: names [n_test]
    tr_classidx_{K}   int [n_train_k]    positions of class K; over all classes each
    tt_classidx_{K}   int [n_test_k]     position exactly once
    infl_matrix_class{K}  float [n_train_k, n_test_k], within [-1, 1], or NaN
    tr_mem_se         float [n_train]    standard error (not in the published files)
    tr_mem_low, tr_mem_high  float [n_train]  95 % interval (likewise)
    tr_n_in, tr_n_out int [n_train]      runs with and without the example (likewise)
    infl_se_class{K}  float [n_train_k, n_test_k]  standard error (likewise)
    infl_matrix       float [n_train, n_test]  influence over all classes, in place of that by
                      class (the authors' demo has `memorization` and `influence`, transposed)

    pairs:   tr_idx, tt_idx int [n_pairs]; infl, mem float [n_pairs]
    cscores: scores float [n], within [0, 1]; labels int [n]; filenames names [n]
    scores:  the same of any other quantity, without bounds; standard_error float [n]; n_in, n_out
             int [n]

A file of memtools' own also has `about`; and `quantity` if its numbers are those of a
probability or a margin in place of correctness: a margin's have no bounds. Of scores `quantity` is
what they are; `partial` says that they may end before the last example. Where they were aligned,
`position`, `inverse` and `found` are those of memtools.alignment.alignment.Alignment.

Widths of numbers are free. One array at a time is read. Source of the names: the files
of pluskid.github.io/influence-memorization and structural-regularity.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.lib.format import MAGIC_PREFIX

from memtools.errors import SchemaError
from memtools.estimates.about import read_about
from memtools.estimates.checked_arrays import class_of
from memtools.estimates.full_matrix import FullMatrix, holds_full_matrix
from memtools.estimates.model import as_text
from memtools.estimates.npz import Array, Npz, read_npy, scalar_of
from memtools.estimates.positions import MAX_POSITION
from memtools.file_kinds import require_regular
from memtools.files import disk_errors

_EXTRA = {"about", "quantity"}  # what memtools itself adds to a file
_ALIGNED = {"position", "inverse", "found"}  # what memtools align adds
_RECORDED = {"quantity": "U", "partial": "b", "min_mem": "iuf", "min_infl": "iuf"}  # one value each
_HINT = "the bytes are as they were read; the numbers are not what such a file holds: do not use it"


def open_arrays(path: Path, *, names: bool = False) -> Mapping[str, Array]:
    """The arrays of a file by name; an npy alone holds `scores`. For `names` see `Npz`."""
    require_regular(path)
    require_regular(path)
    with disk_errors(path), path.open("rb") as file:
        is_npy = file.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX
    if is_npy:
        return {"scores": read_npy(path)}
    arrays = Npz(path, names=names)
    return FullMatrix(arrays) if holds_full_matrix(arrays) else arrays


def kind_of(arrays: Mapping[str, Array]) -> str:
    """`pairs`, `scores`, `influence` or `index`: told by the names of the arrays.

    What the scores are, C-scores for example, is not told by a name.
    """
    if "tr_idx" in arrays:
        return "pairs"
    if "scores" in arrays:
        return "scores"
    if any(name.startswith("infl_matrix") for name in arrays):
        return "influence"
    if "tr_mem" in arrays or "tr_filenames" in arrays:
        return "index"
    shown = ", ".join(sorted(arrays)[:8]) or "none"
    raise SchemaError(
        f"none of the known kinds of files has these arrays: {shown}",
        hint="known are influence matrices, indices, high-influence pairs and C-scores",
    )


def check(kind: str, arrays: Mapping[str, Array]) -> None:
    """Read every array and raise SchemaError for the first that cannot be right."""
    checks = {"pairs": _check_pairs, "cscores": _check_c_scores, "scores": _check_scores}
    checks.get(kind, _check_estimates)(arrays)
    _check_recorded(arrays)


def _check_recorded(arrays: Mapping[str, Array]) -> None:
    """A record beside the numbers is one that memtools itself has written."""
    read_about(arrays, Path("this file"))
    for name, kinds in _RECORDED.items():
        if name in arrays:
            value = scalar_of(arrays, name, kinds)
            if kinds == "iuf" and not np.isfinite(value):
                raise _wrong(name, f"is {value}")


def _check_pairs(arrays: Mapping[str, Array]) -> None:
    _exactly(arrays, {"tr_idx", "tt_idx", "infl", "mem"}, {"min_mem", "min_infl"})
    train = _integers(arrays, "tr_idx")
    test = _integers(arrays, "tt_idx", len(train))
    for name in ("infl", "mem"):
        _numbers(arrays, name, (len(train),), low=-1, nan=False)
    if len(np.unique(np.stack([train, test]), axis=1).T) != len(train):
        raise _wrong("tr_idx", "holds the same pair twice")


def _check_c_scores(arrays: Mapping[str, Array]) -> None:
    _check_scores(arrays)
    _numbers(arrays, "scores", arrays["scores"].shape, low=0, nan="about" in arrays)


def _check_scores(arrays: Mapping[str, Array]) -> None:
    """Scores of any quantity: numbers, NaN where there is none."""
    own = _ALIGNED | {"partial"} if "about" in arrays else set()
    columns = {"labels", "filenames", "standard_error", "n_in", "n_out"}
    _exactly(arrays, {"scores"}, columns | own)
    scores = _vector(arrays, "scores")
    if scores.dtype.kind not in "iuf":
        raise _wrong("scores", f"holds {scores.dtype}, not numbers")
    if not len(scores):
        raise _wrong("scores", "holds no values")
    n = len(scores)
    for name in ("labels", "n_in", "n_out"):
        if name in arrays:
            _integers(arrays, name, n, low=-1 if name == "labels" and "about" in arrays else 0)
    if "filenames" in arrays:
        _names(arrays, "filenames", n)
    if "standard_error" in arrays:
        _vector(arrays, "standard_error", n)


def _check_estimates(arrays: Mapping[str, Array]) -> None:
    labels = _check_examples(arrays, "tr")
    test_labels = _check_examples(arrays, "tt")
    found = {name: each for name in arrays if (each := class_of(name))}
    classes = sorted({label for _, label in found.values()})
    for side, known in (("tr", labels), ("tt", test_labels)):
        _check_partition(arrays, side, classes, known)
    for label in classes:
        shape = (len(arrays[f"tr_classidx_{label}"]), len(arrays[f"tt_classidx_{label}"]))
        _numbers(arrays, f"infl_matrix_class{label}", shape, low=-1, nan=True)
        if f"infl_se_class{label}" in arrays:
            _numbers(arrays, f"infl_se_class{label}", shape, low=0, nan=True)
    if "infl_matrix" in arrays:
        _check_full_matrix(arrays)
    known_names = set(found) | _EXTRA | {"infl_matrix"}
    known_names |= {f"{side}_{name}" for side in ("tr", "tt") for name in ("labels", "filenames")}
    known_names |= {f"tr_{name}" for name in ("mem", "mem_se", "mem_low", "mem_high")}
    known_names |= {"tr_n_in", "tr_n_out"}
    _exactly(arrays, set(), known_names)


def _check_full_matrix(arrays: Mapping[str, Array]) -> None:
    """Influence over all classes: as many rows as memorization values, columns as test labels."""
    n_train = len(_vector(arrays, "tr_mem"))
    matrix = arrays["infl_matrix"]
    n_test = len(arrays["tt_labels"]) if "tt_labels" in arrays else matrix.shape[-1]
    alone = {"infl_matrix": matrix}  # which is read once
    if "quantity" in arrays:
        alone["quantity"] = arrays["quantity"]
    _numbers(alone, "infl_matrix", (n_train, n_test), low=-1, nan=True)


def _check_examples(arrays: Mapping[str, Array], side: str) -> Array | None:
    """The columns of one split; its labels."""
    columns = ("mem", "mem_se", "mem_low", "mem_high", "n_in", "n_out", "labels", "filenames")
    present = [f"{side}_{name}" for name in columns if f"{side}_{name}" in arrays]
    n = len(_vector(arrays, present[0])) if present else 0
    if present and not n:
        raise _wrong(present[0], "holds no values")
    for name in present:
        if name.endswith(("labels", "n_in", "n_out")):
            _integers(arrays, name, n)
        elif name.endswith("filenames"):
            _names(arrays, name, n)
        else:
            _numbers(arrays, name, (n,), low=0 if name.endswith("_se") else -1, nan=True)
    if {"tr_mem", "tr_n_in", "tr_n_out"} <= set(present) and side == "tr":
        impossible = (arrays["tr_n_in"] == 0) | (arrays["tr_n_out"] == 0)
        if (np.isnan(arrays["tr_mem"]) != impossible).any():
            raise _wrong("tr_mem", "is NaN where the counts allow an estimate, or the reverse")
    return arrays.get(f"{side}_labels")


def _check_partition(
    arrays: Mapping[str, Array], side: str, classes: list[int], labels: Array | None
) -> None:
    """Over all classes each position comes once, with its label; none is left out."""
    if not classes:
        return
    names = [f"{side}_classidx_{label}" for label in classes]
    indices = [_integers(arrays, name) for name in names]
    n = sum(map(len, indices)) if labels is None else len(labels)
    seen = np.zeros(n, np.bool_)
    for name, label, index in zip(names, classes, indices, strict=True):
        if len(index) and index.max() >= n:
            raise _wrong(name, f"points to {index.max()}, beyond the {n} examples")
        if seen[index].any() or len(np.unique(index)) != len(index):
            raise _wrong(name, "points to an example twice")
        if labels is not None and (labels[index] != label).any():
            raise _wrong(name, f"points to examples of another label than {label}")
        seen[index] = True
    if not seen.all():
        missing = int(np.argmin(seen))
        raise _wrong(f"{side}_classidx_*", f"leave out example {missing}")


def _exactly(
    arrays: Mapping[str, Array], required: set[str], optional: set[str] | None = None
) -> None:
    if missing := required - set(arrays):
        raise _wrong(min(missing), "is missing")
    if unknown := set(arrays) - required - (optional or set()) - _EXTRA:
        raise _wrong(min(unknown), "is an array that no such file has")


def _vector(arrays: Mapping[str, Array], name: str, n: int | None = None) -> Array:
    if name not in arrays:
        raise _wrong(name, "is missing")
    array = arrays[name]
    if array.ndim != 1 or len(array) != (len(array) if n is None else n):
        raise _wrong(name, f"has the shape {array.shape}, not ({'n' if n is None else n},)")
    return array


def _integers(
    arrays: Mapping[str, Array], name: str, n: int | None = None, *, low: int = 0
) -> Array:
    """Indices, labels or counts: integers from `low` on."""
    array = _vector(arrays, name, n)
    if array.dtype.kind not in "iu":
        raise _wrong(name, f"holds {array.dtype}, not integers")
    if array.size and int(array.min()) < low:
        raise _wrong(name, f"holds {array.min()}, which is below {low}")
    if array.size and int(array.max()) > MAX_POSITION:
        raise _wrong(name, f"holds {array.max()}, which is above {MAX_POSITION:,}")
    return array


def _names(arrays: Mapping[str, Array], name: str, n: int) -> None:
    array = _vector(arrays, name, n)
    if array.dtype.kind not in "SU":
        raise _wrong(name, f"holds {array.dtype}, not names")
    as_text(array)
    if len(np.unique(array)) != n:
        raise _wrong(name, "holds a name twice")


def _numbers(
    arrays: Mapping[str, Array], name: str, shape: tuple[int, ...], *, low: float, nan: bool
) -> None:
    """Floats within [low, 1]; NaN only where it is documented."""
    if name not in arrays:
        raise _wrong(name, "is missing")
    array = arrays[name]
    if array.shape != shape:
        raise _wrong(name, f"has the shape {array.shape}, not {shape}")
    if array.dtype.kind != "f":
        raise _wrong(name, f"holds {array.dtype}, not floating-point numbers")
    if not nan and np.isnan(array).any():
        raise _wrong(name, "holds NaN")
    if "quantity" in arrays and str(arrays["quantity"]) == "margin":
        return
    outside = array[(array < low) | (array > 1)]
    if len(outside):
        raise _wrong(name, f"holds {outside[0]:g}, which is outside [{low:g}, 1]")


def _wrong(name: str, why: str) -> SchemaError:
    return SchemaError(f"{name} {why}", hint=_HINT)
