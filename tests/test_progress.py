"""Bars on a terminal's standard error, silence anywhere else."""

import os
import pty
import subprocess
import sys

import pytest

from memtools.progress import bars

DRAW = """
import sys
from memtools.progress import bars
with bars() as show:
    for n in range(0, 2_000_001, 500_000):
        show("part [aa]", n, None if n == 0 else 2_000_000)
        show("verifying", n // 2, 2_000_000)
sys.stdout.write("the result\\n")
loaded = "rich" in sys.modules
sys.stdout.write(f"rich: {loaded}\\n")
"""


def on_terminal(code):
    """(stdout, what the terminal on stderr showed) of a process."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:  # Linux: nobody has the other end open any more
            pass
        finally:
            os.close(ours)
        result = process.stdout.read()
    assert process.returncode == 0, shown
    return result.decode(), shown.decode()


@pytest.fixture(scope="module")
def drawn():
    return on_terminal(DRAW)


def test_on_a_terminal_bars_are_drawn(drawn):
    _, shown = drawn
    assert "verifying" in shown
    assert "2.0/2.0 MB" in shown


def test_bars_are_drawn_on_standard_error_only(drawn):
    result, _ = drawn
    assert result.splitlines() == ["the result", "rich: True"]


def test_brackets_in_a_name_are_not_markup(drawn):
    assert "part [aa]" in drawn[1]


def test_the_cursor_is_given_back_at_the_end(drawn):
    shown = drawn[1]
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")


def test_without_a_terminal_nothing_is_written_and_no_drawing_library_loaded():
    command = [sys.executable, "-c", DRAW]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["the result", "rich: False"]


def test_without_a_terminal_showing_is_allowed_all_the_same(capsys):
    with bars() as show:
        show("a", 1, 2)
        show("a", 2, None)
    assert capsys.readouterr() == ("", "")


def test_a_failure_inside_comes_out_unchanged():
    with pytest.raises(KeyError, match="mine"), bars():
        raise KeyError("mine")


def test_bars_within_bars_go_away_with_their_work():
    code = """
from memtools.progress import bars
with bars("runs") as show:
    show("training", 1, 4, "accuracy 0.93")
    for run in range(2):
        with bars("steps") as inner:
            inner(f"run {run}", 50, 100)
    show("training", 4, 4)
"""
    _, shown = on_terminal(code)
    assert "1/4 runs" in shown or "4/4 runs" in shown
    assert shown.count("\x1b[?25h") == 1  # one display


def test_a_worker_draws_nothing():
    code = """
from memtools import progress
progress.hush()
with progress.bars("runs") as show:
    show("training", 1, 4)
"""
    assert on_terminal(code)[1] == ""


def test_without_standard_error_there_are_no_bars_and_no_failure():
    code = """
from memtools.progress import bars, silence
with silence(), bars() as show:
    show("part", 1, 2)
print("done")
"""
    command = ["bash", "-c", '"$0" -c "$1" 2>&-', sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "done\n")
