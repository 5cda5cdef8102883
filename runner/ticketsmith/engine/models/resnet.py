"""Residual nets for small images (He et al. 2016, Deep residual learning, section 4.2)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ticketsmith.engine.models.init import he_normal

Shortcut = Literal["identity", "projection"]


def resnet20(
    input_shape: tuple[int, int, int], num_classes: int, *, shortcut: Shortcut = "identity"
) -> nn.Module:
    """16, 32, 64 channels, three blocks each: 269,722 parameters on CIFAR-10.

    shortcut: identity is the paper's option A (strided, zero channels added); projection is a 1 x 1 convolution
    with batch norm where the shape changes, 272,474 parameters, as the work on rewinding uses it.
    """
    return he_normal(ResNet(input_shape[0], num_classes, (16, 32, 64), 3, shortcut))


def resnet18_cifar(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """ResNet-18 with a 3 x 3 first convolution and no max-pooling: 11,173,962 parameters on CIFAR-10."""
    return he_normal(ResNet(input_shape[0], num_classes, (64, 128, 256, 512), 2, "projection"))


class ResNet(nn.Module):
    """One stage of basic blocks for each width; every stage but the first halves height and width."""

    def __init__(
        self,
        channels: int,
        num_classes: int,
        widths: tuple[int, ...],
        blocks: int,
        shortcut: Shortcut,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        stages = []
        before = widths[0]
        for number, width in enumerate(widths):
            stride = 1 if number == 0 else 2
            first = Block(before, width, stride, shortcut)
            rest = [Block(width, width, 1, shortcut) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(first, *rest))
            before = width
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """float32 [B, classes] from float32 [B, C, H, W]."""
        features: Tensor = self.stages(self.relu(self.bn1(self.conv1(images))))
        logits: Tensor = self.fc(torch.flatten(self.pool(features), 1))
        return logits


class Block(nn.Module):
    """Two 3 x 3 convolutions, around which the input is added."""

    def __init__(self, before: int, width: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if (stride, before) != (1, width):
            self.shortcut = (
                ZeroPadded(stride, width - before)
                if shortcut == "identity"
                else nn.Sequential(
                    nn.Conv2d(before, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
                )
            )

    def forward(self, features: Tensor) -> Tensor:
        """[B, width, H / stride, W / stride] from [B, before, H, W]."""
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(features)))))
        result: Tensor = self.relu(inner + self.shortcut(features))
        return result


class ZeroPadded(nn.Module):
    """The identity over every stride-th pixel, with channels of zeros added; has no parameters."""

    def __init__(self, stride: int, added: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = added // 2
        self.after = added - added // 2

    def forward(self, features: Tensor) -> Tensor:
        """[B, C + added, H / stride, W / stride] from [B, C, H, W]."""
        kept = features[:, :, :: self.stride, :: self.stride]
        return pad(kept, (0, 0, 0, 0, self.before, self.after))
