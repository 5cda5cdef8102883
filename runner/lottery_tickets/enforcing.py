"""Pruned weights stay zero while a network trains."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lottery_tickets import masks
from lottery_tickets.modules import named


def enforce(
    optimizer: torch.optim.Optimizer,
    model_or_parameters: nn.Module | Mapping[str, Tensor],
    mask: Mapping[str, Tensor],
) -> RemovableHandle:
    """Set the pruned weights to zero now and after every step of the optimizer.

    Momentum, weight decay and adaptive steps move a pruned weight even where its gradient is zero, so masking the
    gradient is not enough. In an optimizer that steps within the backward pass, enforce the mask in each of them.

    Args:
        optimizer: Any torch optimizer.
        model_or_parameters: The network that trains, or its weights by name.
        mask: Which weights are kept; weights that it does not name train freely. Later changes of it have no part.

    Returns:
        A handle that ends it: `handle.remove()`, or use it in a `with` block, at whose end it is removed.

    Raises:
        ValueError: The mask does not fit (all that does not is listed), or the optimizer steps none of its weights.
    """
    parameters = named(model_or_parameters)
    masks.apply(parameters, mask)
    stepped = {id(one) for group in optimizer.param_groups for one in group["params"]}
    if mask and not any(id(parameters[name]) in stepped for name in mask):
        raise ValueError(
            "the optimizer steps none of the masked weights: give the optimizer that trains this network"
        )
    pruned = [(parameters[name], ~kept.to(parameters[name].device)) for name, kept in mask.items()]

    def zero(*_: Any) -> None:
        with torch.no_grad():
            for weight, gone in pruned:
                weight.masked_fill_(gone, 0)

    return optimizer.register_step_post_hook(zero)
