"""list, fetch, join, verify, clean: what they print, where, and how they end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_server import FaultServer
from processes import LONG, group, wait_for
from worlds import artifact, md5, noise, write_registry

SCRIPT = Path(sys.executable).with_name("memtools")
Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]
PARTS = ["thing_aa.bin", "thing_ab.bin"]
GROUPS = '[groups]\nboth = ["thing", "other"]\n'


class World:
    """Two published files, `thing` in two parts and `other`, and a directory for them."""

    def __init__(self, tmp_path: Path, server: FaultServer, memtools: Run) -> None:
        self.tmp_path = tmp_path
        self.server = server
        self.memtools = memtools
        self.contents = [noise(150_000, 1), noise(120_000, 2)]
        self.other = noise(1000, 3)
        for name, data in zip([*PARTS, "other.bin"], [*self.contents, self.other], strict=True):
            (server.directory / name).write_bytes(data)
        self.registry = write_registry(
            server.directory / "registry.toml",
            GROUPS,
            artifact(PARTS, self.contents),
            artifact(["other.bin"], [self.other], name="other", file="other.bin"),
        )
        self.to = tmp_path / "to"

    @property
    def whole(self) -> bytes:
        return b"".join(self.contents)

    @property
    def where(self) -> list[object]:
        return ["--registry", self.registry, "--to", self.to]

    def mirror(self, *faults: str) -> list[object]:
        return ["--mirror", self.server.base + "".join(f"/f/{fault}" for fault in faults)]

    def run(self, command: str, *arguments: object, **options: Any) -> Done:
        return self.memtools(command, *arguments, *self.where, **options)

    def fetch(self, *names: str, faults: tuple[str, ...] = ()) -> Done:
        return self.run("fetch", *names, *self.mirror(*faults))

    def listed(self) -> dict[str, dict[str, Any]]:
        done = self.run("list", "--json")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return {item["name"]: item for item in json.loads(done.stdout)}

    @property
    def n_requests(self) -> int:
        return len(self.server.log())


@pytest.fixture
def world(tmp_path: Path, server: FaultServer, memtools: Run) -> World:
    return World(tmp_path, server, memtools)


def assert_fails(done: Done, code: int, *words: str) -> None:
    """Exactly two lines on stderr, nothing on stdout, and the code."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    what, hint = done.stderr.splitlines()
    assert what.startswith("error: ")
    assert hint.startswith("       ")
    assert hint.strip()
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in what


# -- list


def test_list_shows_what_there_is_and_what_is_here(world: World) -> None:
    assert world.fetch("other").returncode == 0
    done = world.run("list")
    assert (done.returncode, done.stderr) == (0, "")
    table, _, rest = done.stdout.partition("\n\n")
    rows = {cells[0]: cells for cells in (line.split("\t") for line in table.splitlines())}
    assert {"name", "cifar100-pairs", "imagenet-influence", "thing", "other"} <= set(rows)
    assert rows["thing"][1:4] == ["270.0 kB", "official", "-"]
    assert rows["other"][1:4] == ["1,000 B", "official", "verified"]
    assert str(world.to) in rest
    assert "group both: thing, other" in rest


def test_list_tells_verified_half_done_unverified_and_absent_apart(world: World) -> None:
    assert {item["state"] for item in world.listed().values()} == {"absent"}
    assert world.fetch("other").returncode == 0
    refuse = "truncate-at/100000", "after/1", "status/403"
    assert world.fetch("thing", faults=refuse).returncode == 4
    items = world.listed()
    assert items["other"]["state"] == "verified"
    assert items["other"]["path"] == str(world.to / "other.bin")
    assert items["thing"]["state"] == "half-done"
    assert 100_000 <= items["thing"]["n_held"] <= 200_000
    os.utime(world.to / "other.bin", (1, 1))
    assert world.listed()["other"]["state"] == "unverified"


def test_list_shows_what_is_known_to_be_damaged(world: World) -> None:
    assert world.fetch("other", faults=("flip-byte/5",)).returncode == 5
    item = world.listed()["other"]
    assert item["state"] == "half-done"
    assert "expected" in item["damage"]


def test_list_costs_no_request_and_makes_no_directory(world: World) -> None:
    world.listed()
    assert world.n_requests == 0
    assert not world.to.exists()


# -- fetch


def test_fetch_prints_the_paths_and_nothing_else(world: World) -> None:
    done = world.fetch("thing", "other")
    assert done.returncode == 0
    assert done.stdout == f"{world.to / 'thing.npz'}\n{world.to / 'other.bin'}\n"
    assert done.stderr == ""
    assert (world.to / "thing.npz").read_bytes() == world.whole
    assert (world.to / "other.bin").read_bytes() == world.other


def test_a_group_stands_for_its_members_and_nobody_is_fetched_twice(world: World) -> None:
    done = world.fetch("other", "both", "thing")
    assert done.stdout == f"{world.to / 'other.bin'}\n{world.to / 'thing.npz'}\n"
    assert world.n_requests == 3


def test_a_verified_file_costs_no_request(world: World) -> None:
    first = world.fetch("both")
    n_requests = world.n_requests
    again = world.fetch("both")
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")
    assert world.n_requests == n_requests


def test_of_several_one_failure_keeps_no_other_from_its_turn(world: World) -> None:
    (world.server.directory / PARTS[0]).unlink()
    done = world.fetch("thing", "other")
    assert done.returncode == 1
    assert done.stdout == f"{world.to / 'other.bin'}\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 4  # the error and its hint, the count and its hint
    assert lines[0].startswith("error: ")
    assert PARTS[0] in lines[0]
    assert lines[2] == "error: 1 of 2 fetched"


def test_if_all_fail_alike_the_code_is_theirs(world: World) -> None:
    done = world.fetch("thing", "other", faults=("status/410",))
    assert done.returncode == 4
    assert "0 of 2 fetched" in done.stderr
    assert done.stdout == ""


FAILURES = [
    ("status/404", 4, ["404", "other.bin"]),
    ("html-200", 4, ["web page", "Sign in"]),
    ("redirect-loop", 4, ["redirects"]),
    ("flip-byte/9", 5, ["other.bin", "expected"]),
    ("silent-truncate/10", 5, ["10 bytes", "1000"]),
]


@pytest.mark.parametrize(("fault", "code", "words"), FAILURES, ids=[each[0] for each in FAILURES])
def test_an_error_is_two_lines_and_a_code(
    world: World, fault: str, code: int, words: list[str]
) -> None:
    assert_fails(world.fetch("other", faults=(fault,)), code, *words)
    assert not (world.to / "other.bin").exists()


def test_a_server_that_asks_for_an_hour_is_not_waited_for(world: World) -> None:
    write_registry(world.registry, artifact(["f/429/other.bin?retry-after=3600"], [world.other]))
    url = world.server.url("registry.toml")
    done = world.memtools("fetch", "thing", "--registry", url, "--to", world.to)
    lines = done.stderr.splitlines()[-2:]
    assert done.returncode == 3
    assert "3600 s" in lines[0]
    assert "60 minutes" in lines[1]
    assert world.n_requests == 2  # of which one was for the registry


def test_an_unknown_name_is_answered_with_the_nearest_known_one(world: World) -> None:
    done = world.fetch("thingg")
    assert_fails(done, 2, "'thingg'")
    assert "thing" in done.stderr.splitlines()[1]
    assert world.n_requests == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--no-such-option", "thing"],
        ["thing", "--timeout", "soon"],
        ["thing", "--timeout", "0"],
    ],
    ids=str,
)
def test_wrong_usage_is_2_and_says_how_to_use_it(world: World, arguments: list[str]) -> None:
    done = world.memtools("fetch", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_huge_file_is_fetched_only_when_insisted_on(world: World) -> None:
    done = world.memtools("fetch", "imagenet-checkpoints", "--to", world.to)
    assert_fails(done, 2, "367.0 GB", "free")
    assert "--huge" in done.stderr
    assert not world.to.exists()


def test_a_file_that_nothing_can_prove_is_fetched_only_when_allowed(world: World) -> None:
    table = artifact(["other.bin"], [world.other], sizes=False, blobs=False, whole=False)
    write_registry(world.registry, table)
    done = world.fetch("thing")
    assert_fails(done, 2, "neither a digest nor the size")
    assert "--unverified" in done.stderr
    assert world.n_requests == 0
    allowed = world.run("fetch", "thing", "--unverified", *world.mirror())
    assert allowed.returncode == 0, allowed.stderr
    assert (world.to / "thing.npz").read_bytes() == world.other


def test_the_traceback_shows_only_when_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Traceback" not in world.fetch("other", faults=("status/404",)).stderr
    monkeypatch.setenv("MEMTOOLS_DEBUG", "1")
    done = world.fetch("other", faults=("status/404",))
    assert done.returncode == 4
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-2].startswith("error: ")


def test_a_reader_that_goes_away_is_no_crash(world: World) -> None:
    command = " ".join(map(str, [SCRIPT, "list", *world.where]))
    done = subprocess.run(
        ["bash", "-c", f"{command} | true; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert done.returncode in (0, 1)  # all of it may have been written before the reader ended
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# -- join


def test_join_prints_the_path_and_needs_no_server(world: World) -> None:
    done = world.run("join", "thing", "--from", world.server.directory)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{world.to / 'thing.npz'}\n"
    assert (world.to / "thing.npz").read_bytes() == world.whole
    assert world.n_requests == 0


def test_join_names_a_missing_part_and_a_broken_one(world: World) -> None:
    parts = Path(shutil.copytree(world.server.directory, world.tmp_path / "parts"))
    (parts / PARTS[0]).write_bytes(noise(150_000, 9))
    assert_fails(world.run("join", "thing", "--from", parts), 5, PARTS[0], "expected")
    (parts / PARTS[0]).unlink()
    assert_fails(world.run("join", "thing", "--from", parts), 5, PARTS[0], "lacks")
    assert not (world.to / "thing.npz").exists()


def test_join_of_a_group_is_a_wrong_request(world: World) -> None:
    assert_fails(world.run("join", "both", "--from", world.server.directory), 2, "group")


# -- verify


def test_verify_reads_everything_that_is_here(world: World) -> None:
    world.fetch("both")
    done = world.run("verify")
    assert (done.returncode, done.stderr) == (0, "")
    lines = sorted(done.stdout.splitlines())
    assert [line.partition(": ")[0] for line in lines] == [
        str(world.to / "other.bin"),
        str(world.to / "thing.npz"),
    ]
    assert all("md5" in line and "verified" in line for line in lines)


def test_verify_in_json_gives_digests_and_what_they_were_compared_with(world: World) -> None:
    world.fetch("both")
    done = world.run("verify", "thing", "--json")
    [verdict] = json.loads(done.stdout)
    assert verdict["name"] == "thing"
    assert verdict["path"] == str(world.to / "thing.npz")
    assert verdict["digests"]["md5"] == md5(world.whole)
    assert verdict["proven_by"] == ["md5"]
    again = json.loads(world.run("verify", "thing", "--json").stdout)
    assert "sha256" in again[0]["proven_by"]  # which the first verification learnt


def test_verify_of_a_broken_file_is_5_and_names_the_broken_part(world: World) -> None:
    world.fetch("thing")
    path = world.to / "thing.npz"
    before = path.stat()
    path.write_bytes(world.whole[:-1] + b"?")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    done = world.run("verify", "thing")
    assert_fails(done, 5, str(path), md5(world.whole), PARTS[1])
    assert PARTS[0] not in done.stderr


def test_verify_of_a_file_cut_short_is_5_and_gives_both_sizes(world: World) -> None:
    world.fetch("other")
    (world.to / "other.bin").write_bytes(world.other[:-1])
    assert_fails(world.run("verify", "other"), 5, "expected")


def test_verify_goes_on_after_a_broken_file_and_counts(world: World) -> None:
    world.fetch("both")
    (world.to / "thing.npz").write_bytes(b"?" * len(world.whole))
    done = world.run("verify", "both", "--json")
    assert done.returncode == 1
    assert [verdict["name"] for verdict in json.loads(done.stdout)] == ["other"]
    assert "1 of 2 verified" in done.stderr


def test_verify_knows_a_copy_by_its_content(world: World) -> None:
    copy = world.tmp_path / "a copy"
    copy.write_bytes(world.whole)
    done = world.run("verify", copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{copy}: ")


def test_verify_of_what_is_not_here_or_not_known_says_so(world: World) -> None:
    assert_fails(world.run("verify", "thing"), 1, "thing is not in")
    assert_fails(world.run("verify", "nothing"), 2, "nothing")
    stranger = world.tmp_path / "stranger"
    stranger.write_bytes(b"?")
    assert_fails(world.run("verify", stranger), 5, str(stranger), "in none of the known formats")
    assert world.n_requests == 0


def test_verify_of_nothing_is_fine(world: World) -> None:
    done = world.run("verify", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


# -- clean


def test_clean_removes_what_is_half_done_and_says_so(world: World) -> None:
    world.fetch("other")
    world.fetch("thing", faults=("truncate-at/100000", "after/1", "status/403"))
    done = world.run("clean")
    assert (done.returncode, done.stderr) == (0, "")
    *removed, freed = done.stdout.splitlines()
    assert sorted(removed) == [
        f"removed {world.to / 'thing.npz.part'}",
        f"removed {world.to / 'thing.npz.part.json'}",
    ]
    assert freed.endswith(" freed")
    assert not freed.startswith("0 ")
    assert sorted(os.listdir(world.to)) == [".other.bin.receipt.json", "other.bin"]
    assert world.run("clean").stdout == "0 B freed\n"


def test_clean_of_everything_removes_only_what_memtools_made(world: World) -> None:
    world.fetch("both")
    (world.to / "mine.npz").write_text("mine")
    (world.to / "thing.npz.partial").write_text("mine, too")
    done = world.run("clean", "--all")
    assert done.returncode == 0
    assert sorted(os.listdir(world.to)) == ["mine.npz", "thing.npz.partial"]


@pytest.fixture
def at_work(world: World) -> Iterator[subprocess.Popen[str]]:
    """A download with a good part of it done; it is alive, and goes on at SIGCONT."""
    command = [SCRIPT, "fetch", "thing", *world.where, *world.mirror("slow/100")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with group(command, **pipes) as process:
        wait_for(lambda: world.server.stats()["total"]["bytes"] >= 30_000, process)
        process.send_signal(signal.SIGSTOP)
        yield process


@pytest.mark.parametrize("options", [[], ["--all"]], ids=str)
def test_clean_leaves_a_live_download_alone(
    world: World, at_work: subprocess.Popen[str], options: list[str]
) -> None:
    before = sorted(os.listdir(world.to))
    done = world.run("clean", *options)
    assert (done.returncode, done.stdout) == (0, "0 B freed\n")
    assert sorted(os.listdir(world.to)) == before
    at_work.send_signal(signal.SIGCONT)
    stdout, _ = at_work.communicate(timeout=LONG)
    assert (at_work.returncode, stdout) == (0, f"{world.to / 'thing.npz'}\n")
    assert (world.to / "thing.npz").read_bytes() == world.whole


def test_list_shows_a_live_download_as_half_done(
    world: World, at_work: subprocess.Popen[str]
) -> None:
    assert world.listed()["thing"]["state"] == "half-done"


# -- the environment


def test_settings_come_from_the_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = world.tmp_path / "elsewhere"
    monkeypatch.setenv("MEMTOOLS_CACHE", str(cache))
    monkeypatch.setenv("MEMTOOLS_REGISTRY", str(world.registry))
    monkeypatch.setenv("MEMTOOLS_MIRROR", world.server.base)
    done = world.memtools("fetch", "other")
    assert (done.returncode, done.stdout) == (0, f"{cache / 'other.bin'}\n"), done.stderr
    assert [entry["url"] for entry in world.server.log()] == ["/other.bin"]
    assert world.memtools("verify", "other").returncode == 0
    world.memtools("clean", "--all")
    assert os.listdir(cache) == []


def test_an_option_wins_over_the_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMTOOLS_CACHE", str(world.tmp_path / "not here"))
    monkeypatch.setenv("MEMTOOLS_REGISTRY", str(world.tmp_path / "no registry"))
    monkeypatch.setenv("MEMTOOLS_MIRROR", f"{world.server.base}/f/status/404")
    assert world.fetch("other").stdout == f"{world.to / 'other.bin'}\n"
    assert not (world.tmp_path / "not here").exists()


def test_several_registries_stand_in_one_variable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = artifact(["other.bin"], [world.other], name="more", file="more.bin")
    second = write_registry(world.tmp_path / "second.toml", more)
    monkeypatch.setenv("MEMTOOLS_REGISTRY", f" {world.registry}\n{second} ")
    done = world.memtools("list", "--json")
    assert {"thing", "other", "more"} <= {item["name"] for item in json.loads(done.stdout)}


def test_offline_nothing_is_asked_for_and_what_is_here_is_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fetch("other")
    n_requests = world.n_requests
    monkeypatch.setenv("MEMTOOLS_OFFLINE", "1")
    assert world.fetch("other").returncode == 0
    done = world.fetch("thing")
    assert_fails(done, 3, "thing", "offline")
    remote = world.memtools("list", "--registry", world.server.url("registry.toml"))
    assert_fails(remote, 3, "offline")
    assert world.n_requests == n_requests


@pytest.mark.parametrize("variable", ["MEMTOOLS_OFFLINE", "MEMTOOLS_DEBUG"])
def test_a_switch_that_is_neither_on_nor_off_is_a_wrong_request(
    world: World, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "maybe")
    done = world.fetch("thing", faults=("status/404",))
    assert_fails(done, 2, variable, "maybe")


def test_a_mirror_that_is_no_url_is_a_wrong_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMTOOLS_MIRROR", "mirror.example.org")
    assert_fails(world.memtools("fetch", "cifar100-pairs"), 2, "mirror.example.org")


# -- the command itself


def test_the_version_is_printed(memtools: Run) -> None:
    from memtools import __version__

    done = memtools("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"memtools {__version__}\n", "")


def test_without_arguments_it_shows_its_commands(memtools: Run) -> None:
    shown = memtools().stdout + memtools().stderr
    for command in ("list", "fetch", "join", "verify", "clean"):
        assert command in shown


# ---- start

COUNT = """
import sys
from memtools_cli.main import app
try:
    app()
except SystemExit as ended:
    print("ended", ended.code, len(app.registered_commands), file=sys.stderr)
"""


def test_only_the_command_that_is_asked_for_is_built() -> None:
    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", COUNT, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stderr

    assert run("list", "--help").endswith("ended 0 1\n")
    assert not run("--help").endswith("ended 0 1\n")
    assert "Did you mean 'fetch'?" in run("fetchh")
    assert run("sweep", "--help").startswith("ended 0")
