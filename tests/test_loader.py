"""From a name or a file to the object that it holds."""

import subprocess
import sys

import numpy as np
import pytest
from worlds import artifact, imagenet_names, published_arrays, write_registry

import memtools
from memtools.errors import ChecksumError, ConfigError, NetworkError, SchemaError
from memtools.estimates.model import Estimates
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.scores import Scores


def write(path, arrays):
    np.savez(path, **arrays)
    return path.read_bytes()


@pytest.fixture
def arrays():
    return published_arrays([40, 60, 50], 20)


@pytest.fixture
def registry(server, served, arrays, tmp_path):
    """Influence and index of one data set, pairs and scores, on a server, and a group of them."""
    influence = write(served / "infl.npz", {n: a for n, a in arrays.items() if "class" in n})
    index = {n: a for n, a in arrays.items() if "class" not in n}
    index["tr_filenames"] = imagenet_names(150)
    index = write(served / "index.npz", index)
    pairs = memtools.load  # the name of the function is all that is needed below
    chosen = Estimates(arrays, None).pairs(0.5, 0.05)
    pairs = write(served / "pairs.npz", {**chosen.pairs(0.5, 0.05).arrays})
    scores = write(
        served / "scores.npz", {"scores": arrays["tr_mem"], "labels": arrays["tr_labels"]}
    )
    tables = [
        artifact([f"{name}.npz"], [data], name=name, file=f"{name}.npz", kind=kind)
        for name, data, kind in (
            ("infl", influence, "influence"),
            ("index", index, "index"),
            ("pairs", pairs, "pairs"),
            ("scores", scores, "cscores"),
        )
    ]
    tables.append('[groups]\nall = ["infl", "index", "pairs"]\n')
    write_registry(served / "registry.toml", *tables)
    return [server.url("registry.toml")]


def test_a_group_is_one_object_of_the_files_that_complete_each_other(registry, arrays, server):
    estimates = memtools.load("all", registries=registry)
    assert isinstance(estimates, Estimates)
    np.testing.assert_array_equal(estimates.memorization, arrays["tr_mem"])
    np.testing.assert_array_equal(estimates.influence(1).values, arrays["infl_matrix_class1"])
    assert estimates.filenames[7] == "n00000000_7.JPEG"
    assert estimates.about.order == "official"
    assert "infl.npz; " in estimates.about.source and "index.npz" in estimates.about.source
    assert len(estimates.pairs(0.5, 0.05)) > 20
    assert server.stats(server.url("pairs.npz"))["GET"] == 0  # no part of what was asked for


def test_each_kind_is_the_object_for_it(registry, arrays):
    assert isinstance(memtools.load("infl", registries=registry), Estimates)
    index = memtools.load("index", registries=registry)
    assert index.filenames[0] == "n00000000_0.JPEG" and index.classes == []
    pairs = memtools.load("pairs", registries=registry)
    assert isinstance(pairs, HighInfluencePairs)
    assert (pairs.min_mem, pairs.min_infl) == (0.5, 0.05)
    scores = memtools.load("scores", registries=registry)
    assert isinstance(scores, Scores) and scores.quantity == "c_score"
    np.testing.assert_array_equal(scores.values, arrays["tr_mem"])


def test_what_is_here_is_loaded_without_a_request_and_offline(registry, server, served, tmp_path):
    memtools.load("scores", registries=registry)
    local = tmp_path / "local.toml"
    local.write_text((served / "registry.toml").read_text())
    requests = len(server.log())
    memtools.load("scores", registries=[local], offline=True)
    assert len(server.log()) == requests


def test_offline_says_what_to_run():
    with pytest.raises(NetworkError, match="offline is set") as caught:
        memtools.load("cifar100-pairs", offline=True)
    assert "memtools fetch cifar100-pairs" in caught.value.hint


def test_a_file_of_ones_own_is_known_by_what_is_in_it(arrays, tmp_path):
    write(tmp_path / "mine.npz", arrays)
    estimates = memtools.load(tmp_path / "mine.npz")
    assert estimates.classes == [0, 1, 2] and estimates.about.source == str(tmp_path / "mine.npz")
    estimates.save(tmp_path / "again.npz")
    assert memtools.load(str(tmp_path / "again.npz")).classes == [0, 1, 2]


def test_names_in_a_file_of_unknown_origin_need_a_word(tmp_path):
    write(tmp_path / "mine.npz", {"tr_mem": np.zeros(2), "tr_filenames": imagenet_names(2)})
    with pytest.raises(SchemaError, match="nothing vouches for this file"):
        _ = memtools.load(tmp_path / "mine.npz").filenames
    trusted = memtools.load(tmp_path / "mine.npz", names=True)
    assert trusted.filenames.tolist() == ["n00000000_0.JPEG", "n00000000_1.JPEG"]


def test_a_copy_under_a_published_name_must_be_the_published_one(registry, served, tmp_path):
    copy = tmp_path / "index.npz"
    copy.write_bytes((served / "index.npz").read_bytes())
    assert memtools.load(copy, registries=registry).filenames[1] == "n00000000_1.JPEG"
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    with pytest.raises(ChecksumError, match="md5 is"):
        memtools.load(copy, registries=registry)


def test_models_and_unknown_things_are_refused(server, served, tmp_path):
    (served / "m.tar.gz").write_bytes(b"models")
    table = artifact(["m.tar.gz"], [b"models"], name="models", file="m.tar.gz")
    write_registry(served / "registry.toml", table)
    with pytest.raises(ConfigError, match="models holds models, not estimates"):
        memtools.load("models", registries=[server.url("registry.toml")])
    with pytest.raises(ConfigError, match="no artifact or group is called"):
        memtools.load("cifar100-pears")
    np.savez(tmp_path / "x.npz", weights=np.zeros((3, 2)))
    with pytest.raises(SchemaError, match=r"x\.npz: none of the known kinds .* weights"):
        memtools.load(tmp_path / "x.npz")


def test_loading_loads_neither_tensorflow_nor_pandas(arrays, tmp_path):
    write(tmp_path / "mine.npz", arrays)
    code = (
        "import sys, memtools\n"
        f"memtools.load({str(tmp_path / 'mine.npz')!r}).memorization\n"
        "print(*{'tensorflow', 'pandas', 'requests', 'rich', 'typer'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""
