"""align, select, compare from the command line."""

import json

import numpy as np
import pytest

from memtools import load
from memtools.datasets.tfds_order import tfds_order
from memtools.estimates.about import About, save
from memtools.estimates.npz import Npz

SYNSETS = ["n01440764", "n01443537"]


@pytest.fixture
def index(tmp_path):
    """A file of ten estimates with names and labels, and a folder of the images."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(10) % 2)
    names = np.array([f"{SYNSETS[label]}_{k}.JPEG" for k, label in enumerate(labels)])
    arrays = {"tr_filenames": names, "tr_labels": labels, "tr_mem": np.linspace(0, 0.9, 10)}
    about = About(dataset="imagenet", order="published", direction="high memorization = atypical")
    save(tmp_path / "index.npz", arrays, about)
    for name, label in zip(names, labels, strict=True):
        path = tmp_path / "train" / SYNSETS[label] / str(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "index.npz"


def listed(tmp_path):
    return [
        path.name for synset in SYNSETS for path in sorted((tmp_path / "train" / synset).iterdir())
    ]


def test_a_directory_is_aligned_and_kept(memtools, index, tmp_path):
    out = tmp_path / "aligned.npz"
    shown = memtools("align", index, "--to", tmp_path / "train", "--out", out)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines() == [
        "10 of 10 examples, by file name; 10 labels agree",
        "missing in the data set: 0; without a number: 0",
        str(out),
    ]
    with Npz(out) as arrays:
        wanted = [float(name.split("_")[1].split(".")[0]) / 10 for name in listed(tmp_path)]
        np.testing.assert_allclose(arrays["scores"], wanted)
        assert arrays["found"].all()


def test_a_selection_speaks_of_the_users_data_and_is_replayed(memtools, index, tmp_path):
    data, out = tmp_path / "train", tmp_path / "forget.json"
    arguments = ("--top", "2", "--random", "3", "--seed", "4", "--to", data, "--out", out)
    shown = memtools("select", index, *arguments)
    assert shown.returncode == 0, shown.stderr
    document = json.loads(out.read_text())
    names = listed(tmp_path)
    assert [names[k] for k in document["indices"]] == document["filenames"]
    assert {"_9.JPEG", "_8.JPEG"} <= {name[9:] for name in document["filenames"]}
    again = tmp_path / "again.json"
    shown = memtools("select", "--replay", f"{out}.manifest.json", "--out", again)
    assert shown.returncode == 0, shown.stderr
    assert again.read_bytes() == out.read_bytes()
    (tmp_path / "index.npz").write_bytes((tmp_path / "index.npz").read_bytes() + b"x")
    shown = memtools("select", "--replay", f"{out}.manifest.json", "--out", tmp_path / "no.json")
    assert (shown.returncode, len(shown.stderr.splitlines())) == (2, 2)
    assert "scores changed since" in shown.stderr and not (tmp_path / "no.json").exists()


def test_two_scores_are_compared_and_drawn(memtools, index, tmp_path):
    np.save(tmp_path / "mine.npy", np.linspace(1, 0, 10))
    arguments = ("--direction-b", "typical", "--dataset", "imagenet", "--order", "published")
    plot = tmp_path / "plot.png"
    shown = memtools("compare", index, tmp_path / "mine.npy", *arguments, "--json", "--plot", plot)
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert found["spearman"] == pytest.approx(1) and found["spearman_raw"] == pytest.approx(-1)
    assert found["n"] == 10 and plot.read_bytes().startswith(b"\x89PNG")
    shown = memtools("compare", index, tmp_path / "mine.npy", *arguments, "--by-class")
    assert "Spearman  +1.000   (raw -1.000)" in shown.stdout
    assert shown.stdout.count("+1.000") == 4  # Spearman, Pearson, two classes


def test_keys_are_made_of_an_official_copy(memtools, tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (20, 3074), np.uint8)
    rows[:, 1] = np.arange(20) % 4
    (tmp_path / "cifar").mkdir()
    rows.tofile(tmp_path / "cifar" / "train.bin")
    keys = tmp_path / "keys.npz"
    shown = memtools("align", "--reference", tmp_path / "cifar", "--out", keys)
    assert shown.stdout == f"20 keys of cifar100, official order: {keys}\n", shown.stderr
    about = About(dataset="cifar100", order="official", direction="high C-score = typical")
    arrays = {"scores": np.arange(20.0), "labels": np.arange(20) % 4}
    save(tmp_path / "scores.npz", arrays, about)
    order = rng.permutation(20)
    images = rows[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)[order]
    np.savez(tmp_path / "mine.npz", images=images, labels=arrays["labels"][order])
    out = tmp_path / "aligned.npz"
    options = ("--to", tmp_path / "mine.npz", "--reference", keys, "--out", out)
    shown = memtools("align", tmp_path / "scores.npz", *options)
    assert shown.returncode == 0, shown.stderr
    with Npz(out) as arrays:
        assert np.array_equal(arrays["scores"], order)


@pytest.mark.parametrize("ending", ["npz", "csv", "tsv", "json", "parquet"])
def test_what_align_writes_is_read_back_and_verified(memtools, index, tmp_path, ending):
    out = tmp_path / f"aligned.{ending}"
    shown = memtools("align", index, "--to", tmp_path / "train", "--out", out)
    assert shown.returncode == 0, shown.stderr
    found = load(out)
    wanted = [float(name.split("_")[1].split(".")[0]) / 10 for name in listed(tmp_path)]
    assert np.allclose(found.values, wanted) and found.filenames.tolist() == listed(tmp_path)
    assert (found.quantity, found.about.order, found.partial) == ("memorization", "", False)
    assert "aligned by file name" in found.about.doubt and found.notes == ()
    again = tmp_path / f"again.{ending}"
    assert memtools("export", out, "--out", again).returncode == 0
    same = load(again)
    assert np.array_equal(same.values, found.values) and same.values.dtype == found.values.dtype
    assert same.labels.tolist() == found.labels.tolist()
    shown = memtools("verify", out)
    assert shown.stdout == f"{out}: no digest known, arrays checked (scores)\n", shown.stderr


def test_numbers_in_the_order_of_tfds_are_brought_into_the_official_one(
    memtools, published, tmp_path
):
    source, out = published / "mnist-cscores.npy", tmp_path / "official.npz"
    shown = memtools("align", source, "--order", "official", "--out", out)
    assert shown.returncode == 0, shown.stderr
    found = load(out)
    assert (found.about.order, found.quantity) == ("official", "c_score")
    assert np.array_equal(found.values[tfds_order("mnist", "train")], np.load(source))
    facts = json.loads(memtools("compare", out, source, "--json").stdout)
    assert facts["spearman"] == pytest.approx(1) and "is computed" in facts["proof"]


def test_a_selection_says_in_which_positions_it_is(memtools, index, tmp_path):
    out = tmp_path / "s.txt"
    shown = memtools("select", index, "--top", "2", "--out", out).stdout
    assert "; positions in the published order of imagenet\n" in shown
    shown = memtools("select", index, "--top", "2", "--to", tmp_path / "train", "--out", out).stdout
    assert "; positions in the folder train of 10 images\n" in shown


def test_a_table_is_selected_from_by_its_own_positions(memtools, tmp_path):
    (tmp_path / "t.csv").write_text("idx,el2n,label\n7,0.5,1\n2,0.75,0\n4,0.25,1\n")
    out = tmp_path / "s.txt"
    options = ("--column", "el2n", "--top", "2", "--out", out)
    shown = memtools("select", tmp_path / "t.csv", *options)
    assert shown.returncode == 0 and out.read_text() == "2\n7\n", shown.stderr
    assert shown.stderr.splitlines() == [
        f"note: {tmp_path / 't.csv'}: the scores are the column 'el2n',"
        " the labels are the column 'label'",
        f"note: {tmp_path / 't.csv'}: 3 values placed by column idx, at 8 positions",
    ]
    again = tmp_path / "again.txt"
    shown = memtools("select", "--replay", f"{out}.manifest.json", "--out", again)
    assert again.read_text() == "2\n7\n", shown.stderr
    np.save(tmp_path / "mine.npy", np.array([0.5, 0.75, 0.25]))
    (tmp_path / "index.txt").write_text("7\n2\n4\n")
    options = ("--index", tmp_path / "index.txt", "--top", "2", "--out", out)
    assert memtools("select", tmp_path / "mine.npy", *options).returncode == 0
    assert out.read_text() == "2\n7\n"


def test_a_part_is_compared_only_where_its_positions_are_given(memtools, published, tmp_path):
    source = published / "cifar10-cscores-orig-order.npz"
    chosen = np.sort(np.random.default_rng(0).permutation(50_000)[:45_000])
    with np.load(source) as arrays:
        np.save(tmp_path / "part.npy", arrays["scores"][chosen])
    np.save(tmp_path / "index.npy", chosen)
    said = ("--direction-a", "typical", "--dataset", "cifar10", "--order", "official")
    shown = memtools("compare", tmp_path / "part.npy", source, *said)
    assert shown.returncode == 5 and "one has 45,000 values, the other 50,000" in shown.stderr
    assert "--index" in shown.stderr
    index = ("--index-a", tmp_path / "index.npy")
    facts = json.loads(
        memtools("compare", tmp_path / "part.npy", source, *said, *index, "--json").stdout
    )
    assert (facts["n"], facts["spearman"]) == (45_000, pytest.approx(1))
    shown = memtools("compare", tmp_path / "part.npy", source, *said[:2], "--order", "tfds")
    assert shown.returncode == 2 and "recorded as 'official', not 'tfds'" in shown.stderr


def test_a_comparison_says_what_is_tied(memtools, published, tmp_path):
    source = published / "mnist-cscores.npy"
    np.save(tmp_path / "wrong.npy", np.random.default_rng(0).permutation(np.load(source)))
    said = ("--dataset", "mnist", "--order", "tfds", "--direction-b", "typical")
    shown = memtools("compare", source, tmp_path / "wrong.npy", *said)
    assert shown.returncode == 0, shown.stderr
    assert "6,000 highest of A, 10% are among those of B; chance alone gives 10%" in shown.stdout
    assert "ties: 45,503 examples of A compete for the last of these places" in shown.stdout
    assert "full agreement would give 13%" in shown.stdout
    assert "ties: 1 is the score of 45,503 of 60,000 examples of B" in shown.stdout
    facts = json.loads(memtools("compare", source, tmp_path / "wrong.npy", *said, "--json").stdout)
    assert facts["overlap"] == pytest.approx(0.1, abs=0.005)
    assert (facts["overlap_by_chance"], facts["tied_at_boundary"]) == (0.1, [45_503, 45_503])
    assert facts["most_common"][0] == {"score": 1.0, "n": 45_503}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("align", "INDEX"), 2, "no data set was given"),
        (("align",), 2, "nothing to align"),
        (("align", "INDEX", "--to", "DIR/none"), 6, "none is missing"),
        (("align", "INDEX", "--to", "DIR/none.txt"), 6, "none.txt"),
        (("align", "INDEX", "--to", "DIR/few.txt"), 5, "9 are missing"),
        (("align", "INDEX", "--to", "DIR/few.txt", "--out", "DIR/x.xls", "--allow-missing"), 2,
         "unknown ending"),
        (("align", "INDEX", "--to", "DIR/few.csv"), 2, "list of examples"),
        (("select", "INDEX", "--top", "3"), 2, "where to write it"),
        (("select", "INDEX", "--out", "DIR/x.json"), 2, "say what to select"),
        (("select", "INDEX", "--top", "11", "--out", "DIR/x.json"), 2, "11 examples are asked"),
        (("select", "INDEX", "--at-least", "2", "--out", "DIR/x.json"), 2, "nothing is selected"),
        (("select", "INDEX", "--bin", "9", "--out", "DIR/x.json"), 2, "'9' is not a bin"),
        (("select", "INDEX", "--top", "1", "--within", "DIR/few.txt", "--out", "DIR/x.json"), 2,
         "holds no positions"),
        (("select", "--replay", "DIR/few.txt", "--out", "DIR/x.json"), 2, "is not JSON"),
        (("compare", "INDEX", "DIR/few.npy", "--direction-b", "typical"), 5,
         "that of the second is not recorded"),
        (("compare", "INDEX", "DIR/few.npy"), 2, "is a high score typical or atypical?"),
    ],
)  # fmt: skip
def test_wrong_requests_are_two_lines_and_leave_nothing(
    memtools, index, tmp_path, arguments, code, words
):
    (tmp_path / "few.txt").write_text(f"{listed(tmp_path)[0]}\n")
    (tmp_path / "few.csv").write_text("a,b\n1,2\n")
    np.save(tmp_path / "few.npy", np.arange(10.0))
    before = sorted(tmp_path.iterdir())
    shown = memtools(
        *(
            str(each).replace("INDEX", str(index)).replace("DIR", str(tmp_path))
            for each in arguments
        )
    )
    assert shown.returncode == code, shown.stderr
    assert len(shown.stderr.splitlines()) == 2 and words in shown.stderr, shown.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.fixture
def mine(tmp_path):
    """A score for each training example of CIFAR-10: its position; the order is not recorded."""
    np.save(tmp_path / "mine.npy", np.arange(50_000.0))
    return tmp_path / "mine.npy"


def test_scores_aligned_to_shuffled_positions_record_no_order(memtools, mine, tmp_path):
    positions = np.random.default_rng(0).permutation(50_000)
    table = tmp_path / "positions.csv"
    table.write_text("index\n" + "\n".join(map(str, positions.tolist())) + "\n")
    declared = ("--dataset", "cifar10", "--order", "official")
    out = tmp_path / "aligned.npz"
    shown = memtools("align", mine, "--to", table, *declared, "--out", out)
    assert shown.returncode == 0, shown.stderr
    aligned = load(out)
    assert aligned.values.tolist() == positions.tolist()
    assert aligned.about.order == ""  # they stand in the order of the table, which has no name


def test_scores_aligned_to_data_of_a_known_order_record_that_order(memtools, mine, tmp_path):
    ids = tmp_path / "ids.txt"
    ids.write_text("".join(f"train_{k:05d}\n" for k in range(50_000)))
    declared = ("--dataset", "cifar10", "--order", "tfds")  # that of the numbers: ids tell theirs
    out = tmp_path / "aligned.npz"
    shown = memtools("align", mine, "--to", ids, *declared, "--out", out)
    assert shown.returncode == 0, shown.stderr
    aligned = load(out)
    assert aligned.about.order == "official"
    assert aligned.values[tfds_order("cifar10", "train")].tolist() == list(range(50_000))


def test_scores_of_a_part_are_not_selected_from_as_if_they_were_all(memtools, tmp_path):
    np.save(tmp_path / "part.npy", np.arange(45_000.0))
    declared = ("--dataset", "cifar10", "--order", "official")
    out = tmp_path / "forget.txt"
    shown = memtools("select", tmp_path / "part.npy", *declared, "--top", "2", "--out", out)
    assert shown.returncode == 5 and not out.exists()
    assert "45,000 scores in the official order of cifar10, which has 50,000" in shown.stderr
    np.save(tmp_path / "index.npy", np.arange(5_000, 50_000))
    placed = (*declared, "--index", tmp_path / "index.npy")
    shown = memtools("select", tmp_path / "part.npy", *placed, "--top", "2", "--out", out)
    assert shown.returncode == 0, shown.stderr
    assert out.read_text() == "49998\n49999\n"


def test_numbers_are_counted_and_not_positions(memtools, tmp_path):
    (tmp_path / "part.csv").write_text("index,score\n0,0.5\n3,0.25\n5,0.75\n")
    np.save(tmp_path / "labels.npy", np.zeros(6, int))
    arguments = ("--to", tmp_path / "labels.npy", "--order", "official")
    shown = memtools("align", tmp_path / "part.csv", *arguments)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("3 of 6 examples")
    assert "missing in the data set: 0; without a number: 3" in shown.stdout


def test_ids_are_used_although_an_order_is_declared(memtools, tmp_path):
    order = np.random.default_rng(0).permutation(40)
    rows = "".join(f"train_{k:05d},{k / 40}\n" for k in order)
    (tmp_path / "ids.csv").write_text(f"id,score\n{rows}")
    out = tmp_path / "out.csv"
    shown = memtools("align", tmp_path / "ids.csv", "--order", "official", "--out", out)
    assert shown.returncode == 0, shown.stderr
    assert np.array_equal(load(out).values, np.arange(40) / 40)
