"""Progress on the standard error of a terminal; silence anywhere else.

with bars() as show:
    show("part aa", n_done, n_total)     # as often as you like
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

Show = Callable[[str, int, int | None], None]
"""Draws the bar of a label: how much is done of how much; None: not known yet."""


@contextlib.contextmanager
def bars() -> Iterator[Show]:
    """A function that draws bars in bytes, with speed and time left."""
    if not sys.stderr.isatty():
        yield lambda label, n_done, n_total: None
        return
    from rich.console import Console  # 90 ms: only those who look pay for it
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def show(label: str, n_done: int, n_total: int | None) -> None:
            if label not in tasks:
                tasks[label] = progress.add_task(label, total=n_total)
            progress.update(tasks[label], completed=n_done, total=n_total)

        yield show
