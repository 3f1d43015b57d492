"""Files of the published schema and size, synthetic values: from a server to a csv."""

import json
import re

import numpy as np
import pytest
from worlds import artifact, imagenet_names, published_arrays, write_registry

DATASETS = {
    "cifar100": {"n_train": [500] * 100, "n_test": 100, "parts": 1, "save": np.savez_compressed},
    "imagenet": {"n_train": [1300, 732, *[1281] * 998], "n_test": 50, "parts": 3, "save": np.savez},
}


@pytest.fixture(params=sorted(DATASETS))
def world(request, served, server):
    """(name of the data set, its arrays, the options that make memtools find its files)."""
    name, facts = request.param, DATASETS[request.param]
    arrays = published_arrays(facts["n_train"], facts["n_test"])
    names = {} if name == "cifar100" else {"tr_filenames": imagenet_names(len(arrays["tr_mem"]))}
    influence = {n: a for n, a in arrays.items() if "class" in n or name == "cifar100"}
    facts["save"](served / "infl.npz", **influence)
    whole = (served / "infl.npz").read_bytes()
    step = -(-len(whole) // facts["parts"])
    parts = [whole[start : start + step] for start in range(0, len(whole), step)]
    for n, part in enumerate(parts):
        (served / f"infl_{n}.bin").write_bytes(part)
    urls = [f"infl_{n}.bin" for n in range(len(parts))]
    tables = [
        artifact(urls, parts, name="infl", file="infl.npz", kind="influence", sizes=False),
    ]
    members = ["infl"]
    if names:
        index = {n: a for n, a in arrays.items() if "class" not in n}
        np.savez(served / "index.npz", **index, **names)
        data = (served / "index.npz").read_bytes()
        tables.append(artifact(["index.npz"], [data], name="index", file="index.npz", kind="index"))
        members.append("index")
    tables.append(f"[groups]\nmine = {json.dumps(members)}\n")
    write_registry(served / "registry.toml", *tables)
    return name, arrays, ("--registry", server.url("registry.toml"))


def test_the_whole_way_fetch_verify_load_pairs_export(world, memtools, tmp_path):
    import memtools as library

    name, arrays, options = world
    n_train = len(arrays["tr_mem"])
    assert memtools("fetch", "mine", *options).returncode == 0
    shown = memtools("verify", *options)
    assert shown.returncode == 0, shown.stderr
    kinds = re.findall(r"md5.* verified, arrays checked \((\w+)\)", shown.stdout)
    assert kinds == (["influence"] if name == "cifar100" else ["influence", "index"])

    estimates = library.load("mine", registries=options[1:])
    of_class = estimates.influence(7)
    np.testing.assert_array_equal(of_class.values, arrays["infl_matrix_class7"])
    np.testing.assert_array_equal(of_class.train_index, arrays["tr_classidx_7"])
    np.testing.assert_array_equal(estimates.memorization, arrays["tr_mem"])

    facts = json.loads(memtools("pairs", "mine", *options, "--json").stdout)
    expected = sum(
        int((arrays[f"infl_matrix_class{k}"][rows] >= 0.15).sum())
        for k in estimates.classes
        for rows in [arrays["tr_mem"][arrays[f"tr_classidx_{k}"]] >= 0.25]
    )
    assert facts["n_pairs"] == expected > 1000

    out = tmp_path / "scores.csv"
    assert memtools("export", "mine", "--out", out, *options).returncode == 0
    with out.open() as file:
        lines = file.readlines()
    assert len(lines) == n_train + 1
    last = lines[-1].rstrip().split(",")
    assert last[:2] == [str(n_train - 1), str(arrays["tr_labels"][-1])]
    assert last[2:-1] == ([] if name == "cifar100" else [imagenet_names(n_train)[-1].decode()])
    assert np.float32(last[-1]) == arrays["tr_mem"][-1]
