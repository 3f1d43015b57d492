"""What is published, and the table of it: names, groups, mirrors, clashes."""

import pytest

from memtools.artifacts.manifest import builtin_registry
from memtools.artifacts.registry import KINDS, ORDERS, Artifact, Part, Registry, first_clash
from memtools.errors import ConfigError

PAIRS = "_high_infl_pairs_infl0.15_mem0.25.npz"
INFLUENCE_SITE = "https://pluskid.github.io/influence-memorization/data/"
CSCORE_SITE = "https://pluskid.github.io/structural-regularity/"
BUCKET = "https://storage.googleapis.com/gresearch/heldout-training-checkpoints/"

# name: (file, {url: git_blob of each part}, size, md5)
PUBLISHED = {
    "cifar100-pairs": (
        "cifar100" + PAIRS,
        {INFLUENCE_SITE + "cifar100" + PAIRS: "b20d21341fa00771beb71dce734e915f9e690eb8"},
        20_260,
        "88880e264186582f7965f1fd054b6253",
    ),
    "cifar100-influence": (
        "cifar100_infl_matrix.npz",
        {INFLUENCE_SITE + "cifar100_infl_matrix.npz": "3f28c0cc4ee409fb9d8bfc8b458528ea2b95db29"},
        None,
        None,
    ),
    "imagenet-pairs": (
        "imagenet" + PAIRS,
        {INFLUENCE_SITE + "imagenet" + PAIRS: "760086fbe8ca557e19c31bfece77d4b772b4210e"},
        35_228,
        "4e656e4fa18a9fae48cb1699b28197bf",
    ),
    "imagenet-index": (
        "imagenet_index.npz",
        {INFLUENCE_SITE + "imagenet_index.npz": "e57cb705aa8dc129f9e4e07381868ead2cbd1caa"},
        None,
        None,
    ),
    "imagenet-influence": (
        "imagenet_infl_matrix.npz",
        {
            INFLUENCE_SITE + f"imagenet_infl_matrix_split_{suffix}.bin": git_blob
            for suffix, git_blob in [
                ("aa", "d7ec9e35a4a00e5c7129cc48f548b12ca45468af"),
                ("ab", "18151003ca420633c2dea29eda2d06f1c02c5f46"),
                ("ac", "5f3fda8e00e9631217a165579f15eeb460c3b956"),
            ]
        },
        None,
        "20290f49a0468de7973892dc47f85e54",
    ),
    "cifar10-cscores": (
        "cifar10-cscores-orig-order.npz",
        {
            CSCORE_SITE + "cscores/cifar10-cscores-orig-order.npz": (
                "6d1054780ac0becb14657616a141aeceff6a362a"
            )
        },
        800_470,
        "fb902aa1f18832b245ce899c1808d1ca",
    ),
    "cifar100-cscores": (
        "cifar100-cscores-orig-order.npz",
        {
            CSCORE_SITE + "cscores/cifar100-cscores-orig-order.npz": (
                "3a41485c8048f2b65a2ffe6fe7a5bef726d0fb3e"
            )
        },
        447_452,
        "b1bfd251d4cd42a0a216d3be520af4cf",
    ),
    "imagenet-cscores": (
        "imagenet-cscores-with-filename.npz",
        {
            CSCORE_SITE + "cscores/imagenet-cscores-with-filename.npz": (
                "18f1ae2d151ffc92be2501ac20a1d639bc7de1c5"
            )
        },
        None,
        None,
    ),
    "mnist-cscores": (
        "mnist-cscores.npy",
        {CSCORE_SITE + "mnist-cscores.npy": "450dfc0e8b3a8dfff3d863bd6066a937e2fd3e79"},
        480_128,
        "ee2a5e57104681eb120c7660c38863e8",
    ),
    "cifar10-checkpoints": (
        "cifar10-inception.tar.gz",
        {BUCKET + "cifar10-inception.tar.gz": None},
        None,
        "bc3b75203381709f8224810946be14b1",
    ),
    "cifar100-checkpoints": (
        "cifar100-inception.tar.gz",
        {BUCKET + "cifar100-inception.tar.gz": None},
        None,
        "f87218368528afa6e2407c8410f1ffa1",
    ),
    "imagenet-checkpoints": (
        "imagenet-resnet50.tar.gz",
        {BUCKET + "imagenet-resnet50.tar.gz": None},
        None,
        "64c39ef7702462b83959af9de622b4b8",
    ),
}
HUGE = {
    "cifar10-checkpoints": 239_000_000_000,
    "cifar100-checkpoints": 244_000_000_000,
    "imagenet-checkpoints": 367_000_000_000,
}


@pytest.fixture(scope="module")
def registry():
    return builtin_registry()


def make(name, *parts, file=None, **facts):
    texts = dict.fromkeys(("dataset", "definition", "direction", "paper"), "x")
    return Artifact(
        name=name,
        file=file or f"{name}.npz",
        parts=parts or (Part("https://example.org/" + name),),
        kind="pairs",
        order="official",
        **texts,
        **facts,
    )


def table(*artifacts, **groups):
    return Registry({each.name: each for each in artifacts}, groups)


# ---- the built-in one


def test_exactly_the_published_files_are_known(registry):
    assert set(registry.artifacts) == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_published_file_has_the_parts_digests_and_size_that_are_known_of_it(registry, name):
    file, parts, size, md5 = PUBLISHED[name]
    artifact = registry[name]
    assert artifact.file == file
    assert {part.url: part.git_blob for part in artifact.parts} == parts
    assert [part.url for part in artifact.parts] == list(parts)  # the order of joining
    assert (artifact.size, artifact.total_size, artifact.md5) == (size, size, md5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_published_file_can_be_told_from_a_wrong_one(registry, name):
    assert registry[name].checkable


def test_only_the_archives_of_checkpoints_are_huge(registry):
    huge = {each.name: each.approximate_size for each in registry.artifacts.values() if each.huge}
    assert huge == HUGE


def test_nothing_is_said_about_a_file_in_words_outside_the_vocabulary(registry):
    for artifact in registry.artifacts.values():
        assert artifact.kind in KINDS
        assert artifact.order in ORDERS
        assert artifact.dataset in ("mnist", "cifar10", "cifar100", "imagenet")


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (
            "official",
            {"cifar100-pairs", "cifar100-influence", "cifar10-cscores", "cifar100-cscores"},
        ),
        (
            "published",
            {"imagenet-pairs", "imagenet-index", "imagenet-influence", "imagenet-checkpoints"},
        ),
        ("tfds", {"mnist-cscores", "cifar10-checkpoints", "cifar100-checkpoints"}),
        ("file", {"imagenet-cscores"}),
    ],
)
def test_each_file_says_which_order_its_rows_follow(registry, order, names):
    assert {each.name for each in registry.artifacts.values() if each.order == order} == names


def test_scores_and_memorization_say_that_their_directions_differ(registry):
    assert "typical" in registry["cifar100-cscores"].direction
    assert "atypical" in registry["cifar100-pairs"].direction
    assert "atypical" not in registry["cifar100-cscores"].direction


def test_what_the_publisher_leaves_open_is_said(registry):
    doubtful = {each.name for each in registry.artifacts.values() if each.doubt}
    assert doubtful == {"imagenet-cscores"}
    assert "averaged over" not in registry["imagenet-cscores"].definition


def test_the_groups_hold_what_belongs_together(registry):
    assert registry.groups == {
        "cifar100": ("cifar100-influence", "cifar100-pairs"),
        "imagenet": ("imagenet-influence", "imagenet-index", "imagenet-pairs"),
    }


# ---- looking names up


def test_names_and_groups_are_selected_once_each_in_the_order_asked_for(registry):
    chosen = registry.select(["imagenet-index", "imagenet", "cifar100-pairs", "imagenet-index"])
    assert [each.name for each in chosen] == [
        "imagenet-index",
        "imagenet-influence",
        "imagenet-pairs",
        "cifar100-pairs",
    ]


def test_selecting_an_unknown_name_selects_nothing(registry):
    with pytest.raises(ConfigError):
        registry.select(["cifar100-pairs", "no-such-thing"])


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("cifar100-pair", "cifar100-pairs"),
        ("CIFAR100-pairs", "cifar100-pairs"),
        ("imagenet_influence", "imagenet-influence"),
        ("imagnet", "imagenet"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(registry, wrong, near):
    with pytest.raises(ConfigError, match="no artifact or group") as caught:
        registry[wrong]
    assert repr(wrong) in str(caught.value)
    assert f"did you mean {near}" in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_name_near_to_nothing_is_answered_with_where_the_names_are(registry):
    with pytest.raises(ConfigError) as caught:
        registry["zzzz"]
    assert "memtools list" in caught.value.hint


def test_a_group_where_one_file_is_wanted_is_answered_with_its_members(registry):
    with pytest.raises(ConfigError, match="'cifar100' is a group") as caught:
        registry["cifar100"]
    assert "cifar100-influence, cifar100-pairs" in caught.value.hint


# ---- parts


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("https://example.org/a/b.npz", "b.npz"),
        ("https://example.org/a%20b.npz", "a b.npz"),
        ("https://example.org/b.npz?download=1#top", "b.npz"),
        ("https://example.org/", ""),
        ("/disk/dir/b.npz", "b.npz"),
    ],
)
def test_a_part_is_called_by_its_base_name(url, file):
    assert Part(url).file == file


def test_a_part_on_a_disk_has_a_path_and_one_on_a_server_has_none():
    assert str(Part("/disk/b.npz").path) == "/disk/b.npz"
    assert Part("https://example.org/b.npz").path is None


def test_only_known_digests_are_listed():
    assert Part("u").digests == {}
    assert Part("u", git_blob="a" * 40).digests == {"git_blob": "a" * 40}
    assert Part("u", git_blob="a" * 40, sha256="b" * 64).digests == {
        "git_blob": "a" * 40,
        "sha256": "b" * 64,
    }


def test_the_digest_of_the_only_part_is_that_of_the_file():
    part = Part("u", git_blob="a" * 40)
    assert make("x", part, md5="c" * 32).digests == {"md5": "c" * 32, "git_blob": "a" * 40}


def test_the_digest_of_one_of_several_parts_says_nothing_about_the_whole():
    parts = Part("u", git_blob="a" * 40), Part("v")
    assert make("x", *parts, md5="c" * 32).digests == {"md5": "c" * 32}
    assert not make("x", *parts).checkable
    assert make("x", *parts, sha256="d" * 64).checkable
    assert make("x", parts[0], Part("v", sha256="d" * 64)).checkable


def test_the_size_of_the_whole_is_the_sum_if_all_sizes_are_known():
    assert make("x", Part("u", 3), Part("v", 4)).total_size == 7
    assert make("x", Part("u", 3), Part("v")).total_size is None
    assert make("x", Part("u", 3), Part("v"), size=9).total_size == 9


# ---- mirrors and more registries


@pytest.mark.parametrize("slash", ["", "/", "//"])
def test_at_a_mirror_every_part_is_looked_for_by_its_base_name(registry, slash):
    moved = registry.at_mirror("http://mirror.example.org/m" + slash)
    for name, artifact in moved.artifacts.items():
        assert [part.url for part in artifact.parts] == [
            f"http://mirror.example.org/m/{part.file}" for part in registry[name].parts
        ]


def test_the_query_of_a_mirror_is_sent_for_each_file():
    part = Part("https://a/b.bin?x=1")
    moved = make("x", part).at_mirror("https://me:pw@m.example.org/c/?sig=abc&v=1#part")
    assert moved.parts[0].url == "https://me:pw@m.example.org/c/b.bin?sig=abc&v=1"
    assert moved.parts[0].file == "b.bin"


def test_a_mirror_changes_where_files_come_from_and_nothing_else(registry):
    moved = registry.at_mirror("https://mirror.example.org")
    assert moved.groups == registry.groups
    for name, artifact in moved.artifacts.items():
        assert artifact.digests == registry[name].digests
        assert artifact.file == registry[name].file
        assert [each.file for each in artifact.parts] == [
            each.file for each in registry[name].parts
        ]


def test_a_name_that_needs_quoting_is_quoted_at_the_mirror():
    moved = make("x", Part("https://a/odd%20%25%23name.npz")).at_mirror("http://m")
    assert moved.parts[0].url == "http://m/odd%20%25%23name.npz"
    assert moved.parts[0].file == "odd %#name.npz"


def test_two_registries_become_one():
    both = table(make("a"), g=("a",)).merged(table(make("b"), h=("b",)), "mine.toml")
    assert list(both.artifacts) == ["a", "b"]
    assert both.groups == {"g": ("a",), "h": ("b",)}


@pytest.mark.parametrize(
    "other",
    [
        table(make("a", file="other.npz")),
        table(make("g")),
        table(make("b"), a=("b",)),
        table(make("b"), g=("b",)),
    ],
    ids=["artifact-artifact", "artifact-group", "group-artifact", "group-group"],
)
def test_a_name_that_is_taken_is_refused(other):
    with pytest.raises(ConfigError, match=r"mine.toml: '[ag]' is already taken"):
        table(make("a"), g=("a",)).merged(other, "mine.toml")


@pytest.mark.parametrize("file", ["a.npz", "A.NPZ"])
def test_a_file_that_is_taken_is_refused_letter_case_aside(file):
    with pytest.raises(ConfigError, match=r"mine.toml: .*(twice|clash)"):
        table(make("a")).merged(table(make("b", file=file)), "mine.toml")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], None),
        (["a", "b"], None),
        (["a", "b", "a"], "'a' stands there twice"),
        (["x", "X"], "'X' and 'x' clash"),
        (["straße", "STRASSE"], "'STRASSE' and 'straße' clash"),
    ],
)
def test_names_that_a_disk_may_take_for_one_are_a_clash(names, words):
    assert first_clash(names) == words


def test_names_that_are_one_file_on_some_disks_clash():
    assert first_clash(["é.npz", "e\u0301.npz"]) is not None
    assert first_clash(["é.npz", "e.npz"]) is None
