"""Progress on the standard error of a terminal; silence anywhere else.

with bars() as show:
    show("part aa", n_done, n_total)     # as often as you like
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from memtools import interrupts
from memtools.wording import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Show(Protocol):
    """Draws the bar of a label: how much is done of how much; None: not known yet."""

    def __call__(self, label: str, n_done: int, n_total: int | None, note: str = "") -> None:
        """note: a few words behind the bar."""


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """No word on stderr from compiled code, such as TensorFlow's greetings when it is imported."""
    if sys.stderr is not None:  # it is None where a process was started with it closed
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed: compiled code is not heard anyway
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def hush() -> None:
    """No bars from this process: another one shows them."""
    global _hushed
    _hushed = True


@contextlib.contextmanager
def bars(what: str = "") -> Iterator[Show]:
    """A function that draws bars with speed and time left; what: is counted, if not bytes.

    Bars that are asked for while others are shown stand below them.
    """
    global _display
    if _hushed or sys.stderr is None or not sys.stderr.isatty():
        yield _silent
    elif _display is not None:
        show, tasks = _drawing(_display, what)
        try:
            yield show
        finally:
            for task in tasks.values():
                _display.remove_task(task)
    else:
        with _new_display(_LONG if what else _SHORT) as _display:
            try:
                yield _drawing(_display, what)[0]
            finally:
                _display = None


def _silent(label: str, n_done: int, n_total: int | None, note: str = "") -> None:  # noqa: ARG001
    """Draw nothing, since nobody is looking."""
    interrupts.check()


_SHORT, _LONG = 30.0, 1e6  # seconds over which a speed is taken: a run may last for hours
_hushed = False
_display: Progress | None = None


def _drawing(display: Progress, what: str) -> tuple[Show, dict[str, TaskID]]:
    """The function that draws, and its bars by label."""
    tasks: dict[str, TaskID] = {}

    def show(label: str, n_done: int, n_total: int | None, note: str = "") -> None:
        interrupts.check()
        label, note = printable(label), printable(note)  # both hold names of files
        if label not in tasks:
            tasks[label] = display.add_task(label, total=n_total, what=what, note=note)
        display.update(tasks[label], completed=n_done, total=n_total, note=note)

    return show, tasks


def _new_display(period: float) -> Progress:
    from rich.console import Console  # 90 ms: only those who look pay for it
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    bytes_done, bytes_rate = DownloadColumn(), TransferSpeedColumn()

    class Done(ProgressColumn):
        def render(self, task: Task) -> Text:
            if not (what := task.fields["what"]):
                return bytes_done.render(task)
            total = "?" if task.total is None else f"{task.total:,.0f}"
            return Text(f"{task.completed:,.0f}/{total} {what}")

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            if not (what := task.fields["what"]):
                return bytes_rate.render(task)
            if not (speed := task.speed):
                return Text("")
            return Text(f"{speed:,.0f} {what}/s" if speed >= 1 else f"{60 * speed:.1f} {what}/min")

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        Done(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    return Progress(
        *columns, console=Console(stderr=True), transient=True, speed_estimate_period=period
    )
