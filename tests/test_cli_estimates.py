"""memtools info, export, pairs."""

import csv
import json

import numpy as np
import pytest
from worlds import imagenet_names, published_arrays


@pytest.fixture
def mine(tmp_path):
    arrays = published_arrays([40, 60, 50], 20)
    arrays["tr_filenames"] = imagenet_names(150).astype("S")
    np.savez(tmp_path / "mine.npz", **arrays)
    return tmp_path / "mine.npz", arrays


def test_info_tells_arrays_ranges_and_a_histogram(memtools, mine):
    path, _ = mine
    shown = memtools("info", path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "memorization of 150 training examples, influence by 3 classes" in shown.stdout
    assert "infl_matrix_class{K} (3)\tfloat32\t40x20 to 60x20" in shown.stdout
    bins = [line for line in shown.stdout.splitlines() if " to " in line and "█" in line]
    assert sum(int(line.split()[3].replace(",", "")) for line in bins) == 150


def test_info_in_json_counts_every_example(memtools, mine):
    path, arrays = mine
    document = json.loads(memtools("info", path, "--json").stdout)
    assert sum(document["histogram"]["counts"]) == 150
    facts = {each["name"]: each for each in document["arrays"]}
    assert facts["tr_mem"]["high"] == pytest.approx(float(arrays["tr_mem"].max()))
    assert document["about"]["source"] == str(path)


def test_export_writes_a_row_for_each_example(memtools, mine, tmp_path):
    path, arrays = mine
    out = tmp_path / "scores.csv"
    shown = memtools("export", path, "--out", out)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"{out}\n", "")
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 150
    assert [np.float32(row["memorization"]) for row in rows] == arrays["tr_mem"].tolist()
    assert [int(row["label"]) for row in rows] == arrays["tr_labels"].tolist()
    assert rows[149]["filename"] == "n00000000_149.JPEG"


def test_pairs_are_counted_and_shown_strongest_first(memtools, mine, tmp_path):
    path, arrays = mine
    options = ("--min-mem", 0.5, "--min-infl", 0.05)
    facts = json.loads(memtools("pairs", path, *options, "--json").stdout)
    strong = [
        (arrays[f"tr_classidx_{k}"][i], arrays[f"tt_classidx_{k}"][j])
        for k in range(3)
        for i, j in zip(*np.nonzero(arrays[f"infl_matrix_class{k}"] >= 0.05), strict=True)
        if arrays["tr_mem"][arrays[f"tr_classidx_{k}"][i]] >= 0.5
    ]
    assert facts == {
        "n_pairs": len(strong),
        "n_train": len({train for train, _ in strong}),
        "n_test": len({test for _, test in strong}),
        "min_mem": 0.5,
        "min_infl": 0.05,
    }
    shown = memtools("pairs", path, *options, "--top", 3, "--out", tmp_path / "p.csv").stdout
    influence = [float(line.split("\t")[3]) for line in shown.splitlines()[1:4]]
    assert influence == sorted(influence, reverse=True)
    assert shown.splitlines()[-1].startswith(f"{len(strong)} pairs of {facts['n_train']} training")
    assert len((tmp_path / "p.csv").read_text().splitlines()) == len(strong) + 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("pairs", "FILE", "--min-mem", "2"), 2, "Invalid value"),
        (("export", "FILE", "--out", "x.xls"), 2, "names no format"),
        (("info", "nothing-of-this-name"), 2, "no artifact or group"),
        (("info", "BROKEN"), 5, "not a valid npz"),
        (("verify", "BROKEN"), 5, "not a valid npz"),
        (("export", "FILE", "--out", "none/x.csv"), 6, "no such file"),
    ],
)
def test_errors_are_two_lines_and_the_code_of_their_class(
    memtools, mine, tmp_path, arguments, code, words
):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(mine[0].read_bytes()[:1000])
    paths = {"FILE": mine[0], "BROKEN": broken}
    shown = memtools(*(paths.get(each, each) for each in arguments), cwd=tmp_path)
    assert shown.returncode == code and shown.stdout == ""
    assert words in shown.stderr
    assert len(shown.stderr.splitlines()) == 2 or shown.stderr.startswith("Usage")


def test_verify_says_what_of_a_file_that_no_registry_knows(memtools, mine, tmp_path):
    path, arrays = mine
    shown = memtools("verify", path)
    assert shown.returncode == 0
    assert shown.stdout == f"{path}: no digest known, arrays checked (influence)\n"
    arrays["tr_mem"][7] = 1.5
    np.savez(path, **arrays)
    shown = memtools("verify", path)
    assert shown.returncode == 5
    assert "tr_mem holds 1.5, which is outside [-1, 1]" in shown.stderr


def test_a_pickle_that_would_run_code_is_refused_with_a_clear_line(memtools, tmp_path):
    witness = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return exec, (f"import os; os.mkdir({str(witness)!r})",)

    np.savez(tmp_path / "evil.npz", tr_mem=np.zeros(1), tr_filenames=np.array([Evil()]))
    for options in ((), ("--names",)):
        for command in ("info", "verify"):
            shown = memtools(command, tmp_path / "evil.npz", *options)
            assert shown.returncode == 5
            assert "evil.npz: tr_filenames: " in shown.stderr
            assert len(shown.stderr.splitlines()) == 2
    assert "it asks for builtins.exec" in shown.stderr
    assert not witness.exists()


def test_a_list_of_pairs_knows_its_own_thresholds_from_the_real_files(memtools, published):
    expected = {"cifar100": (1015, 964, 888), "imagenet": (1641, 1605, 1462)}
    for dataset, counts in expected.items():
        path = published / f"{dataset}_high_infl_pairs_infl0.15_mem0.25.npz"
        facts = json.loads(memtools("pairs", path, "--json").stdout)
        assert (facts["n_pairs"], facts["n_train"], facts["n_test"]) == counts
        with np.load(path) as arrays:
            keep = (arrays["mem"] >= 0.6) & (arrays["infl"] >= 0.3)
            by_hand = (
                int(keep.sum()),
                len(set(arrays["tr_idx"][keep])),
                len(set(arrays["tt_idx"][keep])),
            )
        options = ("--min-mem", 0.6, "--min-infl", 0.3, "--json")
        facts = json.loads(memtools("pairs", path, *options).stdout)
        assert (facts["n_pairs"], facts["n_train"], facts["n_test"]) == by_hand
    assert memtools("pairs", path, "--min-mem", 0.2).returncode == 2


def test_published_c_scores_are_exported_with_all_rows(memtools, published, tmp_path):
    for name in ("cifar10", "cifar100"):
        path = published / f"{name}-cscores-orig-order.npz"
        out = tmp_path / f"{name}.csv"
        assert memtools("export", path, "--out", out).returncode == 0
        with np.load(path) as arrays, out.open(newline="") as file:
            rows = list(csv.DictReader(file))
            assert len(rows) == 50_000
            assert [float(row["c_score"]) for row in rows] == arrays["scores"].tolist()
            assert [int(row["label"]) for row in rows] == arrays["labels"].tolist()
        about = json.loads((tmp_path / f"{name}.csv.about.json").read_text())
        assert about["direction"] == "high C-score = typical" and about["order"] == "official"


def test_info_says_that_a_direction_is_not_recorded(memtools, published, tmp_path):
    np.save(tmp_path / "mine.npy", np.linspace(0, 1, 9))
    shown = memtools("info", tmp_path / "mine.npy").stdout
    assert shown.startswith("Scores: score of 9 examples") and "direction:  not recorded" in shown
    said = ("--direction", "typical", "--dataset", "mnist", "--order", "tfds")
    shown = memtools("info", tmp_path / "mine.npy", *said).stdout
    assert "direction:  high score = typical" in shown and "order:      tfds" in shown
    (tmp_path / "renamed.npz").write_bytes(
        (published / "cifar10-cscores-orig-order.npz").read_bytes()
    )
    shown = memtools("info", tmp_path / "renamed.npz").stdout
    assert "c_score of 50,000" in shown and "direction:  high C-score = typical" in shown
    shown = memtools("info", tmp_path / "renamed.npz", "--direction", "atypical")
    assert shown.returncode == 2 and "recorded as 'high C-score = typical'" in shown.stderr


def test_info_in_json_names_the_column_and_the_positions(memtools, tmp_path):
    (tmp_path / "t.csv").write_text("idx,el2n\n7,0.5\n2,0.75\n")
    shown = memtools("info", tmp_path / "t.csv", "--column", "el2n", "--json")
    document = json.loads(shown.stdout)
    assert document["quantity"] == "el2n" and len(document["notes"]) == 2
    shown = memtools("info", tmp_path / "t.csv")
    assert shown.returncode == 2 and "its columns are idx, el2n" in shown.stderr


@pytest.mark.parametrize("ending", ["npz", "csv", "tsv", "json", "parquet"])
def test_pairs_that_were_written_are_pairs_again(memtools, mine, tmp_path, ending):
    out = tmp_path / f"p.{ending}"
    first = memtools("pairs", mine[0], "--min-mem", 0.5, "--min-infl", 0.05, "--json", "--out", out)
    again = memtools("pairs", out, "--min-mem", 0.5, "--min-infl", 0.05, "--json")
    assert json.loads(again.stdout) == json.loads(first.stdout), again.stderr
    assert memtools("pairs", out, "--min-mem", 0.4, "--min-infl", 0.05).returncode == 2
    assert memtools("verify", out).stdout.endswith("arrays checked (pairs)\n")


@pytest.mark.parametrize("command", ["info", "verify"])
def test_files_that_cannot_be_read_are_named_for_what_they_are(memtools, tmp_path, command):
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "a.pt").write_bytes(b"PK")
    (tmp_path / "a.csv").write_text("version https://git-lfs.github.com/spec/v1\n")
    for file, words in (
        ("empty.npz", "empty.npz is empty"),
        ("a.pt", "is a PyTorch file"),
        ("a.csv", "is a Git LFS pointer"),
        ("none.npz", "none.npz is missing"),
        (".", "is a directory"),
    ):
        shown = memtools(command, tmp_path / file)
        assert shown.returncode in (2, 5, 6) and words in shown.stderr, shown.stderr
        assert len(shown.stderr.splitlines()) == 2


def test_results_of_the_authors_demo_are_shown_and_have_pairs(memtools, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"memorization": rng.random(30), "influence": rng.uniform(-0.2, 0.4, (20, 30))}
    np.savez(tmp_path / "infl_mem.npz", **arrays)
    shown = memtools("info", tmp_path / "infl_mem.npz").stdout
    assert "infl_matrix\tfloat64\t30x20" in shown and "high memorization = atypical" in shown
    facts = json.loads(memtools("pairs", tmp_path / "infl_mem.npz", "--json").stdout)
    strong = (arrays["influence"].T >= 0.15) & (arrays["memorization"] >= 0.25)[:, None]
    assert facts["n_pairs"] == int(strong.sum()) > 20
