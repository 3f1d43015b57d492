"""Progress on the standard error of a terminal; silence anywhere else.

with bars() as show:
    show("part aa", n_done, n_total)     # as often as you like
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

Show = Callable[[str, int, int | None], None]
"""Draws the bar of a label: how much is done of how much; None: not known yet."""


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """No word on stderr from compiled code, such as TensorFlow's greetings when it is imported."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def bars(what: str = "") -> Iterator[Show]:
    """A function that draws bars with speed and time left; what: is counted, if not bytes."""
    if not sys.stderr.isatty():
        yield lambda label, n_done, n_total: None
        return
    from rich.console import Console  # 90 ms: only those who look pay for it
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:,.0f} {what}/s")

    measured = (DownloadColumn(), TransferSpeedColumn())
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *((MofNCompleteColumn(), RateColumn()) if what else measured),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def show(label: str, n_done: int, n_total: int | None) -> None:
            if label not in tasks:
                tasks[label] = progress.add_task(label, total=n_total)
            progress.update(tasks[label], completed=n_done, total=n_total)

        yield show
