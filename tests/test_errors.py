"""The exception tree: codes, hints, attributes."""

import inspect
import pickle
from pathlib import Path

import pytest

from memtools import errors
from memtools.errors import (
    AlignmentError,
    BusyError,
    ChecksumError,
    ConfigError,
    DiskError,
    IntegrityError,
    MemtoolsError,
    NetworkError,
    RecordError,
    RefusedError,
    SchemaError,
    SweepError,
)

CODES = {
    MemtoolsError: 1,
    ConfigError: 2,
    NetworkError: 3,
    RefusedError: 4,
    IntegrityError: 5,
    ChecksumError: 5,
    SchemaError: 5,
    RecordError: 5,
    AlignmentError: 5,
    DiskError: 6,
    BusyError: 7,
    SweepError: 1,
}


@pytest.mark.parametrize(("error", "code"), CODES.items(), ids=lambda each: str(each))
def test_each_class_of_error_has_its_exit_code(error, code):
    assert error.exit_code == code


@pytest.mark.parametrize("kind", CODES)
def test_an_error_of_another_process_is_the_same_here(kind):
    made = inspect.signature(kind).parameters.values()
    required = {each.name: each.name for each in made if each.kind == each.KEYWORD_ONLY}
    error = kind("what", **required)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (kind, "what", vars(error))


def test_every_error_of_the_module_is_in_the_table_and_descends_from_the_base():
    found = {each for _, each in inspect.getmembers(errors, inspect.isclass)}
    found = {each for each in found if issubclass(each, Exception)}
    assert found == set(CODES)
    assert all(issubclass(each, MemtoolsError) for each in found)


def test_the_docstring_of_the_module_draws_every_class_with_its_code():
    lines = (errors.__doc__ or "").splitlines()
    for error, code in CODES.items():
        drawn = next(line for line in lines if error.__name__ in line)
        parent = error.__mro__[1]
        if parent in (IntegrityError,):
            assert str(code) not in drawn  # inherited
        else:
            assert f" {code} " in drawn


@pytest.mark.parametrize("error", [ChecksumError, SchemaError, RecordError, AlignmentError])
def test_whoever_catches_integrity_errors_catches_all_four_kinds(error):
    assert issubclass(error, IntegrityError)


def test_an_error_reads_as_what_happened_and_keeps_what_to_do_apart():
    error = DiskError("the disk is full", hint="free some space")
    assert str(error) == "the disk is full"
    assert error.hint == "free some space"
    assert MemtoolsError("x").hint == ""


def test_a_network_error_says_of_itself_that_running_again_resumes():
    error = NetworkError("it broke", url="https://example.org/a")
    assert "again" in error.hint
    assert "resumes" in error.hint
    assert error.url == "https://example.org/a"
    assert NetworkError("it broke", url="u", hint="wait an hour").hint == "wait an hour"


def test_a_refusal_carries_url_and_status():
    error = RefusedError("no", url="https://example.org/a", status=403)
    assert (error.url, error.status) == ("https://example.org/a", 403)


def test_a_checksum_error_carries_path_and_both_digests():
    error = ChecksumError("differs", path=Path("a.npz"), expected="aa", actual="bb", hint="h")
    assert (error.path, error.expected, error.actual) == (Path("a.npz"), "aa", "bb")
    assert (str(error), error.hint) == ("differs", "h")


def test_a_sweep_error_lists_the_failed_runs_as_a_value_that_cannot_change():
    failed = [3, 5]
    error = SweepError("2 of 10 failed", failed_run_ids=failed)
    failed.append(7)
    assert error.failed_run_ids == (3, 5)
