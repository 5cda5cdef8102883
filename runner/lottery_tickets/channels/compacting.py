"""A truly smaller network: the same classes, with the channels that a plan removes cut out."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from lottery_tickets.channels.dead import dead_channels
from lottery_tickets.channels.groups import ChannelGroups
from lottery_tickets.channels.plan import ChannelPlan, kept_indices, sliced
from lottery_tickets.channels.verifying import check_same, masked_outputs
from lottery_tickets.masks import Mask
from lottery_tickets.modules import is_transposed_linear


def compact(
    model: nn.Module,
    plan: ChannelPlan | Mapping[str, Tensor],
    example_inputs: Any = None,
    *,
    verify: bool = True,
) -> nn.Module:
    """The network without the channels that the plan removes; the original stays as it is.

    A deep copy, with smaller parameters and buffers (their gradients too) and with `in_features`, `out_channels`,
    `groups`, `num_features` and whatever attributes of your modules count channels set anew. Its dtype, device, modes,
    frozen and tied weights are the original's. Its weights are those of `model` now: the plan may be older.

    Args:
        model: The network that the plan was made for, or another of the same class and shapes.
        plan: From `prune_channels`; or a mask, of which the dead channels are removed, see `dead_channels`. The other
            weights that a mask prunes are zero in the result.
        example_inputs: As in `channel_groups`. Needed with a mask; with a plan its own are used if None.
        verify: Run both on the example and compare, in eval mode. Not done on the meta device.

    Raises:
        ValueError: The plan or mask does not fit the network; or the outputs differ, or the smaller network does not
            run, with the remedy.
    """
    if isinstance(plan, ChannelPlan):
        mask = plan.mask
    else:
        if example_inputs is None:
            raise ValueError(
                "example_inputs is None: with a mask, give an input that the network takes"
            )
        mask = dict(plan)
        plan = dead_channels(model, mask, example_inputs)
    _check_fit(model, plan.groups)
    inputs = plan.groups.example_inputs if example_inputs is None else example_inputs
    smaller = _cut(model, plan, mask)
    if verify and not any(parameter.is_meta for parameter in model.parameters()):
        check_same(smaller, masked_outputs(model, mask, inputs), inputs)
    return smaller


def _check_fit(model: nn.Module, groups: ChannelGroups) -> None:
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if shapes != groups.shapes:
        names = [n for n in {**shapes, **groups.shapes} if shapes.get(n) != groups.shapes.get(n)]
        raise ValueError(
            f"the plan was made for another network: {', '.join(names)} differ in shape or are missing; "
            f"make it anew with prune_channels on this one"
        )


def _cut(model: nn.Module, plan: ChannelPlan, mask: Mask) -> nn.Module:
    keep = kept_indices(plan.groups, plan.kept)
    # Copied tensor by tensor into the memo, so that the large original is never copied whole, and every reference to
    # a tied weight meets the same smaller one.
    memo: dict[int, Any] = {}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        dims = keep.get(name, {})
        with torch.no_grad():
            small = sliced(tensor, dims)
            if name in mask:
                small.masked_fill_(~sliced(mask[name], dims).to(small.device), 0)
        if isinstance(tensor, nn.Parameter):
            small = nn.Parameter(small, requires_grad=tensor.requires_grad)
            if tensor.grad is not None:
                small.grad = sliced(tensor.grad, dims)
        memo[id(tensor)] = small
    smaller = copy.deepcopy(model, memo)
    modules = dict(smaller.named_modules())
    for follower in plan.groups.followers:
        left = follower.fixed + sum(
            int(plan.kept[group][channels].sum()) for group, channels in follower.groups
        )
        setattr(modules[follower.module], follower.name, left)
    for module in modules.values():
        _renumber(module)
    return smaller


def _renumber(module: nn.Module) -> None:
    """Let a layer say the sizes that its tensors have."""
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif is_transposed_linear(module) and isinstance(module.weight, Tensor):
        inputs, outputs = module.weight.shape
        vars(module).update(nx=inputs, nf=outputs)
    elif isinstance(module, _ConvNd) and isinstance(module.weight, Tensor):
        first, second = module.weight.shape[:2]
        if isinstance(module, _ConvTransposeNd):
            module.in_channels, module.out_channels = first, second * module.groups
        else:
            module.in_channels, module.out_channels = second * module.groups, first
    elif isinstance(module, _NormBase):
        known = module.weight if module.weight is not None else module.running_mean
        module.num_features = module.num_features if known is None else len(known)
    elif isinstance(module, nn.GroupNorm) and module.weight is not None:
        module.num_channels = len(module.weight)
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = module.weight.shape[1]
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(module.weight)
