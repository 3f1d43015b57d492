"""croissant.json is what Croissant's own validator takes, and what it says is true."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import published_arrays

import memtools
from memtools.artifacts.croissant import Imprint
from memtools.estimates.about import About

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
ABOUT = About(dataset="cifar100", order="official", definition="by class, 400 runs", doubt="some")
FULL = Imprint(
    license="https://spdx.org/licenses/CC0-1.0",
    creators=["A. Nonym", "Ö. Nonym"],
    url="https://example.org/mine/",
    date=datetime.date(2026, 1, 2),
)


def made(tmp_path: Path, imprint: Imprint | None = None, part_size: int = 10**6) -> Path:
    """croissant.json of a publication."""
    np.savez(tmp_path / "x.npz", **published_arrays([40, 60, 50], 20))
    memtools.publish(
        tmp_path / "x.npz",
        tmp_path / "site",
        name="mine",
        about=ABOUT,
        imprint=imprint,
        part_size=part_size,
    )
    return tmp_path / "site" / "croissant.json"


def validated(path: Path, caplog: pytest.LogCaptureFixture) -> tuple[Any, list[str]]:
    """(the data set as mlcroissant reads it, what it would like to see besides)."""
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    dataset = mlcroissant.Dataset(str(path))  # raises ValidationError
    assert "not standard" not in caplog.text
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    return dataset, sorted(str(each) for each in issues.warnings)


@pytest.mark.parametrize("part_size", [10_000, 10**6])
def test_its_validator_takes_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, part_size: int
) -> None:
    dataset, warnings = validated(made(tmp_path, FULL, part_size), caplog)
    [version] = warnings
    assert "schema.org/version" in version  # estimates have none; a publication is its digests
    facts = dataset.metadata
    assert (facts.name, facts.url, facts.license) == ("mine", FULL.url, [FULL.license])
    assert [each.name for each in facts.creators] == FULL.creators
    assert facts.date_published.date() == FULL.date
    files = facts.file_objects
    assert len(files) == -(-(tmp_path / "x.npz").stat().st_size // part_size)
    for file in files:
        data = (tmp_path / "site" / file.content_url).read_bytes()
        assert file.sha256 == hashlib.sha256(data).hexdigest()
        assert file.content_size == f"{len(data)} B"


def test_what_nobody_has_said_is_missing_and_that_is_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, warnings = validated(made(tmp_path), caplog)
    named = [word for word in ("datePublished", "license", "version") if word in str(warnings)]
    assert len(warnings) == len(named) == 3
    document = json.loads((tmp_path / "site" / "croissant.json").read_text())
    assert not {"license", "creator", "url", "datePublished"} & set(document)
    assert Imprint().lacking == ["license", "creators", "url", "date"]
    assert FULL.lacking == []


def test_the_arrays_are_read_as_records(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset, _ = validated(made(tmp_path), caplog)
    rows = {row["arrays/name"]: row for row in dataset.records("arrays")}
    with np.load(tmp_path / "x.npz") as arrays:
        assert sum(row["arrays/count"] for row in rows.values()) == len(arrays.files)
        memorization = rows["tr_mem"]
        assert memorization["arrays/dtype"] == str(arrays["tr_mem"].dtype)
        assert memorization["arrays/shape"] == str(len(arrays["tr_mem"]))
    assert rows["infl_matrix_class{K}"]["arrays/shape"] == "40x20 to 60x20"
    assert all(row["arrays/meaning"] for row in rows.values())


def test_in_words_it_says_what_the_numbers_are_and_how_parts_are_joined(tmp_path: Path) -> None:
    document = json.loads(made(tmp_path, part_size=10_000).read_text())
    words = document["description"]
    assert words.startswith("by class, 400 runs. Direction: high memorization = atypical.")
    assert "order of the examples: official. Doubt: some." in words
    digest = hashlib.sha256((tmp_path / "x.npz").read_bytes()).hexdigest()
    assert words.endswith(f"in the order given; its sha256 is {digest}.")
    joined = b"".join(
        (tmp_path / "site" / file["contentUrl"]).read_bytes() for file in document["distribution"]
    )
    assert hashlib.sha256(joined).hexdigest() == digest
