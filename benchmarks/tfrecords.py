"""Building and reading indexed TFRecords beside the known way, and beside `tar`.

    python benchmarks/tfrecords.py [--quick]

20,000 JPEGs of ImageNet's usual size (500x375, about 110 kB; 200 pictures, each file made
distinct by a comment) lie in 1000 folders, in the page cache. --quick: 4,000.

    build    images/s from the first read to the last fsync, medians of 3 alternating rounds:
             memtools   2 worker processes; fsync and sha256 of each shard
             known      two threads; each reads a file, decodes it eagerly to learn its size, and
                        writes a tf.train.Example with a TFRecordWriter of its own; no fsync
             tar        `tar cf` of the same folder to the same disk, then `sync` of that file
    select   parsed records/s through a 70 % subset of 1,281,167, no image decoded:
             memtools   a mask, looked up in batches before decoding
             known      parse, then filter(reduce_any(equal(index, numbers)))
    epoch    records/s, read, decoded, randomly cropped and flipped, with that subset; the
             known way filters after decoding, as its readers do

The floor of building is tar's: the same bytes read and written once. Ours adds the framing's
checksums, the Examples and a sha256. Start-up (processes, TensorFlow, names) is shown apart.
Memory is the proportional set size of all processes of a build of 1,281,167 names, above
that of as many processes that import TensorFlow. The latest figures are in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image

from memtools.engines import outcomes
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.tfrecords import builder, reader, writer
from memtools.tfrecords.records import FEATURES, FIRST_LABEL, encode
from memtools.tfrecords.source_listing import Listing
from memtools.tfrecords.sources import Folder

N_TRAIN, N_CLASSES, N_WORKERS, ROUNDS = 1_281_167, 1000, 2, 3
PER_SHARD = 1251  # as in the full set
BATCH = 256
CHOSEN = 0.7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="4,000 images instead of 20,000")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    n_images = 4_000 if arguments.quick else 20_000
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        root = Path(directory)
        size = make_images(root / "train", n_images)
        print(f"{n_images:,} images, {size / n_images / 1e3:.0f} kB each")
        figures = compare_building(root, n_images)
        figures |= compare_reading(root, n_images)
        figures |= measure_memory(root)
    rate = figures["images_per_second"]
    minutes = (N_TRAIN / rate + figures["startup_seconds"]) / 60
    print(f"the full training set at this rate: {minutes:.1f} minutes ({N_TRAIN:,} images)")
    print(json.dumps(figures | {"full_set_minutes": round(minutes, 1)}))


# --- building -----------------------------------------------------------------------------------


def compare_building(root: Path, n_images: int) -> dict[str, float]:
    """Images/s of each contender."""
    seconds: dict[str, list[float]] = {"memtools": [], "known": [], "tar": []}
    ways: dict[str, Callable[[Path, Path], float]] = {
        "memtools": lambda source, to: child_figures("build", source, to)["seconds"],
        "known": lambda source, to: child_figures("known", source, to)["seconds"],
        "tar": tar,
    }
    startup = []
    for number in range(ROUNDS):
        for name in list(ways)[number:] + list(ways)[:number]:
            to = root / "out"
            to.mkdir()
            begun = time.perf_counter()
            seconds[name].append(ways[name](root / "train", to))
            if name == "memtools":
                startup.append(time.perf_counter() - begun - seconds[name][-1])
            shutil.rmtree(to)
            subprocess.run(["sync"], check=True)
    rates = {name: n_images / statistics.median(each) for name, each in seconds.items()}
    for name, rate in rates.items():
        print(f"build   {name:10}{rate:10,.0f} images/s{rates['memtools'] / rate:9.2f} x")
    print(f"start-up of memtools: {statistics.median(startup):.1f} s")
    return {
        "build_ratio_known": round(rates["memtools"] / rates["known"], 2),
        "build_ratio_tar": round(rates["memtools"] / rates["tar"], 2),
        "images_per_second": round(rates["memtools"]),
        "known_images_per_second": round(rates["known"]),
        "startup_seconds": round(statistics.median(startup), 1),
    }


def known(source: Path, to: Path) -> float:
    """Seconds of two threads that read, decode, and write, each its own file."""
    paths = sorted(source.glob("*/*"))
    tf.io.decode_jpeg(paths[0].read_bytes())

    def work(part: int) -> None:
        with tf.io.TFRecordWriter(str(to / f"train-{part}")) as out:
            for position in range(part, len(paths), 2):
                data = paths[position].read_bytes()
                height, width, _ = tf.image.decode_jpeg(data, channels=3).shape
                out.write(example(position, data, height, width, paths[position]))

    threads = [threading.Thread(target=work, args=(part,)) for part in range(2)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


def example(position: int, data: bytes, height: int, width: int, path: Path) -> bytes:
    """A tf.train.Example made of nested constructors, as examples of TensorFlow show it."""

    def number(value: int) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    def text(value: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    synset = path.parent.name.encode()
    features = {
        "index": number(position),
        "image/encoded": text(data),
        "image/height": number(height),
        "image/width": number(width),
        "image/channels": number(3),
        "image/colorspace": text(b"RGB"),
        "image/format": text(b"JPEG"),
        "image/filename": text(path.name.encode()),
        "image/class/label": number(1),
        "image/class/synset": text(synset),
        "image/class/text": text(synset),
    }
    serialized = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    return bytes(serialized)


def tar(source: Path, to: Path) -> float:
    """Seconds of copying the folder into one file, and making that durable."""
    begun = time.perf_counter()
    subprocess.run(["tar", "cf", to / "all.tar", "-C", source, "."], check=True)
    subprocess.run(["sync", to / "all.tar"], check=True)
    return time.perf_counter() - begun


def timed_shard(task: writer.Task) -> Any:
    """A shard, and a line that says when it was begun and ended."""
    begun = time.time()
    facts = writer.write_shard(task)
    with Path(os.environ["BENCH_TIMES"]).open("a") as file:
        file.write(f"{begun} {time.time()}\n")
    return facts


def workers() -> Any:
    return functools.partial(outcomes, n_workers=N_WORKERS)


def build(source: Path, to: Path) -> float:
    """Seconds from the beginning of the first shard to the end of the last."""
    listing = Folder(source).listing()
    index = index_of([name.decode() for name in listing.names])
    times = to / "times"
    os.environ["BENCH_TIMES"] = str(times)
    builder.write_shard = timed_shard
    n_shards = -(-len(listing.names) // PER_SHARD)
    builder.build(Folder(source), to, index, split="train", n_shards=n_shards, engine=workers())
    spans = np.loadtxt(times)
    return float(spans[:, 1].max() - spans[:, 0].min())


# --- reading ------------------------------------------------------------------------------------


def compare_reading(root: Path, n_images: int) -> dict[str, float]:
    """Records/s through a subset, alone and with decoding."""
    rng = np.random.default_rng(1)
    mask = np.zeros(N_TRAIN, np.bool_)
    mask[rng.permutation(N_TRAIN)[: int(CHOSEN * N_TRAIN)]] = True
    numbers = tf.constant(np.flatnonzero(mask))
    n_records = min(n_images, 4_000)
    positions = rng.integers(0, N_TRAIN, 50 * n_records)
    bare, full = root / "bare-00000-of-00001", root / "train-00000-of-00001"
    paths = sorted((root / "train").glob("*/*"))[:n_records]
    write_records(bare, ((int(at), b"") for at in positions))
    write_records(full, ((int(positions[k]), p.read_bytes()) for k, p in enumerate(paths)))

    def select_ours() -> tf.data.Dataset:
        return reader._selected(reader._records([str(bare)], None, (0, 1)), mask)

    def select_known() -> tf.data.Dataset:
        few = tf.data.TFRecordDataset(str(bare)).take(n_records)
        parsed = few.map(lambda r: tf.io.parse_single_example(r, FEATURES), tf.data.AUTOTUNE)
        return parsed.filter(lambda record: tf.reduce_any(tf.equal(record["index"], numbers)))

    def epoch_ours() -> tf.data.Dataset:
        return reader.read_records(root, "train", mask=mask, seed=0)

    def epoch_known() -> tf.data.Dataset:
        def decode(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
            record = tf.io.parse_single_example(serialized, FEATURES)
            image = reader._random_crop(
                record["image/encoded"], reader.IMAGE_SIZE, tf.stack([0, record["index"]])
            )
            label = record["image/class/label"] - FIRST_LABEL
            return {"image": image / 255.0, "label": label, "index": record["index"]}

        decoded = tf.data.TFRecordDataset(str(full)).map(decode, tf.data.AUTOTUNE)
        chosen = decoded.filter(lambda each: tf.reduce_any(tf.equal(each["index"], numbers)))
        return chosen.shuffle(1000, seed=0).prefetch(tf.data.AUTOTUNE)

    select = alternate({"memtools": select_ours, "known": select_known})
    epoch = alternate({"memtools": epoch_ours, "known": epoch_known})
    rates = {
        "select": (len(positions) / select["memtools"], n_records / select["known"]),
        "epoch": (n_records / epoch["memtools"], n_records / epoch["known"]),
    }
    figures = {}
    for task, (ours, theirs) in rates.items():
        figures[f"{task}_ratio"] = round(ours / theirs, 2)
        print(f"{task:8}memtools  {ours:10,.0f} records/s")
        print(f"{task:8}known     {theirs:10,.0f} records/s{ours / theirs:9.2f} x")
    return figures


def alternate(ways: dict[str, Callable[[], tf.data.Dataset]]) -> dict[str, float]:
    """Median seconds of reading each to its end; one warm-up before."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            for _ in way().batch(BATCH):
                pass
            if number:
                seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(each) for name, each in seconds.items()}


def write_records(path: Path, examples: Any) -> None:
    with tf.io.TFRecordWriter(str(path)) as out:
        for position, data in examples:
            record = encode(
                index=position,
                image=data,
                height=375,
                width=500,
                filename=b"a.JPEG",
                label=0,
                synset=b"n0",
                text=b"n0",
            )
            out.write(record)


# --- memory -------------------------------------------------------------------------------------


class Names:
    """A source of as many names as ImageNet has, and one small image behind all of them."""

    def __init__(self, names: list[str], image: Path) -> None:
        self.names, self.image = names, image

    def __getstate__(self) -> dict[str, Any]:
        return {"image": self.image}  # names stay with the builder, as those of a folder do

    def listing(self) -> Listing:
        return Listing.of((n.encode(), n.partition("_")[0].encode(), 0, 0) for n in self.names)

    def read(self, name: bytes, synset: bytes, place: Any) -> bytes:
        return self.image.read_bytes()


def measure_memory(root: Path) -> dict[str, float]:
    """Peak of a build of all names beside processes that import TensorFlow."""
    image = root / "small.jpeg"  # the full set need not fit on this disk
    Image.new("RGB", (64, 64)).save(image)
    peaks = {}
    for task in ("idle", "names"):
        to = root / task
        to.mkdir()
        command = [sys.executable, __file__, "--child", task, str(image), str(to)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as run:
            peaks[task] = peak_of(run, until=lambda: len(list(to.glob("train-*-of-*"))) >= 8)  # noqa: B023
        shutil.rmtree(to)
    above = (peaks["names"] - peaks["idle"]) / 1e6
    print(f"memory of a build of {N_TRAIN:,} names: {above:.0f} MB above TensorFlow's")
    return {"memory_mb": round(above)}


def peak_of(run: subprocess.Popen[bytes], until: Callable[[], bool]) -> int:
    """The largest sum of proportional set sizes of a process and its children, in bytes."""
    peak = 0
    while run.poll() is None:
        if until():
            os.killpg(run.pid, 9)
        peak = max(peak, pss(run.pid))
        time.sleep(0.1)
    return peak


def pss(pid: int) -> int:
    total = 0
    for each in (pid, *children_of(pid)):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def children_of(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, found) for each in (child, *children_of(child))]


def idle() -> None:
    """As many processes as a build has, with TensorFlow and nothing else."""
    code = "import tensorflow, time; time.sleep(6)"
    runs = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(N_WORKERS + 1)]
    for run in runs:
        run.wait()


# --- the material -------------------------------------------------------------------------------


def make_images(root: Path, n_images: int) -> int:
    """Write the images, 1000 folders of them; all their bytes."""
    rng = np.random.default_rng(0)
    pictures = [picture(rng) for _ in range(200)]
    size = 0
    for number in range(n_images):
        synset = f"n{1_000_000 + number % N_CLASSES:08d}"
        path = root / synset / f"{synset}_{number // N_CLASSES}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = pictures[number % len(pictures)]
        comment = b"%08d" % number
        data = data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]
        path.write_bytes(data)
        size += len(data)
    return size


def picture(rng: np.random.Generator) -> bytes:
    """A JPEG of 500x375 pixels and about 110 kB: clouds of several sizes, and some noise."""
    pixels = np.zeros((375, 500, 3))
    for scale in (4, 16, 64):
        shape = (375 // scale + 2, 500 // scale + 2, 3)
        coarse = rng.normal(0, 26, shape)
        pixels += np.kron(coarse, np.ones((scale, scale, 1)))[:375, :500]
    stream = io.BytesIO()
    Image.fromarray(np.clip(pixels + 128, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=94)
    return stream.getvalue()


def index_of(names: list[str]) -> ExampleIndex:
    labels = np.unique([name.partition("_")[0] for name in names], return_inverse=True)[1]
    about = About(dataset="imagenet", order="published")
    return ExampleIndex(about, labels, np.array(names), None, None)


def child_figures(task: str, source: Path, to: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", task, str(source), str(to)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def child(task: str, source: str, to: str) -> None:
    if task == "idle":
        idle()
    elif task == "names":
        names = [f"n{1_000_000 + n % N_CLASSES:08d}_{n}.JPEG" for n in range(N_TRAIN)]
        index = index_of(names)
        of_names: Any = Names(names, Path(source))
        builder.build(of_names, Path(to), index, split="train", engine=workers())
    else:
        way = {"build": build, "known": known}[task]
        print(json.dumps({"seconds": way(Path(source), Path(to))}))


if __name__ == "__main__":
    main()
