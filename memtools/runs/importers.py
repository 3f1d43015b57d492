"""What others have trained, as stores of runs.

    import_aux(Path("cifar100-inception"), Path("runs"), dataset="cifar100", order="tfds")
    import_stacked([Path("a.npz"), Path("b.npz")], Path("runs"), dataset="mnist", order="file")
    import_margins(masks, margins, train_margins, Path("runs"), dataset="cifar10", order="file")

    aux       the released checkpoints' `<ratio>/<run>/aux_arrays.npz`, in a directory; one store
              for each ratio (memtools.checkpoints takes them out of the archives themselves)
    stacked   npz files with trainset_mask, trainset_correctness and testset_correctness,
              [n] or [n_runs, n] (the authors' MNIST demo; Zenodo 14687826)
    margins   datamodels' masks [n_runs, n_train] with margins of train and test, npy:
              right is a margin above 0; the margins are kept

Nothing is written before all runs are read, and found plausible (memtools.runs.plausibility).
Importing the same again changes nothing, and an interrupted import goes on. A run that is given
twice is taken once.
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from memtools.arguments import StrPath
from memtools.documents import PARSE_ERRORS, describe
from memtools.errors import RecordError, SchemaError
from memtools.estimates.model import ExampleIndex
from memtools.estimates.npy import map_npy
from memtools.estimates.npz import Array, Npz
from memtools.file_kinds import require_regular
from memtools.files import disk_errors
from memtools.progress import bars
from memtools.runs.imported_runs import Importer, Outcome, finished
from memtools.runs.ordering import Ordering
from memtools.runs.store import RunStore

MAX_AUX = 256 << 20  # bytes of the arrays of one run; ImageNet's have 40 MB
_AUX = re.compile(r"(?:.*/)?(\d{1,9}(?:\.\d{1,9})?)/(\d{1,12})/aux_arrays\.npz", re.ASCII)
_STACKED = ("trainset_mask", "trainset_correctness", "testset_correctness")
_HINT = "get the file again, then import all of them"

_DAMAGE: tuple[type[Exception], ...] = (SchemaError, *PARSE_ERRORS)


def import_aux(
    source: StrPath,
    root: StrPath,
    *,
    dataset: str,
    order: str,
    examples: ExampleIndex | None = None,
) -> list[RunStore]:
    """Runs of the released layout, from a directory; a store for each ratio in `root`.

    Raises RecordError naming the file that is damaged, or the ratio whose runs cannot be right.
    """
    source = Path(source)
    importer = AuxImporter(Path(root), dataset, order, examples)
    with bars("runs") as show:
        for count, (name, data) in enumerate(_in_directory(source), 1):
            if found := run_of(name):
                ratio, run_id = found
                importer.hold(ratio, read_aux(name, run_id, data))
                show(source.name, count, None)
    stores = importer.publish()
    if not stores:
        raise RecordError(
            f"{source} holds no <ratio>/<run>/aux_arrays.npz",
            hint="give the directory above the ratios; of an archive: memtools checkpoints aux",
        )
    return stores


def import_stacked(
    files: StrPath | Sequence[StrPath],
    root: StrPath,
    *,
    dataset: str,
    order: str,
    examples: ExampleIndex | None = None,
) -> RunStore:
    """Runs out of npz files, numbered in the order of the files' names and their rows.

    Raises RecordError for a damaged file, or runs that cannot be right.
    """
    several = [files] if isinstance(files, (str, os.PathLike)) else files
    paths = sorted(map(Path, several))
    importer = Importer(Path(root), dataset, order, {"source": "stacked"}, examples, numbered=True)
    run_id = 0
    for path in paths:
        columns = [np.atleast_2d(_yes_or_no(path, name)) for name in _STACKED]
        if len({len(column) for column in columns}) != 1:
            raise RecordError(f"{path}: the arrays have different numbers of runs", hint=_HINT)
        for rows in zip(*columns, strict=True):
            importer.hold(Outcome(run_id, *rows), source=str(path))
            run_id += 1
    return finished(importer, paths)


def import_margins(
    masks: StrPath,
    margins: StrPath,
    train_margins: StrPath,
    root: StrPath,
    *,
    dataset: str,
    order: str,
    examples: ExampleIndex | None = None,
) -> RunStore:
    """Runs out of npy files [n_runs, n]; a margin above 0 is right. They are mapped, not read.

    Raises RecordError for a damaged file, or runs that cannot be right.
    """
    masks, margins, train_margins = Path(masks), Path(margins), Path(train_margins)
    mask, test, train = (_mapped(path) for path in (masks, margins, train_margins))
    if not len(mask) == len(test) == len(train):
        raise RecordError(
            f"{masks}, {margins} and {train_margins} have {len(mask)}, {len(test)} and"
            f" {len(train)} runs",
            hint="give the three files of one set of runs",
        )
    importer = Importer(Path(root), dataset, order, {"source": "margins"}, examples, numbered=True)
    for run_id, (of_test, of_train) in enumerate(zip(test, train, strict=True)):
        for path, row in ((margins, of_test), (train_margins, of_train)):
            if not np.isfinite(row).all():
                raise RecordError(f"{path}: a margin of run {run_id} is not a number", hint=_HINT)
        again = functools.partial(_with_margins, run_id, masks, mask, train, test)
        importer.hold(again(), again)
    return finished(importer, [masks])


def _with_margins(run_id: int, masks: Path, mask: Array, train: Array, test: Array) -> Outcome:
    """Return one run out of arrays [n_runs, n] that are mapped."""
    limit = np.finfo(np.float16).max
    bits = _as_bool(mask[run_id], f"{masks}, run {run_id}")
    kept = [np.clip(each[run_id], -limit, limit).astype(np.float16) for each in (train, test)]
    return Outcome(run_id, bits, train[run_id] > 0, test[run_id] > 0, *kept)


def run_of(name: str) -> tuple[str, int] | None:
    """(ratio, run) of a member called `.../<ratio>/<run>/aux_arrays.npz`; None for others."""
    match = _AUX.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def read_aux(name: str, run_id: int, data: bytes) -> Outcome:
    """One run, from the bytes of its aux_arrays.npz, called `name`.

    Both parts of the training set are put back into one order, which is proven to be one.

    Raises RecordError if it is damaged, or if an index is missing or there twice.
    """
    try:
        with Npz(Path(name), data=data) as npz:
            sizes = (math.prod(npz.shape(key)) * npz.dtype(key).itemsize for key in npz)
            if sum(sizes) > MAX_AUX:
                raise RecordError(f"{name} has more than {MAX_AUX} bytes", hint="it is not a run")
            arrays = dict(npz)
        inside, outside, test = (arrays[f"index_{part}"] for part in ("train", "removed", "test"))
        train_correct = np.zeros(len(inside) + len(outside), np.bool_)
        mask, test_correct = np.zeros_like(train_correct), np.zeros(len(test), np.bool_)
        for index, n in ((np.concatenate([inside, outside]), len(mask)), (test, len(test))):
            if not np.array_equal(np.sort(index), np.arange(n)):
                raise RecordError(f"{name}: an index is missing or there twice", hint=_HINT)
        mask[inside] = True
        for index, part, into in (
            (inside, "train", train_correct),
            (outside, "removed", train_correct),
            (test, "test", test_correct),
        ):
            correct = _as_bool(arrays[f"correctness_{part}"], f"{name}, {part}")
            if correct.shape != index.shape:
                raise RecordError(
                    f"{name}: {part} has {index.size} indices and {correct.size} outcomes",
                    hint=_HINT,
                )
            into[index] = correct
        return Outcome(run_id, mask, train_correct, test_correct)
    except _DAMAGE as error:
        why = describe(error).removeprefix(f"{name}: ")
        raise RecordError(f"{name} is damaged: {why}", hint=_HINT) from error


class AuxImporter:
    """Puts what the released models got right into a store for each ratio.

    examples: in the order of the stores. ordering: from the order of the runs to the official one.
    """

    def __init__(
        self,
        root: Path,
        dataset: str,
        order: str,
        examples: ExampleIndex | None = None,
        ordering: Ordering | None = None,
    ) -> None:
        self._root, self._dataset, self._ordering = root, dataset, ordering
        self._order = "official" if ordering else order
        self._config = {"source": "aux_arrays", **({"ids": ordering.digest} if ordering else {})}
        self._examples = examples
        self._importers: dict[str, Importer] = {}

    @property
    def kind(self) -> tuple[str, str, dict[str, str]]:
        """Data set, order and configuration of the stores, whatever their ratio."""
        return self._dataset, self._order, self._config

    def put(self, ratio: str, outcome: Outcome) -> None:
        """Write one run, of `read_aux`; RecordError if it is of other examples than the first."""
        self._importer(ratio).add(self._ordered(outcome))

    def hold(self, ratio: str, outcome: Outcome) -> None:
        """Remember one run, of `read_aux`, until all are checked; raises what `put` raises."""
        self._importer(ratio).hold(self._ordered(outcome))

    def publish(self) -> list[RunStore]:
        """Write all runs that were held, and return their stores.

        Raises RecordError, before anything is written, if the runs of a ratio cannot be right.
        """
        for each in self._importers.values():
            each.check()
        return [store for each in self._importers.values() if (store := each.publish())]

    def _ordered(self, outcome: Outcome) -> Outcome:
        return self._ordering.applied(outcome) if self._ordering else outcome

    def _importer(self, ratio: str) -> Importer:
        if ratio not in self._importers:
            self._importers[ratio] = Importer(
                self._root / ratio,
                self._dataset,
                self._order,
                self._config,
                self._examples,
                float(ratio),
            )
        return self._importers[ratio]

    @property
    def stores(self) -> list[RunStore]:
        """Those that something was put into."""
        return [each.store for each in self._importers.values() if each.store]


def _in_directory(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(root.glob("**/aux_arrays.npz")):
        require_regular(path)
        with disk_errors(path):
            yield path.relative_to(root.parent).as_posix(), path.read_bytes()


def _yes_or_no(path: Path, name: str) -> Array:
    try:
        with Npz(path) as npz:
            return _as_bool(npz[name], f"{path}, {name}")
    except (KeyError, SchemaError) as error:
        raise RecordError(
            f"{path} has no readable {name}: {error}",
            hint=f"it should hold {', '.join(_STACKED)}",
        ) from error


def _mapped(path: Path) -> Array:
    try:
        array = map_npy(path)
    except SchemaError as error:
        raise RecordError(f"{path} is not a readable npy: {error}", hint=_HINT) from error
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise RecordError(
            f"{path} has the shape {array.shape} and the type {array.dtype}, not numbers"
            " [n_runs, n]",
            hint=_HINT,
        )
    return array


def _as_bool(values: Array, where: str) -> Array:
    """Bool from anything that holds 0 and 1 alone."""
    if not np.isin(values, (0, 1)).all():
        raise RecordError(f"{where}: holds other values than 0 and 1", hint=_HINT)
    return values.astype(np.bool_)
