"""What estimates are, whichever road they came by: published, or regenerated.

    estimates = memtools.load("cifar100")
    estimates.memorization                       # float [n_train]
    estimates.influence(7).values                # float [n_train_k, n_test_k]
    estimates.pairs(min_mem=0.25, min_infl=0.15) # HighInfluencePairs

Definitions (Feldman & Zhang 2020, sec. 2 and 3; S is the training set, A the training):

    mem(i)     = P[h(x_i) = y_i | h ~ A(S)] - P[h(x_i) = y_i | h ~ A(S without i)]
    infl(i, j) = P[h(x_j) = y_j | h ~ A(S)] - P[h(x_j) = y_j | h ~ A(S without i)]

Both lie within [-1, 1]. An example that was never held out, or never trained on, has
no estimate: NaN. Influence is kept by class, between training and test examples of the
same label, training examples first; or, in the files of the authors' demo, as one matrix over all
classes (`full_influence`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtools.arguments import StrPath, checked
from memtools.errors import SchemaError
from memtools.estimates.about import About, save
from memtools.estimates.checked_arrays import class_of
from memtools.estimates.npz import Array
from memtools.estimates.pairs import MIN_INFL, MIN_MEM, HighInfluencePairs
from memtools.estimates.scores import Scores

_BLOCK = 512  # test examples of a matrix over all classes that are looked at together


@dataclasses.dataclass(frozen=True, eq=False)
class ExampleIndex:
    """Which example each position stands for, in one order.

    filenames: str [n_train]; labels: int [n_train], 0-based; test_filenames,
    test_labels: [n_test]. None where a file does not say.
    """

    about: About
    labels: Array | None
    filenames: Array | None
    test_labels: Array | None
    test_filenames: Array | None

    def without_labels(self) -> ExampleIndex:
        """The same examples, of no class."""
        return dataclasses.replace(self, labels=None, test_labels=None)

    @property
    def arrays(self) -> dict[str, Array]:
        """What is known, by its published name."""
        named = {
            "tr_labels": self.labels,
            "tr_filenames": self.filenames,
            "tt_labels": self.test_labels,
            "tt_filenames": self.test_filenames,
        }
        return {name: np.asarray(column) for name, column in named.items() if column is not None}


@dataclasses.dataclass(frozen=True, eq=False)
class ClassInfluence:
    """Influence between the training and the test examples of one class.

    train_index: int64 [n_train_k], positions in the training set. test_index: int64
    [n_test_k]. values: float [n_train_k, n_test_k]; `values[i, j]` is how much training
    example `train_index[i]` helps on test example `test_index[j]`.
    """

    label: int
    train_index: NDArray[np.int64]
    test_index: NDArray[np.int64]
    values: Array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """The values, for NumPy."""
        return np.array(self.values, dtype=dtype, copy=bool(copy))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Estimates:
    """Memorization and influence estimates of one data set.

    arrays: by their published names (see memtools.estimates.schema), in memory or read
    from a file when they are asked for. What is asked for and not there is a SchemaError.
    """

    arrays: Mapping[str, Array]
    about: About

    @functools.cached_property
    def memorization(self) -> Array:
        """Of each training example, float [n_train]; NaN where there is no estimate."""
        return self._required("tr_mem", "memorization values")

    @functools.cached_property
    def standard_error(self) -> Array | None:
        """Of the memorization, float [n_train]; None if not known."""
        return self.arrays.get("tr_mem_se")

    @functools.cached_property
    def n_in(self) -> Array | None:
        """How many runs trained on each example, int [n_train]; None if not known."""
        return self.arrays.get("tr_n_in")

    @functools.cached_property
    def n_out(self) -> Array | None:
        """How many runs held each example out, int [n_train]; None if not known."""
        return self.arrays.get("tr_n_out")

    @functools.cached_property
    def labels(self) -> Array | None:
        """Labels of the training examples, 0-based int [n_train]; None if not known."""
        return self.arrays.get("tr_labels")

    @functools.cached_property
    def test_labels(self) -> Array | None:
        """Labels of the test examples, 0-based int [n_test]; None if not known."""
        return self.arrays.get("tt_labels")

    @functools.cached_property
    def filenames(self) -> Array | None:
        """Base names of the training examples, str [n_train]; None if not known."""
        return as_text(self.arrays.get("tr_filenames"))

    @functools.cached_property
    def test_filenames(self) -> Array | None:
        """Base names of the test examples, str [n_test]; None if not known."""
        return as_text(self.arrays.get("tt_filenames"))

    @functools.cached_property
    def classes(self) -> Sequence[int]:
        """The labels for which there is an influence matrix, ascending."""
        families = (class_of(name) for name in self.arrays)
        return sorted(each[1] for each in families if each and each[0] == "infl_matrix_class")

    @functools.cached_property
    def full_influence(self) -> Array | None:
        """Influence over all classes, float [n_train, n_test]; None where it is kept by class."""
        return self.arrays.get("infl_matrix")

    @property
    def index(self) -> ExampleIndex:
        """Which example each position stands for."""
        return ExampleIndex(
            self.about, self.labels, self.filenames, self.test_labels, self.test_filenames
        )

    @property
    def scores(self) -> Scores:
        """The memorization of each example, with what is known about the example."""
        return Scores(
            self.about,
            "memorization",
            self.memorization,
            self.labels,
            self.filenames,
            self.standard_error,
            self.n_in,
            self.n_out,
        )

    @checked("estimates.influence(7)")
    def influence(self, label: int) -> ClassInfluence:
        """The influence matrix of one class; nothing else is read."""
        if "infl_matrix" in self.arrays:
            return self._class_of_full(label)
        if f"infl_matrix_class{label}" not in self.arrays:
            raise SchemaError(
                f"{self.about.source or 'this'} holds no influence matrix of class {label}",
                hint=f"it has {len(self.classes)} classes; see .classes",
            )
        return ClassInfluence(
            label,
            self._required(f"tr_classidx_{label}", "training indices").astype(np.int64, copy=False),
            self._required(f"tt_classidx_{label}", "test indices").astype(np.int64, copy=False),
            self.arrays[f"infl_matrix_class{label}"],
        )

    @checked("estimates.pairs(min_mem=0.25, min_infl=0.15)")
    def pairs(self, min_mem: float = MIN_MEM, min_infl: float = MIN_INFL) -> HighInfluencePairs:
        """All pairs with `mem >= min_mem` and `infl >= min_infl`, one class after the other.

        The defaults are those of Feldman & Zhang 2020, sec. 3. NaN is never at or above. Pairs of
        a matrix over all classes are those of any two classes, ordered by their training example.
        """
        if self.full_influence is not None:
            return self._full_pairs(self.full_influence, min_mem, min_infl)
        found = [self._class_pairs(label, min_mem, min_infl) for label in self.classes]
        if not found:
            raise SchemaError(
                f"{self.about.source or 'this'} holds no influence matrices",
                hint="load the influence file, or the group of the data set",
            )
        train, test, memorization, influence = map(np.concatenate, zip(*found, strict=True))
        return HighInfluencePairs(
            self.about, train, test, memorization, influence, min_mem, min_infl
        )

    @checked('estimates.save("estimates.npz")')
    def save(self, path: StrPath) -> None:
        """Write all arrays, and what they are about, as an npz of the published schema.

        It appears whole or not at all; one array at a time is in memory. DiskError.
        """
        save(path, self.arrays, self.about)

    def _class_pairs(
        self, label: int, min_mem: float, min_infl: float
    ) -> tuple[Array, Array, Array, Array]:
        of_class = self.influence(label)
        memorization = self.memorization[of_class.train_index]
        memorized = np.flatnonzero(memorization >= min_mem)
        rows, columns = np.nonzero(of_class.values[memorized] >= min_infl)
        rows = memorized[rows]
        return (
            of_class.train_index[rows],
            of_class.test_index[columns],
            memorization[rows],
            of_class.values[rows, columns],
        )

    def _class_of_full(self, label: int) -> ClassInfluence:
        """Return the part of the matrix over all classes that is about one class."""
        if self.full_influence is None or self.labels is None or self.test_labels is None:
            raise SchemaError(
                f"{self.about.source or 'this'} holds one influence matrix and no labels",
                hint="see .full_influence, float [n_train, n_test]",
            )
        train = np.flatnonzero(np.asarray(self.labels) == label)
        test = np.flatnonzero(np.asarray(self.test_labels) == label)
        return ClassInfluence(label, train, test, self.full_influence[np.ix_(train, test)])

    def _full_pairs(self, matrix: Array, min_mem: float, min_infl: float) -> HighInfluencePairs:
        memorized = np.flatnonzero(self.memorization >= min_mem)
        blocks = []
        for start in range(
            0, max(matrix.shape[1], 1), _BLOCK
        ):  # a copy of all would double the memory
            block = matrix[memorized, start : start + _BLOCK]
            rows, columns = np.nonzero(block >= min_infl)
            blocks.append((memorized[rows], columns + start, block[rows, columns]))
        train, test, influence = map(np.concatenate, zip(*blocks, strict=True))
        order = np.lexsort((test, train))
        train, test = train[order], test[order]
        return HighInfluencePairs(
            self.about, train, test, self.memorization[train], influence[order], min_mem, min_infl
        )

    def _required(self, name: str, what: str) -> Array:
        if name in self.arrays:
            return self.arrays[name]
        raise SchemaError(
            f"{self.about.source or 'this'} holds no {what} ({name})",
            hint="the files of a group complete each other: load the group, as in"
            ' memtools.load("imagenet")',
        )

    def __repr__(self) -> str:
        parts = []
        if "tr_mem" in self.arrays:
            parts.append(f"memorization of {len(self.memorization):,} training examples")
        if self.classes:
            parts.append(f"influence by {len(self.classes):,} classes")
        if "infl_matrix" in self.arrays:
            parts.append("influence over all classes")
        title = "Estimates: " + (", ".join(parts) or "none")
        return "\n".join([title, *self.about.lines()])


def as_text(names: Array | None) -> Array | None:
    """File names as str, whether they are kept as bytes or as text; SchemaError if not UTF-8."""
    if names is None or names.dtype.kind == "U":
        return names
    width = names.dtype.itemsize
    codes = np.ascontiguousarray(names).view(np.uint8)
    if codes.max(initial=0) < 128:  # ASCII: bytes are code points, only narrower
        return codes.astype(np.uint32).view(f"U{width}").reshape(names.shape)
    try:
        return np.char.decode(names, "utf-8")
    except UnicodeDecodeError as error:
        raise SchemaError(
            f"a file name is not UTF-8: {error.object!r}", hint="write the names anew as text"
        ) from error
