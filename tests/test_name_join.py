"""Names are joined by what they stand for, and what is doubtful is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memtools.alignment.name_join import (
    class_synsets,
    join_names,
    official_positions,
    require_plausible_agreement,
)
from memtools.alignment.name_table import NameTable
from memtools.datasets.identity import identify, synset_of
from memtools.datasets.image_stems import parse_names, synset_codes
from memtools.datasets.names import NameColumn
from memtools.errors import AlignmentError, ConfigError

SMALL = settings(max_examples=80, deadline=None, derandomize=True, database=None)
SYNSETS = st.sampled_from(["n01440764", "n01443537", "n0144076", "n014407641", "N01440764"])
PARTS = st.one_of(
    SYNSETS,
    st.sampled_from(
        ["/", "\\", ".", "_", "//", ".JPEG", ".jpg", ".WebP", ".tiff", ".gz", "_n01440764", "train"]
    ),
    st.text("n_0129./\\éß٣", max_size=6),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    st.integers(0, 10**9).map(str),
    st.integers(1, 90).map(lambda n: "x" * n),
)
NAMES = st.lists(PARTS, max_size=7).map("".join)


def code_of(synset):
    return int(synset[1:]) if synset else -1


@pytest.mark.parametrize(
    ("name", "stem", "claim"),
    [
        ("n01440764_10026.WebP", "n01440764_10026", -1),
        ("n01440764_10026.JPEG.gz", "n01440764_10026.JPEG.gz", -1),
        ("a/n01440764\\n01440764_10026", "n01440764_10026", 1440764),
        ("n00000000/x_1_n15102894.tiff", "x_1", 15102894),
        ("val/n01440764/.png", ".png", 1440764),  # the name of a hidden file, not an extension
        ("n0144076\N{ARABIC-INDIC DIGIT FOUR}/x.png", "x", -1),  # digits, but not those of a synset
        ("_n01440764.JPEG", "_n01440764", -1),
        ("x_n01440764.JPEG", "x_n01440764", -1),  # the stem of an official name has an underscore
        ("", "", -1),
    ],
)
def test_parse_names_gives_stem_and_claimed_synset(name, stem, claim):
    stems, claims = parse_names(NameColumn.of([name]))
    assert (stems[0], claims[0]) == (stem, claim)
    assert identify(name) == (stem, f"n{claim:08d}" if claim >= 0 else "")


@SMALL
@given(st.lists(NAMES, max_size=12))
@example([])
@example(["", "a", "", "/", "\\", ".png", "/.png", "a/n01440764/", "n01440764/x", "/n01440764/x"])
@example(["x" * 40 + "/n01440764/" + "y" * n for n in range(40, 60)])
@example(
    ["an01440764/x.png", "n01443537/a_n01440764.JPEG", "a_b_n01440764", "_n01440764", "a\0b\0"]
)
def test_parse_names_of_a_column_gives_what_identify_gives(names):
    stems, claims = parse_names(NameColumn.of(names))
    truth = [identify(name) for name in names]
    assert list(stems) == [stem for stem, _ in truth]
    assert claims.tolist() == [code_of(claim) for _, claim in truth]
    assert synset_codes(stems).tolist() == [code_of(synset_of(stem)) for stem, _ in truth]


@SMALL
@given(st.lists(NAMES, max_size=14), st.lists(NAMES, max_size=14))
@example(["a\0", "a", "a\0\0", "", "\0"], ["", "\0", "a", "a\0\0", "a\0", "a\0\0\0"])
@example(["x" * n for n in range(60, 70)], ["x" * n for n in range(75, 55, -1)])
def test_table_finds_what_a_dict_finds(ours, theirs):
    places = {}
    for k, name in enumerate(ours):
        places.setdefault(name, k)
    table = NameTable(NameColumn.of(ours))
    found = table.find(NameColumn.of(theirs + ours)).tolist()
    assert [ours[k] if k >= 0 else None for k in found] == [
        name if name in places else None for name in theirs + ours
    ]
    assert {ours[k] for k in table.repeated.tolist()} == {n for n in ours if ours.count(n) > 1}


def test_table_of_many_names_finds_each_of_them():
    names = [f"n{k % 37:08d}_{k}" for k in range(50_000)]
    order = np.random.default_rng(0).permutation(len(names))
    table = NameTable(NameColumn.of(np.array(names)))
    wanted = [names[k] for k in order.tolist()]
    assert np.array_equal(table.find(NameColumn.of(wanted)), order)
    assert not len(table.repeated)
    assert (table.find(NameColumn.of([f"{name}0" for name in names])) == -1).sum() > 40_000
    thrice = NameTable(NameColumn.of(names[:9] * 3))
    assert len(thrice.repeated) == 18


LABELS = np.array([2, 0, 1, 2, 0, 1, 0, 2])
SYNSETS_OF = np.array(["n01440764", "n01443537", "n02102040"])
TRAINING = np.array([f"{s}_{100 + 7 * k}.JPEG" for k, s in enumerate(SYNSETS_OF[LABELS].tolist())])
VALIDATION = np.array([f"ILSVRC2012_val_{k + 1:08d}.JPEG" for k in range(8)])
BY_SYNSET = dict(zip(SYNSETS_OF.tolist(), range(3), strict=True))


def bare(name):
    return name.removesuffix(".JPEG")


WRITINGS = {
    "as published": lambda name, synset: name,
    "without an extension": lambda name, synset: bare(name),
    "another extension": lambda name, synset: f"{bare(name)}.WebP",
    "in a folder": lambda name, synset: f"/data/größe/train/{synset}/{name}",
    "in a folder of Windows": lambda name, synset: f"D:\\train\\{synset}\\{name}",
    "in a long folder": lambda name, synset: f"{'x' * 300}/{synset}/{bare(name)}.jpg",
    "Hugging Face": lambda name, synset: f"train/{bare(name)}_{synset}.JPEG",
    "bytes": lambda name, synset: name.encode(),
    "a path": lambda name, synset: Path("train") / synset / name,
}


@pytest.mark.parametrize("published", [TRAINING, VALIDATION], ids=["training", "validation"])
@pytest.mark.parametrize("writing", WRITINGS)
def test_join_finds_every_writing_of_a_name(published, writing):
    order = np.random.default_rng(3).permutation(8)
    write = WRITINGS[writing]
    theirs = [write(str(published[k]), SYNSETS_OF[LABELS[k]]) for k in order]
    found = join_names(published, theirs, labels=LABELS, synsets=BY_SYNSET)
    assert found.dtype == np.int64 and np.array_equal(found, order)
    assert np.array_equal(join_names(published.astype("S"), theirs), order)


def test_join_gives_minus_one_where_a_name_is_not_published():
    theirs = ["n01440764_9.JPEG", TRAINING[3], "n09999999/n09999999_1.JPEG", TRAINING[3]]
    assert join_names(TRAINING, theirs, labels=LABELS).tolist() == [-1, 3, -1, 3]


def test_join_refuses_published_names_that_come_twice():
    twice = [*TRAINING, TRAINING[2].replace(".JPEG", ".png"), TRAINING[5]]
    culprits = ", ".join(bare(str(TRAINING[k])) for k in (2, 5))
    with pytest.raises(AlignmentError, match=f"published names come twice: {culprits}\n"):
        join_names(twice, TRAINING)


@pytest.mark.parametrize(
    ("published", "theirs", "culprit"),
    [
        ("n01440764_100.JPEG", "N01440764_100.JPEG", "N01440764_100"),
        ("Größe_1.png", "GRÖSSE_1.png", "GRÖSSE_1"),
        ("k.png", "\N{KELVIN SIGN}.png", "\N{KELVIN SIGN}"),
    ],
)
def test_join_refuses_names_that_differ_in_case_only(published, theirs, culprit):
    with pytest.raises(AlignmentError, match=f"1 names differ in upper and .* only: {culprit}\n"):
        join_names([published, "other.png"], ["unknown.png", theirs])


@pytest.mark.parametrize("published", [TRAINING, VALIDATION], ids=["training", "validation"])
@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda stem: f"n09999999/{stem}", r"3 stand under a synset that is not known: n09999999/"),
        (
            lambda stem: f"{stem}_n09999999.JPEG",
            r"3 stand under .* not known: \w+_n09999999\.JPEG, ",
        ),
        (lambda stem: f"n02102040/{stem}", r"2 stand in the folder of another class: n02102040/"),
        (lambda stem: f"{stem}_n02102040", r"2 stand in the folder .* class: \w+_n02102040, "),
    ],
)
def test_join_refuses_a_folder_or_suffix_of_another_synset(published, write, message):
    theirs = [write(bare(str(name))) for name in published[:3]]
    with pytest.raises(AlignmentError, match=message):
        join_names(published, theirs, labels=LABELS, synsets=BY_SYNSET)


def test_join_reads_the_synsets_of_training_names_itself():
    with pytest.raises(AlignmentError, match="1 stand in the folder of another class"):
        join_names(TRAINING, [f"n02102040/{TRAINING[1]}"], labels=LABELS)


def test_join_without_labels_or_synsets_does_not_judge_folders():
    assert join_names(VALIDATION, [f"n02102040/{VALIDATION[1]}"]).tolist() == [1]
    assert join_names(VALIDATION, [f"n02102040/{VALIDATION[1]}"], labels=LABELS).tolist() == [1]


def test_join_refuses_what_is_not_a_name():
    with pytest.raises(ConfigError, match=r"None .* is not a name"):
        join_names(TRAINING, [TRAINING[0], None])


def test_class_synsets_are_those_of_the_names():
    assert class_synsets(TRAINING, LABELS) == BY_SYNSET
    merged = np.minimum(LABELS, 1)  # two synsets of one class
    assert class_synsets(TRAINING, merged) == {"n01440764": 0, "n01443537": 1, "n02102040": 1}


def test_class_synsets_are_unknown_where_names_do_not_tell_them():
    assert class_synsets(VALIDATION, LABELS) is None
    assert class_synsets([*TRAINING[:7], "x.png"], LABELS) is None
    assert class_synsets(TRAINING, np.roll(LABELS, 1)) is None
    assert class_synsets([], LABELS[:0]) is None


@pytest.mark.parametrize("split", ["train", "test"])
def test_official_positions_are_the_numbers_of_ids(split):
    ids = [f"{split}_{k:05d}".encode() for k in (12, 0, 49_999)]
    found_split, positions = official_positions(ids)
    assert found_split == split and positions.tolist() == [12, 0, 49_999]
    assert positions.dtype == np.int64
    assert official_positions(NameColumn.of(ids[:1]))[1].tolist() == [12]
    assert official_positions([f"{split}_{'9' * 18}"])[1].tolist() == [10**18 - 1]


@pytest.mark.parametrize(
    "name",
    [
        *("", "train_", "train", "trains_1", "train_1a", "train_-1", "test_0.JPEG", "a/train_1"),
        *("train_٣", "train_" + "1" * 19),
    ],
)
def test_official_positions_of_other_names_are_none(name):
    assert official_positions([name, "train_00001"]) is None


def test_official_positions_of_nothing_are_none():
    assert official_positions([]) is None


def test_official_positions_refuse_a_mixture():
    with pytest.raises(AlignmentError, match=r"2 are not ids of train: test_00003, train_4\.png\n"):
        official_positions(["train_00001", "test_00003", "train_4.png"])


def positions_of(n_found, n_theirs):
    positions = np.full(n_theirs, -1, np.int64)
    positions[np.linspace(0, n_theirs - 1, n_found).astype(int)] = np.arange(n_found)
    return positions


@pytest.mark.parametrize(
    ("n_found", "n_theirs", "n_ours"),
    [
        (1, 1, 1_281_167),  # a deliberate subset, however small
        (2000, 2000, 1_281_167),
        (1_200_000, 14_000_000, 1_281_167),  # a superset
        (640_584, 1_281_167, 1_281_167),
        (5, 6, 12),
    ],
)
def test_agreement_of_a_subset_or_a_superset_passes(n_found, n_theirs, n_ours):
    positions = np.full(n_theirs, -1, np.int64)
    positions[:n_found] = 0
    require_plausible_agreement(positions, n_ours, NameColumn.of(["x"]))


def test_agreement_by_chance_is_refused_with_its_figures():
    names = [f"n01443537_{k}.JPEG" for k in range(2000)]
    message = (
        r"^only 48 of 2,000 names are among the 1,281,167 published ones \(2\.4%\), as by chance:"
        r" found are n01443537_0\.JPEG, n01443537_42\.JPEG, n01443537_85\.JPEG, \.\.\.;"
        r" not found are n01443537_1\.JPEG, n01443537_2\.JPEG, n01443537_3\.JPEG, \.\.\.\n"
    )
    with pytest.raises(AlignmentError, match=message):
        require_plausible_agreement(positions_of(48, 2000), 1_281_167, names)


@pytest.mark.parametrize(("n_found", "n_theirs", "n_ours"), [(499, 1000, 5000), (499, 5000, 1000)])
def test_agreement_below_half_of_both_sides_is_refused(n_found, n_theirs, n_ours):
    names = [f"{k}.png" for k in range(n_theirs)]
    with pytest.raises(AlignmentError, match=f"only {n_found} of"):
        require_plausible_agreement(positions_of(n_found, n_theirs), n_ours, names)
    require_plausible_agreement(positions_of(n_found + 1, n_theirs), n_ours, names)


def test_agreement_of_none_is_refused():
    with pytest.raises(AlignmentError, match=r"none of the 2 examples has a number: a, b\n"):
        require_plausible_agreement(np.array([-1, -1]), 5, ["a", "b"])


def test_tiny_imagenet_does_not_agree_with_imagenet():
    rng = np.random.default_rng(0)
    numbers = rng.choice(np.arange(1, 30_000), 1300, replace=False)
    published = [f"n01443537_{k}.JPEG" for k in numbers]
    tiny = [f"train/n01443537/images/n01443537_{k}.JPEG" for k in range(500)]
    positions = join_names(published, tiny, labels=np.zeros(1300, int))
    assert 0 < (positions >= 0).sum() < 60
    with pytest.raises(AlignmentError, match="as by chance"):
        require_plausible_agreement(positions, 1300, tiny)
