"""A miniature of a released archive; released models in their authors' form and in ours."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from miniature import STEP, Archive

from memtools.checkpoints import archive as passes
from memtools.checkpoints import harvest
from memtools.errors import NetworkError


@pytest.fixture(scope="session")
def archive():
    return Archive()


@pytest.fixture
def short_steps(monkeypatch):
    monkeypatch.setattr(passes, "INTERVAL", STEP)


@pytest.fixture
def url(served, server, archive):
    """Where a server has the archive, as it behaves with some faults."""
    (served / "cifar.tar.gz").write_bytes(archive.data)
    return lambda *faults: server.url("cifar.tar.gz", *faults)


@pytest.fixture
def known(archive):
    """What is known of the archive, wherever it is."""
    return functools.partial(
        harvest.Released, dataset="cifar100", order="tfds", md5=archive.md5, size=len(archive.data)
    )


@pytest.fixture
def bad_line(archive, monkeypatch):
    """bad_line(flipped, end): for once, the archive comes with a wrong byte, and ends too early."""
    good = harvest.source.opened

    def set_up(flipped, end):
        def opened(source, start=0, stop=None, **_):
            monkeypatch.setattr(harvest.source, "opened", good)
            data = bytearray(archive.data[:end])
            data[flipped] ^= 1
            for at in range(start, end if stop is None else min(stop, end), 100_000):
                yield bytes(data[at : at + 100_000][: None if stop is None else stop - at])
            raise NetworkError("the line is dead", url=source)

        monkeypatch.setattr(harvest.source, "opened", opened)

    return set_up


@dataclasses.dataclass(frozen=True, eq=False)
class Released:
    """module: of Sonnet, which takes images(n, size, seed); run: the directory that it is in.

    model: what we restore from there, which takes pixels(n, size, seed).
    """

    module: Any
    images: Callable[..., Any]
    run: Path
    model: Any

    @property
    def prefix(self) -> Path:
        return self.run / "checkpoints" / "ckpt-1"


def released(module, images, size, run):
    from sonnet_models import saved, trained  # here: they need TensorFlow

    from memtools.checkpoints.restoration import restore

    (run / "checkpoints").mkdir()
    saved(trained(module, images, size), run / "checkpoints")
    return Released(module, images, run, restore(run))


@pytest.fixture(scope="session")
def inception(tmp_path_factory):
    """The small Inception, for 10 classes."""
    from sonnet_models import SmallInception, pixels

    return released(SmallInception(10), pixels, 32, tmp_path_factory.mktemp("inception"))


@pytest.fixture(scope="session")
def resnet(tmp_path_factory):
    """ResNet-50, for 1000 classes."""
    from sonnet_models import ResNet50, normalised

    return released(ResNet50(num_classes=1000), normalised, 64, tmp_path_factory.mktemp("resnet"))
