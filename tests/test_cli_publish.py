"""memtools publish: what it prints, how it ends, and that others can fetch the outcome."""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_server import FaultServer
from processes import group, wait_for
from shapes import shapes
from worlds import published_arrays

from memtools import load
from memtools.estimates.about import About
from memtools.estimates.model import Estimates
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.scores import Scores
from memtools.report.page import write_report
from memtools.temporary_files import nobody

SCRIPT = Path(sys.executable).with_name("memtools")
Run = Callable[..., subprocess.CompletedProcess[str]]
ABOUT = About(dataset="cifar100", order="official", definition="by class; 400 runs, ratio 0.7")
FILES = ["README.md", "croissant.json", "mine.npz", "registry.toml", "report"]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Estimates that say what they are."""
    Estimates(published_arrays([40, 60, 50], 20), ABOUT).save(tmp_path / "estimates.npz")
    return tmp_path / "estimates.npz"


def test_others_fetch_what_was_published(
    memtools: Run, mine: Path, served: Path, server: FaultServer, tmp_path: Path
) -> None:
    options = ("--license", "CC0-1.0", "--creator", "A", "--creator", "B", "--date", "2026-01-02")
    done = memtools("publish", mine, "--to", served / "site", "--name", "mine", *options)
    registry = served / "site" / "registry.toml"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{registry}\n", "")
    assert sorted(os.listdir(served / "site")) == FILES
    card = (served / "site" / "README.md").read_text()
    assert "- made by: A, B\n- published: 2026-01-02\n- licence: CC0-1.0\n" in card

    where = ("--registry", server.url("site/registry.toml"), "--to", tmp_path / "theirs")
    page = (served / "site" / "report" / "index.html").read_text()
    assert "by class; 400 runs, ratio 0.7" in page and "mine.npz" in page
    assert str(mine.parent) not in page  # where it lay is nobody's business

    fetched = memtools("fetch", "mine", *where)
    path = tmp_path / "theirs" / "mine.npz"
    assert (fetched.returncode, fetched.stdout) == (0, f"{path}\n")
    assert path.read_bytes() == mine.read_bytes()
    verified = memtools("verify", "mine", *where).stdout
    assert verified.endswith(" verified, arrays checked (influence)\n") and "md5" in verified
    joined = memtools("join", "mine", "--from", served / "site", *where[:2], "--to", tmp_path / "j")
    assert joined.returncode == 0 and (tmp_path / "j" / "mine.npz").is_file()


def test_whoever_fetches_can_look_at_it_too(memtools: Run, mine: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn, which brings the digits")
    site, theirs = tmp_path / "site", tmp_path / "theirs"
    assert memtools("publish", mine, "--to", site, "--name", "mine", "--no-report").returncode == 0
    assert not (site / "report").exists()
    where = ("--registry", site / "registry.toml")
    shown = memtools("report", "mine", *where, "--cache", tmp_path / "cache", "--to", theirs)
    assert (shown.returncode, shown.stdout) == (0, f"{theirs / 'index.html'}\n"), shown.stderr
    assert "by class; 400 runs, ratio 0.7" in (theirs / "index.html").read_text()
    again = memtools("publish", mine, "--to", site, "--name", "mine", "--images", "digits")
    assert again.returncode == 5  # they are not those of the numbers
    assert sorted(each.name for each in site.iterdir()) == FILES[:-1]


def test_the_report_is_made_anew_and_that_of_other_numbers_does_not_stay(
    memtools: Run, mine: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    estimates, data = shapes()
    write_report(estimates, site / "report", images=data)
    renamed = tmp_path / "renamed.npz"
    renamed.write_bytes(mine.read_bytes())
    for file, to in ((mine, site), (renamed, tmp_path / "again")):
        done = memtools("publish", file, "--to", to, "--name", "mine")
        assert done.returncode == 0, done.stderr
        assert "cifar100" in (to / "report" / "index.html").read_text()
    pages = [path.relative_to(site) for path in site.rglob("*") if path.is_file()]
    assert filecmp.cmpfiles(site, tmp_path / "again", pages, shallow=False)[0] == pages
    for kind in ("old", "tmp"):  # by one that was killed
        (site / f".report.{nobody()}.{kind}").mkdir()
    assert memtools("publish", mine, "--to", site, "--name", "mine").returncode == 0
    assert sorted(os.listdir(site)) == FILES
    for precious in ("thesis.tex", "figures"):
        (site / "report" / precious).mkdir()
        shown = memtools("publish", mine, "--to", site, "--name", "mine")
        assert shown.returncode == 6 and "report is there, and not empty" in shown.stderr
        (site / "report" / precious).rmdir()


def test_a_list_of_pairs_has_no_report_and_needs_nothing_for_one(
    memtools: Run, tmp_path: Path
) -> None:
    index = np.arange(3)
    pairs = HighInfluencePairs(ABOUT, index, index, np.full(3, 0.5), np.full(3, 0.2))
    pairs.save(tmp_path / "pairs.npz")
    (tmp_path / "jinja2.py").write_text("raise ModuleNotFoundError(name='jinja2')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = memtools("publish", tmp_path / "pairs.npz", "--to", tmp_path / "p", env=environment)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "p" / "report").exists()


def test_what_a_file_does_not_say_is_said_by_options(memtools: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.linspace(0, 1, 9))
    words = ("--dataset", "mnist", "--order", "tfds", "--definition", "a | score", "--paper", "me")
    words += ("--direction", "typical")
    done = memtools("publish", tmp_path / "s.npy", "--to", tmp_path / "to", "--name", "s", *words)
    assert done.returncode == 0, done.stderr
    shown = memtools("list", "--registry", done.stdout.strip()).stdout
    assert "s\t200 B\ttfds\t-\ta | score" in shown


def test_a_table_is_published_as_npz_with_all_that_was_said(memtools: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("idx,el2n\n1,0.5\n0,0.75\n")
    said = ("--column", "el2n", "--dataset", "mnist", "--order", "official", "--definition", "EL2N")
    where = ("--to", tmp_path / "site", "--name", "mine", "--no-report")
    done = memtools("publish", tmp_path / "t.csv", *said, *where)
    assert done.returncode == 2 and "does not say its direction" in done.stderr
    assert "--direction" in done.stderr and not (tmp_path / "site").exists()
    done = memtools("publish", tmp_path / "t.csv", *said, *where, "--direction", "atypical")
    assert done.returncode == 0, done.stderr
    found = load("mine", cache=tmp_path / "cache", registries=[done.stdout.strip()])
    assert isinstance(found, Scores) and found.values.tolist() == [0.75, 0.5]
    assert (found.quantity, found.about.direction) == ("el2n", "high el2n = atypical")
    assert (found.about.dataset, found.about.order, found.about.paper) == ("mnist", "official", "")
    alone = load(tmp_path / "site" / "mine.npz")
    assert (alone.about.direction, alone.about.source[-8:]) == ("high el2n = atypical", "mine.npz")
    card = (tmp_path / "site" / "README.md").read_text()
    assert "arXiv" not in card and "- direction: high el2n = atypical" in card
    assert '"not recorded"' not in (tmp_path / "site" / "croissant.json").read_text()


def test_what_contradicts_a_file_is_not_published(
    memtools: Run, mine: Path, tmp_path: Path
) -> None:
    done = memtools("publish", mine, "--to", tmp_path / "site", "--order", "tfds")
    assert done.returncode == 2 and "recorded as 'official', not 'tfds'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("FILE", "--name", "Mine"), 2, "'Mine' is not a name"),
        (("FILE", "--name", "My"), 2, "'My' is not a name: use a-z, 0-9, '.', '_', '-'"),
        (("FILE", "--name", "imagenet-pairs"), 2, "'imagenet-pairs' is already taken"),
        (("FILE", "--name", "x", "--order", "mine"), 2, "order is 'mine', not one of official"),
        (("FILE", "--name", "x", "--date", "today"), 2, "Invalid value for '--date'"),
        (("FILE", "--name", "x", "--url", "here"), 2, "'here' is not the address of a folder"),
        (("PLAIN", "--name", "x"), 2, "does not say its dataset, order, definition"),
        (("OTHER", "--name", "x"), 5, "none of the known kinds of files has these arrays: w"),
        (("BROKEN", "--name", "x"), 5, "not a valid npz"),
        (("nothing.npz", "--name", "x"), 6, "No such file"),
        (("FILE", "--name", "x", "--to", "full"), 2, "full is not empty, and a.txt is not of"),
        (("FILE", "--name", "x", "--to", "full/a.txt"), 6, "a file stands where the directory"),
    ],
)
def test_errors_are_two_lines_and_the_code_of_their_class(
    memtools: Run, mine: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    np.savez(tmp_path / "plain.npz", **published_arrays([4, 6], 2))
    np.savez(tmp_path / "other.npz", w=np.zeros((2, 2)))
    (tmp_path / "broken.npz").write_bytes(mine.read_bytes()[:1000])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("precious")
    paths = {"FILE": mine.name, "PLAIN": "plain.npz", "OTHER": "other.npz", "BROKEN": "broken.npz"}
    where = () if "--to" in arguments else ("--to", "site")
    done = memtools("publish", *(paths.get(a, a) for a in arguments), *where, cwd=tmp_path)
    assert done.returncode == code and done.stdout == ""
    assert words in " ".join(done.stderr.split())
    assert len(done.stderr.splitlines()) == 2 or done.stderr.startswith("Usage")
    assert not (tmp_path / "site").exists()
    assert os.listdir(tmp_path / "full") == ["a.txt"]


LIMIT = """
import resource
from memtools_cli.main import app
resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))
app()
"""


def test_a_disk_that_fills_up_leaves_nothing_half_written(
    memtools: Run, mine: Path, tmp_path: Path
) -> None:
    to = tmp_path / "to"
    arguments = ["publish", str(mine), "--to", str(to), "--name", "mine"]
    command = [sys.executable, "-c", LIMIT, *arguments]
    full = subprocess.run(command, capture_output=True, text=True, timeout=60)
    what, hint = full.stderr.splitlines()
    assert full.returncode == 6 and full.stdout == ""
    assert what.startswith(f"error: {to / 'mine.npz'}: the file would pass") and "ulimit" in hint
    assert os.listdir(to) == []
    assert memtools(*arguments).returncode == 0
    assert sorted(os.listdir(to)) == FILES


def test_killed_while_it_writes_the_same_command_finishes(memtools: Run, tmp_path: Path) -> None:
    large: dict[str, Any] = published_arrays([3000, 2000], 600, dtype=np.float64)
    Estimates(large, ABOUT).save(tmp_path / "large.npz")
    whole = (tmp_path / "large.npz").read_bytes()
    assert len(whole) > 20_000_000
    arguments = ["publish", tmp_path / "large.npz", "--name", "mine", "--to"]
    n_unfinished = 0
    for n in range(4):
        to = tmp_path / str(n)
        with group([SCRIPT, *arguments, to], stdout=subprocess.DEVNULL) as process:
            wait_for(lambda to=to: list(to.glob("*.tmp")) or process.poll() is not None)
        n_unfinished += not (to / "registry.toml").exists()
        assert not (to / "mine.npz").exists() or (to / "mine.npz").read_bytes() == whole
        assert memtools(*arguments, to).returncode == 0
        assert sorted(os.listdir(to)) == FILES
        assert (to / "mine.npz").read_bytes() == whole
    assert n_unfinished, "none was killed at work"
