"""Without the package of an extra: an error that names it, and the command that brings it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import SCRIPT

from memtools.errors import MemtoolsError
from memtools.extras import needing

ROOT = Path(__file__).parents[1]
EXTRAS = ["tensorflow", "tensorflow_datasets", "keras", "sklearn", "jinja2", "PIL", "matplotlib"]
EXTRAS += ["pyarrow", "numba", "ray", "safetensors", "torch"]
BLOCK = f"""
import sys
for name in {EXTRAS}:
    sys.modules[name] = None
"""
IMPORT_ALL = """
import importlib, pathlib
from memtools.errors import MemtoolsError
root, refused = pathlib.Path(sys.argv[1]), []
for path in sorted(root.joinpath("memtools").rglob("*.py")):
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    if name == "memtools.estimation.kernels":  # used only where numba is there
        continue
    try:
        importlib.import_module(name)
    except MemtoolsError as error:
        assert "which is not installed" in str(error), (name, error)
        assert error.hint.startswith("pip install 'memtools["), (name, error.hint)
        refused.append(name)
print(*refused)
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCK + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_every_module_that_needs_an_extra_names_it() -> None:
    done = run(IMPORT_ALL, ROOT)
    assert done.returncode == 0, done.stderr
    refused = done.stdout.split()
    assert {"memtools.report.page", "memtools.report.figures", "memtools.demo"} <= {*refused}
    assert {"memtools.training.trainer", "memtools.tfrecords.reader"} <= {*refused}
    assert not {"memtools.artifacts.fetcher", "memtools.alignment.selection"} & {*refused}
    assert "memtools.runs.store" not in refused


CALLS = [
    ("memtools.read_records('set', 'train')", "tensorflow", "tf"),
    ("memtools.with_index(None, None)", "tensorflow", "tf"),
    ("from memtools.report.page import write_report", "PIL", "report"),
    ("memtools.load(sys.argv[1] + '/a.parquet')", "pyarrow", "parquet"),
    ("memtools.align(scores, to=sys.argv[1] + '/a.parquet')", "pyarrow", "parquet"),
    ("from memtools.cluster import connected; connected(None)", "ray", "ray"),
    (
        "from memtools.training.config import load_config\n"
        "from memtools.training.datasets import load_arrays\n"
        "load_arrays(load_config('digits-demo'))",
        "sklearn",
        "demo",
    ),
    (
        "import numpy as np\nfrom memtools.datasets.image_pixels import read_images\n"
        "read_images(['a.png'])",
        "PIL",
        "datasets",
    ),
]


def test_in_python_each_call_names_the_extra_that_it_needs(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    np.save(tmp_path / "scores.npy", np.linspace(0, 1, 9))
    code = f"""
import memtools
scores = memtools.load(sys.argv[1] + "/scores.npy")
for call, package, extra in {CALLS!r}:
    try:
        exec(call)
    except memtools.errors.MemtoolsError as error:
        assert str(error) == f"this needs {{package}}, which is not installed", (call, error)
        assert error.hint == f"pip install 'memtools[{{extra}}]'", (call, error.hint)
    else:
        raise AssertionError(call)
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


COMMANDS = [
    ("report scores.npy --to out", "report"),
    ("demo --to out", "demo"),
    ("train digits-demo --runs 0 --to out", "tf"),
    ("tfrecords check somewhere", "tf"),
    ("checkpoints convert somewhere --out a.npz", "tf"),
    ("export scores.npy --out out.parquet", "parquet"),
    ("compare scores.npy scores.npy --plot out.png --dataset mine --order official", "report"),
]


@pytest.mark.parametrize(("arguments", "extra"), COMMANDS, ids=[each[0] for each in COMMANDS])
def test_on_the_command_line_the_extra_is_the_hint(
    arguments: str, extra: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "scores.npy", np.linspace(0, 1, 50))
    if arguments.startswith("compare"):
        arguments += " --direction-a atypical --direction-b atypical"
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    done = subprocess.run(
        [str(SCRIPT), *arguments.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "which is not installed" in done.stderr
    assert done.stderr.splitlines()[-1].strip() == f"pip install 'memtools[{extra}]'"
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("out*"))


def test_a_package_that_is_there_but_broken_is_named_as_that() -> None:
    with pytest.raises(MemtoolsError, match="needs lib, which cannot be imported: no libfoo"):  # noqa: SIM117
        with needing("tf"):
            raise ImportError("no libfoo", name="lib")


def test_a_module_of_memtools_that_is_missing_is_a_fault_and_not_an_extra() -> None:
    with pytest.raises(ModuleNotFoundError), needing("tf"):
        raise ModuleNotFoundError("No module named 'memtools.x'", name="memtools.x")


def test_the_outermost_extra_is_named_and_other_errors_pass() -> None:
    with (
        pytest.raises(MemtoolsError) as caught,
        needing("demo"),
        needing("report"),
    ):
        raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")
    assert caught.value.hint == "pip install 'memtools[demo]'"
    with pytest.raises(MemtoolsError, match=r"^other$"), needing("demo"):
        raise MemtoolsError("other")
