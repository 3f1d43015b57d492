"""The `memtools` command: its groups, its exit codes, its two-line errors.

Results go to stdout, progress and notes to stderr. Exit codes are those of memtools.errors; a
traceback appears only with MEMTOOLS_DEBUG=1. Results that cannot be written are an error: 6 if the
disk is full, 1 if stdout is closed or its reader has ended. Notes that cannot be written are lost.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import signal
import sys
import traceback
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import memtools
from memtools.artifacts.settings import is_set
from memtools.errors import MemtoolsError
from memtools.interrupts import interruptible
from memtools_cli import (
    align,
    artifacts,
    checkpoints,
    compare,
    estimates,
    estimation,
    publication,
    report,
    runs,
    select,
    sweeps,
    tfrecords,
    training,
)
from memtools_cli.output import note, show, show_error
from memtools_cli.streams import checked_streams


class Commands(TyperGroup):
    """All commands; turns what the library raises into two lines and an exit code."""

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run the command line, and end the process with its exit code."""
        with checked_streams():
            raise SystemExit(self._run(*args, **{**options, "standalone_mode": False}))

    def _run(self, *args: Any, **options: Any) -> int:
        """Run the command line, and return its exit code."""
        debug = False
        try:
            debug = is_set("MEMTOOLS_DEBUG")
            return super().main(*args, **options) or 0
        except MemtoolsError as error:
            if debug:
                note(*traceback.format_exc().splitlines())
            show_error(error)
            return error.exit_code
        except typer.Abort:  # interrupted while options are parsed
            return _interrupted()
        except _UsageError as error:
            text = io.StringIO()
            error.show(text)
            note(*text.getvalue().splitlines())
            return int(error.exit_code)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            with interruptible():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            raise SystemExit(_interrupted()) from None


# ClickException: of click, or of the copy that later releases of typer bring.
_UsageError: Any = typer.BadParameter.__mro__[2]


def _interrupted() -> int:
    """Tell of an interrupt, and return its exit code."""
    note("interrupted; what was done is kept")
    return 130


class _Notes(logging.Handler):
    """Shows log records on whatever stderr is now: a progress bar replaces it while it lives."""

    def emit(self, record: logging.LogRecord) -> None:
        note(*self.format(record).split("\n"))


class _Program(typer.Typer):
    """The program; of its commands, only the one that is asked for is built when it starts."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run the command line; to build every command would take longer than many of them do."""
        asked = [each for each in self.registered_commands if _name(each) == sys.argv[1:2]]
        if asked:
            self.registered_commands, self.registered_groups = asked, []
        try:
            return super().__call__(*args, **options)
        except KeyboardInterrupt:  # while commands are built
            raise SystemExit(_interrupted()) from None


def _name(command: Any) -> list[str]:
    return [command.name or command.callback.__name__]


gc.freeze()
gc.enable()
if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
    with contextlib.suppress(ValueError):  # in a thread that is not the main one
        signal.signal(signal.SIGINT, signal.default_int_handler)

app = _Program(
    cls=Commands,
    help="Memorization and influence estimates of neural networks (Feldman & Zhang 2020):"
    " published files, whole and verified.",
    epilog="Environment: MEMTOOLS_CACHE, MEMTOOLS_MIRROR, MEMTOOLS_REGISTRY, MEMTOOLS_OFFLINE,"
    " MEMTOOLS_DEBUG.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
artifacts.add_to(app)
estimates.add_to(app)
align.add_to(app)
select.add_to(app)
compare.add_to(app)
estimation.add_to(app)
publication.add_to(app)
runs.add_to(app)
tfrecords.add_to(app)
training.add_to(app)
sweeps.add_to(app)
checkpoints.add_to(app)
report.add_to(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        show(f"memtools {memtools.__version__}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Set up what every command needs."""
    log = logging.getLogger("memtools")
    log.setLevel(logging.INFO if sys.stderr.isatty() else logging.WARNING)
    log.handlers = [_Notes()]
    log.propagate = False
