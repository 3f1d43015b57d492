"""The small Inception of the released CIFAR models, in PyTorch alone.

    from safetensors import safe_open
    from safetensors.torch import load_file

    weights = load_file("17.safetensors")  # of memtools checkpoints convert
    model = Inception(n_classes=len(weights["pred.bias"]))
    model.load_state_dict(weights)
    logits = model.eval()(images)  # float32 [n, 3, 32, 32], RGB pixels / 255

Names and layout are those of the file. Only the convolutions of stride 2 need care: TensorFlow pads
an even side by one zero, and that at its end, where PyTorch would begin.
"""

import torch
from torch import nn


class Unit(nn.Module):
    """Convolution, norm, ReLU; a side of n pixels becomes one of n / stride, n even."""

    def __init__(self, inside: int, outside: int, size: int, stride: int = 1) -> None:
        super().__init__()
        padding = size // 2 if stride == 1 else 0
        self.pad = nn.ZeroPad2d((0, 1, 0, 1)) if stride == 2 else nn.Identity()
        self.conv = nn.Conv2d(inside, outside, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, outside, height / stride, width / stride]."""
        return self.bn(self.conv(self.pad(x))).relu()


class Block(nn.Module):
    """A 1x1 and a 3x3 convolution side by side."""

    def __init__(self, inside: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.conv1x1, self.conv3x3 = Unit(inside, narrow, 1), Unit(inside, wide, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, narrow + wide, height, width]."""
        return torch.cat([self.conv1x1(x), self.conv3x3(x)], 1)


class Stage(nn.Module):
    """Blocks, each (narrow, wide); then `down` channels at half the size, if any."""

    def __init__(self, inside: int, blocks: list[tuple[int, int]], down: int) -> None:
        super().__init__()
        widths = [inside, *(narrow + wide for narrow, wide in blocks)]
        self.body = nn.Sequential(
            *(Block(n, *each) for n, each in zip(widths, blocks, strict=False))
        )
        self.downsample = Unit(widths[-1], down, 3, 2) if down else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, down, height / 2, width / 2], or as many channels as the last block has."""
        return self.downsample(self.body(x))


class Inception(nn.Module):
    """Feldman & Zhang 2020: 1.9 million weights."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.conv1 = Unit(3, 96, 3)
        self.stage1 = Stage(96, [(32, 32), (32, 48)], 160)
        self.stage2 = Stage(160, [(112, 48), (96, 64), (80, 80), (48, 96)], 240)
        self.stage3 = Stage(240, [(176, 160), (176, 160)], 0)
        self.pred = nn.Linear(336, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [n, n_classes]."""
        x = self.stage3(self.stage2(self.stage1(self.conv1(x))))
        return self.pred(x.amax((2, 3)))
