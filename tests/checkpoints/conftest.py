"""A miniature of a released archive; released models in their authors' form and in ours."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from miniature import Archive


@pytest.fixture(scope="session")
def archive():
    return Archive()


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
