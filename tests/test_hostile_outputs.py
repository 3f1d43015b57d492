"""Whatever lies where a command writes: files of the user's own, planted links, a second writer.

The names that a command makes up are not listed here but seen: an audit hook notes what each
command opens for writing, renames and links.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from memtools_cli.main import app
from typer.testing import CliRunner
from worlds import artifact, noise, published_arrays, write_registry

from memtools.errors import DiskError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates
from memtools.outputs import output_file
from memtools.temporary_files import OWNER, nobody, temporary_name

SCRIPT = Path(sys.executable).with_name("memtools")
SIZE = 100_000
OUTS = ("out.csv", "out.npz", "out.json", "forget.json", "forget.npy", "site", "report", "files")
ABOUT = About(
    dataset="mine",
    order="file",
    definition="by class; 400 runs, ratio 0.7",
    direction="high memorization = atypical",
)
_seen: set[str] | None = None


def _note(event: str, arguments: tuple[object, ...]) -> None:
    """Note the names that are opened for writing, renamed to or linked to."""
    if _seen is None:
        return
    if event == "open" and isinstance(arguments[0], str | os.PathLike):
        flags = arguments[2]
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _seen.add(os.fspath(arguments[0]))
    elif event in ("os.rename", "os.link"):
        _seen.update(str(each) for each in arguments[:2])


sys.addaudithook(_note)


def make_world(root: Path) -> Path:
    """Files for every command; the folders that commands write to are in `root / place`."""
    (root / "place").mkdir(parents=True)
    Estimates(published_arrays([4, 6, 5], 5), ABOUT).save(root / "estimates.npz")
    np.savez(root / "other.npz", scores=np.linspace(1, 0, 15))
    data = noise(SIZE)
    (root / "a.bin").write_bytes(data)
    write_registry(root / "registry.toml", artifact(["a.bin"], [data]))
    return root


def commands(root: Path) -> dict[str, list[str]]:
    """Every command that writes a result, by what it writes."""
    place, estimates = root / "place", str(root / "estimates.npz")
    registry = ["--registry", str(root / "registry.toml")]
    return {
        "out.csv": ["export", estimates, "--out", str(place / "out.csv")],
        "out.json": ["export", estimates, "--out", str(place / "out.json")],
        "out.npz": ["export", estimates, "--out", str(place / "out.npz")],
        "forget.json": ["select", estimates, "--top", "3", "--out", str(place / "forget.json")],
        "forget.npy": ["select", estimates, "--top", "3", "--out", str(place / "forget.npy")],
        "site": ["publish", estimates, "--to", str(place / "site"), "--name", "mine"],
        "report": ["report", estimates, "--to", str(place / "report")],
        "files": ["fetch", "thing", *registry, "--to", str(place / "files")],
    }


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return make_world(tmp_path / "world")


def invoke(arguments: list[str]) -> int:
    """Run a command in this process; no traceback."""
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code


def names_written(root: Path, out: str) -> set[str]:
    """What a command writes in its place, relative to it, without what no one can guess."""
    global _seen
    _seen = set()
    try:
        assert invoke(commands(root)[out]) == 0
    finally:
        names, _seen = _seen, None
    place = root / "place"
    inside = {
        Path(os.path.relpath(name, place)).as_posix()
        for name in names
        if Path(name).is_absolute() and Path(name).is_relative_to(place)
    }
    assert any(OWNER.search(name) for name in inside), inside
    return {name for name in inside if not OWNER.search(name)} - {"."}


@pytest.mark.parametrize("out", OUTS)
def test_no_command_writes_through_a_planted_link(world: Path, out: str, tmp_path: Path) -> None:
    names = names_written(world, out)
    assert names
    # and those of earlier versions, and of other tools
    target = {"site": "site/mine.npz", "files": "files/thing.npz"}.get(out, out)
    folder, name = os.path.split(target)
    guesses = [f"{name}.tmp", f".{name}.tmp", f".{name}.old", f".{name}.lock", f".{name}.part"]
    guesses += [f"{name}.part", f"{name}.part.json", f"{name}.part.lock", f".{name}.receipt.json"]
    names |= {os.path.join(folder, guess) for guess in guesses}
    for n, name in enumerate(sorted(names - {out})):
        again = make_world(tmp_path / str(n))
        victim = again / "victim"
        victim.write_bytes(b"precious")
        planted = again / "place" / name
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.symlink_to(victim)
        code = invoke(commands(again)[out])
        assert victim.read_bytes() == b"precious", name
        assert code in (0, 2, 6), name
        if code == 0 and out == "files":
            assert not (again / "place" / "files" / "thing.npz").is_symlink()
        shutil.rmtree(again)


def bystanders(out: str) -> list[str]:
    """Files that a user may have beside a result of that name."""
    folder, name = ("files/", "thing.npz") if out == "files" else ("", out)
    kinds = ["{}.tmp", ".{}.tmp", ".{}.old", ".{}.lock", "{}.part", "{}.part.json", "{}.bak"]
    return [folder + kind.format(name) for kind in (*kinds, ".{}.1-2-3-4.tmp")]


@pytest.mark.parametrize("out", OUTS)
def test_files_of_the_user_beside_a_result_survive_every_command(world: Path, out: str) -> None:
    place = world / "place"
    for name in bystanders(out):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(name)
    assert invoke(commands(world)[out]) == 0
    for name in bystanders(out):
        assert (place / name).read_text() == name


@pytest.mark.parametrize("out", ["out.csv", "out.npz", "forget.json", "site", "report"])
def test_no_command_writes_among_the_records_of_a_store(world: Path, out: str) -> None:
    records = world / "place" / "records"
    records.mkdir()
    (world / "place" / "sweep.toml").touch()
    command = [each.replace("/place/", "/place/records/") for each in commands(world)[out]]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 6
    if out == "site":  # of which `records` is the name of the directory itself, too
        command[command.index("--to") + 1] = str(records)
        assert invoke(command) == 6
    assert list(records.iterdir()) == []


def test_clean_removes_temporary_files_of_dead_processes_and_no_others(world: Path) -> None:
    cache = world / "place" / "files"
    cache.mkdir()
    orphan = cache / f".thing.npz.receipt.json.{nobody()}.tmp"
    stay = [cache / "mine.tmp", cache / ".thing.npz.tmp", cache / "thing.npz.part"]
    stay += [temporary_name(cache / "thing.npz"), cache / ".a.0badf00d-1-1-beef.tmp"]
    for path in (orphan, *stay):
        path.write_bytes(b"content")
    assert invoke(["clean", "--to", str(cache), "--registry", str(world / "registry.toml")]) == 0
    assert set(cache.iterdir()) == set(stay)


# ---- two writers

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [str(SCRIPT), *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("out", ["out.csv", "out.npz", "forget.json"])
def test_of_twins_with_one_out_both_succeed_and_one_result_is_there(
    world: Path, out: str, start: Start
) -> None:
    place, command = world / "place", commands(world)[out]
    results = []
    variants = [command, [*command[:1], str(world / "other.npz"), *command[2:]]]
    for variant in variants:
        assert invoke(variant) == 0
        results.append({path.name: path.read_bytes() for path in place.iterdir()})
        for path in place.iterdir():
            path.unlink()
    twins = [start(*variant) for variant in (*variants, *variants)]
    assert [(twin.wait(60), twin.stderr.read()) for twin in twins if twin.stderr] == [(0, "")] * 4
    left = {path.name: path.read_bytes() for path in place.iterdir()}
    assert left.keys() == results[0].keys()
    for content in left.values():  # a manifest names the time of its selection
        assert b"precious" not in content
    if out == "forget.json":
        manifest = json.loads(left["forget.json.manifest.json"])
        assert json.loads(left[out])["manifest"] == manifest
    else:
        assert left in results


@pytest.mark.parametrize("out", ["site", "report"])
def test_of_twins_with_one_directory_one_succeeds_and_it_is_whole(
    world: Path, out: str, start: Start
) -> None:
    place, command = world / "place", commands(world)[out]
    assert invoke(command) == 0
    whole = {
        path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()
    }
    shutil.rmtree(place / out)
    twins = [start(*command) for _ in range(2)]
    codes = sorted(twin.wait(90) for twin in twins)
    assert codes[0] == 0 and set(codes) <= {0, 6, 7}
    left = {
        path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()
    }
    assert left == whole


@pytest.mark.parametrize("name", ["sweep.toml", "examples.npz", "config.toml", "asked.json"])
@pytest.mark.parametrize("linked", [False, True])
def test_no_result_replaces_a_file_of_a_store(world: Path, name: str, linked: bool) -> None:
    store = world / "place"
    (store / "sweep.toml").write_text("of the store")
    (store / name).write_text("of the store")
    out = store / name.upper()  # which is the same name on some disks
    if linked:
        out = world / "link"
        out.symlink_to(store / name)
    with pytest.raises(DiskError, match="belongs to a store of runs"):
        output_file(out)


def test_select_refuses_a_file_of_a_store(world: Path) -> None:
    for name in ("sweep.toml", "asked.json"):
        (world / "place" / name).write_text("of the store")
    estimates, out = str(world / "estimates.npz"), str(world / "place" / "asked.json")
    assert invoke(["select", estimates, "--top", "3", "--out", out]) == 6
    assert (world / "place" / "asked.json").read_text() == "of the store"


@pytest.mark.parametrize(
    "command",
    [
        ["export", "a.csv", "--out", "a.csv"],
        ["export", "a.csv", "--index", "at.json", "--out", "at.json"],
        ["align", "a.npz", "--order", "official", "--out", "a.npz"],
        ["align", "a.npz", "--to", "b.csv", "--out", "b.csv"],
        ["select", "a.csv", "--top", "3", "--out", "link.csv"],
        ["select", "a.csv", "--top", "3", "--out", "./../here/a.csv"],
        ["select", "a.csv", "--top", "3", "--within", "at.json", "--out", "at.json"],
        ["select", "--replay", "s.json.manifest.json", "--out", "s.json.manifest.json"],
        ["pairs", "a.npz", "--out", "a.npz"],
    ],
)
def test_no_command_replaces_its_input(
    world: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    shutil.copy(world / "estimates.npz", "a.npz")
    assert invoke(["export", "a.npz", "--out", "a.csv"]) == 0
    Path("link.csv").symlink_to("a.csv")
    Path("b.csv").write_text("file\n" + "".join(f"{i}.png\n" for i in range(15)))
    Path("at.json").write_text(json.dumps(list(range(15))))
    assert invoke(["select", "a.npz", "--top", "3", "--out", "s.json"]) == 0
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 2
    assert "an input of this command" in result.stderr
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


def test_a_replay_may_write_what_was_selected_once_more(world: Path) -> None:
    out = world / "place" / "s.json"
    assert invoke(["select", str(world / "estimates.npz"), "--top", "3", "--out", str(out)]) == 0
    before = out.read_bytes()
    out.unlink()
    assert invoke(["select", "--replay", f"{out}.manifest.json", "--out", str(out)]) == 0
    assert out.read_bytes() == before


@pytest.mark.parametrize("out", OUTS)
def test_commands_in_a_directory_that_was_removed_end_in_two_lines(world: Path, out: str) -> None:
    command = [each.replace(f"{world}/place/", "") for each in commands(world)[out]]
    gone = world / "gone"
    gone.mkdir()
    ended = subprocess.run(
        ["/bin/sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", str(SCRIPT), *command],
        cwd=gone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 6, ended.stderr
    assert len(ended.stderr.splitlines()) == 2, ended.stderr
