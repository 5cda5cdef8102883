"""Plain convolutional nets: convolutions and max-pooling, then linear layers, ReLU between them.

`paper_conv2/4/6` are Conv-2, Conv-4, Conv-6 of Frankle and Carbin 2019, figure 2. `conv2/4/6` are nets with
88,986, 342,090 and 1,122,858 parameters on CIFAR-10, for those who compare with these totals.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from ticketsmith.engine.models.init import glorot_normal


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution with bias and ReLU that keeps height and width, unless `padded` is false."""

    filters: int
    kernel: int = 3
    padded: bool = True


@dataclass(frozen=True, slots=True)
class Pool:
    """Max-pooling by `by`, or, if `to` is given, by as much as leaves about to x to pixels."""

    by: int = 2
    to: int | None = None


def conv2(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """16 and 16 filters, 4 x 4 pixels, 320 hidden units: 88,986 parameters on CIFAR-10."""
    return _convnet(input_shape, num_classes, [Conv(16, 5), Conv(16), Pool(to=4)], [320])


def conv4(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """64, 64, 128 and 128 filters, one linear layer: 342,090 parameters on CIFAR-10."""
    return _convnet(input_shape, num_classes, [*_pair(64, 64), *_pair(128, 128)], [])


def conv6(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """48, 48, 48, 96, 96 and 192 filters, 256 hidden units: 1,122,858 parameters on CIFAR-10."""
    layers = [*_pair(48, 48), *_pair(48, 96), *_pair(96, 192)]
    return _convnet(input_shape, num_classes, layers, [256])


def paper_conv2(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Conv-2 of the paper: 4,301,642 parameters on CIFAR-10."""
    return _convnet(input_shape, num_classes, _pair(64, 64), [256, 256])


def paper_conv4(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Conv-4 of the paper: 2,425,930 parameters on CIFAR-10."""
    return _convnet(input_shape, num_classes, [*_pair(64, 64), *_pair(128, 128)], [256, 256])


def paper_conv6(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Conv-6 of the paper: 2,262,602 parameters on CIFAR-10."""
    layers = [*_pair(64, 64), *_pair(128, 128), *_pair(256, 256)]
    return _convnet(input_shape, num_classes, layers, [256, 256])


def mnist_cnn(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """32 and 64 filters without padding, 128 hidden units: 1,199,882 parameters on MNIST."""
    layers: list[Conv | Pool] = [Conv(32, padded=False), Conv(64, padded=False), Pool()]
    return _convnet(input_shape, num_classes, layers, [128])


def _pair(first: int, second: int) -> list[Conv | Pool]:
    return [Conv(first), Conv(second), Pool()]


def _convnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    layers: Sequence[Conv | Pool],
    hidden: Sequence[int],
) -> nn.Module:
    """Modules are named conv1, conv2, ..., fc1, fc2, ..., in their order."""
    channels, height, width = input_shape
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    convs = pools = 0
    for layer in layers:
        if isinstance(layer, Conv):
            convs += 1
            padding = layer.kernel // 2 if layer.padded else 0
            modules[f"conv{convs}"] = nn.Conv2d(
                channels, layer.filters, layer.kernel, padding=padding
            )
            modules[f"relu{convs}"] = nn.ReLU()
            channels = layer.filters
            height, width = (side + 2 * padding - layer.kernel + 1 for side in (height, width))
        else:
            pools += 1
            by = (height // layer.to, width // layer.to) if layer.to else (layer.by, layer.by)
            modules[f"pool{pools}"] = nn.MaxPool2d(by)
            height, width = height // by[0], width // by[1]
    modules["flatten"] = nn.Flatten()
    features = channels * height * width
    for number, units in enumerate([*hidden, num_classes], start=1):
        modules[f"fc{number}"] = nn.Linear(features, units)
        if number <= len(hidden):
            modules[f"relu{convs + number}"] = nn.ReLU()
        features = units
    return glorot_normal(nn.Sequential(modules))
