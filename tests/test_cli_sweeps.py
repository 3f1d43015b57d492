"""sweep run, sweep status from the command line."""

import json
import os
import signal
import subprocess
import sys

import processes
import pytest

from memtools.files import locked
from memtools.runs.status import Status
from memtools.runs.store import RunStore

pytestmark = pytest.mark.timeout(300)  # each command imports TensorFlow
QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
SHORT = ("digits-demo", "--set", "epochs=2", "--set", "hidden=[8]", "--set", "stack=2")


def sweep(memtools, to, runs, *more):
    arguments = ("sweep", "run", *SHORT, "--runs", runs, "--to", to, "--engine", "serial")
    return memtools(*arguments, *more, env=QUIET)


def test_a_sweep_is_extended_and_its_status_told(memtools, tmp_path):
    to = tmp_path / "runs"
    assert sweep(memtools, to, "0:4").returncode == 0
    before = {path.name: path.stat().st_mtime_ns for path in (to / "records").iterdir()}
    shown = sweep(memtools, to, "0:8")
    assert (shown.returncode, shown.stdout) == (0, f"{to}\n"), shown.stderr
    assert len(RunStore.open(to)) == 8
    assert all((to / "records" / n).stat().st_mtime_ns == t for n, t in before.items())
    (to / "records" / "000003.npz").unlink()
    document = json.loads(memtools("sweep", "status", to, "--json").stdout)
    assert (document["n_done"], document["n_missing"], document["driven"]) == (7, 1, False)
    assert 0 < document["standard_error"] < 1 and document["runs_for_standard_error"] > 7
    assert 0.1 < document["test"]["median"] <= 1
    shown = memtools("sweep", "status", to)
    assert shown.stdout.startswith("7 done, 1 missing (0 running, 0 failed); nobody works on it\n")
    assert memtools("estimate", to, "--out", tmp_path / "e.npz").returncode == 0  # meanwhile


def test_estimates_are_the_same_bytes_whatever_the_engine_and_the_order(memtools, tmp_path):
    several = ("--engine", "process", "--workers", "2")
    for to, *ways in (
        ("one", ("0:6", "--engine", "serial")),
        ("two", ("4:6", *several), ("0:6", *several)),
    ):
        for way in ways:
            run = ("sweep", "run", *SHORT, "--to", tmp_path / to / "runs", "--runs", *way)
            shown = memtools(*run, env=QUIET)
            assert shown.returncode == 0, shown.stderr
        estimate = ("estimate", "runs", "--out", tmp_path / f"{to}.npz")
        assert memtools(*estimate, cwd=tmp_path / to).returncode == 0
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_a_full_disk_ends_the_sweep_and_nothing_is_lost(memtools, tmp_path):
    to = tmp_path / "runs"
    assert sweep(memtools, to, "0:2").returncode == 0
    script = f"ulimit -f 4; {sys.executable} -c 'from memtools_cli.main import app; app()' "
    script += f"sweep run {' '.join(map(repr, SHORT))} --runs 0:6 --to {to} --engine serial"
    done = processes.run(["bash", "-c", script], env=QUIET, text=True)
    assert done.returncode == 6, done.stderr
    assert "limit on file sizes" in done.stderr and len(done.stderr.splitlines()) == 2
    assert RunStore.open(to).run_ids() == [0, 1] and len(list((to / "records").iterdir())) == 2
    assert sweep(memtools, to, "0:6").returncode == 0
    assert RunStore.open(to).run_ids() == list(range(6))


def test_a_second_driver_is_noticed(memtools, tmp_path):
    to = tmp_path / "runs"
    assert sweep(memtools, to, "0:2").returncode == 0
    with locked(to / ".driving", wait=False, waiting=lambda: None):
        shown = sweep(memtools, to, "0:4")
        assert json.loads(memtools("sweep", "status", to, "--json").stdout)["driven"]
    assert (shown.returncode, len(shown.stderr.splitlines())) == (7, 2), shown.stderr


def test_two_that_begin_at_once_do_not_get_in_each_others_way(start, tmp_path):
    to = tmp_path / "runs"
    command = [sys.executable, "-c", "from memtools_cli.main import app; app()", "sweep", "run"]
    command += [*SHORT, "--runs", "0:4", "--to", str(to), "--engine", "serial"]
    both = [
        start(*command, *more, env=QUIET, stderr=subprocess.PIPE, text=True)
        for more in ([], ["--wait"], ["--wait"])
    ]
    said = [each.communicate(timeout=processes.LONG)[1] for each in both]
    assert both[0].returncode in (0, 7), said[0]
    assert [each.returncode for each in both[1:]] == [0, 0], said
    assert RunStore.open(to).run_ids() == [0, 1, 2, 3]


def test_whoever_stops_it_does_not_wait_for_the_runs_under_way(start, tmp_path):
    to = tmp_path / "runs"
    command = [sys.executable, "-c", "from memtools_cli.main import app; app()", "sweep", "run"]
    command += [*SHORT, "--set", "epochs=200000", "--runs", "0:64", "--to", str(to)]
    more = ("--workers", "2", "--checkpoint-minutes", "0.001")
    sweep = start(*command, *more, env=QUIET, stderr=subprocess.PIPE, text=True)
    processes.wait_for(lambda: list((to / "unfinished").glob("*")), sweep)  # now it trains
    status = Status.of(RunStore.open(to))
    assert status.driven and status.n_running == 4 and status.n_done == 0
    os.killpg(sweep.pid, signal.SIGINT)  # as a terminal does
    said = sweep.communicate(timeout=processes.LONG)[1]  # the runs would take hours
    assert sweep.returncode == 130 and "Traceback" not in said, said
    processes.wait_for(lambda: not processes.lives(sweep))
    assert list((to / "unfinished").glob("*"))  # from where the next one goes on


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--engine", "ray", "--resources", "CPU"), 2, "'CPU' are no resources"),
        (("--engine", "ray", "--resources", "CPU=0"), 2, "'CPU=0' are no resources"),
        (("--engine", "ray", "--resources", "CPU=nan"), 2, "'CPU=nan' are no resources"),
        (("--engine", "ray", "--resources", "memory=9"), 2, "'memory=9' are no resources"),
        (("--resources", "CPU=1"), 2, "--resources is for --engine ray"),
        (("--workers", "2"), 2, "--workers is for --engine process"),
        (("--address", "127.0.0.1:1"), 2, "--address is for --engine ray"),
        (("--limit-minutes", "1"), 2, "needs processes to end"),
        (("--set", "epochs=3"), 2, "holds runs of another sweep"),
        (("--set", "peak_lr=1e30"), 2, "holds runs of another sweep"),
    ],
)
def test_wrong_requests_are_two_lines(memtools, tmp_path, more, code, words):
    to = tmp_path / "runs"
    if "another sweep" in words:
        assert sweep(memtools, to, "0:2").returncode == 0
    shown = sweep(memtools, to, "0:2", *more)
    assert shown.returncode == code, shown.stderr
    assert len(shown.stderr.splitlines()) == 2 and words in shown.stderr


def test_what_failed_is_counted_and_named(memtools, tmp_path):
    shown = sweep(memtools, tmp_path / "runs", "0:4", "--set", "peak_lr=1e30")
    assert shown.returncode == 1
    assert "4 of 4 runs are missing, first 0: the loss is not finite" in shown.stderr
    told = memtools("sweep", "status", tmp_path / "runs").stdout
    assert (
        told.startswith("0 done, 4 missing (0 running, 4 failed)")
        and "failed: run 0: the loss" in told
    )
