"""Every notebook runs from top to bottom, on what it serves itself, and is kept without outputs."""

from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SHOWN = {
    "quickstart": [
        "Estimates: memorization of 2,000 training examples",
        " pairs of ",
        "index.html, ",
    ],
    "regenerate": [
        "160 done, 0 missing, 0 failed",
        "Spearman of two halves 0.",
        "report/index.html with ",
    ],
    "checkpoints": [
        "100 runs in ",
        "miniature/0.7/42/checkpoints/ckpt-160.index",
        "inception with 1,8",
        "42.safetensors of 7",
    ],
    "align_and_select": [
        "by file name; 300 labels agree",
        "refused: ",
        "12 most memorized, 12 in the middle, 40 in a mix",
        "Spearman +0.",
    ],
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


# The kernel's own libraries warn about each other; what memtools does there is tested elsewhere.
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, monkeypatch):
    monkeypatch.setenv("MEMTOOLS_SYNTHETIC", "1")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=250, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", ())]
    shown = "\n".join(str(each.get("text") or each["data"]["text/plain"]) for each in outputs)
    for words in SHOWN[path.stem]:
        assert words in shown
    assert sum("image/png" in each.get("data", {}) for each in outputs) == 1


def test_there_are_notebooks():
    assert NOTEBOOKS
