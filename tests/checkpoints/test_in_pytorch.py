"""Converted weights give the same logits in PyTorch; skipped where PyTorch is not installed."""

from pathlib import Path

import pytest
from sonnet_models import normalised, pixels

from memtools.checkpoints.conversion import save

torch = pytest.importorskip("torch", reason="PyTorch, which no extra of memtools brings")
from safetensors.torch import load_file  # noqa: E402
from torch import nn  # noqa: E402

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def logits_of(network, images):
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()


def test_the_recipe_for_the_inception_gives_its_logits(inception, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(NOTEBOOKS)
    from inception import Inception

    save(inception.model, tmp_path / "m.safetensors")
    weights = load_file(tmp_path / "m.safetensors")
    network = Inception(n_classes=len(weights["pred.bias"]))
    network.load_state_dict(weights)
    images = pixels(16, 32, seed=5)
    ours = inception.model(images, training=False).numpy()
    assert abs(logits_of(network, images) - ours).max() < 1e-4 * ours.std()
    network.stage1.downsample.pad = nn.ZeroPad2d((1, 0, 1, 0))  # where PyTorch would pad
    assert abs(logits_of(network, images) - ours).max() > 0.1 * ours.std()


class Bottleneck(nn.Module):
    """As in torchvision, by whose names its parts go."""

    def __init__(self, inside, channels, stride, projects):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.downsample = nn.Identity()
        if projects:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, 4 * channels, 1, stride, bias=False),
                nn.BatchNorm2d(4 * channels),
            )

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        return (self.bn3(self.conv3(y)) + self.downsample(x)).relu()


class ResNet50(nn.Module):
    """torchvision.models.resnet50, in its parts' names and in what it computes."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1, self.maxpool = nn.BatchNorm2d(64), nn.MaxPool2d(3, 2, padding=1)
        inside = 64
        for stage, n_blocks in enumerate((3, 4, 6, 3)):
            blocks = nn.Sequential()
            for block in range(n_blocks):
                stride = 2 if stage and not block else 1
                blocks.append(Bottleneck(inside, 64 << stage, stride, block == 0))
                inside = 256 << stage
            setattr(self, f"layer{stage + 1}", blocks)
        self.fc = nn.Linear(2048, 1000)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize(("n", "size"), [(16, 64), (2, 224)])
def test_the_recipe_for_the_resnet_gives_its_logits(resnet, tmp_path, n, size):
    save(resnet.model, tmp_path / "m.safetensors")
    network = ResNet50()
    network.load_state_dict(load_file(tmp_path / "m.safetensors"))
    ours = resnet.model(pixels(n, size, seed=5), training=False).numpy()
    as_it_is = logits_of(network, normalised(n, size, seed=5))
    network.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)
    logits = logits_of(network, normalised(n, size, seed=5))
    assert abs(logits - ours).max() < 1e-4 * ours.std()
    assert abs(as_it_is - ours).max() > 0.1 * ours.std()  # why the pool is replaced


def test_the_recipe_for_torchvision_gives_the_logits_of_the_resnet(resnet, tmp_path):
    models = pytest.importorskip("torchvision", reason="torchvision").models
    save(resnet.model, tmp_path / "m.safetensors")
    network = models.resnet50()
    network.load_state_dict(load_file(tmp_path / "m.safetensors"))
    network.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)
    ours = resnet.model(pixels(2, 224, seed=5), training=False).numpy()
    logits = logits_of(network, normalised(2, 224, seed=5))
    assert abs(logits - ours).max() < 1e-4 * ours.std()
