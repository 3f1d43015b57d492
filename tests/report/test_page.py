"""A report as files: whole, bounded, the same each time, and harmless."""

import filecmp
import os
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from documents_of import document
from estimation.worlds_of_runs import random_bits, stored
from PIL import Image
from shapes import ABOUT, HOSTILE, shapes

from memtools.errors import ConfigError, DiskError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates
from memtools.estimates.scores import Scores
from memtools.estimation.estimator import estimate
from memtools.report import packs, page
from memtools.report.page import write_report
from memtools.report.thumbnails import COLUMNS
from memtools.report.ties import MOST


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    to = tmp_path_factory.mktemp("reports") / "report"
    estimates, data = shapes(lost=5)
    return to, estimates, data, write_report(estimates, to, images=data)


def test_the_summary_counts_every_example(written):
    to, estimates, data, _ = written
    summary = document(to, "summary")
    assert summary["n"] == {"train": 240, "test": 48} and summary["lost"] == 5
    assert sum(summary["levels"]["counts"]) == sum(summary["levels"]["bars"]) == 235
    classes = summary["classes"]
    for k, label in enumerate(classes["label"]):
        values = estimates.memorization[data.train_labels == label]
        assert classes["n"][k] == len(values)
        assert classes["mean"][k] == pytest.approx(np.nanmean(values), abs=1e-4)
        assert classes["share"][k] == pytest.approx(
            (values >= 0.25).sum() / (~np.isnan(values)).sum(), abs=1e-4
        )
        assert classes["score"][k] == pytest.approx(np.nanmax(values), abs=1e-6)
    assert sum(classes["pairs"]) == summary["pairs"]["n"] == len(estimates.pairs())


def test_a_level_holds_what_lies_on_it_and_its_pictures(written):
    to, estimates, data, _ = written
    edges = document(to, "summary")["levels"]["edges"]
    for path in (to / "data" / "level").glob("*.js"):
        level = document(to, f"level/{path.stem}")
        low, high = edges[int(path.stem)], edges[int(path.stem) + 1]
        scores = level["score"]
        assert (scores >= low - 1e-6).all() and (scores <= high + 1e-6).all()
        assert np.array_equal(scores, estimates.memorization[level["index"]])
        for cell, index in enumerate(level["index"]):
            assert np.array_equal(cut(to, f"level/{path.stem}", cell), data.train_images[index])


def cut(to, name, cell, side=16):
    """The pixels of one thumbnail."""
    with Image.open(to / "data" / f"{name}-{cell // 100}.png") as sheet:
        row, column = divmod(cell % 100, COLUMNS)
        return np.asarray(sheet)[row * side : (row + 1) * side, column * side : (column + 1) * side]


def test_rows_of_pairs_name_their_pictures_in_order(written):
    to, estimates, data, _ = written
    rows = document(to, "pairs/0")
    cell = at = 0
    for row, n in enumerate(rows["n"]):
        train = rows["train"]["index"][row]
        assert np.array_equal(cut(to, "pairs/0", cell), data.train_images[train])
        of_class = estimates.influence(int(data.train_labels[train]))
        influence = of_class.values[of_class.train_index == train][0]
        for k in range(n):
            test = rows["test"][at + k]
            assert np.array_equal(cut(to, "pairs/0", cell + 1 + k), data.test_images[test])
            assert rows["value"][at + k] == influence[of_class.test_index == test][0]
        cell, at = cell + 1 + n, at + n


def test_a_shelf_knows_all_about_its_examples(written):
    to, estimates, data, _ = written
    places = document(to, "places")
    labels = document(to, "summary")["classes"]["label"]
    for k, label in enumerate(labels):
        shelf = document(to, f"shelf/{k}")
        train = shelf["train"]
        assert (places["train"][train["index"]] == k).all()
        assert train["name"] == estimates.filenames[train["index"]].tolist()
        assert np.array_equal(train["n_in"], estimates.n_in[train["index"]])
        of_class = estimates.influence(label)
        matrix = np.zeros((240, 48))
        matrix[np.ix_(of_class.train_index, of_class.test_index)] = of_class.values
        ties = shelf["ties"]
        i, j = train["index"][ties["train"]], shelf["test"]["index"][ties["test"]]
        assert np.allclose(ties["value"], matrix[i, j]) and len(i) == (np.abs(matrix) >= 0.05).sum()
        for index, cell in zip(shelf["test"]["index"], shelf["test"]["cell"], strict=True):
            assert np.array_equal(cut(to, f"shelf/{k}", cell), data.test_images[index])


def test_of_noisy_influences_the_weak_are_left_out_and_no_pair_is(tmp_path):
    estimates, _ = shapes(n_classes=2, per_class=30, tests=60, noise=0.15)
    write_report(estimates, tmp_path / "report")
    summary, pairs = document(tmp_path / "report", "summary"), estimates.pairs()
    assert summary["pairs"]["n"] == sum(summary["classes"]["pairs"]) == len(pairs)
    assert summary["pairs"]["train"] == len(np.unique(pairs.train_index))
    assert summary["pairs"]["test"] == len(np.unique(pairs.test_index))
    matrices = [estimates.influence(k).values for k in (0, 1)]
    assert summary["pairs"]["negative"] == sum((values <= -0.15).sum() for values in matrices)
    for shelf, values in enumerate(matrices):
        ties = document(tmp_path / "report", f"shelf/{shelf}")["ties"]
        assert 0.05 < ties["least"] <= 0.15
        assert len(ties["value"]) == (np.abs(values) >= ties["least"]).sum()
        assert np.abs(ties["value"]).min() >= np.float32(ties["least"])
        if ties["least"] < 0.15:
            assert len(ties["value"]) <= MOST * 30
    assert {document(tmp_path / "report", f"shelf/{k}")["ties"]["least"] for k in (0, 1)} != {0.05}


def test_every_name_is_found_by_its_hash(written):
    to, estimates, _, _ = written
    names = document(to, "names/0")
    found = set(
        zip(names["hash"].tolist(), names["index"].tolist(), names["test"].tolist(), strict=True)
    )
    for side, test in ((estimates.filenames, 0), (estimates.test_filenames, 1)):
        for k, name in enumerate(side):
            assert (zlib.crc32(name[:-4].encode()), k, test) in found


def test_what_is_said_of_the_size_is_what_is_there(written):
    to, _, _, said = written
    files = [path for path in to.rglob("*") if path.is_file()]
    assert said.n_bytes == sum(path.stat().st_size for path in files)
    assert said.page == to / "index.html" and said.page in files and said.n_missing == 0


def test_the_same_input_gives_the_same_bytes(written, tmp_path):
    to = written[0]
    again = tmp_path / "again"
    estimates, data = shapes(lost=5)
    write_report(estimates, again, images=data)
    files = sorted(path.relative_to(to) for path in to.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert filecmp.cmpfiles(to, again, files, shallow=False)[0] == files


def test_a_directory_that_is_not_empty_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("months of work")
    with pytest.raises(DiskError, match="not empty"):
        write_report(shapes()[0], tmp_path / "mine")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.tex"]
    (tmp_path / "mine" / "thesis.tex").unlink()
    assert write_report(shapes()[0], tmp_path / "mine").page.is_file()


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_report_leaves_nothing(tmp_path, monkeypatch, end):
    def stop(*_):
        raise end

    monkeypatch.setattr(packs, "shelf_of", stop)
    with pytest.raises(end):
        write_report(shapes()[0], tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_names_and_labels_are_text_whatever_they_hold(tmp_path):
    estimates, data = shapes()
    names = estimates.filenames.astype("U400")
    names[: len(HOSTILE)] = HOSTILE
    arrays = {**estimates.arrays, "tr_filenames": names}
    source = tmp_path / os.fsdecode(b"a; b\xe9<img>.npz")
    source.touch()
    about = About(dataset=HOSTILE[1], definition=HOSTILE[0], source=str(source))
    write_report(Estimates(arrays, about), tmp_path / "report", images=data)
    html = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert "<img" not in html and "document.title" in html
    assert "a; b?&lt;img&gt;.npz, 0 B" in html
    assert re.findall(r"<script[^>]*>", html) == re.findall(
        r'<script defer src="[\w/]+\.js">', html
    )
    for path in (tmp_path / "report" / "data").rglob("*.js"):
        text = path.read_bytes()
        assert text.isascii() and b"<" not in text
    kept = {
        name
        for path in (tmp_path / "report" / "data" / "shelf").glob("*.js")
        for name in document(tmp_path / "report", f"shelf/{path.stem}")["train"]["name"]
    }
    assert set(HOSTILE) <= kept


def test_the_page_is_bound_to_its_own_folder(written):
    html = (written[0] / "index.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    assert policy.startswith(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'"
    )
    assert "unsafe" not in policy and " style=" not in html
    assert all("://" not in source for source in re.findall(r'(?:src|href)="([^"]+)"', html))


@pytest.mark.parametrize(
    "options",
    [
        {"labels": False, "influence": False},
        {"labels": False, "influence": False, "names": False},
        {"n_classes": 1},
        {"influence": False},
        {"lost": 240},
    ],
    ids=["no labels", "nothing but numbers", "one class", "no influence", "no estimate"],
)
def test_whatever_is_missing_there_is_a_report(tmp_path, options):
    estimates, _ = shapes(**options)
    write_report(estimates, tmp_path / "report")
    summary = document(tmp_path / "report", "summary")
    assert (summary["classes"] is None) == (options.get("labels") is False)
    assert (summary["pairs"] is None) == (options.get("influence") is False)
    assert summary["images"] is None and summary["lost"] == options.get("lost", 0)


def test_no_pairs_at_all(tmp_path):
    estimates, _ = shapes()
    arrays = dict(estimates.arrays)
    for label in estimates.classes:
        arrays[f"infl_matrix_class{label}"] = np.zeros_like(arrays[f"infl_matrix_class{label}"])
    write_report(Estimates(arrays, ABOUT), tmp_path / "report")
    pairs = document(tmp_path / "report", "summary")["pairs"]
    assert pairs["n"] == 0 and pairs["pages"] == {"pairs": 0, "harmful": 0}


def test_scores_have_a_report_too(tmp_path):
    values = np.random.default_rng(0).random(500)
    about = About(
        "cifar10", "official", direction="high C-score = typical", paper="arXiv:2002.03206"
    )
    write_report(Scores(about, "c_score", values, np.arange(500) % 5), tmp_path / "report")
    summary = document(tmp_path / "report", "summary")
    assert summary["quantity"] == "C-score" and not summary["atypical"]
    assert summary["classes"]["share"] is None
    assert "Jiang" in (tmp_path / "report" / "index.html").read_text("utf-8")


def test_scores_of_unknown_direction_are_not_called_anything(tmp_path):
    write_report(Scores(About(), "score", np.random.default_rng(0).random(50)), tmp_path / "report")
    summary = document(tmp_path / "report", "summary")
    assert (summary["sign"], summary["memorization"], summary["cScore"]) == (0, False, False)
    html = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert "feldman2020what" not in html and "not recorded" in html


def test_missing_images_are_counted(tmp_path):
    estimates, data = shapes()
    root = tmp_path / "images" / "train"
    for k, image in enumerate(data.train_images[:-3]):
        path = root / f"{data.train_labels[k]}" / str(estimates.filenames[k])
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    said = write_report(estimates, tmp_path / "report", images=tmp_path / "images")
    html = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert said.n_missing == 3 and "The images of 3 examples were missing" in html
    assert not document(tmp_path / "report", "summary")["images"]["tests"]


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="at most 999 images"):
        write_report(shapes()[0], tmp_path / "report", max_images=999)


def test_figures_are_drawn_for_a_paper(tmp_path):
    estimates, data = shapes()
    write_report(estimates, tmp_path / "report", images=data, figures=True)
    figures = tmp_path / "report" / "figures"
    names = {"influence", "memorization", "memorized", "pairs"}
    assert {path.stem for path in figures.iterdir()} == names
    for name in names:
        assert (figures / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (figures / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert b"CreationDate" not in (figures / "pairs.pdf").read_bytes()


def test_figures_of_runs_and_of_no_estimate_at_all(tmp_path):
    bits = random_bits(np.random.default_rng(0), 40, 60, 12)
    store = stored(tmp_path / "runs", bits)
    estimates = estimate([store], converged=0)
    write_report(estimates, tmp_path / "report", stores=[store], figures=True)
    names = {path.stem for path in (tmp_path / "report" / "figures").iterdir()}
    assert names == {"memorization", "influence", "convergence", "halves"}
    nothing, _ = shapes(lost=240, influence=False)
    write_report(nothing, tmp_path / "nothing", figures=True)
    assert (tmp_path / "nothing" / "figures" / "memorization.pdf").stat().st_size > 1000


def test_everything_of_the_template_is_in_the_package():
    names = {path.name for path in page.TEMPLATE.iterdir()}
    assert {"index.html.j2", "style.css", "store.js", "router.js"} <= names
    assert page.TEMPLATE.is_relative_to(Path(page.__file__).parent)
