"""What a layer's weights are multiplied with: its inputs, as rows of as many features as an output has weights."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lottery_tickets.modules import is_transposed_linear
from lottery_tickets.running import Batch, Telling, follow, move, preserved
from lottery_tickets.running.batches import device_of
from lottery_tickets.running.losses import outputs_of
from lottery_tickets.scores.owners import of_types, owners

KNOWN = (nn.Linear, nn.Conv1d, nn.Conv2d)
ROOM = 1 << 22
"""Numbers of unfolded inputs that are there at once, at least those of one sample."""

See = Callable[[str, Tensor], None]
"""see(weight's name, inputs): fp32 (groups, rows, features); a layer without groups has one.

`outputs_first(weight).view(groups, outputs / groups, features)` is multiplied with them. One batch may come in several
parts."""


def rows(module: nn.Module, inputs: Tensor) -> Iterator[Tensor]:
    """The inputs of a layer as fp32 (groups, rows, features), in parts.

    A row of a linear layer is a token; of a convolution a position of its output, with the patch it sees, padding
    included, in the order of `weight.flatten(1)`.
    """
    if isinstance(module, nn.Linear) or is_transposed_linear(module):
        yield inputs.reshape(1, -1, inputs.shape[-1]).float()
        return
    assert isinstance(module, nn.Conv1d | nn.Conv2d)  # noqa: S101
    flat = isinstance(module, nn.Conv1d)
    whole = inputs if inputs.dim() == (3 if flat else 4) else inputs.unsqueeze(0)
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padding: list[int] = module._reversed_padding_repeated_twice
    features = module.in_channels * math.prod(module.kernel_size)
    several = max(1, ROOM // max(1, features * whole[0, 0].numel()))
    for some in torch.split(whole, several):
        padded = functional.pad(some, padding, mode=mode)
        if flat:
            padded = padded.unsqueeze(2)
        lead = (1,) if flat else ()
        patches = functional.unfold(
            padded.float(),
            kernel_size=(*lead, *module.kernel_size),
            dilation=(*lead, *module.dilation),
            stride=(*lead, *module.stride),
        )
        # (samples, groups * features, positions) becomes (groups, samples * positions, features).
        grouped = patches.reshape(len(some), module.groups, -1, patches.shape[2])
        yield grouped.permute(1, 0, 3, 2).flatten(1, 2)


@contextmanager
def seeing(modules: Mapping[str, list[nn.Module]], see: See) -> Iterator[None]:
    """Inside, what goes into these modules is shown to `see`."""
    handles = [
        module.register_forward_pre_hook(partial(_show, name, see), with_kwargs=True)
        for name, several in modules.items()
        for module in several
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _show(name: str, see: See, module: nn.Module, args: tuple[Any, ...], kwargs: Any) -> None:
    inputs: Tensor = args[0] if args else next(iter(kwargs.values()))
    for part in rows(module, inputs.detach()):
        see(name, part)


def pass_through(
    model: nn.Module,
    modules: Mapping[str, list[nn.Module]],
    stream: Iterable[Batch],
    see: See,
    *,
    doing: str,
    total: int | None = None,
    progress: Telling = None,
) -> None:
    """Run the network in evaluation mode, without gradients, over the batches, and show what its layers see.

    Raises:
        ValueError: A layer saw nothing (all of them are listed).
    """
    silent = dict.fromkeys(modules)

    def note(name: str, part: Tensor) -> None:
        silent.pop(name, None)
        see(name, part)

    device = device_of(model)
    with preserved(model, training=False), torch.no_grad(), seeing(modules, note):
        for batch in follow(stream, doing, total, progress):
            outputs_of(model, move(batch, device))
    if silent:
        raise ValueError(
            f"no input reached {', '.join(map(repr, silent))}: the network does not call these layers (it may use "
            f"their weights itself, as nn.MultiheadAttention does): exclude them"
        )


def layers(
    model: nn.Module, weights: Mapping[str, nn.Parameter], method: str
) -> dict[str, list[nn.Module]]:
    """The modules of each weight.

    Raises:
        ValueError: One is of a kind whose inputs are not known here.
    """
    found = owners(model, weights)
    of_types(found, KNOWN, method)
    return found
