"""One run: packed, checksummed, and itself again."""

import dataclasses

import numpy as np
import pytest

from memtools.errors import RecordError
from memtools.runs.record import RunRecord, RunSpec, read, write


@pytest.fixture
def record():
    rng = np.random.default_rng(0)
    return RunRecord(
        RunSpec(17, "c0ffee", seed=3),
        rng.random(133) < 0.7,
        rng.random(133) < 0.9,
        rng.random(41) < 0.8,
        train_probability=rng.random(133).astype(np.float16),
        test_margin=rng.normal(size=41).astype(np.float16),
        facts={"loss": 0.25, "tensorflow": "2.21"},
    )


def equal(a, b):
    fields = [field.name for field in dataclasses.fields(RunRecord)]
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in fields)


def test_what_is_written_is_read_back(record, tmp_path):
    write(record, tmp_path / "run.npz")
    assert equal(read(tmp_path / "run.npz"), record)


def test_accuracies_are_those_inside_outside_and_on_test(record):
    assert record.accuracy_in == record.train_correct[record.mask].mean()
    assert record.accuracy_out == record.train_correct[~record.mask].mean()
    assert record.test_accuracy == record.test_correct.mean()


def test_no_flipped_bit_and_no_cut_goes_unseen(record, tmp_path):
    path = tmp_path / "run.npz"
    write(record, path)
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        try:
            assert equal(read(path), record)  # padding, and what zip keeps twice
        except RecordError:
            continue
    for size in range(0, len(data), 31):
        path.write_bytes(data[:size])
        with pytest.raises(RecordError):
            read(path)


@pytest.mark.parametrize(
    "change",
    [
        {"train_correct": np.ones(132, bool)},
        {"train_probability": np.ones(41, np.float16)},
        {"test_correct": np.ones(41)},
        {"mask": np.ones(133, int)},
        {"facts": {"loss": float("nan")}},
        {"facts": {"loss": float("inf")}},
    ],
)
def test_what_cannot_be_a_run_is_refused(record, change):
    with pytest.raises(RecordError, match="run 17"):
        dataclasses.replace(record, **change)


def test_the_digest_is_that_of_subset_and_correctness(record):
    assert dataclasses.replace(record, facts={}).digest == record.digest
    other = record.mask.copy()
    other[0] ^= True
    assert dataclasses.replace(record, mask=other).digest != record.digest
