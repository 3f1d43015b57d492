"""From a file of estimates to a folder that others fetch: the same arrays at the other end."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_server import FaultServer
from worlds import git_blob, imagenet_names, md5, published_arrays

import memtools
from memtools.artifacts.croissant import Imprint
from memtools.artifacts.manifest import parse_registry
from memtools.errors import (
    BusyError,
    ChecksumError,
    ConfigError,
    DiskError,
    IntegrityError,
    SchemaError,
)
from memtools.estimates.about import About
from memtools.estimates.model import Estimates, ExampleIndex
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.scores import Scores
from memtools.runs.record import RunRecord, RunSpec
from memtools.runs.store import RunStore, Sweep

ABOUT = About(dataset="cifar100", order="official", definition="by class; 400 runs, ratio 0.7")
PART = 10_000  # bytes, in place of 95 MB
SAME = ["README.md", "croissant.json", "registry.toml"]


def estimates() -> Estimates:
    arrays = published_arrays([40, 60, 50], 20)
    arrays |= {"tr_n_in": np.full(150, 280), "tr_n_out": np.full(150, 120)}
    return Estimates(arrays, ABOUT)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    estimates().save(tmp_path / "estimates.npz")
    return tmp_path / "estimates.npz"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def publish(path: Path, to: Path, **options: Any) -> Path:
    return memtools.publish(path, to, **{"name": "mine", "part_size": PART} | options)


# ---- there and back


def test_what_is_published_in_parts_is_fetched_verified_and_loaded(
    mine: Path, served: Path, server: FaultServer, tmp_path: Path
) -> None:
    registry = publish(mine, served / "site")
    assert registry == served / "site" / "registry.toml"
    parts = [f"mine_split_{ending}.bin" for ending in ("aa", "ab", "ac")]
    assert sorted(os.listdir(served / "site")) == sorted([*SAME, *parts])
    assert b"".join((served / "site" / part).read_bytes() for part in parts) == mine.read_bytes()

    url = server.url("site/registry.toml")
    path = memtools.fetch("mine", tmp_path / "theirs", registries=[url])
    assert path == tmp_path / "theirs" / "mine.npz" and path.read_bytes() == mine.read_bytes()
    verdict = memtools.verify("mine", cache=tmp_path / "theirs", registries=[url])
    assert verdict.kind == "influence" and set(verdict.proven_by) >= {"md5", "sha256"}

    theirs = memtools.load("mine", cache=tmp_path / "theirs", registries=[url])
    assert isinstance(theirs, Estimates)
    ours = estimates()
    np.testing.assert_array_equal(theirs.memorization, ours.memorization)
    for label in range(3):
        np.testing.assert_array_equal(theirs.influence(label), ours.influence(label).values)
    said = (theirs.about.dataset, theirs.about.order, theirs.about.definition)
    assert said == (ABOUT.dataset, ABOUT.order, ABOUT.definition)
    assert theirs.about.direction == "high memorization = atypical"


def test_a_small_file_stays_whole_and_every_digest_is_in_the_registry(
    mine: Path, tmp_path: Path
) -> None:
    data = mine.read_bytes()
    registry = memtools.publish(mine, tmp_path / "site", name="mine")
    assert sorted(os.listdir(tmp_path / "site")) == sorted([*SAME, "mine.npz"])
    assert (tmp_path / "site" / "mine.npz").read_bytes() == data
    text = registry.read_text()
    artifact = parse_registry(text, where="", base="https://example.org/")["mine"]
    [part] = artifact.parts
    assert (artifact.size, artifact.md5, artifact.file) == (len(data), md5(data), "mine.npz")
    assert (part.size, part.git_blob) == (len(data), git_blob(data))
    assert part.sha256 == artifact.sha256 and part.url == "https://example.org/mine.npz"


def test_the_folder_works_from_a_disk_and_its_parts_can_be_joined(
    mine: Path, tmp_path: Path
) -> None:
    registry = publish(mine, tmp_path / "site")
    fetched = memtools.fetch("mine", tmp_path / "a", registries=[registry])
    joined = memtools.join("mine", tmp_path / "site", tmp_path / "b", registries=[registry])
    assert fetched.read_bytes() == joined.read_bytes() == mine.read_bytes()


def test_a_flipped_byte_on_the_host_is_named_by_whoever_fetches(
    mine: Path, served: Path, server: FaultServer, tmp_path: Path
) -> None:
    publish(mine, served)
    part = bytearray((served / "mine_split_ac.bin").read_bytes())
    part[1234] ^= 1
    (served / "mine_split_ac.bin").write_bytes(part)
    with pytest.raises(ChecksumError, match=r"^mine_split_ac\.bin: git_blob is"):
        memtools.fetch("mine", tmp_path / "to", registries=[server.url("registry.toml")])
    assert not (tmp_path / "to" / "mine.npz").exists()


def test_what_memtools_estimates_from_runs_needs_no_words(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    examples = ExampleIndex(About(), np.arange(30) % 3, None, np.arange(15) % 3, None)
    sweep = Sweep("digits", "official", 0.7, 30, 15, "small MLP", {})
    store = RunStore.create(tmp_path / "runs", sweep, examples)
    for run in range(40):
        mask, train, test = rng.random(30) < 0.7, rng.random(30) < 0.8, rng.random(15) < 0.6
        store.add(RunRecord(RunSpec(run, sweep.digest), mask, train, test))
    path = saved(memtools.estimate([store]), tmp_path / "estimates.npz")
    registry = publish(path, tmp_path / "site")
    theirs = memtools.load("mine", registries=[registry])
    assert (theirs.about.dataset, theirs.about.order) == ("digits", "official")
    assert "40 runs, ratio 0.7, small MLP" in theirs.about.definition
    assert "\n- runs: 40\n" in (tmp_path / "site" / "README.md").read_text()


def saved(thing: Any, path: Path) -> Path:
    thing.save(path)
    return path


def pairs_of(path: Path) -> Path:
    few = np.arange(5)
    return saved(HighInfluencePairs(ABOUT, few, few[::-1], few / 10 + 0.3, few / 10 + 0.2), path)


def scores_of(path: Path) -> Path:
    values = np.array([0.1, np.nan, 1.0], np.float32)
    return saved(Scores(ABOUT, "c_score", values, np.array([0, 1, 1])), path)


def lone_scores(path: Path) -> Path:
    np.save(path.with_suffix(".npy"), np.linspace(0, 1, 9))
    return path.with_suffix(".npy")


def index_of(path: Path) -> Path:
    arrays = published_arrays([4, 6], 2)
    index = {name: array for name, array in arrays.items() if "class" not in name}
    return saved(Estimates(index, ABOUT), path)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (pairs_of, "pairs"),
        (scores_of, "cscores"),
        (lone_scores, "scores"),
        (index_of, "index"),
    ],
)
def test_other_kinds_of_files_go_the_same_way(
    make: Callable[[Path], Path], kind: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "file.npz")
    about = ABOUT
    if kind == "scores":  # of which nothing tells what a high one means
        with pytest.raises(ConfigError, match="does not say its direction"):
            publish(path, tmp_path / "site", about=ABOUT)
        about = dataclasses.replace(ABOUT, direction="high score = typical")
    registry = publish(path, tmp_path / "site", about=about)
    assert publish(path, tmp_path / "site", about=about) == registry
    fetched = memtools.fetch("mine", tmp_path / "to", registries=[registry])
    assert fetched.name == f"mine{path.suffix}" and fetched.read_bytes() == path.read_bytes()
    options = {"cache": tmp_path / "to", "registries": [registry]}
    assert memtools.verify("mine", **options).kind == kind
    usual = {"cscores": "high C-score = typical", "scores": "high score = typical"}.get(
        kind, "high memorization = atypical"
    )
    assert memtools.load("mine", **options).about.direction == usual


@pytest.mark.parametrize("dataset", ["cifar100", "imagenet"])
def test_a_fetched_file_can_be_published_anew_under_another_name(
    published: Path, tmp_path: Path, dataset: str
) -> None:
    path = published / f"{dataset}_high_infl_pairs_infl0.15_mem0.25.npz"
    registry = publish(path, tmp_path / "site")
    again = memtools.load("mine", cache=tmp_path / "to", registries=[registry])
    original = memtools.load(path)
    assert isinstance(again, HighInfluencePairs) and isinstance(original, HighInfluencePairs)
    np.testing.assert_array_equal(again.influence, original.influence)
    assert (again.about.definition, again.about.order) == (
        original.about.definition,
        original.about.order,
    )
    with pytest.raises(ConfigError, match="'imagenet-pairs' is already taken"):
        publish(path, tmp_path / "other", name="imagenet-pairs")
    assert not (tmp_path / "other").exists()


def test_published_c_scores_are_published_anew(published: Path, tmp_path: Path) -> None:
    for file in ("cifar10-cscores-orig-order.npz", "mnist-cscores.npy"):
        to = tmp_path / file
        registry = publish(published / file, to, part_size=300_000)
        assert len(list(to.glob("*.bin"))) > 1
        again = memtools.load("mine", cache=tmp_path / f"to-{file}", registries=[registry])
        original = memtools.load(published / file)
        assert isinstance(again, Scores) and isinstance(original, Scores)
        np.testing.assert_array_equal(again.values, original.values)
        assert again.about.doubt == original.about.doubt


def test_pickled_names_are_published_only_on_the_users_word(tmp_path: Path) -> None:
    path = tmp_path / "index.npz"
    np.savez(path, tr_mem=np.zeros(9), tr_filenames=imagenet_names(9))
    with pytest.raises(SchemaError, match="holds Python objects"):
        publish(path, tmp_path / "site", about=ABOUT)
    registry = publish(path, tmp_path / "site", about=ABOUT, names=True)
    theirs = memtools.load("mine", cache=tmp_path / "to", registries=[registry])
    assert isinstance(theirs, Estimates) and theirs.filenames is not None
    assert theirs.filenames[8] == "n00000000_8.JPEG"
    assert "allow_pickle=True" in (tmp_path / "site" / "README.md").read_text()


def test_more_parts_than_two_letters_can_name_have_three(mine: Path, tmp_path: Path) -> None:
    registry = publish(mine, tmp_path / "site", part_size=32)
    parts = sorted(path.name for path in (tmp_path / "site").glob("*.bin"))
    assert len(parts) == -(-mine.stat().st_size // 32) > 26**2
    assert parts[:2] == ["mine_split_aaa.bin", "mine_split_aab.bin"]
    assert memtools.fetch("mine", tmp_path / "to", registries=[registry]).is_file()


# ---- the same bytes


def test_the_same_input_makes_the_same_folder(mine: Path, tmp_path: Path) -> None:
    imprint = Imprint("CC0-1.0", ["A. Nonym"], "https://x.example/", datetime.date(2026, 1, 2))
    publish(mine, tmp_path / "a", imprint=imprint)
    shutil.copy(mine, tmp_path / "copied.npz")
    publish(tmp_path / "copied.npz", tmp_path / "deep" / "b", imprint=imprint)
    assert contents(tmp_path / "a") == contents(tmp_path / "deep" / "b")


def test_publishing_again_touches_nothing(mine: Path, tmp_path: Path) -> None:
    publish(mine, tmp_path / "site")
    before = {path.name: written(path) for path in (tmp_path / "site").iterdir()}
    publish(mine, tmp_path / "site")
    assert {path.name: written(path) for path in (tmp_path / "site").iterdir()} == before


def written(path: Path) -> tuple[int, int, int]:
    """What changes if a file is written, and not if it is read."""
    info = path.stat()
    return info.st_ino, info.st_mtime_ns, info.st_size


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
@pytest.mark.parametrize("file", ["mine_split_ab.bin", "README.md", "croissant.json"])
def test_publishing_again_repairs_what_is_damaged_and_nothing_else(
    mine: Path, tmp_path: Path, file: str, damage: str
) -> None:
    publish(mine, tmp_path / "site")
    expected, broken = contents(tmp_path / "site"), tmp_path / "site" / file
    others = {path: path.stat() for path in (tmp_path / "site").iterdir() if path != broken}
    data = broken.read_bytes()
    if damage == "gone":
        broken.unlink()
    else:
        broken.write_bytes(data[:-1] if damage == "cut" else b"\x00" + data[1:])
    publish(mine, tmp_path / "site")
    assert contents(tmp_path / "site") == expected
    assert {path: path.stat() for path in others} == others


def test_a_report_may_stand_beside_the_files(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "site" / "report").mkdir(parents=True)
    (tmp_path / "site" / "report" / "index.html").write_text("a page")
    assert publish(mine, tmp_path / "site").is_file()
    assert (tmp_path / "site" / "report" / "index.html").read_text() == "a page"


# ---- killed


KILLED = """
    import os, signal, sys
    import memtools
    from memtools.artifacts import bundle

    path, to, instant = sys.argv[1], sys.argv[2], int(sys.argv[3])
    n_steps = 0

    def step(call):
        def wrapped(*arguments):
            global n_steps
            n_steps += 1
            if n_steps == instant:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments)
        return wrapped

    def killed(instant_):
        global instant
        instant = instant_
        child = os.fork()
        if not child:
            for name in ("fsync", "replace", "mkdir"):
                setattr(os, name, step(getattr(os, name)))
            memtools.publish(path, f"{to}/{instant}", name="mine", part_size=10_000)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    memtools.load(path)
    while killed(instant):
        instant += 1
    print(instant)
"""


def test_killed_at_any_step_nothing_is_half_written_and_the_next_run_finishes(
    mine: Path, tmp_path: Path
) -> None:
    publish(mine, tmp_path / "whole")
    expected = contents(tmp_path / "whole")
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(mine), str(tmp_path / "k"), "1"]
    (tmp_path / "k").mkdir()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    n_killed = int(done.stdout) - 1
    assert n_killed >= 3 * len(expected)  # each file: fsync, replace, fsync of the directory
    n_left = []
    for instant in range(1, n_killed + 1):
        folder = tmp_path / "k" / str(instant)
        left = contents(folder) if folder.exists() else {}
        whole = {name: data for name, data in left.items() if name in expected}
        assert whole.items() <= expected.items()
        assert "registry.toml" not in whole or whole == expected
        publish(mine, folder)
        assert contents(folder) == expected
        n_left.append(len(whole))
    assert n_left == sorted(n_left) and set(n_left) == set(range(len(expected) + 1))


# ---- refused


def test_a_file_that_is_no_file_of_estimates_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", weights=np.zeros((3, 2)))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("other.npz", "text.npz"):
        with pytest.raises(SchemaError, match=name):
            publish(tmp_path / name, tmp_path / "site", about=ABOUT)
    with pytest.raises(DiskError, match="No such file"):
        publish(tmp_path / "none.npz", tmp_path / "site", about=ABOUT)
    assert not (tmp_path / "site").exists()


def test_numbers_that_cannot_be_right_are_not_published(tmp_path: Path) -> None:
    arrays = dict(estimates().arrays)
    arrays["tr_mem"] = arrays["tr_mem"].copy()
    arrays["tr_mem"][7] = np.nan  # though the counts say that there is an estimate
    Estimates(arrays, ABOUT).save(tmp_path / "nan.npz")
    with pytest.raises(SchemaError, match="tr_mem is NaN where the counts allow an estimate"):
        publish(tmp_path / "nan.npz", tmp_path / "site")
    few = np.arange(2)
    saved(HighInfluencePairs(ABOUT, few, few, np.array([0.3, np.nan]), few), tmp_path / "p.npz")
    with pytest.raises(SchemaError):
        publish(tmp_path / "p.npz", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_file_that_says_nothing_needs_words_and_takes_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", **published_arrays([4, 6], 2))
    with pytest.raises(ConfigError, match="does not say its dataset, order, definition") as caught:
        publish(tmp_path / "plain.npz", tmp_path / "site")
    assert caught.value.hint == "say it with --dataset, --order, --definition"
    registry = publish(tmp_path / "plain.npz", tmp_path / "site", about=ABOUT)
    assert memtools.load("mine", registries=[registry]).about.order == "official"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "Mine"}, "'Mine' is not a name"),
        ({"name": "../mine"}, "is not a name"),
        ({"name": "con"}, "'con.npz' is not a plain file name"),
        ({"name": "imagenet"}, "'imagenet' is already taken"),
        ({"name": "cifar100-influence"}, "'cifar100-influence' is already taken"),
        ({"name": "imagenet_index"}, "'imagenet_index.npz' stands there twice"),
        ({"about": About(order="mine")}, "order is 'mine', not one of official, published, tfds"),
    ],
)
def test_what_could_not_be_fetched_is_refused(
    mine: Path, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        publish(mine, tmp_path / "site", **options)
    assert caught.value.hint and not (tmp_path / "site").exists()


def test_without_a_name_it_is_that_of_the_folder(mine: Path, tmp_path: Path) -> None:
    registry = memtools.publish(mine, tmp_path / "my-influence")
    assert 'name = "my-influence"' in registry.read_text()
    with pytest.raises(ConfigError, match="'My site' is not a name"):
        memtools.publish(mine, tmp_path / "My site")


def test_a_doubt_about_the_numbers_goes_with_them(
    mine: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = publish(mine, tmp_path / "site", about=About(doubt="2 of 60 runs are half-trained"))
    assert "published with a doubt: 2 of 60 runs are half-trained" in caplog.text
    assert memtools.load("mine", registries=[registry]).about.doubt.startswith("2 of 60 runs")
    assert "- doubt: 2 of 60" in (tmp_path / "site" / "README.md").read_text()


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'example\.org' is not the address"):
        Imprint(url="example.org")


@pytest.mark.parametrize("file", ["notes.txt", "mine_split_aa.bin", "README.md", "registry.toml"])
def test_a_target_that_holds_something_else_is_refused_and_left_alone(
    mine: Path, tmp_path: Path, file: str
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / file).write_text("precious")
    with pytest.raises(ConfigError, match=f"is not empty, and {file} is not of this publication"):
        publish(mine, tmp_path / "site")
    assert contents(tmp_path / "site") == {file: b"precious"}


def test_another_publication_needs_a_folder_of_its_own(mine: Path, tmp_path: Path) -> None:
    publish(mine, tmp_path / "site")
    before = contents(tmp_path / "site")
    changed = dict(estimates().arrays)
    changed["tr_labels"] = changed["tr_labels"].astype(np.int32)
    other = saved(Estimates(changed, ABOUT), tmp_path / "changed.npz")
    for path, name in ((other, "mine"), (mine, "second")):
        with pytest.raises(ConfigError, match="is not empty"):
            publish(path, tmp_path / "site", name=name)
    assert contents(tmp_path / "site") == before


def test_a_file_in_the_place_of_the_folder_is_refused(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("precious")
    with pytest.raises(DiskError, match="a file stands where the directory should be"):
        publish(mine, tmp_path / "site")


def test_without_room_nothing_is_begun(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path)._replace(free=20_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(DiskError, match=r"mine needs .* which has 20,000 B free"):
        publish(mine, tmp_path / "site")
    assert os.listdir(tmp_path / "site") == []


def test_two_at_once_are_refused(mine: Path, tmp_path: Path) -> None:
    from memtools.files import locked

    (tmp_path / "site").mkdir()
    lock = tmp_path / "site" / ".publish.lock"
    with locked(lock, wait=False, waiting=lambda: None), pytest.raises(BusyError):
        publish(mine, tmp_path / "site")
    assert publish(mine, tmp_path / "site").is_file() and not lock.exists()


def test_a_file_that_changes_meanwhile_is_not_published(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memtools.artifacts import bundle

    copy = bundle._copy

    def late(path: Path, *rest: Any) -> None:
        data = bytearray(path.read_bytes())
        data[15_000] ^= 1
        path.write_bytes(data)
        copy(path, *rest)

    monkeypatch.setattr(bundle, "_copy", late)
    with pytest.raises(IntegrityError, match="changes while it is read"):
        publish(mine, tmp_path / "site")
    assert os.listdir(tmp_path / "site") == ["mine_split_aa.bin"]
