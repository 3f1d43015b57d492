"""The command as a whole: interrupts from its first moment on, and numbers that are none."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from memtools_cli import main
from typer.testing import CliRunner


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python, in which an interrupt raises KeyboardInterrupt, as at a terminal."""
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    return subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=False
    )


def test_an_interrupt_during_the_imports_shows_no_traceback() -> None:
    ended = run_python("import memtools_cli, os; os.kill(os.getpid(), signal.SIGINT)")
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")


def test_interrupts_raise_again_after_the_imports() -> None:
    code = "import memtools_cli.main; print(signal.getsignal(signal.SIGINT))"
    assert "default_int_handler" in run_python(code).stdout


def test_the_command_can_be_imported_in_a_thread() -> None:
    code = (
        "import threading, importlib;"
        "t = threading.Thread(target=importlib.import_module, args=['memtools_cli.main']);"
        "t.start(); t.join()"
    )
    assert run_python(code).stderr == ""


@pytest.mark.parametrize("where", ["typer.main.get_command", "memtools_cli.main.TyperGroup.invoke"])
def test_an_interrupt_at_any_time_is_told_in_a_line(
    where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for each in ("registered_commands", "registered_groups"):  # of which those not asked for go
        monkeypatch.setattr(main.app, each, getattr(main.app, each))
    monkeypatch.setattr(sys, "argv", ["memtools", "list"])
    monkeypatch.setattr(where, interrupted)
    with pytest.raises(SystemExit) as ended:
        main.app()
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip() == "interrupted; what was done is kept"


def test_an_interrupt_while_options_are_parsed_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    command: Any = typer.main.get_command(main.app)
    monkeypatch.setattr(command, "parse_args", interrupted)
    with pytest.raises(SystemExit) as ended:
        command.main(["list"])
    assert ended.value.code == 130


SWALLOWED = """
import os, sys, time
import memtools_cli.main as main
from memtools.progress import bars

class Swallows:
    def __del__(self):
        os.kill(os.getpid(), {number:d})
        time.sleep(0.01)

def in_a_finalizer():
    Swallows()

def in_an_except_clause():
    try:
        os.kill(os.getpid(), {number:d})
        time.sleep(60)
    except BaseException:
        pass

def work(*_):
    with bars("steps") as show:
        {where}()
        for step in range(600):
            show("training", step, 600)
            time.sleep(0.1)

main.TyperGroup.invoke = work
sys.argv = ["memtools", "list"]
main.app()
"""


@pytest.mark.parametrize("where", ["in_a_finalizer", "in_an_except_clause"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_that_is_swallowed_ends_the_command_at_its_next_step(
    number: signal.Signals, code: int, where: str
) -> None:
    ended = run_python(SWALLOWED.format(number=number, where=where))
    assert ended.returncode == code, ended.stderr


def test_a_signal_does_not_disturb_what_is_done_while_it_ends_a_command() -> None:
    program = """
import os, signal, sys, time
import memtools_cli.main as main
from memtools.progress import bars

def work(*_):
    with bars("steps") as show:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        finally:
            show("cleaning", 1, 2)
            print("cleaned")

main.TyperGroup.invoke = work
sys.argv = ["memtools", "list"]
main.app()
"""
    ended = run_python(program)
    assert (ended.returncode, ended.stdout) == (143, "cleaned\n"), ended.stderr


def options_of(command: Any, name: str = "memtools") -> Iterator[tuple[str, Any]]:
    """Yield every option of a command and of those below it."""
    for each in command.params:
        yield f"{name} {each.name}", each
    for below, each in getattr(command, "commands", {}).items():
        yield from options_of(each, f"{name} {below}")


def test_no_option_takes_nan_for_a_number() -> None:
    reads = 0
    for name, option in options_of(typer.main.get_command(main.app)):
        for kind in getattr(option.type, "types", [option.type]):
            if "float" in kind.name:
                reads += 1
                assert option.callback is not None, name
                nan = float("nan")
                value = nan if option.nargs == 1 and not option.multiple else (nan, 1)
                with pytest.raises(typer.BadParameter):
                    option.callback(None, option, value)
    assert reads > 8


def test_nan_is_refused_in_the_words_of_the_command_line() -> None:
    result = CliRunner().invoke(main.app, ["select", "x.npz", "--closest-to", "nan", "5"])
    assert result.exit_code == 2
    assert "nan is not a number" in result.stderr
