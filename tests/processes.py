"""Processes of tests: each leads a group of its own, which ends with the test.

with group(command, stdout=subprocess.PIPE) as process:
    wait_for(lambda: (tmp_path / "begun").exists(), process)
    process.kill()
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

SCRIPT = Path(sys.executable).with_name("memtools")
LONG = 100  # seconds: nothing takes as long, however busy the machine is, unless it hangs


@contextlib.contextmanager
def group(command: Sequence[object], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Yields a process at work; afterwards it and all its children have been ended."""
    words = [str(word) for word in command]
    with subprocess.Popen(words, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[Any]) -> None:
    """Kill whatever lives of the group of a process."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(
    command: Sequence[object], *, timeout: float = LONG, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """Do what subprocess.run does with captured output; no child outlives it."""
    with group(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        stdout, stderr = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def wait_for(
    condition: Callable[[], object], *processes: subprocess.Popen[Any], seconds: float = LONG
) -> None:
    """Wait until a condition holds, or fail; the processes that shall bring it about must live."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for has not come"
        ended = [process for process in processes if process.poll() is not None]
        assert not ended or condition(), f"ended before: {[each.args for each in ended]}"
        time.sleep(0.005)


def lives(process: subprocess.Popen[Any]) -> bool:
    """Return whether any process of a group is still there."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
