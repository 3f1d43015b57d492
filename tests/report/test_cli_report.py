"""memtools report."""

import os
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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tr_labels": None, "tr_classidx_0": [999]}, "tr_classidx_*"),
        ({"tr_mem_low": np.zeros(3)}, "tr_mem_low has the shape"),
        ({"tt_filenames": np.array(["a", "b"])}, "tt_filenames has the shape"),
        ({"infl_se_class2": np.zeros((1, 1))}, "infl_se_class2 has the shape"),
        ({"tr_labels": np.zeros((240, 2), int)}, "tr_labels has the shape"),
        ({"tr_mem": np.array(["much"] * 240)}, "tr_mem holds <U4"),
        ({"tr_n_in": np.full(240, -3)}, "tr_n_in holds -3"),
        ({"tr_filenames": np.array([b"\xe9%d" % k for k in range(240)])}, "is not UTF-8"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value,
)
def test_arrays_that_cannot_be_right_are_two_lines(memtools, files, tmp_path, changes, words):
    arrays = {**np.load(files / "estimates.npz"), **changes}
    np.savez(tmp_path / "bad.npz", **{k: each for k, each in arrays.items() if each is not None})
    shown = memtools("report", tmp_path / "bad.npz", "--to", tmp_path / "report")
    assert (shown.returncode, len(shown.stderr.splitlines())) == (5, 2), shown.stderr
    assert words.rstrip("*") in shown.stderr and not (tmp_path / "report").exists()


@pytest.mark.parametrize("command", ["report", "publish"])
def test_without_tensorflow_it_says_what_to_install_before_anything_is_written(
    files, tmp_path, command
):
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError(name='tensorflow')")
    (tmp_path / "c.toml").write_text(
        'dataset = "tfds:x"\nmodel = "mlp"\nepochs = 1\nbatch_size = 1\npeak_lr = 1.0\n'
    )
    for images in ("tfds:x", "tfrecords:x", str(tmp_path / "c.toml")):
        to = tmp_path / "to"
        arguments = [command, str(files / "estimates.npz"), "--to", str(to), "--images", images]
        code = f"from memtools_cli.main import app; app({arguments!r})"
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 1 and "pip install 'memtools[tf]'" in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 2 and not to.exists()


def test_published_scores_and_lists_of_pairs(memtools, published, tmp_path):
    scores = published / "cifar100-cscores-orig-order.npz"
    shown = memtools("report", scores, "--to", tmp_path / "scores")
    assert shown.returncode == 0, shown.stderr
    html = (tmp_path / "scores" / "index.html").read_text("utf-8")
    assert "b1bfd251d4cd42a0a216d3be520af4cf" in html and "C-score" in html
    pairs = published / "cifar100_high_infl_pairs_infl0.15_mem0.25.npz"
    shown = memtools("report", pairs, "--to", tmp_path / "pairs")
    assert shown.returncode == 2 and "lists pairs" in shown.stderr


def test_a_report_of_ones_own_table_makes_up_no_direction(memtools, tmp_path):
    table = tmp_path / "el2n.csv"
    rows = "".join(f"{k},{k % 3},{k / 30}\n" for k in range(30))
    table.write_text(f",label,el2n\n{rows}")
    refused = memtools("report", table, "--to", tmp_path / "none")
    assert refused.returncode == 2 and "--column" in refused.stderr
    options = ("--column", "el2n", "--dataset", "mine", "--order", "file")
    shown = memtools("report", table, *options, "--to", tmp_path / "report")
    assert shown.returncode == 0, shown.stderr
    assert '"sign":0,' in (tmp_path / "report" / "data" / "summary.js").read_text("utf-8")
    memtools("report", table, *options, "--direction", "typical", "--to", tmp_path / "said")
    assert '"sign":-1,' in (tmp_path / "said" / "data" / "summary.js").read_text("utf-8")
