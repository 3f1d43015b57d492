"""memtools report."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from shapes import shapes

from memtools.report.choice import MAX_IMAGES
from memtools.report.page import FEWEST


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    estimates, data = shapes()
    estimates.save(root / "estimates.npz")
    np.savez(
        root / "data.npz",
        train_images=data.train_images,
        train_labels=data.train_labels,
        test_images=data.test_images,
        test_labels=data.test_labels,
    )
    return root


def test_a_report_is_written_and_its_page_named(memtools, files, tmp_path):
    to = tmp_path / "reports" / "shapes"
    shown = memtools("report", files / "estimates.npz", "--to", to, "--images", files / "data.npz")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == f"{to / 'index.html'}\n"
    assert "thumbnails" in shown.stderr and " kB" in shown.stderr
    html = (to / "index.html").read_text("utf-8")
    assert "estimates.npz" in html and "not recorded" in html
    again = memtools("report", files / "estimates.npz", "--to", to)
    assert again.returncode == 6 and "not empty" in again.stderr


def test_the_command_has_the_limits_of_the_library(memtools):
    shown = " ".join(memtools("report", "--help").stdout.split())
    assert f"[default: {MAX_IMAGES}; x>={FEWEST}]" in shown


def test_a_report_does_without_tensorflow(files, tmp_path):
    code = """
        import sys
        from pathlib import Path
        import memtools
        from memtools.report.page import write_report
        numbers, images, to = sys.argv[1:]
        write_report(memtools.load(Path(numbers)), Path(to), images=images)
        print(sorted({"tensorflow", "keras", "tensorflow_datasets"} & set(sys.modules)))
    """
    arguments = [files / "estimates.npz", files / "data.npz", tmp_path / "report"]
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_images_of_something_else_are_refused_in_two_lines(memtools, files, tmp_path):
    images = dict(np.load(files / "data.npz"))
    images["train_labels"] = np.roll(images["train_labels"], 1)
    np.savez(tmp_path / "other.npz", **images)
    to = tmp_path / "report"
    shown = memtools(
        "report", files / "estimates.npz", "--to", to, "--images", tmp_path / "other.npz"
    )
    assert shown.returncode == 5 and "labels disagree" in shown.stderr
    assert len(shown.stderr.splitlines()) == 2 and not to.exists()


def test_published_scores_and_lists_of_pairs(memtools, published, tmp_path):
    scores = published / "cifar100-cscores-orig-order.npz"
    shown = memtools("report", scores, "--to", tmp_path / "scores")
    assert shown.returncode == 0, shown.stderr
    html = (tmp_path / "scores" / "index.html").read_text("utf-8")
    assert "b1bfd251d4cd42a0a216d3be520af4cf" in html and "C-score" in html
    pairs = published / "cifar100_high_infl_pairs_infl0.15_mem0.25.npz"
    shown = memtools("report", pairs, "--to", tmp_path / "pairs")
    assert shown.returncode == 2 and "lists pairs" in shown.stderr
