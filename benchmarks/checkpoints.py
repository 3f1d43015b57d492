"""One pass over a released archive, beside what a shell does with the same bytes.

    python benchmarks/checkpoints.py [--quick] [--dir DIRECTORY]

The archive is made here, 4 GB (--quick: 0.5 GB): CIFAR-sized runs, each with a checkpoint of
weights and momenta that hardly compress and an aux_arrays.npz of 50,000 and 10,000 examples, in one
gzip stream, served by nginx on loopback.

    memtools   checkpoints aux: the md5 of all bytes, the outcomes as stores, restart points
    shell      curl | tee fifo | tar xzO > /dev/null, and md5sum of the fifo beside it

Whole processes, alternating, medians of 5 rounds. Both hash and decompress; memtools also parses,
packs and fsyncs the runs, and can go on after a kill. The floor is the decompression, a single
stream on one core: it is measured, too, by zlib alone on the same bytes in memory; memtools reaches
about three quarters of it. The hours for 367 GB are those of the slower of a line of 1 Gbit/s and
the pass. The latest figures are in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from fetch import PEAK
from webserver import serving

N_TRAIN, N_TEST, N_WEIGHTS, RATIO = 50_000, 10_000, 1_895_786, 0.7
MEMTOOLS = str(Path(sys.executable).with_name("memtools"))
SHELL = """
rm -f pipe; mkfifo pipe
md5sum < pipe > md5 &
curl -fsS "$0" | tee pipe | tar xzO > /dev/null && wait && grep -q "$1" md5
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="0.5 GB, 3 rounds")
    parser.add_argument("--dir", type=Path, help="where to work; a temporary directory")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=arguments.dir, prefix="bench-") as directory,
        serving(Path(directory)) as base,
    ):
        path = Path(directory) / "www" / "cifar.tar.gz"
        size = int(0.5e9 if arguments.quick else 4e9)
        n_runs, md5 = build(path, size)
        run(path, f"{base}cifar.tar.gz", md5, n_runs, rounds=3 if arguments.quick else 5)


def run(path: Path, url: str, md5: str, n_runs: int, rounds: int) -> None:
    size, work = path.stat().st_size, path.parents[1] / "work"
    options = ("--dataset", "cifar10", "--order", "tfds", "--md5", md5)
    ours = (MEMTOOLS, "checkpoints", "aux", url, "--to", "runs", *options)
    ways = {"memtools": ours, "shell": ("bash", "-euo", "pipefail", "-c", SHELL, url, md5)}
    for command in ways.values():
        seconds(command, work)  # warm-up: page cache, bytecode
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, command in ways.items():
            times[name].append(seconds(command, work))
    medians = {name: statistics.median(found) for name, found in times.items()}
    floor = floor_seconds(path)
    memory = peak_memory(ours, work)
    stores = sum(each.stat().st_size for each in work.rglob("*.npz"))
    index = (work / "runs" / "archive.index").stat().st_size
    print(f"{size / 1e9:.2f} GB, {n_runs} runs, whole processes\n")
    for name, found in times.items():
        rate = size / medians[name] / 1e6
        spread = f"({min(found):.2f} to {max(found):.2f})"
        print(f"{name:10}{medians[name]:7.2f} s {spread:18}{rate:7.0f} MB/s")
    print(f"{'inflate':10}{floor:7.2f} s {'floor, one core':18}{size / floor / 1e6:7.0f} MB/s")
    print(f"\npeak memory {memory / 1e6:.0f} MB; left on the disk: {stores / 1e6:.1f} MB of runs,")
    print(f"{index / 1e6:.2f} MB of index ({index / 1e6 / (size / 1e9):.3f} MB for each GB)")
    hours = max(367e9 / 125e6, 367e9 / size * medians["memtools"]) / 3600
    print(f"367 GB at 1 Gbit/s: {hours:.2f} hours; the pass alone would take", end=" ")
    print(f"{367e9 / size * medians['memtools'] / 3600:.2f}")
    figures = {
        "pass_ratio": round(medians["shell"] / medians["memtools"], 3),
        "floor_share": round(floor / medians["memtools"], 3),
        "memory_mb": round(memory / 1e6, 1),
        "restart_mb_per_gb": round(index / 1e6 / (size / 1e9), 3),
        "hours_367gb_at_1gbit": round(hours, 2),
    }
    print(json.dumps(figures))


def build(path: Path, size: int) -> tuple[int, str]:
    """Write an archive of about `size` bytes; its number of runs and its md5.

    The stream is flushed between members, so that a dozen checkpoints can be compressed once and
    stand there many times; whoever inflates it cannot know.
    """
    rng = np.random.default_rng(0)
    kept = []
    for _ in range(12):
        weights = rng.standard_normal(2 * N_WEIGHTS, np.float32) * np.float32(0.05)
        kept.append((data := weights.tobytes(), deflated(data)))
    digest, crc, length, n_runs = hashlib.md5(usedforsecurity=False), 0, 0, 0
    with path.open("wb") as file:

        def put(data: bytes) -> None:
            digest.update(data)
            file.write(data)

        put(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")
        while file.tell() < size:
            for raw, packed in pieces(n_runs, kept, rng):
                put(packed)
                crc, length = zlib.crc32(raw, crc), length + len(raw)
            n_runs += 1
        end = b"\0" * 10240
        crc, length = zlib.crc32(end, crc), length + len(end)
        put(deflated(end) + zlib.compressobj(6, zlib.DEFLATED, -15).flush())
        put(crc.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little"))
    return n_runs, digest.hexdigest()


def pieces(
    run_id: int, kept: Sequence[tuple[bytes, bytes]], rng: np.random.Generator
) -> Iterator[tuple[bytes, bytes]]:
    """(bytes of the tar, the same deflated) of one run."""
    at = f"cifar10/{RATIO}/{run_id}"
    data, packed = kept[run_id % len(kept)]
    header = headed(f"{at}/checkpoints/ckpt-160.data-00000-of-00001", len(data))
    yield header, deflated(header)
    yield data, packed
    padding = b"\0" * (-len(data) % 512)
    aux = aux_of(rng)
    rest = padding + headed(f"{at}/aux_arrays.npz", len(aux)) + aux + b"\0" * (-len(aux) % 512)
    yield rest, deflated(rest)


def aux_of(rng: np.random.Generator) -> bytes:
    order, n = rng.permutation(N_TRAIN), round(RATIO * N_TRAIN)
    parts = {"train": order[:n], "removed": order[n:], "test": np.arange(N_TEST)}
    arrays = {f"index_{name}": index for name, index in parts.items()}
    for name, index in parts.items():
        arrays[f"correctness_{name}"] = rng.random(len(index)) < 0.8
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def headed(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


def seconds(command: Sequence[str], work: Path) -> float:
    """The wall time of a command in an empty directory."""
    fresh(work)
    start = time.perf_counter()
    subprocess.run(command, cwd=work, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def peak_memory(command: Sequence[str], work: Path) -> int:
    """Bytes of resident memory at the peak of a command."""
    fresh(work)
    shown = subprocess.run(
        (sys.executable, "-c", PEAK, *command), cwd=work, stdout=subprocess.PIPE, check=True
    )
    return int(shown.stdout.split()[-1])


def fresh(work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    os.sync()


def floor_seconds(path: Path) -> float:
    """Decompression alone: zlib's own loop over the bytes, a megabyte at a time."""
    taken = 0.0
    unpacker = zlib.decompressobj(31)
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            start = time.perf_counter()
            unpacker.decompress(data)
            taken += time.perf_counter() - start
    return taken


if __name__ == "__main__":
    main()
