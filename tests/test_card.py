"""The README of a published folder: its digests are right, and its commands do what they say."""

from __future__ import annotations

import datetime
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from worlds import git_blob, imagenet_names, md5, published_arrays

import memtools
from memtools.artifacts import card
from memtools.artifacts.croissant import Imprint
from memtools.estimates import schema
from memtools.estimates.about import About
from memtools.estimates.summary import MEANINGS

ABOUT = About(dataset="cifar100", order="official", definition="by class, 400 runs")
CITATION = (Path(__file__).parents[1] / "CITATION.cff").read_text("utf-8")


def made(tmp_path: Path, part_size: int = 10**6, imprint: Imprint | None = None) -> Path:
    """The folder of a publication, of 3 classes."""
    arrays = published_arrays([40, 60, 50], 20)
    arrays |= {"tr_n_in": np.full(150, 280), "tr_n_out": np.full(150, 120)}
    arrays["tr_filenames"] = imagenet_names(150).astype("S")
    np.savez(tmp_path / "x.npz", **arrays)
    memtools.publish(
        tmp_path / "x.npz",
        tmp_path / "site",
        name="mine",
        about=ABOUT,
        imprint=imprint,
        part_size=part_size,
    )
    return tmp_path / "site"


def blocks(text: str, language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL))


@pytest.mark.parametrize("part_size", [10_000, 10**6])
def test_its_digests_are_those_of_the_files(tmp_path: Path, part_size: int) -> None:
    folder = made(tmp_path, part_size)
    text, whole = (folder / "README.md").read_text(), (tmp_path / "x.npz").read_bytes()
    assert f"`mine.npz` has {len(whole):,} bytes." in text
    assert f"- md5: `{md5(whole)}`" in text
    assert f"- sha256: `{hashlib.sha256(whole).hexdigest()}`" in text
    files = [*folder.glob("*.bin"), *folder.glob("*.npz")]
    assert len(files) == -(-len(whole) // part_size)
    for path in files:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        assert f"| `{path.name}` | {len(data):,} | `{digest}` | `{git_blob(data)}` |" in text


def test_it_says_what_the_numbers_are(tmp_path: Path) -> None:
    imprint = Imprint("CC0-1.0", ["A. Nonym"], "https://x.example/a/", datetime.date(2026, 1, 2))
    text = (made(tmp_path, imprint=imprint) / "README.md").read_text()
    for line in (
        "# mine",
        "- data set: cifar100",
        "- definition: by class, 400 runs",
        "- direction: high memorization = atypical",
        "- runs: 400",
        "- made by: A. Nonym",
        "- published: 2026-01-02",
        "- licence: CC0-1.0",
        "memtools fetch mine --registry https://x.example/a/registry.toml",
    ):
        assert line in text.splitlines()
    assert re.search(r"^- order: `official`: .*own files", text, re.MULTILINE)


def test_what_nobody_has_said_is_not_made_up(tmp_path: Path) -> None:
    text = (made(tmp_path) / "README.md").read_text()
    assert "- licence: none is stated" in text.splitlines()
    assert "memtools fetch mine --registry URL/registry.toml" in text
    assert "URL is the address of this folder" in text
    assert "made by" not in text and "published:" not in text and "doubt" not in text


def test_its_table_holds_every_array(tmp_path: Path) -> None:
    text = (made(tmp_path) / "README.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+(?:\{K\} \(3\))?)` \|(.*)\|$", text, re.MULTILINE)
    with np.load(tmp_path / "x.npz") as arrays:
        assert {name.split("{")[0] for name, _ in rows} == {
            re.sub(r"\d+$", "", name) for name in arrays.files
        }
    assert all(row.count("|") == 2 for _, row in rows)
    assert "| `tr_filenames` | S18 | 150 |" in text
    assert "| `infl_matrix_class{K} (3)` | float32 | 40x20 to 60x20 |" in text


@pytest.mark.parametrize("part_size", [10_000, 10**6])
def test_its_commands_lead_to_the_numbers_without_memtools(tmp_path: Path, part_size: int) -> None:
    folder = made(tmp_path, part_size)
    text = (folder / "README.md").read_text()
    shell = [line for line in blocks(text, "bash").splitlines() if not line.startswith("memtools")]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(shell)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    if part_size == 10_000:
        assert f"- sha256: `{done.stdout.split()[0]}`" in text
    check = "\nprint(float(memorization.sum()), influence.shape, train[0], test[-1], len(names))"
    code = blocks(text, "python") + check
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60
    )
    with np.load(tmp_path / "x.npz") as arrays:
        train, test = arrays["tr_classidx_0"][0], arrays["tt_classidx_0"][-1]
        expected = f"{float(arrays['tr_mem'].sum())} (40, 20) {train} {test} 150\n"
    assert (done.stdout, done.stderr) == (expected, "")


def test_every_array_that_such_a_file_may_have_has_a_meaning() -> None:
    known = re.findall(r"\b(?:tr|tt|infl)_\w+(?:\{K\})?", schema.__doc__ or "")
    assert {"tr_mem", "tt_filenames", "infl_se_class{K}", "tr_mem_high"} <= set(known)
    others = {"infl", "mem", "min_mem", "min_infl", "scores", "labels", "filenames"}
    others |= {"memorization", "influence", "standard_error", "n_in", "n_out"}
    others |= {"partial", "position", "inverse", "found"}
    assert {*known, *others, "about", "quantity"} == set(MEANINGS)


def test_it_cites_as_the_project_asks() -> None:
    titles = re.findall(r'^ +- type: .*\n +title: "(.*)"', CITATION, re.MULTILINE)
    numbers = re.findall(r'"(arXiv:[\d.]+)"', CITATION)
    for reference, title, number in zip((card.FELDMAN, card.JIANG), titles, numbers, strict=True):
        assert title in reference and reference.endswith(f"{number}.")
    names = re.findall(r"family-names: (\w+)", CITATION)
    assert len(names) == 6
    assert all(name in card.FELDMAN + card.JIANG for name in names)
    [version] = re.findall(r"^version: *(\S+)$", CITATION, re.MULTILINE)
    assert f"memtools, version {version}." in card.MEMTOOLS
