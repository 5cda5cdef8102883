"""LeCun et al. 1998: the fully connected LeNet-300-100, and LeNet-5."""

from collections import OrderedDict
from math import prod

from torch import nn

from ticketsmith.engine.models.init import glorot_normal


def lenet300(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Fully connected, 300 and 100 hidden units: 266,610 parameters on MNIST.

    The initialisation is that of Frankle and Carbin 2019, section 2.
    """
    network = nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            fc1=nn.Linear(prod(input_shape), 300),
            relu1=nn.ReLU(),
            fc2=nn.Linear(300, 100),
            relu2=nn.ReLU(),
            fc3=nn.Linear(100, num_classes),
        )
    )
    return glorot_normal(network)


def lenet5(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Two convolutions of 5 x 5, three linear layers: 61,706 parameters on MNIST."""
    channels, height, width = input_shape
    rows, columns = ((side // 2 - 4) // 2 for side in (height, width))
    network = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 6, 5, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(16 * rows * columns, 120),
            relu3=nn.ReLU(),
            fc2=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            fc3=nn.Linear(84, num_classes),
        )
    )
    return glorot_normal(network)
