"""A miniature of a released archive."""

import gzip
import hashlib
import io
import tarfile

import numpy as np

STEP = 2_000_000  # bytes between two halts
RATIOS, N_RUNS, N_TRAIN, N_TEST = ("0.1", "0.5", "0.7"), 20, 50_000, 10_000


def aux_of(rng, ratio):
    """aux_arrays.npz of one run: examples differ in difficulty, as those of real data do."""
    order = rng.permutation(N_TRAIN)
    n = round(float(ratio) * N_TRAIN)
    parts = {"train": order[:n], "removed": order[n:], "test": rng.permutation(N_TEST)}
    arrays = {f"index_{name}": index for name, index in parts.items()}
    for name, index in parts.items():
        ease = 1.0 if name == "train" else 0.6 + 0.4 * (index % 10) / 9
        arrays[f"correctness_{name}"] = rng.random(len(index)) < 0.98 * ease
    stream = io.BytesIO()
    np.savez(stream, **arrays, subsample_idx=parts["train"])
    return stream.getvalue()


def members_of(seed=0):
    """(name, data) of ratios x runs, each with a checkpoint that does not compress."""
    rng = np.random.default_rng(seed)
    for ratio in RATIOS:
        for run in range(N_RUNS):
            at = f"cifar/{ratio}/{run}"
            yield f"{at}/checkpoints/ckpt-9.data-00000-of-00001", rng.bytes(200_000)
            yield f"{at}/aux_arrays.npz", aux_of(rng, ratio)
            yield f"{at}/checkpoints/ckpt-9.index", b"index" * 100


def tar_of(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


class Archive:
    """The bytes, their md5, and the outcomes that are in them."""

    def __init__(self):
        self.members = list(members_of())
        self.tar = tar_of(self.members)
        half = len(self.tar) // 2  # two gzip members
        self.data = gzip.compress(self.tar[:half], 1) + gzip.compress(self.tar[half:], 1)
        self.md5 = hashlib.md5(self.data).hexdigest()
