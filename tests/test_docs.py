"""What is not documented is not there: help, README, changelog."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from memtools_cli.main import app

import memtools
from memtools.artifacts.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SOURCES = [
    path.relative_to(ROOT).as_posix()
    for folder in ("memtools", "cli")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.name != "__init__.py"
]


def walk(command: Any, name: str = "memtools") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its full name."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for each in command.commands.values():
        yield from walk(each, f"{name} {each.name}")


ROOT_COMMAND = typer.main.get_command(app)
COMMANDS = dict(walk(ROOT_COMMAND))


def groups(command: Any, name: str = "memtools") -> Iterator[tuple[str, Any]]:
    """Every group of commands."""
    if hasattr(command, "commands"):
        yield name, command
        for each in command.commands.values():
            yield from groups(each, f"{name} {each.name}")


def test_the_commands_are_found() -> None:
    assert {"memtools list", "memtools fetch", "memtools join", "memtools verify"} <= set(COMMANDS)
    assert len(SOURCES) > 15


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_at_least_one_sentence(name: str) -> None:
    text = " ".join((COMMANDS[name].help or "").split())
    assert re.match(r"[A-Z].{9,}?\.( |$)", text), f"{name}: {text!r}"


@pytest.mark.parametrize("name", [name for name, _ in groups(ROOT_COMMAND)])
def test_every_group_of_commands_has_help(name: str) -> None:
    assert len((dict(groups(ROOT_COMMAND))[name].help or "").split()) >= 3


@pytest.mark.parametrize("name", ["memtools", *COMMANDS])
def test_every_option_and_argument_has_help(name: str) -> None:
    command = ROOT_COMMAND if name == "memtools" else COMMANDS[name]
    mute = [each.name for each in command.params if not (getattr(each, "help", "") or "").strip()]
    assert not mute


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_readme(name: str) -> None:
    assert re.search(rf"`{re.escape(name)}[`\s]", README), f"README.md does not mention `{name}`"


def map_of_the_files() -> set[str]:
    """The files that the README's table lists, each under the folder above it."""
    found, folder = set(), ""
    for line in README.splitlines():
        if row := re.match(r"\| \*\*`([\w./]+/)`\*\* \|", line):
            folder = row[1]
        elif row := re.match(r"\| (`.+`) \|", line):
            found |= {
                folder.removesuffix("/") + "/" + name
                for name in re.findall(r"`([\w./]+\.\w+)`", row[1])
            }
    return found


@pytest.mark.parametrize("path", SOURCES)
def test_every_file_is_on_the_map_in_the_readme(path: str) -> None:
    assert path in map_of_the_files(), f"README.md does not say what {path} holds"


def test_the_map_in_the_readme_names_no_file_that_is_not_there() -> None:
    mapped = [path for path in map_of_the_files() if path.startswith(("memtools/", "cli/"))]
    assert mapped
    assert [path for path in mapped if not (ROOT / path).is_file()] == []


def test_every_exit_code_and_every_environment_variable_stands_in_the_readme() -> None:
    from memtools import errors

    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    codes = {each.exit_code for each in kinds if issubclass(each, errors.MemtoolsError)}
    assert [code for code in codes if not re.search(rf"^\| {code} \|", README, re.MULTILINE)] == []
    source = "".join((ROOT / path).read_text("utf-8") for path in SOURCES)
    variables = set(re.findall(r"MEMTOOLS_[A-Z]+", source))
    assert variables
    assert [each for each in variables if f"`{each}`" not in README] == []


def test_the_changelog_has_the_current_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(rf"^## \[?{re.escape(memtools.__version__)}\b", changelog, re.MULTILINE)


def test_the_citation_has_the_current_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.findall(r"^version: *(\S+)$", citation, re.MULTILINE) == [memtools.__version__]


def test_the_registry_that_the_readme_shows_is_a_registry(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "registry.toml").write_text(example)
    settings = Settings.of(registries=[tmp_path / "registry.toml"], offline=True)
    found = settings.registry()["my-influence"]
    assert [part.path for part in found.parts] == [
        tmp_path / "my_influence_aa.bin",
        tmp_path / "my_influence_ab.bin",
    ]


def test_ci_finds_the_two_commands_that_the_readme_shows() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    [function] = re.findall(r"^readme\(\) .*$", script, re.MULTILINE)
    for name, word in {"main": "memtools demo", "tests": "pytest"}.items():
        assert re.search(rf"^readme {name}\b", script, re.MULTILINE)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{function}\nreadme {name}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        [command] = done.stdout.splitlines()
        assert command.startswith("pip install ")
        assert word in command
