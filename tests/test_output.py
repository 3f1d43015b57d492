"""Output of the command line: foreign text escaped, and nothing lost without an exit code."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from memtools_cli.main import app
from memtools_cli.output import note, print_table, show, show_error, show_json
from processes import SCRIPT

import memtools
from memtools.errors import ConfigError, MemtoolsError
from memtools.estimates.about import About
from memtools.estimates.scores import Scores
from memtools.estimates.tables import write_scores

ROOT = typer.main.get_command(app)
HOSTILE = "a\x1b[2J\rb\nc\td\x7f\u202ee\udcff"
SHOWN = r"a\x1b[2J\rb\nc\td\x7f\u202ee\udcff"


def walk(command: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command, as it is typed."""
    yield name
    for key, each in getattr(command, "commands", {}).items():
        yield from walk(each, (*name, key))


COMMANDS = list(walk(ROOT))


# ---- foreign text


def test_a_line_of_results_and_a_note_show_foreign_text_escaped(capsys: Any) -> None:
    show(f"{HOSTILE}: verified", "another")
    note(HOSTILE)
    shown = capsys.readouterr()
    assert shown.out == f"{SHOWN}: verified\nanother\n"
    assert shown.err == f"{SHOWN}\n"


def test_a_cell_of_a_table_is_one_line_without_tabs(capsys: Any) -> None:
    print_table(("name", "size"), [(HOSTILE, "1")])
    assert capsys.readouterr().out == f"name\tsize\n{SHOWN}\t1\n"


def test_an_error_keeps_its_own_lines_and_no_foreign_one(capsys: Any) -> None:
    show_error(MemtoolsError("one:\n  two\x1b[2J", hint="do \x07this"))
    assert capsys.readouterr().err == "error: one:\n  two\\x1b[2J\n       do \\x07this\n"


@pytest.mark.parametrize("indent", [None, 1])
def test_json_holds_the_true_values_and_no_control_character(
    indent: int | None, capsys: Any
) -> None:
    show_json({HOSTILE: [HOSTILE]}, indent=indent)
    shown = capsys.readouterr().out
    assert json.loads(shown) == {HOSTILE: [HOSTILE]}
    assert not set(shown) & set(HOSTILE[1:2] + "\r\t\x7f\u202e\udcff")


@pytest.fixture
def hostile_file(tmp_path: Path) -> bytes:
    """The path of scores whose name is not UTF-8 and holds an escape sequence."""
    path = os.fsencode(tmp_path) + b"/s\xff\x1b[2J.npy"
    with open(path, "wb") as file:
        np.save(file, np.linspace(0, 1, 50))
    return path


def run(*arguments: bytes | str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [os.fsencode(each) for each in (SCRIPT, *arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, **options)


DECLARED = ("--dataset", "mine", "--order", "file", "--direction", "atypical")


def test_a_file_whose_name_is_not_utf8_is_read_shown_and_written(
    hostile_file: bytes, tmp_path: Path
) -> None:
    shown = run("info", hostile_file, "--json", *DECLARED)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["about"]["source"] == os.fsdecode(hostile_file)
    for ending in ("csv", "json", "tsv", "npz", "parquet"):
        out = os.fsencode(tmp_path) + b"/o\xfe." + ending.encode()
        done = run("export", hostile_file, "--out", out, *DECLARED)
        assert b"Traceback" not in done.stderr
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(rf"/o\udcfe.{ending}".encode() + b"\n")
        assert os.path.exists(out)


def test_an_error_about_a_file_whose_name_is_not_utf8_is_two_lines(tmp_path: Path) -> None:
    done = run("verify", os.fsencode(tmp_path) + b"/\xff\x1b[2J.npz")
    assert done.returncode == 6
    assert rb"\udcff\x1b[2J.npz" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_an_unknown_option_is_shown_escaped() -> None:
    done = run("fetch", "--\x1b[2J")
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr
    assert b"No such option: --" in done.stderr  # the rest escaped, or left out before typer 0.27


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}])
def test_a_terminal_that_knows_ascii_only_ends_in_no_traceback(
    variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "é.csv").write_text("score\n" + "0.5\n" * 20)
    done = run("info", str(tmp_path / "é.csv"), env={**os.environ, **variables})
    assert done.returncode == 0, done.stderr
    assert b"\xe9.csv" in done.stdout.replace(rb"\xe9", b"\xe9").replace("é".encode(), b"\xe9")


def test_on_a_terminal_a_table_and_bars_show_foreign_text_escaped() -> None:
    code = """
from memtools.progress import bars
from memtools_cli.output import print_table
with bars() as show:
    show("part \\x1b]0;evil\\x07", 1, 2)
print_table(("name",), [("cell \\x1b]0;evil\\x07",)])
"""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while data := os.read(ours, 65536):
                seen += data
        except OSError:  # Linux: nobody has the other end open any more
            pass
        finally:
            os.close(ours)
    assert process.returncode == 0, seen
    assert seen.count(rb"\x1b]0;evil\x07") >= 2
    assert b"\x1b]0;" not in seen


@pytest.mark.parametrize("ending", ["npz", "csv", "tsv", "json", "parquet"])
def test_names_and_facts_that_are_not_utf8_are_escaped_in_files_that_can_be_read_again(
    ending: str, tmp_path: Path
) -> None:
    about = About(dataset=HOSTILE, order="file", definition=HOSTILE, source=HOSTILE)
    names = np.array([f"{k}{HOSTILE}" for k in range(9)])
    scores = Scores(about, "memorization", np.linspace(0, 1, 9), None, names)
    write_scores(tmp_path / f"o.{ending}", scores)
    loaded = memtools.load(tmp_path / f"o.{ending}")
    assert loaded.filenames.tolist() == [name.replace("\udcff", r"\udcff") for name in names]
    assert loaded.about.definition == HOSTILE.replace("\udcff", r"\udcff")


@pytest.mark.parametrize("ending", ["npy", "txt", "csv", "json"])
def test_a_selection_of_names_that_are_not_utf8_is_written(ending: str, tmp_path: Path) -> None:
    names = np.array([f"{k}{HOSTILE}" for k in range(9)])
    about = About(dataset=HOSTILE, order="file", source=HOSTILE)
    scores = Scores(about, "memorization", np.linspace(0, 1, 9), None, names)
    memtools.select(scores, memtools.top(2)).save(tmp_path / f"s.{ending}")
    assert (tmp_path / f"s.{ending}").stat().st_size > 0


def test_a_report_and_a_publication_of_hostile_facts_hold_no_control_character(
    tmp_path: Path,
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    np.save(tmp_path / "scores.npy", np.linspace(0, 1, 50))
    scores = memtools.load(tmp_path / "scores.npy", order="file", direction="atypical")
    about = dataclasses.replace(scores.about, dataset=HOSTILE, definition=HOSTILE)
    hostile = dataclasses.replace(scores, about=about, quantity=f"$\\frac$ {HOSTILE}")
    written = memtools.write_report(hostile, tmp_path / "report", figures=True)
    memtools.publish(tmp_path / "scores.npy", tmp_path / "site", about=about)
    for path in (written.page, *(tmp_path / "site").glob("*.*")):
        if path.suffix != ".npy":
            text = path.read_text("utf-8")
            assert "\x1b" not in text and "\u202e" not in text, path
    assert memtools.verify(tmp_path / "site" / "site.npy")


def test_a_figure_with_a_dollar_in_a_name_is_not_a_formula(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from memtools.report import figures

    x = np.linspace(0, 1, 9)
    figures.scatter(x, x, ("a$\\frac$.npy", HOSTILE), "$x_{$", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ConfigError, match="names no format of figures"):
        figures.scatter(x, x, ("a", "b"), "c", tmp_path / "a.foo")
    assert not (tmp_path / "a.foo").exists()


# ---- standard output that takes nothing


def outcome(*arguments: str) -> int:
    """The exit code of the command line in this process."""
    with pytest.raises(SystemExit) as end:
        ROOT.main(list(arguments), prog_name="memtools")
    return int(end.value.code or 0)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_that_a_full_disk_cannot_take_is_an_error(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert outcome(*command, "--help") == 6
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 2
    assert "the disk is full" in error[0]


LOST = [
    ("> /dev/full", 6, "the disk is full"),
    (">&-", 1, "standard output is closed"),
    ("| true", 1, "its reader has ended"),
]


@pytest.mark.parametrize(("where", "code", "words"), LOST, ids=[each[0] for each in LOST])
@pytest.mark.parametrize("arguments", ["--version", "list", "list --json", "info scores.npy"])
def test_results_that_are_lost_are_an_error_of_two_lines(
    arguments: str, where: str, code: int, words: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "scores.npy", np.linspace(0, 1, 50))
    script = f"{SCRIPT} {arguments} {where}"
    if where == "| true":  # the command begins when its reader has ended
        script = "exec 3> >(true); while kill -0 $! 2> /dev/null; do sleep 0.01; done;"
        script += f"{SCRIPT} {arguments} >&3"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert words in done.stderr


def test_what_a_command_did_before_its_output_was_lost_is_kept(tmp_path: Path) -> None:
    np.save(tmp_path / "scores.npy", np.linspace(0, 1, 50))
    script = f"{SCRIPT} export scores.npy --out scores.csv {' '.join(DECLARED)} > /dev/full"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 6
    assert (tmp_path / "scores.csv").read_text().count("\n") == 51


@pytest.mark.parametrize("where", ["2>&-", "2> /dev/full", "<&- 2>&-"])
def test_notes_that_are_lost_change_no_exit_code(where: str, tmp_path: Path) -> None:
    good = f"{SCRIPT} --version {where}"
    done = subprocess.run(["bash", "-c", good], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout[:9]) == (0, "memtools ")
    for bad, code in (("info there-is-no-such-name", 2), ("list --no-such-option", 2)):
        failing = f"{SCRIPT} {bad} {where}"
        done = subprocess.run(["bash", "-c", failing], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (code, "")


def test_no_file_is_written_in_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """The first file that is opened would take the number of standard output or error."""
    np.save(tmp_path / "scores.npy", np.linspace(0, 1, 50))
    script = f"{SCRIPT} export scores.npy --out %s {' '.join(DECLARED)} %s"
    for name, where in (("a.csv", ""), ("b.csv", "<&- >&- 2>&-")):
        subprocess.run(["bash", "-c", script % (name, where)], cwd=tmp_path, timeout=60)
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


def test_after_a_failure_nothing_more_is_written() -> None:
    from memtools_cli.streams import _Checked, _raise_lost

    class Flaky(io.StringIO):
        def write(self, text: str) -> int:
            if text == "two":
                raise OSError(28, "No space left on device")
            return super().write(text)

    stream = Flaky()
    checked = _Checked(stream, _raise_lost)
    checked.write("one")
    for text in ("two", "three"):
        with pytest.raises(MemtoolsError, match="full"):
            checked.write(text)
    assert stream.getvalue() == "one"
