"""From nothing to a finished estimate."""

import json
import os

import numpy as np
import pytest

from memtools.artifacts.loader import load
from memtools.runs.store import RunStore


def test_a_folder_that_is_no_report_is_left_alone_before_anything_is_trained(memtools, tmp_path):
    thesis = tmp_path / "report" / "thesis.tex"
    thesis.parent.mkdir()
    thesis.write_text("months of work")
    shown = memtools("demo", "--to", tmp_path, "--runs", 12)
    assert shown.returncode == 6 and "report is there, and not empty" in shown.stderr
    assert list(tmp_path.rglob("*")) == [thesis.parent, thesis]


@pytest.mark.timeout(600)
def test_the_demo_finds_the_flipped_labels_and_resumes(memtools, tmp_path):
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    to = tmp_path / "demo"
    shown = memtools("demo", "--to", to, "--runs", 96, timeout=250, env=environment)
    assert shown.returncode == 0, shown.stderr
    summary = json.loads((to / "summary.json").read_text())
    assert (summary["n_runs"], summary["n_flipped"]) == (96, 24)
    assert summary["flipped_auroc"] >= 0.97 and summary["flipped_precision"] >= 0.6
    assert summary["train_accuracy"] >= 0.995 and summary["split_half_spearman"] >= 0.6
    for picture in ("histogram.png", "memorized.png", "pairs.png"):
        assert (to / picture).read_bytes().startswith(b"\x89PNG")
    assert f"{to}/report/index.html" in shown.stdout
    assert (to / "report" / "data" / "tops-0.png").read_bytes().startswith(b"\x89PNG")
    estimates = load(to / "estimates.npz")
    assert np.array_equal(estimates.n_in + estimates.n_out, np.full(1200, 96))
    assert "area under the ROC curve" in shown.stdout and "Go on with:" in shown.stdout
    store = RunStore.open(to / "runs")
    store.path(5).unlink()
    before = store.path(6).stat().st_mtime_ns
    shown = memtools("train", "digits-demo", "--runs", "5,6", "--to", to / "runs", env=environment)
    assert (shown.returncode, shown.stdout) == (0, f"{to / 'runs'}\n"), shown.stderr
    assert store.path(6).stat().st_mtime_ns == before and len(store) == 96
