"""Networks by name. An architecture is a file in this folder and its line in `ARCHITECTURES`."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args, get_origin

import torch
from torch import nn

from ticketsmith.engine.models import convnet, lenet, resnet, vgg, vision, weights
from ticketsmith.engine.suggest import unknown
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import ModelSpec

__all__ = ["ARCHITECTURES", "Architecture", "build", "check", "names"]

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Architecture:
    """How to build a network, and for which images it is made."""

    build: Callable[..., nn.Module]
    """(input_shape, num_classes, *, options) -> network, its weights drawn from torch's global generator."""
    smallest: int
    """Least height and width it can take, in pixels."""
    usual: int
    """Height and width it was made for."""
    pretrained: str | None = None
    """torchvision's name, where it has weights to offer."""


def _torchvision(name: str) -> Architecture:
    return Architecture(partial(vision.build, name), 1, 224, name)


ARCHITECTURES = {
    "lenet300": Architecture(lenet.lenet300, 1, 28),
    "lenet5": Architecture(lenet.lenet5, 12, 28),
    "mnist_cnn": Architecture(convnet.mnist_cnn, 6, 28),
    "conv2": Architecture(convnet.conv2, 4, 32),
    "conv4": Architecture(convnet.conv4, 4, 32),
    "conv6": Architecture(convnet.conv6, 8, 32),
    "paper_conv2": Architecture(convnet.paper_conv2, 2, 32),
    "paper_conv4": Architecture(convnet.paper_conv4, 4, 32),
    "paper_conv6": Architecture(convnet.paper_conv6, 8, 32),
    "resnet20": Architecture(resnet.resnet20, 8, 32),
    "resnet18_cifar": Architecture(resnet.resnet18_cifar, 8, 32),
    "vgg16_cifar": Architecture(vgg.vgg16_cifar, 16, 32),
    "vgg19_cifar": Architecture(vgg.vgg19_cifar, 16, 32),
} | {
    name: _torchvision(name)
    for name in (
        "vgg11",
        "vgg13",
        "vgg16",
        "vgg19",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
    )
}


def names() -> list[str]:
    """The names there are, besides torchvision:NAME for any classifier of torchvision."""
    return list(ARCHITECTURES)


def build(model: ModelSpec, input_shape: Shape, num_classes: int) -> nn.Module:
    """The network for images of (channels, height, width), with logits for `num_classes` classes.

    New weights are drawn from torch's global generator, which the caller seeds; then those of `model.weights`
    are put in their place. BadSpec for a name, an option, a size or a weights file that does not fit.
    """
    network = _new(model, input_shape, num_classes)
    if model.weights == weights.DEFAULT:
        pretrained = _pretrained(model)
        weights.put_pretrained(network, vision.default_weights(pretrained), pretrained)
    elif model.weights is not None:
        weights.put(network, weights.read(model.weights), model.weights)
    return network


def check(model: ModelSpec, input_shape: Shape | None = None, num_classes: int = 1) -> None:
    """BadSpec for what `build` would refuse, tried without memory or random numbers; reads no weights.

    Without `input_shape`, images of the size the architecture is made for are assumed.
    """
    usual = _find(model.name).usual
    with torch.device("meta"):
        _new(model, input_shape or (3, usual, usual), num_classes)
    if model.weights == weights.DEFAULT:
        _pretrained(model)
    elif model.weights is not None:
        weights.path_of(model.weights)


def _new(model: ModelSpec, input_shape: Shape, num_classes: int) -> nn.Module:
    architecture = _find(model.name)
    options = dict(model.options)
    _check_options(model, architecture)
    classes = options.pop("num_classes", num_classes)
    if not isinstance(classes, int) or classes < num_classes:
        raise BadSpec(
            f"model.options.num_classes is {classes!r}, but the data has {num_classes} classes: "
            "give at least as many, or leave it out"
        )
    _, height, width = input_shape
    if min(height, width) < architecture.smallest:
        raise BadSpec(
            f"model.name {model.name!r} needs images of at least {architecture.smallest}x"
            f"{architecture.smallest} pixels, and the data's have {height}x{width}: "
            f"set dataset.options.size, e.g. to {architecture.usual}"
        )
    return architecture.build(input_shape, classes, **options)


def _find(name: str) -> Architecture:
    lower = name.casefold()
    if lower.startswith(vision.PREFIX):
        return _torchvision(vision.canonical(name[len(vision.PREFIX) :]))
    # people write ResNet-20 and LeNet-5 as well
    known = {lower, lower.replace("-", "_"), lower.replace("-", "")} & ARCHITECTURES.keys()
    if not known:
        raise unknown("model.name", name, [*ARCHITECTURES, f"{vision.PREFIX}NAME"])
    return ARCHITECTURES[known.pop()]


def _pretrained(model: ModelSpec) -> str:
    pretrained = _find(model.name).pretrained
    if pretrained is None:
        raise BadSpec(
            f"model.weights {weights.DEFAULT} is for torchvision's models, and {model.name!r} is none: "
            "name a .safetensors file, or leave weights out"
        )
    return pretrained


def _check_options(model: ModelSpec, architecture: Architecture) -> None:
    """BadSpec for an option that the builder does not have, or a value that is not among those it names."""
    if not model.options:
        return
    choices = _choices(architecture)
    for option, value in model.options.items():
        if option not in choices:
            raise BadSpec(
                f"model.options.{option} is not an option of {model.name}: "
                f"it takes {', '.join(sorted(choices))}"
            )
        if choices[option] and value not in choices[option]:
            raise BadSpec(
                f"model.options.{option} is {value!r}: choose {' or '.join(choices[option])}"
            )


def _choices(architecture: Architecture) -> dict[str, tuple[Any, ...]]:
    """Every option, with the values it may take where it lists them."""
    if architecture.pretrained is not None:
        return dict.fromkeys(vision.options(architecture.pretrained), ())
    listed: dict[str, tuple[Any, ...]] = {"num_classes": ()}
    for parameter in inspect.signature(architecture.build).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            literal = get_origin(parameter.annotation) is Literal
            listed[parameter.name] = get_args(parameter.annotation) if literal else ()
    return listed
