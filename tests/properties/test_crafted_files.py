"""Crafted files meet every command: an answer in a few lines, whatever the file holds.

What a seed makes is always the same. `python -m crafted.runner KIND FIRST:LAST` in tests/ runs more
of them than fit into a test.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
BATCHES = [
    *(("numbers", range(k, k + 100)) for k in (0, 100, 200)),
    *(("tables", range(k, k + 100)) for k in (0, 100, 200)),
    ("stores", range(120)),
    ("registries", range(100)),
    ("others", range(150)),
]


@pytest.mark.parametrize(("kind", "seeds"), BATCHES)
def test_every_command_answers_crafted_files_in_a_few_lines(kind, seeds):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    if kind == "others":
        pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    command = [sys.executable, "-m", "crafted.runner", kind, f"{seeds.start}:{seeds.stop}"]
    run = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=110)
    faults = [json.loads(line) for line in run.stdout.splitlines()]
    shown = [f"{each['kind']} {each['seed']} ({each['what']}): {each['fault']}" for each in faults]
    assert not faults, "\n".join(shown) + "\n" + faults[0]["trace"] + faults[0]["output"]
    assert run.returncode == 0, run.stderr[-2_000:]


def test_the_runner_finds_faults(tmp_path):
    """A fuzzer that cannot fail would pass for ever."""
    from crafted.runner import _verdicts

    assert not list(_verdicts(5, "error: x is damaged\n       write it anew\n", "", False, 1))
    for verdict in (
        (5, "", "Traceback ...\nKeyError: 1", False, 1),
        (9, "", "", False, 1),
        (5, "", "", True, 1),
        (5, "line\n" * 50, "", False, 1),
        (0, "\x1b[31m", "", False, 1),
        (5, "Traceback (most recent call last)", "", False, 1),
        (5, "use allow_pickle=True", "", False, 1),
        (0, "", "", False, 400),
    ):
        assert list(_verdicts(*verdict)), verdict
