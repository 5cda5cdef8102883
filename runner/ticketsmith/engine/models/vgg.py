"""VGG for small images: batch norm after every convolution, and one linear layer.

The convolutions of Simonyan and Zisserman 2015, configurations D and E, in the form that Liu et al. 2019
(Rethinking the value of network pruning) gave them for CIFAR-10.
"""

from collections import OrderedDict

from torch import nn

from ticketsmith.engine.models.init import he_normal

WIDTHS = (64, 128, 256, 512, 512)


def vgg16_cifar(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """13 convolutions: 14,724,042 parameters on CIFAR-10."""
    return _vgg(input_shape[0], num_classes, (2, 2, 3, 3, 3))


def vgg19_cifar(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """16 convolutions: 20,035,018 parameters on CIFAR-10."""
    return _vgg(input_shape[0], num_classes, (2, 2, 4, 4, 4))


def _vgg(channels: int, num_classes: int, depths: tuple[int, ...]) -> nn.Module:
    """Halved between the stages, averaged over what is left at the end: takes any size from 16 x 16 on."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    number = 0
    for stage, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True)):
        if stage > 0:
            modules[f"pool{stage}"] = nn.MaxPool2d(2)
        for _ in range(depth):
            number += 1
            # The batch norm's own shift makes a bias before it useless.
            modules[f"conv{number}"] = nn.Conv2d(channels, width, 3, padding=1, bias=False)
            modules[f"bn{number}"] = nn.BatchNorm2d(width)
            modules[f"relu{number}"] = nn.ReLU()
            channels = width
    modules["average"] = nn.AdaptiveAvgPool2d(1)
    modules["flatten"] = nn.Flatten()
    modules["fc"] = nn.Linear(channels, num_classes)
    return he_normal(nn.Sequential(modules))
