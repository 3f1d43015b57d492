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


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_that_a_finalizer_swallows_ends_the_command_all_the_same(
    number: signal.Signals, code: int
) -> None:
    program = f"""
import os, sys, time
import memtools_cli.main as main

class Swallows:
    def __del__(self):
        os.kill(os.getpid(), {number:d})
        time.sleep(0.01)

def work(*_):
    Swallows()
    time.sleep(60)

main.TyperGroup.invoke = work
sys.argv = ["memtools", "list"]
main.app()
"""
    ended = run_python(program)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_else_a_finalizer_raises_is_shown() -> None:
    program = """
import sys
import memtools_cli.main as main

class Fails:
    def __del__(self):
        raise ValueError("a fault")

main.TyperGroup.invoke = lambda *_: Fails() and None
sys.argv = ["memtools", "list"]
main.app()
"""
    assert "ValueError: a fault" in run_python(program).stderr


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
