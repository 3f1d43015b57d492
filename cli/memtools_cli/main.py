"""The `memtools` command: its groups, its exit codes, its two-line errors.

Results go to stdout, progress and notes to stderr. Exit codes are those of
memtools.errors; a traceback appears only with MEMTOOLS_DEBUG=1.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import memtools
from memtools.artifacts.settings import is_set
from memtools.errors import MemtoolsError
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


class Commands(TyperGroup):
    """All commands; turns what the library raises into two lines and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
                signal.signal(number, _end)
        debug = False
        try:
            debug = is_set("MEMTOOLS_DEBUG")
            return super().invoke(ctx)
        except MemtoolsError as error:
            if debug:
                traceback.print_exc()
            _complain(error)
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt:
            print("interrupted; what was done is kept", file=sys.stderr)
            raise SystemExit(130) from None
        except BrokenPipeError:  # the reader of our output has gone; there is nobody to tell
            sys.stderr.close()
            raise SystemExit(1) from None


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _complain(error: MemtoolsError) -> None:
    print(f"error: {error}", file=sys.stderr)
    if error.hint:
        print(f"       {error.hint}", file=sys.stderr)


class _Notes(logging.Handler):
    """Prints notes to whatever stderr is now: a progress bar replaces it while it lives."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


gc.freeze()
gc.enable()

app = typer.Typer(
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
        print(f"memtools {memtools.__version__}")
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
