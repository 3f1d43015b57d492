"""The report of CIFAR-100 with all images, and that of ImageNet with some: time, size, patience.

    python benchmarks/report.py [--quick]

    cifar      50,000 + 10,000 images of 32x32x3 in 100 classes, influence 100 x [500, 100]
               (--quick: 5,000 + 1,000 images, influence 100 x [50, 10])
    imagenet   1,281,167 scores and names of 1,000 classes, influence 1000 x [~1,281, 50], a folder
               of 20,000 JPEGs of 500x375 pixels, 20 of each class, and --max-images 40,000
               (--quick: without)
    browser    from the disk, in headless Chromium: `first view`, from the start of navigation to
               the first pictures on the screen; `slider`, from a key on a handle to the frame that
               shows the new range; of the largest report that was made, medians of 15

Numbers and images are made up: memorization as in the paper's histogram, influence of noise .02 and
a strong pair for every 50 training examples; smooth images with noise, as photographs have it. Time
is that of `write_report`, after its imports. There is no peer: the floor of the first is to
compress its training images once, as PNG, on one core. The latest figures are in
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from memtools.estimates.about import About
from memtools.estimates.model import Estimates
from memtools.report.page import Written, write_report
from memtools.training.datasets import NONE, Dataset

N_IMAGENET, PER_CLASS, DISTINCT, ROUNDS = 1_281_167, 20, 200, 15
ABOUT = About("made-up", "file", "made-up numbers", "high memorization = atypical")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of CIFAR-100, no ImageNet")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        estimates, data = cifar(50 if quick else 500, 10 if quick else 100)
        floor = timed(lambda: compressed(data))[0]
        seconds, written = timed(lambda: write_report(estimates, root / "cifar", images=data))
        say("cifar", seconds, written)
        print(f"floor: {len(data.train_images):,} images as PNG once: {floor:.1f} s")
        figures: dict[str, float | None] = {
            "cifar_seconds": round(seconds, 1),
            "cifar_mb": round(written.n_bytes / 1e6, 1),
            "imagenet_seconds": None,
            "imagenet_mb": None,
        }
        if not quick:
            numbers = imagenet()
            folder = photographs(root / "images", numbers)
            seconds, written = timed(
                lambda: write_report(
                    numbers, root / "imagenet", images=folder, max_images=2 * PER_CLASS * 1000
                )
            )
            say("imagenet", seconds, written)
            figures["imagenet_seconds"] = round(seconds, 1)
            figures["imagenet_mb"] = round(written.n_bytes / 1e6, 1)
        first, slider = patience(written.page)
        print(f"first view {first} ms, slider {slider} ms" if first else "no browser is installed")
        print(json.dumps({**figures, "first_view_ms": first, "slider_ms": slider}))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found


def say(name: str, seconds: float, written: Written) -> None:
    print(
        f"{name}: {seconds:.1f} s, {written.n_bytes / 1e6:.1f} MB,"
        f" {written.n_drawn:,} thumbnails, {written.n_missing:,} without image"
    )


def cifar(per_class: int, tests: int) -> tuple[Estimates, Dataset]:
    """Numbers and images of 100 classes."""
    rng = np.random.default_rng(0)
    train, test = (rng.permutation(np.repeat(np.arange(100), n)) for n in (per_class, tests))
    arrays = {"tr_mem": memorization(rng, len(train)), "tr_labels": train, "tt_labels": test}
    arrays |= influence(rng, train, test)
    sides = (noisy(rng, len(labels)) for labels in (train, test))
    return Estimates(arrays, ABOUT), Dataset("made-up", "file", train, test, NONE, *sides)


def imagenet() -> Estimates:
    """Numbers and names of 1,000 classes."""
    rng = np.random.default_rng(1)
    train = rng.permutation(np.arange(N_IMAGENET) % 1000)
    test = rng.permutation(np.repeat(np.arange(1000), 50))
    synsets = [f"n{1_000_000 + 97 * k:08d}" for k in range(1000)]
    names = [f"{synsets[label]}_{k}.JPEG" for k, label in enumerate(train.tolist())]
    test_names = [f"ILSVRC2012_val_{k + 1:08d}.JPEG" for k in range(len(test))]
    arrays = {"tr_mem": memorization(rng, len(train)), "tr_labels": train, "tt_labels": test}
    arrays |= {"tr_filenames": np.array(names), "tt_filenames": np.array(test_names)}
    return Estimates(arrays | influence(rng, train, test), ABOUT)


def memorization(rng: np.random.Generator, n: int) -> Any:
    """Much at 0, some everywhere, more at 1; float32 [n]."""
    values = rng.beta(0.35, 0.7, n) + rng.normal(0, 0.02, n)
    return np.clip(values, -0.1, 1).astype(np.float32)


def influence(rng: np.random.Generator, train: Any, test: Any) -> dict[str, Any]:
    """Matrices by class, under their published names."""
    arrays = {}
    by_train, by_test = (np.argsort(labels, kind="stable") for labels in (train, test))
    for label in range(int(train.max()) + 1):
        rows, columns = (
            order[slice(*np.searchsorted(labels[order], (label, label + 1)))]
            for order, labels in ((by_train, train), (by_test, test))
        )
        values = rng.normal(0, 0.02, (len(rows), len(columns))).astype(np.float32)
        strong = rng.integers(0, len(rows), max(1, len(rows) // 50))
        values[strong, rng.integers(0, len(columns), len(strong))] = rng.uniform(
            0.15, 0.6, len(strong)
        )
        arrays |= {f"tr_classidx_{label}": rows, f"tt_classidx_{label}": columns}
        arrays[f"infl_matrix_class{label}"] = values
    return arrays


def noisy(rng: np.random.Generator, n: int) -> Any:
    """Smooth images with noise, uint8 [n, 32, 32, 3]."""
    coarse = rng.integers(40, 215, (n, 4, 4, 3), np.uint8)
    smooth = np.repeat(np.repeat(coarse, 8, 1), 8, 2)
    return smooth + rng.integers(0, 16, smooth.shape, np.uint8)


def photographs(root: Path, numbers: Estimates) -> Path:
    """A folder of 20 images of each class; few are distinct, each has its own name."""
    rng = np.random.default_rng(2)
    root.mkdir()
    pictures = []
    for _ in range(DISTINCT):
        coarse = Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8))
        picture = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), np.int16)
        picture = np.clip(picture + rng.integers(-12, 12, picture.shape), 0, 255).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "JPEG", quality=90)
        pictures.append(root / f".{len(pictures)}")
        pictures[-1].write_bytes(stream.getvalue())
    names, order = numbers.filenames, np.argsort(numbers.labels, kind="stable")
    for k, place in enumerate(order.tolist()):
        if k == 0 or numbers.labels[order[k - 1]] != numbers.labels[place]:
            n_here = 0
        if n_here < PER_CLASS:
            name = str(names[place])
            (root / name[:9]).mkdir(exist_ok=True)
            os.link(pictures[(k + n_here) % DISTINCT], root / name[:9] / name)
        n_here += 1
    return root


def compressed(data: Dataset) -> int:
    """Bytes of all training images, a hundred in each PNG."""
    n_bytes = 0
    for start in range(0, len(data.train_images), 100):
        sheet = np.concatenate([*data.train_images[start : start + 100]])
        stream = io.BytesIO()
        Image.fromarray(sheet).save(stream, "PNG")
        n_bytes += stream.tell()
    return n_bytes


FIRST_VIEW = """() => new Promise((done) => {
  const look = () => {
    const image = document.querySelector(".picture");
    if (!image) return requestAnimationFrame(look);
    const sheet = new Image();
    const drawn = () => done(performance.now());
    sheet.onload = () => requestAnimationFrame(() => requestAnimationFrame(drawn));
    sheet.src = image.style.backgroundImage.slice(5, -2);
  };
  look();
})"""
SLIDER = """() => new Promise((done) => {
  addEventListener("keydown", (event) => requestAnimationFrame(() => requestAnimationFrame(
    () => done(performance.now() - event.timeStamp))), { once: true });
})"""


def patience(page: Path) -> tuple[float | None, float | None]:
    """Milliseconds to the first pictures, and from a key on a handle to the frame; medians."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return None, None
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        return None, None
    first, slider = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        for _ in range(ROUNDS):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            tab = context.new_page()
            tab.goto(page.as_uri(), wait_until="commit")
            first.append(tab.evaluate(FIRST_VIEW))
            tab.locator(".handles input").first.focus()
            frame = tab.evaluate_handle(f"() => {{ window.shown = ({SLIDER})(); }}")
            tab.keyboard.press("ArrowRight")
            slider.append(tab.evaluate("() => window.shown"))
            frame.dispose()
            context.close()
        browser.close()
    return round(statistics.median(first)), round(statistics.median(slider), 1)


if __name__ == "__main__":
    main()
