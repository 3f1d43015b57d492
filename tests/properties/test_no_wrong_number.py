"""Numbers of any file meet a data set of any kind: each example gets its own number, or an error.

Files are permuted, cut, renamed, relabelled and written in every format; data sets are permuted,
cut, renamed and relabelled. Every value has the true identity of its example in it, so that a wrong
join shows. What nobody can see, a permutation under an order that the user declares, must be said.
"""

import collections
import csv
import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import memtools
from memtools.alignment.aligned_scores import take_scores
from memtools.alignment.comparison import scores_of
from memtools.alignment.position_join import CAVEAT
from memtools.errors import MemtoolsError
from memtools.estimates.tables import write_scores

N, N_CLASSES = 24, 3
SYNSETS = ["n01440764", "n01443537", "n02102040"]
RNG = np.random.default_rng(5)
LABELS = RNG.permutation(np.arange(N) % N_CLASSES)
NAMES = [f"{SYNSETS[label]}_{100 + 7 * k}.JPEG" for k, label in enumerate(LABELS)]
VALUES = RNG.permutation(N) / N + 0.01  # distinct: a value tells its example

WRITINGS = {
    "official": lambda k: NAMES[k],
    "folder": lambda k: f"/data/train/{SYNSETS[LABELS[k]]}/{NAMES[k]}",
    "hub": lambda k: NAMES[k].replace(".JPEG", f"_{SYNSETS[LABELS[k]]}.JPEG"),
    "bare": lambda k: NAMES[k].removesuffix(".JPEG"),
    "png": lambda k: NAMES[k].replace(".JPEG", ".png"),
    "windows": lambda k: f"train\\{SYNSETS[LABELS[k]]}\\{NAMES[k]}",
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One file of numbers, and one data set."""

    format: str
    position: str  # the name of the column of positions; "-" for none
    names: bool
    labels: bool
    bom: bool
    rows: str  # what was done to the rows of the file
    writing: str
    order: str  # what the user declares
    data: str  # the kind of data set object
    examples: str  # what was done to the data set
    their_writing: str
    their_labels: bool
    allow_missing: bool
    seed: int


EXAMPLES = ["as they are", "permuted", "cut", "doubled", "relabelled", "swapped"]
CASES = st.builds(
    Case,
    format=st.sampled_from(["npz", "npy", "csv", "tsv", "json", "parquet"]),
    position=st.sampled_from(["-", "-", "index", "idx", "", "Unnamed: 0", "image_id"]),
    names=st.booleans(),
    labels=st.booleans(),
    bom=st.booleans(),
    rows=st.sampled_from(["as they are", "permuted", "cut", "doubled"]),
    writing=st.sampled_from(sorted(WRITINGS)),
    order=st.sampled_from(["", "official", "official", "file"]),
    data=st.sampled_from(["names", "samples", "subset", "labels", "hub", "columns", "wrapper"]),
    examples=st.sampled_from(
        ["as they are", "permuted", "cut", "doubled", "relabelled", "swapped"]
    ),
    their_writing=st.sampled_from(sorted(WRITINGS)),
    their_labels=st.booleans(),
    allow_missing=st.booleans(),
    seed=st.integers(0, 999),
)

FUZZED = settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)


def changed(kind, rng):
    """The true identities of the rows."""
    whole = np.arange(N)
    if kind == "permuted":
        return rng.permutation(N)
    if kind == "cut":
        return np.sort(rng.permutation(N)[: N - 5])
    if kind == "doubled":
        return np.concatenate([whole, rng.integers(0, N, 2)])
    if kind == "swapped":  # two examples of one class: no label can tell
        a, b = np.flatnonzero(rng.integers(0, N_CLASSES) == LABELS)[:2]
        whole[[a, b]] = whole[[b, a]]
    return whole


def write_numbers(path, case, rows):
    """The file of a case, whose rows are the examples `rows`."""
    columns = {}
    if case.position != "-":
        columns[case.position] = rows
    if case.names:
        columns["filename"] = np.array([WRITINGS[case.writing](k) for k in rows])
    if case.labels:
        columns["label"] = LABELS[rows]
    columns["score"] = VALUES[rows]
    if case.format == "npy":
        np.save(path, VALUES[rows])
    elif case.format == "npz":
        named = {"filename": "filenames", "label": "labels", "score": "scores", "": "index"}
        arrays = {named.get(name, name): column for name, column in columns.items()}
        np.savez(path, **arrays)
    elif case.format in ("csv", "tsv"):
        delimiter = "," if case.format == "csv" else "\t"
        encoding = "utf-8-sig" if case.bom else "utf-8"
        with path.open("w", newline="", encoding=encoding) as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow(columns)
            writer.writerows(zip(*(c.tolist() for c in columns.values()), strict=True))
    elif case.format == "json":
        keys = list(columns)
        rows_of = zip(*(c.tolist() for c in columns.values()), strict=True)
        path.write_text(json.dumps([dict(zip(keys, row, strict=True)) for row in rows_of]))
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table(columns), path)


class Dataset:
    """A stand-in for that of Hugging Face: a table of Arrow and an index mapping."""

    def __init__(self, table, indices=None):
        self.data = SimpleNamespace(table=table)
        self._data = self.data
        self._indices = None if indices is None else SimpleNamespace(table=indices)
        self._indices_table = indices
        self.column_names = table.column_names
        self.features = dict.fromkeys(table.column_names)
        self.num_rows = table.num_rows if indices is None else indices.num_rows

    def __len__(self):
        return self.num_rows


Dataset.__module__ = "datasets.arrow_dataset"


class Wrapper:
    """A data set of one's own around another one, which it shows in an order of its own."""

    def __init__(self, dataset, order):
        self.dataset, self.order = dataset, order

    def __len__(self):
        return len(self.order)

    def __getitem__(self, k):
        return None, self.dataset.samples[self.order[k]][1]


def data_set(case, examples, labels):
    """Return the data set that the user gives, and labels beside it."""
    names = [WRITINGS[case.their_writing](k) for k in examples]
    if case.data == "names":
        return names, labels if case.their_labels else None
    if case.data == "samples":
        return SimpleNamespace(samples=list(zip(names, labels.tolist(), strict=True))), None
    if case.data == "subset":
        whole = SimpleNamespace(samples=list(zip(names, labels.tolist(), strict=True)))
        return SimpleNamespace(dataset=whole, indices=list(range(len(examples)))), None
    if case.data == "wrapper":
        inverse = np.argsort(rng_order := np.random.default_rng(case.seed).permutation(len(names)))
        whole = [(names[k], int(labels[k])) for k in rng_order]
        return Wrapper(SimpleNamespace(samples=whole), inverse.tolist()), None
    if case.data == "labels":
        return labels, None
    if case.data == "columns":
        return {"file_name": names, **({"label": labels} if case.their_labels else {})}, None
    import pyarrow

    image = pyarrow.array([{"bytes": b"", "path": name} for name in names])
    columns = {"image": image, **({"label": labels} if case.their_labels else {})}
    return Dataset(pyarrow.table(columns)), None


def outcome(case, path):
    """Return `true`, `refused`, or `declared`: wrong, by a false declaration that is said."""
    rng = np.random.default_rng(case.seed)
    rows, examples = changed(case.rows, rng), changed(case.examples, rng)
    labels = LABELS[examples]
    if case.examples == "relabelled":
        labels = (labels + (np.arange(N) == 3)) % N_CLASSES
    write_numbers(path, case, rows)
    data, given_labels = data_set(case, examples, labels)
    declared = {case.order} - {""}
    for order in ("", *declared):  # a user tries without a declaration first
        try:
            numbers = memtools.load(path, dataset="mine", order=case.order, direction="atypical")
            alignment = memtools.align(
                numbers,
                to=data,
                labels=given_labels,
                order=order,
                allow_missing=case.allow_missing,
            )
        except MemtoolsError:
            continue
        taken = alignment.take(scores_of(numbers).values)
        assert not np.isnan(taken).all()
        if (np.isnan(taken) | (taken == VALUES[examples])).all():
            written_again(numbers, alignment, examples, path)
            return "true"
        assert order and CAVEAT in alignment.proof, (case, alignment.proof)
        return "declared"
    return "refused"


def written_again(numbers, alignment, examples, path):
    """Check that scores written in the order of the data set record no other order."""
    aligned = take_scores(scores_of(numbers), alignment)
    again = path.with_name("aligned.csv")
    write_scores(again, aligned)
    read = memtools.load(again)
    kept = ~np.isnan(read.values)
    positions = np.arange(len(read.values))
    place = positions if read.about.order == "official" else examples
    if len(place) == len(read.values):
        assert (read.values[kept] == VALUES[place[kept]]).all(), (read.about, examples)


def compared(case, other, path):
    """Return the same for two files of one score: each example is compared with itself."""
    rng = np.random.default_rng(case.seed)
    paths = path.with_name(f"a.{case.format}"), path.with_name(f"b.{other.format}")
    for where, each in zip(paths, (case, other), strict=True):
        write_numbers(where, each, changed(each.rows, rng))
    try:
        found = memtools.compare(
            *(
                memtools.load(where, dataset="mine", order=each.order, direction="atypical")
                for where, each in zip(paths, (case, other), strict=True)
            )
        )
    except MemtoolsError:
        return "refused"
    if np.array_equal(found.first, found.second):
        return "true"
    assert case.order and case.order == other.order and "by position" in found.proof, found.proof
    return "declared"


def test_each_example_gets_its_own_number_or_an_error(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    tally = collections.Counter()

    @FUZZED
    @given(CASES)
    def run(case):
        tally[outcome(case, tmp_path / f"numbers.{case.format}")] += 1

    run()
    print(dict(tally))
    assert tally["true"] > 100 and tally["refused"] > 100, tally


def test_two_files_are_compared_example_by_example_or_not_at_all(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    tally = collections.Counter()

    @FUZZED
    @given(CASES, CASES)
    def run(case, other):
        tally[compared(case, other, tmp_path / "x")] += 1

    run()
    print(dict(tally))
    assert tally["true"] > 50 and tally["refused"] > 50, tally
