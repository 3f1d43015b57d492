"""A small ImageNet: all 1000 synsets, odd files among them, as a folder, flat, and as tars."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from PIL import Image

from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex

N_CLASSES, PER_CLASS, PER_CLASS_VALIDATION = 1000, 2, 1
ROTATED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06" + bytes(6)
ODD = {  # position in the sorted list of training images: how it is stored
    3: {"mode": "RGB", "format": "PNG"},
    10: {"mode": "CMYK", "format": "JPEG"},
    11: {"mode": "L", "format": "JPEG"},
    20: {"mode": "RGB", "format": "JPEG", "progressive": True},
    30: {
        "mode": "RGB",
        "format": "JPEG",
        "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
    },
}


def encoded(rng, mode="RGB", format="JPEG", **options):
    """A small image of smooth noise, as a file."""
    height, width = (int(n) for n in rng.integers(24, 48, 2))
    channels = {"RGB": 3, "CMYK": 4, "L": 1}[mode]
    coarse = rng.integers(0, 255, (6, 6, channels), dtype=np.uint8)
    pixels = np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width]
    stream = io.BytesIO()
    if mode == "L":
        pixels = pixels[:, :, 0]
    elif mode == "CMYK":
        Image.frombytes("CMYK", (width, height), pixels.tobytes()).save(stream, format, **options)
        return stream.getvalue()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format, **options)
    return stream.getvalue()


class SmallImageNet:
    """Files, and the index that says in which order they come."""

    def __init__(self, root: Path) -> None:
        rng = np.random.default_rng(0)
        self.root, self.data = root, {}
        self.synsets = [f"n{1_000_000 + 7 * k:08d}" for k in range(N_CLASSES)]
        names, labels = [], []
        for label, synset in enumerate(self.synsets):
            for n in range(PER_CLASS):
                names.append(f"{synset}_{n}.JPEG")
                labels.append(label)
                self.data[names[-1]] = encoded(rng, **ODD.get(len(names) - 1, {}))
        test_names = [f"ILSVRC2012_val_{n + 1:08d}.JPEG" for n in range(N_CLASSES)]
        test_labels = rng.permutation(N_CLASSES)
        for name in test_names:
            self.data[name] = encoded(rng)
        order, test_order = rng.permutation(len(names)), rng.permutation(len(test_names))
        self.index = ExampleIndex(
            About(dataset="imagenet", order="published"),
            labels=np.array(labels)[order],
            filenames=np.array(names)[order],
            test_labels=test_labels[test_order],
            test_filenames=np.array(test_names)[test_order],
        )
        self.odd = {names[n]: facts for n, facts in ODD.items()}

    def folder(self) -> Path:
        """train/<synset>/<name>"""
        target = self.root / "train"
        for name, label in zip(self.index.filenames, self.index.labels, strict=True):
            path = target / self.synsets[label] / str(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.data[str(name)])
        return target

    def flat(self) -> Path:
        """validation/<name>"""
        target = self.root / "validation"
        target.mkdir()
        for name in self.index.test_filenames:
            (target / str(name)).write_bytes(self.data[str(name)])
        return target

    def train_tar(self) -> Path:
        """A tar of one tar for each synset, as ILSVRC2012_img_train.tar."""
        by_synset = {}
        for name, label in zip(self.index.filenames, self.index.labels, strict=True):
            by_synset.setdefault(self.synsets[label], []).append(str(name))
        inner = {f"{synset}.tar": self._tar(names) for synset, names in by_synset.items()}
        path = self.root / "ILSVRC2012_img_train.tar"
        path.write_bytes(tar_of(inner))
        return path

    def validation_tar(self) -> Path:
        """A flat tar, as ILSVRC2012_img_val.tar."""
        path = self.root / "ILSVRC2012_img_val.tar"
        path.write_bytes(self._tar([str(name) for name in self.index.test_filenames]))
        return path

    def _tar(self, names: list[str]) -> bytes:
        return tar_of({name: self.data[name] for name in names})


def tar_of(members: dict[str, bytes]) -> bytes:
    """A tar of plain files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture(scope="session")
def imagenet(tmp_path_factory) -> SmallImageNet:
    return SmallImageNet(tmp_path_factory.mktemp("imagenet"))


@pytest.fixture(scope="session")
def folder(imagenet) -> Path:
    return imagenet.folder()


@pytest.fixture(scope="session")
def flat(imagenet) -> Path:
    return imagenet.flat()
