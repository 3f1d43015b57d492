"""Importing memtools is cheap, and fetching never loads what only training needs."""

import importlib
import os
import re
import subprocess
import sys
import textwrap

import pytest
from worlds import artifact, noise, write_registry

import memtools

HEAVY = ("tensorflow", "tensorflow_datasets", "keras", "torch", "ray")


def fresh(code, *arguments):
    """What a new process prints."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LOADED = "print(sorted(set(sys.argv[1].split(',')) & set(sys.modules)))"


def test_importing_memtools_loads_nothing_that_takes_time():
    names = ",".join((*HEAVY, "numpy", "requests", "urllib3", "rich", "typer", "filelock"))
    assert fresh(f"import sys, memtools; {LOADED}", names) == "[]"


def test_importing_memtools_loads_none_of_its_own_modules():
    code = """
        import sys, memtools
        print(sorted(name for name in sys.modules if name.startswith("memtools.")))
    """
    assert fresh(code) == "[]"


def test_asking_for_a_function_loads_its_module_and_no_other_station():
    code = """
        import sys, memtools
        memtools.fetch
        print("memtools.artifacts.fetcher" in sys.modules, "requests" in sys.modules)
    """
    assert fresh(code) == "True False"


# A module of the name of each heavy library stands in the way, whether it is installed or not.
TRAP = """
    import importlib.abc, sys
    class Trap(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in sys.argv[1].split(","):
                raise RuntimeError(f"{name} was imported")
    sys.meta_path.insert(0, Trap())
"""


def test_the_help_of_the_command_line_does_not_load_tensorflow():
    code = textwrap.dedent(TRAP) + textwrap.dedent(f"""
        heavy, sys.argv[1:] = sys.argv[1], ["--help"]
        from memtools_cli.main import app
        try:
            app()
        except SystemExit as end:
            assert not end.code, end.code
        sys.argv[1:] = [heavy]
        {LOADED}
    """)
    shown = fresh(code, ",".join(HEAVY))
    assert "fetch" in shown
    assert shown.splitlines()[-1] == "[]"


def test_a_fetch_does_not_load_tensorflow(server, served, tmp_path):
    data = noise(100_000)
    (served / "a.bin").write_bytes(data)
    registry = write_registry(tmp_path / "r.toml", artifact(["a.bin"], [data]))
    code = textwrap.dedent(TRAP) + textwrap.dedent(f"""
        import memtools
        path = memtools.fetch("thing", sys.argv[2], registries=[sys.argv[3]], mirror=sys.argv[4])
        assert path.stat().st_size == 100_000
        assert memtools.fetch("thing", sys.argv[2], registries=[sys.argv[3]]) == path
        {LOADED}
    """)
    names = ",".join(HEAVY)
    assert fresh(code, names, tmp_path / "files", registry, server.base) == "[]"
    assert server.stats()["total"]["GET"] == 1


def test_the_command_that_fetches_loads_neither_tensorflow_nor_numpy(server, served, tmp_path):
    data = noise(100_000)
    (served / "a.bin").write_bytes(data)
    registry = write_registry(tmp_path / "r.toml", artifact(["a.bin"], [data]))
    code = textwrap.dedent(TRAP) + textwrap.dedent(f"""
        heavy, sys.argv[1:] = sys.argv[1], sys.argv[2:]
        from memtools_cli.main import app
        try:
            app()
        except SystemExit as end:
            assert not end.code, end.code
        sys.argv[1:] = [heavy]
        {LOADED}
    """)
    options = ("--to", tmp_path / "files", "--registry", registry, "--mirror", server.base)
    shown = fresh(code, ",".join((*HEAVY, "numpy")), "fetch", "thing", *options)
    assert shown.splitlines() == [str(tmp_path / "files" / "thing.npz"), "[]"]


def test_the_trap_of_these_tests_does_catch():
    command = [sys.executable, "-c", textwrap.dedent(TRAP) + "import numpy", "numpy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "numpy was imported" in done.stderr


# ---- names


def test_everything_that_is_promised_is_there():
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    for name in memtools.__all__:
        assert getattr(memtools, name) is not None
        assert name in dir(memtools)
    assert {"fetch", "join", "verify"} <= set(memtools.__all__)


@pytest.mark.parametrize("name", ["fetch", "join", "publish", "verify"])
def test_what_users_call_is_the_function_of_its_module(name):
    home = importlib.import_module(memtools._HOMES[name])
    assert getattr(memtools, name) is getattr(home, name)
    assert getattr(memtools, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'memtools' has no attribute 'fecth'"):
        memtools.fecth  # noqa: B018
    with pytest.raises(ImportError):
        from memtools import fecth  # noqa: F401
    assert not hasattr(memtools, "__path_that_is_not_there__")


def test_the_version_is_one_and_the_command_line_says_it(memtools):
    import memtools as library

    assert re.fullmatch(r"\d+\.\d+\.\d+", library.__version__)
    assert memtools("--version").stdout == f"memtools {library.__version__}\n"


def test_the_environment_of_these_tests_is_clean():
    left = {name for name in os.environ if name.startswith("MEMTOOLS_")}
    assert left == {"MEMTOOLS_CACHE"}
