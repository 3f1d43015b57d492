"""Stores of runs, registries, configurations, archives and the rest, and their commands."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np

from crafted.arrays import craft_npz, header, npy, pack, warp
from crafted.base import N_RUNS, N_TEST, Base, N
from crafted.contents import craft_json, craft_pickle, craft_toml, encoded, spoil


def stores(rng, base: Base, scratch: Path):
    """A store of runs of which one file is not what it was."""
    import shutil

    store = scratch / "store"
    shutil.copytree(base.root / "store", store)
    which = rng.choice(
        ["record", "record", "record", "sweep.toml", "examples.npz", "failed", "asked.json"]
    )
    if which == "record":
        path = store / "records" / f"{rng.randrange(N_RUNS):06d}.npz"
    else:
        path = store / ("failed/99.json" if which == "failed" else which)
    what = which
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            arrays = {name: arrays[name] for name in arrays.files}
        what += ": " + craft_npz(rng, arrays, path)
    elif path.suffix == ".toml":
        path.write_bytes(encoded(rng, craft_toml(rng, path.read_text())))
    else:
        path.write_bytes(encoded(rng, craft_json(rng, path.read_text())))
    commands = [
        ["sweep", "status", store],
        ["sweep", "status", store, "--json"],
        ["estimate", store, "--out", scratch / "e.npz"],
        ["estimate", store, "--out", scratch / "e.npz", "--report", "--of", "margin"],
        ["pairs", store, "--cross-class", "--top", "3"],
        ["pairs", store],
        ["checkpoints", "reorder", store, "--to", scratch / "o"],
    ]
    return what, rng.sample(commands, k=3)


def registries(rng, base: Base, scratch: Path):
    """A registry, or a receipt, with the commands of fetching."""
    registry = scratch / "registry.toml"
    (scratch / "scores.npz").write_bytes((base.root / "scores.npz").read_bytes())
    text = (base.root / "registry.toml").read_text()
    cache = ["--to", scratch / "cache"]
    if rng.random() < 0.6:
        registry.write_bytes(encoded(rng, craft_toml(rng, text)))
        given = ["--registry", registry]
        commands = [["list", *given, *cache], ["fetch", "thing", *given, *cache]]
        commands += [["verify", *given, *cache], ["list", "--json", *given, *cache]]
        commands += [
            ["join", "thing", "--from", base.root, *given, *cache],
            ["clean", *given, *cache],
        ]
        return "registry", commands[:3] + rng.sample(commands[3:], k=1)
    registry.write_text(text)
    given = ["--registry", registry]
    receipt = scratch / "cache" / ".thing.npz.receipt.json"
    receipt.parent.mkdir()
    (receipt.parent / "thing.npz").write_bytes((base.root / "scores.npz").read_bytes())
    parts = [{"name": "scores.npz", "size": 9, "git_blob": "0" * 40}]
    facts = {"artifact": "thing", "digests": {"md5": "0" * 32}, "parts": parts, "proven": True}
    facts |= {"verified": "2024-01-01T00:00:00+00:00", "stamp": [1, 2, 3, 4], "memtools": "1"}
    receipt.write_bytes(encoded(rng, craft_json(rng, json.dumps(facts))))
    (receipt.parent / "thing.npz.part.json").write_bytes(receipt.read_bytes())
    commands = [["list", *given, *cache], ["fetch", "thing", *given, *cache]]
    commands += [["verify", "thing", *given, *cache], ["clean", "--all", *given, *cache]]
    return "receipt", commands


def others(rng, base: Base, scratch: Path):
    """Configurations, manifests, ledgers, pickles, archives and their indices."""
    documents = [_config, _manifest, _ledger, _cifar, _names]
    runs = [_archive, _aux, _npz_data, _stacked, _margins]
    return rng.choice(documents + runs)(rng, base, scratch)


def _config(rng, base, scratch):
    path = scratch / "c.toml"
    text = craft_toml(rng, (base.root / "config.toml").read_text())
    path.write_bytes(encoded(rng, text.replace('"digits"', f'"{scratch}/none.npz"')))
    given = [path, "--runs", "0", "--to", scratch / "runs"]
    return "config", [["train", *given], ["sweep", "run", *given, "--engine", "serial"]]


def _npz_data(rng, base, scratch):
    images = np.zeros((6, 4, 4, 1), np.uint8)
    arrays = {
        f"{side}_{name}": each
        for side in ("train", "test")
        for name, each in (("images", images), ("labels", np.arange(6) % 2))
    }
    what = craft_npz(rng, arrays, scratch / "d.npz")
    path = scratch / "c.toml"
    text = (base.root / "config.toml").read_text().replace('"digits"', f'"{scratch}/d.npz"')
    path.write_text(text.replace("batch_size = 8", "batch_size = 512"))
    return f"data: {what}", [
        ["train", path, "--runs", "0", "--to", scratch / "runs", "--set", "epochs=-1"],
        ["align", base.numbers["scores"], "--to", scratch / "d.npz", "--order", "file"],
    ]


def _manifest(rng, base, scratch):
    made = scratch / "m.json"
    request = {"what": str(base.numbers["scores"]), "within": None, "to": None, "labels": None}
    request |= {
        "split": "train",
        "align_order": "",
        "class_folders": "auto",
        "allow_missing": False,
    }
    request |= {"column": "", "index": None, "dataset": "", "direction": None, "definition": ""}
    facts = {"request": request, "inputs": {}, "criteria": [{"kind": "top", "n": 3}]}
    facts |= {"per_class": False, "control": False, "seed": 0}
    made.write_bytes(encoded(rng, craft_json(rng, json.dumps(facts))))
    return "manifest", [["select", "--replay", made, "--out", scratch / "s.npy"]]


def _ledger(rng, base, scratch):
    import shutil

    root = scratch / "records"
    shutil.copytree(base.root / "records", root)
    path = root / "dataset.json"
    path.write_bytes(encoded(rng, craft_json(rng, path.read_text())))
    return "ledger", [
        ["tfrecords", "info", root],
        ["tfrecords", "info", root, "--json"],
        ["tfrecords", "info", root, "--split", "val"],
    ]


def _cifar(rng, base, scratch):
    root = scratch / "cifar-100-python"
    root.mkdir()
    (root / "train").write_bytes(craft_pickle(rng, (base.root / "batch.pickle").read_bytes()))
    (root / "test").write_bytes((base.root / "batch.pickle").read_bytes())
    out = ["--out", scratch / "k.npz"]
    return "cifar", [
        ["align", "--reference", root, *out],
        ["align", base.numbers["scores"], "--to", root, "--order", "official"],
    ]


def _names(rng, base, scratch):
    """Names that are pickled in an npz, which are read only if the user says so."""
    payload = craft_pickle(rng, (base.root / "names.pickle").read_bytes())
    start = npy(np.array([], object)).partition(b"\n")[0].replace(b"(0,)", b"(2,)") + b"\n"
    members = {
        f"{k}.npy": npy(v) for k, v in base.arrays["estimates"].items() if k != "tr_filenames"
    }
    path = scratch / "x.npz"
    path.write_bytes(pack(rng, {**members, "tr_filenames.npy": start + payload}))
    return "names", [["verify", path], ["verify", path, "--names"], ["info", path, "--names"]]


def _aux(rng, base, scratch):
    """A released run in a directory, to be imported."""
    arrays = _aux_arrays()
    path = (
        scratch
        / "runs"
        / rng.choice(["0.5", "0.7", "0.50", "99", "0", "9" * 400])
        / "3"
        / "aux_arrays.npz"
    )
    if len(str(path)) > 400:
        path = scratch / "runs" / "7.5" / ("9" * 30) / "aux_arrays.npz"
    path.parent.mkdir(parents=True)
    what = craft_npz(rng, arrays, path)
    given = ["--to", scratch / "in", "--dataset", "mine", "--order", "file"]
    return f"aux: {what}", [["import", scratch / "runs", *given]]


def _stacked(rng, base, scratch):
    """Runs of one npz, to be imported."""
    path = scratch / "x.npz"
    what = craft_npz(rng, _matrices(), path)
    given = ["--to", scratch / "in", "--dataset", "mine", "--order", "file"]
    return f"stacked: {what}", [["import", path, *given]]


def _margins(rng, base, scratch):
    """Masks and margins of runs, each an npy."""
    for name, array in _matrices().items():
        array = warp(rng, array)[1] if rng.random() < 0.4 else array
        data = header(rng, array) if array.ndim and rng.random() < 0.15 else npy(array)
        (scratch / f"{name}.npy").write_bytes(spoil(rng, data) if rng.random() < 0.1 else data)
    masks, train, test = (scratch / f"{name}.npy" for name in _matrices())
    given = ["--to", scratch / "in", "--dataset", "mine", "--order", "file"]
    return "margins", [["import", masks, "--margins", test, "--train-margins", train, *given]]


def _matrices():
    rng = np.random.default_rng(6)
    mask = rng.permuted(np.arange(N) % 2 == 0, axis=-1)
    masks = np.stack([rng.permutation(mask) for _ in range(4)])
    train = masks | (rng.random(masks.shape) < 0.5)
    test = rng.random((4, N_TEST)) < 0.7
    return {"trainset_mask": masks, "trainset_correctness": train, "testset_correctness": test}


def _aux_arrays():
    order = np.random.default_rng(5).permutation(N)
    parts = {"train": order[: N // 2], "removed": order[N // 2 :], "test": np.arange(N_TEST)}
    arrays = {f"index_{name}": index for name, index in parts.items()}
    return arrays | {f"correctness_{name}": np.ones(len(i), bool) for name, i in parts.items()}


def _archive(rng, base, scratch):
    """An archive of released models, its members, or its index."""
    stream = io.BytesIO()
    with tarfile.open(
        fileobj=stream, mode="w", format=rng.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    ) as tar:
        for run in range(2):
            inner = scratch / "inner.npz"
            craft_npz(rng, _aux_arrays(), inner)
            data = inner.read_bytes()
            ratio = rng.choice(["0.5", "0.5", "0.7", "9" * 80, "0.0"])
            name = rng.choice(
                [f"m/{ratio}/{run}/aux_arrays.npz"] * 4
                + [f"../{ratio}/1/aux_arrays.npz", f"m/0.5/{'9' * 50}/aux_arrays.npz"]
            )
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.type = rng.choice([tarfile.REGTYPE] * 5 + [tarfile.SYMTYPE, tarfile.DIRTYPE])
            tar.addfile(info, io.BytesIO(data))
    tar = stream.getvalue()
    tar = spoil(rng, tar) if rng.random() < 0.4 else tar
    data = gzip.compress(tar, 1)
    path = scratch / "m.tar.gz"
    path.write_bytes(spoil(rng, data) if rng.random() < 0.4 else data)
    given = ["--to", scratch / "out", "--unverified", "--dataset", "mine", "--order", "file"]
    index = scratch / "i"
    again = ["checkpoints", "aux", path, *given, "--index", index]
    if rng.random() < 0.3:
        index.write_bytes(
            rng.choice([b"", b"SQLite format 3\0" + bytes(84), rng.randbytes(200), _index(rng)])
        )
    return "archive", [
        again,
        again,
        [
            "checkpoints",
            "get",
            path,
            "--runs",
            "0",
            "--to",
            scratch / "g",
            "--unverified",
            "--index",
            index,
        ],
    ]


def _index(rng):
    """Return an index whose rows are not those of any archive."""
    import sqlite3

    from memtools.checkpoints.index import _TABLES

    connection = sqlite3.connect(":memory:")
    connection.executescript(_TABLES)
    odd = [0, 1, -1, 2**40, 2**62, -(2**63), None, "x", b"\xff", 1.5, b"\0" * 32_768]
    connection.execute(
        "INSERT INTO archive VALUES (?, ?)",
        (rng.choice(["m.tar.gz"] * 4 + odd), rng.choice(["a", None, 3])),
    )
    for table, n in (("halt", 11), ("member", 4), ("ended", 2)):
        for _ in range(rng.randrange(3)):
            row = [rng.choice(odd) for _ in range(n)]
            if table == "halt" and rng.random() < 0.7:
                row = [
                    rng.choice([0, 20, 400]),
                    10,
                    rng.randrange(8),
                    3,
                    bytes(rng.choice([0, 9, 32_768])),
                    1,
                    1,
                    512,
                    rng.choice([0, 512, 2**50]),
                    0,
                    rng.choice([None, b"x" * 92]),
                ]
            if table == "member" and rng.random() < 0.7:
                row = [
                    512,
                    rng.choice(["m/0.5/1/aux_arrays.npz", "../../x/0.5/1/aux_arrays.npz"]),
                    rng.choice([10, 2**60, -5]),
                    1,
                ]
            if rng.random() < 0.9:
                with contextlib.suppress(sqlite3.Error, OverflowError):
                    marks = ", ".join("?" * n)
                    connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)
    connection.commit()
    return connection.serialize()
