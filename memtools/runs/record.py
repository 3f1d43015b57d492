"""What one trained run leaves behind: its subset, and what it got right.

    record = RunRecord(spec, mask, train_correct, test_correct)
    write(record, path)                      # bits, packed: 13.75 kB for CIFAR-100
    record = read(path)                      # RecordError if it is damaged

The subset is stored, never derived again from a seed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.documents import PARSE_ERRORS, describe
from memtools.errors import RecordError, SchemaError
from memtools.estimates.npz import Array, Npz, write_npz
from memtools.file_kinds import name_kind
from memtools.files import disk_errors

Bits = NDArray[np.bool_]
BITS = ("mask", "train_correct", "test_correct")
SCORES = ("train_probability", "test_probability", "train_margin", "test_margin")


@dataclasses.dataclass(frozen=True)
class RunSpec:
    """Which run it is. config: sha256 of the sweep's configuration, hex; seed: of the sweep."""

    run_id: int
    config: str
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Failure:
    """A run that ended without a result: why, and at which step."""

    run_id: int
    reason: str
    step: int


@dataclasses.dataclass(frozen=True, eq=False)
class RunRecord:
    """One run, in the order of the sweep's examples.

    mask: bool [n_train], which examples it trained on. train_correct: bool [n_train];
    test_correct: bool [n_test]. train_probability, test_probability: of the true label,
    float16, or None; train_margin, test_margin: logit of the true label minus the largest
    other, float16, or None. facts: loss, accuracies, seeds, versions, wall time; JSON values.
    """

    spec: RunSpec
    mask: Bits
    train_correct: Bits
    test_correct: Bits
    train_probability: Array | None = None
    test_probability: Array | None = None
    train_margin: Array | None = None
    test_margin: Array | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be one run of one data set."""
        for name, n in (("train", len(self.mask)), ("test", len(self.test_correct))):
            for kind in ("correct", "probability", "margin"):
                column = getattr(self, f"{name}_{kind}")
                if column is not None and column.shape != (n,):
                    raise RecordError(
                        f"run {self.spec.run_id}: {name}_{kind} has the shape {column.shape},"
                        f" not ({n},)",
                        hint="a record holds one number for each example of a split",
                    )
        for name, fact in self.facts.items():
            if isinstance(fact, float) and not math.isfinite(fact):
                raise RecordError(
                    f"run {self.spec.run_id}: {name} is {fact}, so it failed",
                    hint="a failed run is noted as that, and counted nowhere",
                )
        if any(getattr(self, name).dtype != np.bool_ for name in BITS):
            raise RecordError(
                f"run {self.spec.run_id}: masks and correctness are bool",
                hint="compare predictions with labels first",
            )

    @property
    def accuracy_in(self) -> float:
        """Training accuracy inside the subset; NaN if the subset is empty."""
        return _mean(self.train_correct[self.mask])

    @property
    def accuracy_out(self) -> float:
        """Accuracy on training examples that were held out; NaN if there are none."""
        return _mean(self.train_correct[~self.mask])

    @property
    def test_accuracy(self) -> float:
        """Accuracy on the test examples; NaN if there are none."""
        return _mean(self.test_correct)

    @property
    def digest(self) -> str:
        """sha256 of all arrays as they are kept: two records of one run are equal if this is."""
        return _sha256(_packed(self))


def write(record: RunRecord, path: Path, *, once: bool = False) -> None:
    """Write a record as an npz, whole or not at all; its checksum is in it.

    Args:
        record: The run.
        path: Of the file.
        once: Never replace: DiskError, from FileExistsError, if the name is taken.
    """
    arrays = _packed(record)
    about = {
        "spec": dataclasses.asdict(record.spec),
        "n_train": len(record.mask),
        "n_test": len(record.test_correct),
        "facts": dict(record.facts),
        "sha256": _sha256(arrays),
    }
    arrays["about"] = np.array(json.dumps(about, allow_nan=False, sort_keys=True))
    write_npz(path, arrays, once=once, ours=True)


def read(path: Path) -> RunRecord:
    """Return the record of a file; RecordError if it is damaged, cut, or something else."""
    with disk_errors(path):
        kind = name_kind(path.stat().st_mode)
    if kind:
        raise RecordError(f"{path} is {kind}, not a record", hint=_HINT)
    try:
        with Npz(path) as npz:
            arrays = {name: npz[name] for name in (*BITS, *SCORES) if name in npz}
            about = json.loads(str(npz["about"]))
        if about["sha256"] != _sha256(arrays):
            raise RecordError(f"{path}: its checksum does not hold", hint=_HINT)
        n_train, n_test = about["n_train"], about["n_test"]
        lengths = {"mask": n_train, "train_correct": n_train, "test_correct": n_test}
        bits = {name: _unpacked(arrays.pop(name), n, name) for name, n in lengths.items()}
        for name, scores in arrays.items():
            if scores.dtype != np.float16:
                raise TypeError(f"{name} is {scores.dtype}, not float16")
        spec = RunSpec(**about["spec"])
        if type(spec.run_id) is not int or not isinstance(spec.config, str):
            raise TypeError(f"its run is {spec.run_id!r:.40}, of the sweep {spec.config!r:.40}")
        return RunRecord(spec, **bits, **arrays, facts=dict(about["facts"]))
    except _DAMAGE as error:
        why = describe(error).removeprefix(f"{path}: ")
        raise RecordError(f"{path} is not a whole record: {why}", hint=_HINT) from error


_DAMAGE: tuple[type[Exception], ...] = (SchemaError, *PARSE_ERRORS)
_HINT = "take it away and run that run again"


def _packed(record: RunRecord) -> dict[str, Array]:
    """Return the arrays of a record as they are written: packed bits, float16."""
    arrays: dict[str, Array] = {name: np.packbits(getattr(record, name)) for name in BITS}
    for name in SCORES:
        if (scores := getattr(record, name)) is not None:
            arrays[name] = scores.astype(np.float16, copy=False)
    return arrays


def _unpacked(packed: Array, n: int, name: str) -> Bits:
    """Return bool [n]; memory is taken only for the bits that are there."""
    if type(n) is not int or packed.dtype != np.uint8 or packed.shape != (-(-n // 8),):
        raise ValueError(f"{name} has {packed.dtype} {packed.shape} for {n!r:.20} examples")
    return np.unpackbits(packed, count=n).view(np.bool_)


def _mean(correct: Bits) -> float:
    return float(correct.mean()) if len(correct) else float("nan")


def _sha256(arrays: Mapping[str, Array]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
