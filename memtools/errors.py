"""Everything that memtools raises on purpose.

    MemtoolsError                 1   something asked for was not done
    ├── ConfigError               2   the request itself is wrong: a name, an option, a registry
    ├── NetworkError              3   the network gave up; running again resumes
    ├── RefusedError              4   the server answered, and the answer is no
    ├── IntegrityError            5   bytes or meaning are not what was promised
    │   ├── ChecksumError             a digest or a size differs
    │   ├── SchemaError               an array is missing, misshapen or out of bounds
    │   ├── RecordError               a record or a shard is damaged or foreign
    │   └── AlignmentError            two orders cannot be brought together
    ├── DiskError                 6   the local disk: full, read-only, in the way
    ├── BusyError                 7   another process is at work on the same target
    └── SweepError                1   some runs failed; the others are kept

The number is the exit code of the command line. Every error is two lines: what
happened (`str(error)`) and what to do about it (`error.hint`). Facts that a
program may want are attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from memtools.wording import printable, redact_url, redact_urls


class MemtoolsError(Exception):
    """Base of all errors; `hint` says what to do about it, and is a note of the exception, too.

    Foreign text in the message (a file name, a label, a registry) is shown with its control
    characters escaped, and URLs without passwords and tokens.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(printable(redact_urls(what), keep="\n"))
        self.hint = printable(redact_urls(hint), keep="\n")
        if self.hint:
            self.add_note(f"hint: {self.hint}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Whatever a subclass wants to be made with: a worker's error reaches its parent."""
        return _remade, (type(self), self.args), self.__dict__


def _remade(kind: type[MemtoolsError], args: tuple[object, ...]) -> MemtoolsError:
    error = kind.__new__(kind)
    error.args = args
    return error


class ConfigError(MemtoolsError):
    """The request itself is wrong: an unknown name, a bad option, a malformed registry."""

    exit_code = 2


class NetworkError(MemtoolsError):
    """The network gave up on `url`; what was received is kept, and running again resumes."""

    exit_code = 3

    def __init__(self, what: str, *, url: str, hint: str = "") -> None:
        super().__init__(what, hint=hint or "run the same command again: it resumes")
        self.url = redact_url(url)


class RefusedError(MemtoolsError):
    """The server of `url` answered, and trying again would not change the answer."""

    exit_code = 4

    def __init__(self, what: str, *, url: str, status: int, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.url = redact_url(url)
        self.status = status


class IntegrityError(MemtoolsError):
    """Bytes, or what they mean, are not what was promised."""

    exit_code = 5


class ChecksumError(IntegrityError):
    """`path` has digest or size `actual` where `expected` was promised."""

    def __init__(
        self, what: str, *, path: Path, expected: str, actual: str, hint: str = ""
    ) -> None:
        super().__init__(what, hint=hint)
        self.path = path
        self.expected = expected
        self.actual = actual


class SchemaError(IntegrityError):
    """An array is missing, has another shape or dtype, or holds impossible values."""


class RecordError(IntegrityError):
    """A record or a shard is damaged, or belongs to another set."""


class AlignmentError(IntegrityError):
    """Two orders of the same data set cannot be brought together."""


class DiskError(MemtoolsError):
    """The local disk is full, read-only, or something else stands where a file should go."""

    exit_code = 6


class BusyError(MemtoolsError):
    """Another process is at work on the same target."""

    exit_code = 7


class SweepError(MemtoolsError):
    """The runs of `failed_run_ids` failed; all others are kept."""

    def __init__(self, what: str, *, failed_run_ids: Sequence[int], hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.failed_run_ids = tuple(failed_run_ids)
