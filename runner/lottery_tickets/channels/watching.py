"""Run a network once, on an example, and note what depends on what.

The network's own code runs under a mode that sees every call of a torch function. So control flow, shared modules and
functional code need no special care, and the shape of every activation is simply there.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.overrides import TorchFunctionMode

from lottery_tickets.channels.numbers import Attribute, Number, remembered
from lottery_tickets.channels.rules import FOLLOWS_NUMBERS, PASSED_OVER, RULES
from lottery_tickets.channels.tracing import Call, Trace, plain, tensors_in
from lottery_tickets.modules import is_transposed_linear
from lottery_tickets.running import preserved


class _Watching(TorchFunctionMode):
    """Tells a trace of every call of a torch function."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        trace, name = self.trace, _name(func)
        # Inside torch's own Python functions a number's origin means nothing.
        result = func(*plain(args), **plain(kwargs))
        if name in ("get:shape", "size", "__len__"):
            return _sizes(trace, name, args, kwargs, result)
        if name == "numel" and trace.shows_labels(args[0]):
            trace.lock(
                trace.labels(args[0]), f"{trace.where}: the network computes with their number"
            )
        elif name not in PASSED_OVER and not (
            name.startswith("get:") and not isinstance(result, Tensor)
        ):
            call = Call(name, args, kwargs, result, f"{trace.where} ({name.strip('_')})")
            trace.observe(call, RULES.get(name), follows_numbers=name in FOLLOWS_NUMBERS)
        return result


def trace(model: nn.Module, example_inputs: Any) -> Trace:
    """Run the network once, in eval mode and without gradients, and note what depends on what.

    Raises:
        ValueError: The network does not run on the example.
    """
    args, kwargs = arguments(example_inputs)
    found = Trace(model)
    with preserved(model, training=False), torch.no_grad():
        try:
            # The hooks come off last: the mode must not see them go.
            with found.inside(), remembered(model, found), _Watching(found):
                outputs = model(*args, **kwargs)
        except Exception as error:
            raise ValueError(
                f"the network does not run on example_inputs ({type(error).__name__}: {_first_line(error)}): give a "
                f"tensor, a tuple of positional or a dict of keyword arguments that model(...) takes"
            ) from error
    _state_sizes(found, model)
    for tensor in tensors_in(outputs):
        found.lock(found.labels(tensor), "they are outputs of the network")
    return found


def _state_sizes(found: Trace, model: nn.Module) -> None:
    """Layers state their sizes in attributes, which compaction sets anew: code that uses them sees them change."""
    for path, module in model.named_modules():
        for attribute, tensor, dim in _stated(module):
            name = found.name_of(tensor)
            atoms = None if name is None else found.atoms.get((name, dim))
            if atoms is not None:
                stated = Number(getattr(module, attribute), Attribute(path, attribute), found)
                found.sizes.require(stated, atoms, path)


def _stated(module: nn.Module) -> Iterator[tuple[str, Any, int]]:
    """(attribute, tensor, the dimension of it that the attribute counts)."""
    if isinstance(module, nn.Linear):
        yield from (("out_features", module.weight, 0), ("in_features", module.weight, 1))
    elif is_transposed_linear(module):
        yield from (("nx", module.weight, 0), ("nf", module.weight, 1))
    elif isinstance(module, _ConvTransposeNd):
        yield "in_channels", module.weight, 0
        if module.groups == 1:
            yield "out_channels", module.weight, 1
    elif isinstance(module, _ConvNd):
        yield "out_channels", module.weight, 0
        if module.groups == 1:
            yield "in_channels", module.weight, 1
    elif isinstance(module, _NormBase):
        yield from (("num_features", module.weight, 0), ("num_features", module.running_mean, 0))
    elif isinstance(module, nn.GroupNorm):
        yield "num_channels", module.weight, 0
    elif isinstance(module, nn.Embedding):
        yield "embedding_dim", module.weight, 1


def arguments(example_inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of the network."""
    if isinstance(example_inputs, Mapping):
        return (), dict(example_inputs)
    if isinstance(example_inputs, tuple | list):
        return tuple(example_inputs), {}
    return (example_inputs,), {}


def _sizes(trace: Trace, name: str, args: Any, kwargs: Any, result: Any) -> Any:
    """What shape, size() and len() answer, as numbers that remember."""
    tensor = args[0]
    if not trace.shows_labels(tensor):
        return result
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    if name == "__len__":
        # Python makes an ordinary number of it.
        trace.lock(
            trace.labels(tensor)[:1], f"{trace.where}: the network computes with their number"
        )
        return result
    if name == "size" and dim is not None:
        return trace.width(tensor, plain(dim))
    return torch.Size([trace.width(tensor, dim) for dim in range(tensor.dim())])


def _name(func: Any) -> str:
    name: str = getattr(func, "__name__", repr(func))
    if name == "__get__":
        return f"get:{getattr(func.__self__, '__name__', '')}"
    return name


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
