"""Estimates, pairs, scores and tables, and the commands that read them.

A command that begins with "!" must hold if `verify`, before it, accepted the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crafted.arrays import craft_npz, header, npy, warp
from crafted.base import FORMATS, Base
from crafted.contents import TEXTS, craft_json, craft_table, encoded, spoil


def numbers(rng, base: Base, scratch: Path):
    """Estimates, pairs or scores, as npz."""
    kind = rng.choice(sorted(base.arrays))
    path = scratch / "x.npz"
    what = craft_npz(rng, base.arrays[kind], path)
    return f"{kind}: {what}", [
        ["verify", path],
        *_must(rng, kind, path, scratch),
        *_few(rng, base, path, scratch),
    ]


def _must(rng, kind, path, scratch):
    commands = [["!", "info", path]]
    has_scores = kind not in ("index", "estimates") or b"tr_mem.npy" in path.read_bytes()
    if has_scores:  # estimates may be of influence alone, for another file to complete
        commands += [["!", "export", path, "--out", scratch / f"all.{each}"] for each in FORMATS]
        commands += [["!", "verify", scratch / f"all.{rng.choice(['npz', 'npz', 'csv'])}"]]
    return commands


def tables(rng, base: Base, scratch: Path):
    """Scores or pairs as npy, csv, tsv, json or parquet."""
    ending = rng.choice(["npy", "csv", "tsv", "json", "json", "parquet"])
    path = scratch / f"x.{ending}"
    source = base.root / (rng.choice(["own", "pairs"]) + f".{ending}")
    if ending == "npy":
        array = rng.choice([base.arrays["scores"]["scores"], np.array([3, 1, 5])])
        data = rng.choice([lambda: header(rng, array), lambda: npy(warp(rng, array)[1])])()
        path.write_bytes(spoil(rng, data) if rng.random() < 0.2 else data)
    elif ending == "json":
        path.write_bytes(encoded(rng, craft_json(rng, source.read_text())))
    elif ending == "parquet":
        _craft_parquet(rng, source, path)
    else:
        delimiter = "\t" if ending == "tsv" else ","
        path.write_bytes(encoded(rng, craft_table(rng, source.read_text(), delimiter)))
        beside = Path(f"{source}.about.json").read_text()
        if rng.random() < 0.6:
            beside = craft_json(rng, beside) if rng.random() < 0.5 else beside
            Path(f"{path}.about.json").write_bytes(encoded(rng, beside))
    must = [["!", "info", path]] + [
        ["!", "export", path, "--out", scratch / f"all.{e}"] for e in FORMATS
    ]
    return ending, [["verify", path], *must, *_few(rng, base, path, scratch)]


def _craft_parquet(rng, source: Path, path: Path):
    import pyarrow
    import pyarrow.parquet

    if rng.random() < 0.4:
        path.write_bytes(spoil(rng, source.read_bytes()))
        return
    table = pyarrow.parquet.read_table(source)
    metadata = dict(table.schema.metadata or {})
    odd = [
        pyarrow.array([None] * len(table)),
        pyarrow.array([[1]] * len(table)),
        pyarrow.array([b"\xff"] * len(table)),
        pyarrow.array(["a"] * len(table)).dictionary_encode(),
        pyarrow.array([1] * len(table), pyarrow.timestamp("ns")),
        pyarrow.array([1] * len(table), pyarrow.decimal128(38, 3)),
        pyarrow.array([2**64 - 1] * len(table), pyarrow.uint64()),
        pyarrow.array([0.5] * len(table), pyarrow.float16())
        if rng.random() < 0.5
        else pyarrow.array([{"a": 1}] * len(table)),
        pyarrow.array([1, None] * (len(table) // 2) + [None] * (len(table) % 2)),
    ]
    name = rng.choice([*table.column_names, *TEXTS[3:9], "score", "index"])
    if name in table.column_names and rng.random() < 0.7:
        table = table.set_column(table.column_names.index(name), name, rng.choice(odd))
    else:
        table = table.append_column(name.encode("utf-8", "replace").decode(), rng.choice(odd))
    if rng.random() < 0.3:
        table = table.slice(0, rng.choice([0, 1]))
    if b"memtools" in metadata and rng.random() < 0.4:
        metadata[b"memtools"] = encoded(rng, craft_json(rng, metadata[b"memtools"].decode()))
    if rng.random() < 0.2:
        metadata[b"pandas"] = craft_json(
            rng, '{"index_columns": [{"kind": "range", "start": 0, "stop": 12, "step": 1}]}'
        ).encode()
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)


def _few(rng, base: Base, path: Path, scratch: Path):
    """Return some of the commands that read numbers, a list of examples, or positions."""
    scores, names = base.numbers["scores"], base.root / "names.txt"
    out = ["--out", scratch / f"y.{rng.choice(FORMATS)}"]
    said = ["--order", "file", "--dataset", "mine"]
    into = [*said, "--to", scratch / "in"]
    commands = [
        ["info", path, "--json"],
        ["info", path, "--column", rng.choice(["scores", "x", "labels", "about"]), *said],
        ["pairs", path, "--min-mem", "-1", "--min-infl", "-1", *out],
        ["pairs", path, "--json"],
        ["select", path, "--top", "3", "--out", scratch / "s.json", *said],
        ["select", path, "--bottom", "1", "--per-class", "--out", scratch / "s.csv", *said],
        ["select", scores, "--random", "2", "--within", path, "--out", scratch / "s.npy"],
        ["compare", path, scores, *said],
        ["compare", scores, path, *said, "--by-class", "--json"],
        ["align", path, "--to", names, *out],
        ["align", path, "--to", names, *said, "--direction", "typical", *out],
        ["align", scores, "--to", path, *said, *out],
        ["align", scores, "--to", names, "--labels", path, "--order", "file", *out],
        ["align", scores, "--to", path, "--reference", path, *out],
        ["info", base.root / "plain.npy", "--index", path],
        ["export", path, "--index", path, *out],
        ["publish", path, "--to", scratch / "pub", "--name", "a", "--no-report", *said],
        ["estimate", base.root / "store", *out],
        ["import", path, *into],
        ["import", base.root / "plain.npy", "--margins", path, "--train-margins", path, *into],
        ["import", path, *into, "--labels", path],
        ["verify", path, "--names"],
        ["checkpoints", "reorder", base.root / "store", "--to", scratch / "o", "--ids", path, path],
        ["tfrecords", "info", path],
        ["report", path, "--to", scratch / "page"],
    ]
    chosen = rng.sample(commands[:-1], k=3)
    return chosen + ([commands[-1]] if rng.random() < 0.04 else [])
