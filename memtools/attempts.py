"""One attempt at a piece of work: its result, or why there is none.

attempt(work, item)                      # a result, or Lost
Attempt(work, limit=60.0)(item)          # the same in a worker, which ends itself in time
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from memtools.errors import MemtoolsError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Lost:
    """An item without a result: what the work raised, or that its worker died."""

    error: Exception


def attempt(work: Callable[[Item], Result], item: Item) -> Result | Lost:
    """Return the result of the work, or what it raised."""
    try:
        return work(item)
    except Exception as error:  # noqa: BLE001 - whoever asked decides what an error means
        return Lost(error)


@dataclasses.dataclass(frozen=True)
class Attempt(Generic[Item, Result]):
    """`attempt` of some work, to be sent to where it is done.

    limit: seconds, after which the process ends itself, whatever it hangs in; None: no limit. A
    process that is stopped does not end: whoever waits for it kills it. directory: where relative
    paths begin, if it is there, too; None: wherever the process is.
    """

    work: Callable[[Item], Result]
    limit: float | None = None
    directory: Path | None = None

    def __call__(self, item: Item) -> Result | Lost:
        """Return the result, or what was raised, as far as it can be sent back."""
        if self.directory is not None:
            with contextlib.suppress(OSError):
                os.chdir(self.directory)
        with _ending_after(self.limit):
            return _sendable(attempt(self.work, item))


@contextlib.contextmanager
def _ending_after(limit: float | None) -> Iterator[None]:
    """Kill this process after `limit` seconds.

    Uses faulthandler, since a Python timer cannot interrupt a hanging C call.
    """
    if limit is None:
        yield
        return
    with Path(os.devnull).open("w") as nowhere:
        faulthandler.dump_traceback_later(limit, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _sendable(outcome: Result | Lost) -> Result | Lost:
    """Replace an exception that cannot be pickled by a MemtoolsError with the same message."""
    if isinstance(outcome, Lost):
        try:
            pickle.loads(pickle.dumps(outcome))  # noqa: S301 - our own
        except Exception:  # noqa: BLE001 - whatever an error keeps
            error = outcome.error
            said = f"{type(error).__name__}: {error}"
            return Lost(MemtoolsError(said, hint=getattr(error, "hint", "")))
    return outcome


def died() -> MemtoolsError:
    """Return the error for a worker that has died."""
    return MemtoolsError(
        "a worker process died without a word",
        hint="the system may have run out of memory: try fewer workers; running again goes on"
        " where it stopped",
    )


def over_limit(limit: float) -> MemtoolsError:
    """Return the error for an item that was not done in time."""
    return MemtoolsError(
        f"it was not done within its limit of {limit:g} seconds, and its worker was ended",
        hint="set a longer limit (--limit-minutes), or none",
    )
