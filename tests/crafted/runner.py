"""Files that nobody wrote by accident: a seed makes one, commands meet it, and all must hold.

    python -m crafted.runner numbers 0:500        # prints each fault as a line of JSON

A fault is an exception, an unknown exit code, more than a few lines of output for an error, control
characters in it, advice to allow pickles, a case that takes too long or too much memory, or a file
that `verify` accepts and another command cannot use. The kinds are functions of numbers.py and
stored.py.
"""

from __future__ import annotations

import faulthandler
import functools
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

CODES = {0, 1, 2, 3, 4, 5, 6, 7}
SECONDS = 20  # a case
MEBIBYTES = 300  # above what the process had before the case
LINES, CHARACTERS = 10, 4_000  # of an error, with the notes before it
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class HungError(BaseException):
    """The alarm rang: no `except Exception` may hide it."""


def run(kind: str, seeds: range) -> list[dict[str, object]]:
    """Run the cases of some seeds, and return the faults."""
    from crafted import numbers, stored
    from crafted.base import Base

    craft = getattr(numbers, kind, None) or getattr(stored, kind)
    faults = []
    with tempfile.TemporaryDirectory(prefix="crafted-") as directory:
        root = Path(directory)
        base = Base.write(root / "base")
        os.environ["MEMTOOLS_CACHE"] = str(root / "cache")
        os.chdir(root)  # what a command writes without being told goes there
        _warm_up(kind, base)
        for seed in seeds:
            scratch = root / "case"
            scratch.mkdir()
            rng = random.Random(f"{kind} {seed}")
            with warnings.catch_warnings(action="ignore"):  # names that come twice, for example
                what, commands = craft(rng, base, scratch)
            said = {"kind": kind, "seed": seed, "what": what}
            faults += [said | fault for fault in _check(commands, scratch)]
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.rmtree(root / "cache", ignore_errors=True)
    return faults


def _warm_up(kind: str, base) -> None:
    """Import what commands import: that is not the memory of a case."""
    if kind == "others":  # they import TensorFlow
        _invoke(["train", "digits-demo", "--set", "dataset=x", "--runs", "0", "--to", "none"])
    for path in base.numbers.values():
        _invoke(["verify", str(path)])
        for ending in ("csv", "parquet"):
            _invoke(["export", str(path), "--out", str(base.root / f"warm.{ending}")])


def _check(commands, scratch: Path):
    """Yield what is wrong with the answers to some commands."""
    accepted = False
    for command in commands:
        must = command[0] == "!"  # only where verify has accepted the file
        arguments = [str(each) for each in command[must:]]
        if must and not accepted:
            continue
        before = _peak(reset=True)
        code, output, error = _invoke(arguments)
        used = (_peak() - before) / 1024
        verdicts = list(_verdicts(code, output, error, must, used))
        if arguments[0] == "verify":
            accepted = code == 0
        for verdict in verdicts:
            yield {"command": arguments, "fault": verdict, "output": output[-600:], "trace": error}


def _verdicts(code, output, error, must, used):
    if error:
        yield error.strip().splitlines()[-1][:200]
    elif code not in CODES:
        yield f"exit code {code}"
    elif must and code and "as another column of the table" not in output:  # its hint: .npz
        yield f"verify accepts it, and this command ends with {code}"
    if code and (output.count("\n") > LINES or len(output) > CHARACTERS):
        yield f"{output.count(chr(10))} lines, {len(output)} characters"
    if code == 0 and len(output) > 20 * CHARACTERS:
        yield f"{len(output)} characters"
    if _CONTROL.search(output):
        yield f"control characters: {_CONTROL.findall(output)[:3]}"
    if "Traceback" in output:
        yield "a traceback in the output"
    if "allow_pickle" in output and "convert it" not in output:
        yield "advice to allow pickles"
    if used > MEBIBYTES:
        yield f"{used:.0f} MiB of memory"


def _invoke(arguments: list[str]) -> tuple[int, str, str]:
    """Return the exit code, the output, and the traceback of what is not a SystemExit."""
    from typer import testing

    testing._get_command = _command

    def ring(*_: object) -> None:
        raise HungError(f"{SECONDS} s are over")

    signal.signal(signal.SIGALRM, ring)
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        result = testing.CliRunner().invoke(None, arguments)
    except HungError:
        return 0, "", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
    error = ""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        error = "".join(traceback.format_exception(result.exception))
    return result.exit_code, result.output, error


@functools.cache
def _command(_: object) -> object:
    """Return the command, which takes longer to build (80 ms) than most cases to run."""
    from memtools_cli.main import app
    from typer.main import get_command

    return get_command(app)


def _peak(*, reset: bool = False) -> int:
    """Return the KiB of the largest (reset: present) resident set; 0 where Linux does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])


if __name__ == "__main__":
    warnings.simplefilter("error")
    start, _, stop = sys.argv[2].partition(":")
    for each in run(sys.argv[1], range(int(start), int(stop))):
        print(json.dumps(each))
