"""Whole files of each kind, before anything is changed.

base = Base.write(root)
base.numbers["estimates"], base.root / "store"
"""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np

N, N_TEST, N_CLASSES, N_RUNS = 12, 6, 3, 16


LABELS, TEST_LABELS = np.arange(N) % N_CLASSES, np.arange(N_TEST) % N_CLASSES


NAMES = np.array([f"img_{k:03d}.png" for k in range(N)])


FORMATS = ("npz", "csv", "tsv", "json", "parquet")


@dataclasses.dataclass
class Base:
    """Whole files of each kind. numbers: estimates, pairs, scores, by name."""

    root: Path
    numbers: dict[str, Path]
    arrays: dict[str, dict[str, np.ndarray]]

    @classmethod
    def write(cls, root: Path) -> Base:
        """Write all of them."""
        from memtools.estimates.score_columns import Reading
        from memtools.estimates.score_files import read_numbers
        from memtools.estimates.tables import write_pairs, write_scores

        root.mkdir(parents=True)
        arrays = {
            "estimates": _estimates(),
            "full": _full(),
            "pairs": _pairs(),
            "scores": _scores(),
            "index": {"tr_labels": LABELS, "tr_filenames": NAMES},
        }
        base = cls(root, {}, arrays)
        for name, each in arrays.items():
            base.numbers[name] = root / f"{name}.npz"
            np.savez(base.numbers[name], **each)
        np.save(root / "plain.npy", arrays["scores"]["scores"])
        np.save(root / "positions.npy", np.array([3, 1, 5]))
        (root / "names.txt").write_text("".join(f"{name}\n" for name in NAMES))
        for ending in FORMATS:
            write_scores(root / f"own.{ending}", read_numbers(base.numbers["scores"], Reading()))
            write_pairs(root / f"pairs.{ending}", read_numbers(base.numbers["pairs"], Reading()))
        _write_store(root / "store")
        _write_registry(root)
        _write_records(root / "records")
        _write_cifar(root)
        (root / "config.toml").write_text(
            'dataset = "digits"\nmodel = "mlp"\nepochs = 1\nbatch_size = 8\npeak_lr = 0.1\n'
            "hidden = [8]\ndrops = [0.5]\nschedule = 'steps'\n"
        )
        return base


def _estimates():
    rng = np.random.default_rng(1)
    arrays = {"tr_mem": rng.random(N), "tr_labels": LABELS, "tt_labels": TEST_LABELS}
    arrays |= {"tr_filenames": NAMES, "tr_mem_se": np.full(N, 0.1)}
    arrays |= {"tr_n_in": np.full(N, 7), "tr_n_out": np.full(N, 3)}
    for k in range(N_CLASSES):
        rows, columns = np.flatnonzero(k == LABELS), np.flatnonzero(k == TEST_LABELS)
        arrays |= {f"tr_classidx_{k}": rows, f"tt_classidx_{k}": columns}
        arrays[f"infl_matrix_class{k}"] = rng.random((len(rows), len(columns)))
    return arrays


def _full():
    rng = np.random.default_rng(2)
    return {"memorization": rng.random(N), "influence": rng.random((N_TEST, N))}


def _pairs():
    return {
        "tr_idx": np.array([0, 3, 5]),
        "tt_idx": np.array([0, 3, 2]),
        "infl": np.array([0.2, 0.3, 0.4]),
        "mem": np.array([0.3, 0.9, 0.5]),
    }


def _scores():
    rng = np.random.default_rng(3)
    return {"scores": rng.random(N), "labels": LABELS, "filenames": NAMES}


def _write_store(root):
    from memtools.estimates.about import About
    from memtools.estimates.model import ExampleIndex
    from memtools.runs.record import RunRecord, RunSpec
    from memtools.runs.store import RunStore, Sweep

    rng = np.random.default_rng(4)
    sweep = Sweep("mine", "file", 0.5, N, N_TEST)
    store = RunStore.create(root, sweep, ExampleIndex(About(), LABELS, None, TEST_LABELS, None))
    for run_id in range(N_RUNS):
        mask = np.zeros(N, bool)
        mask[rng.permutation(N)[: N // 2]] = True
        correct, test = mask | (rng.random(N) < 0.6), rng.random(N_TEST) < 0.7
        store.add(RunRecord(RunSpec(run_id, sweep.digest), mask, correct, test))
    (root / "failed" / "99.json").write_text('{"run_id": 99, "reason": "NaN", "step": 1}')
    (root / "asked.json").write_text(json.dumps([*range(N_RUNS), 99]))


def _write_registry(root):
    import hashlib

    data = (root / "scores.npz").read_bytes()
    (root / "registry.toml").write_text(
        '[[artifact]]\nname = "thing"\nfile = "thing.npz"\ndataset = "mine"\nkind = "cscores"\n'
        'order = "file"\ndefinition = "a test"\ndirection = "high = typical"\npaper = "none"\n'
        f'md5 = "{hashlib.md5(data).hexdigest()}"\nsize = {len(data)}\n'
        f'[[artifact.parts]]\nurl = "scores.npz"\nsize = {len(data)}\n[groups]\nall = ["thing"]\n'
    )


def _write_records(root):
    root.mkdir()
    shard = b"x" * 64
    (root / "train-00000-of-00001").write_bytes(shard)
    facts = {"n_records": 1, "n_bytes": 64, "sha256": "0" * 64, "converted": {"a.png": "png"}}
    split = {"index": "a", "images": "b", "seed": 0, "n_shards": 1, "n_records": 1, "n_examples": 1}
    document = {"train": {**split, "shards": {"train-00000-of-00001": facts}}}
    (root / "dataset.json").write_text(json.dumps({"format": 1, "splits": document}))


def _write_cifar(root):
    pixels = np.zeros((4, 3072), np.uint8)
    (root / "batch.pickle").write_bytes(
        pickle.dumps({b"data": pixels, b"fine_labels": [0, 1, 2, 3]}, protocol=2)
    )
    (root / "names.pickle").write_bytes(pickle.dumps(np.array(["a", "b"], object), protocol=2))
