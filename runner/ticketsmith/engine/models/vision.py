"""torchvision's classifiers."""

import inspect
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from ticketsmith.engine.memory import is_refusal
from ticketsmith.engine.suggest import unknown
from ticketsmith.experiment.problems import BadSpec

PREFIX = "torchvision:"
WITH_SIDE_EXITS = frozenset({"googlenet", "inception_v3"})
"""Nets that give several outputs in training unless told not to: side exits that no inference uses."""


def canonical(name: str) -> str:
    """torchvision's own spelling of a classifier's name; BadSpec with the nearest names if it has none."""
    known = _zoo().list_models(module=_zoo())
    if name.casefold() not in known:
        raise unknown("model.name", f"{PREFIX}{name}", [f"{PREFIX}{each}" for each in known])
    return name.casefold()


def build(
    name: str, input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> nn.Module:
    """The net with new weights; BadSpec if it refuses an option or cannot take images of that shape."""
    trial = _trial(name, num_classes, options)
    _refuse_unsuitable(name, trial, input_shape)
    only_shapes = torch.get_default_device().type == "meta"
    return trial if only_shapes else _make(name, num_classes, options)


def options(name: str) -> list[str]:
    """The keyword arguments of the net that a document can give: numbers, texts, true and false."""
    parameters = inspect.signature(type(_trial(name, 10, {}))).parameters.values()
    return sorted(
        parameter.name
        for parameter in parameters
        if parameter.name == "image_size"  # has a default in front of the class
        or (
            parameter.default is not inspect.Parameter.empty
            and "Callable" not in str(parameter.annotation)
        )
    )


def default_weights(name: str) -> dict[str, Tensor]:
    """torchvision's pretrained weights, downloaded once and checked by hash; BadSpec if they can't be had."""
    try:
        pretrained: dict[str, Tensor] = (
            _zoo()
            .get_model_weights(name)
            .DEFAULT.get_state_dict(progress=False, check_hash=True, weights_only=True)
        )
    except (OSError, RuntimeError) as error:
        raise BadSpec(
            f"model.weights DEFAULT of {name} cannot be downloaded ({_first_line(error)}): "
            "set model.weights to a .safetensors file, or leave it out"
        ) from error
    return pretrained


def _zoo() -> Any:
    """The package, imported only when one of its nets is asked for: that takes seconds."""
    return import_module("torchvision.models")


def _trial(name: str, num_classes: int, options: dict[str, Any]) -> nn.Module:
    """The net without values, on the meta device; draws no random numbers."""
    try:
        with torch.device("meta"):
            return _make(name, num_classes, options)
    except NotImplementedError:  # a net that computes its widths with tensors, such as a RegNet
        with torch.device("cpu"), torch.random.fork_rng(devices=[]):
            return _make(name, num_classes, options).to("meta")


def _make(name: str, num_classes: int, options: dict[str, Any]) -> nn.Module:
    if name in WITH_SIDE_EXITS:
        options = {"init_weights": True} | options | {"aux_logits": False}
    try:
        network: nn.Module = _zoo().get_model(name, num_classes=num_classes, **options)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        if isinstance(error, NotImplementedError) or is_refusal(error):
            raise  # neither is the options' fault
        raise BadSpec(
            f"model.options {options} do not suit {name} ({_first_line(error)}): correct them or "
            "leave them out"
        ) from error
    return network


def _refuse_unsuitable(name: str, network: nn.Module, input_shape: tuple[int, int, int]) -> None:
    channels, height, width = input_shape
    if channels != 3:
        raise BadSpec(
            f"model.name {name!r} takes colour images, and the data's have {channels} channel: "
            "set dataset.options.grayscale to false"
        )
    try:
        network.eval()(torch.empty(1, *input_shape, device="meta"))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise BadSpec(
            f"model.name {name!r} cannot take images of {height}x{width} pixels "
            f"({_first_line(error)}): set dataset.options.size, e.g. to 224"
        ) from error
    network.train()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
