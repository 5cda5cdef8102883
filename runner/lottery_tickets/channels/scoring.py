"""How much each channel matters: one number a channel, from the weights of all its slices."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from lottery_tickets.channels.groups import ChannelGroup, ChannelGroups, Member
from lottery_tickets.running import (
    Batch,
    LossFn,
    Telling,
    batch_loss,
    batches,
    follow,
    preserved,
)
from lottery_tickets.running.batches import device_of
from lottery_tickets.running.losses import differentiable

ChannelScore = Literal["magnitude", "l1", "bn_scale", "random"]


def channel_scores(
    model: nn.Module,
    groups: ChannelGroups,
    score: ChannelScore | Mapping[str, Tensor] = "magnitude",
    *,
    normalize: bool = False,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """A score for each channel of each group; the higher, the longer it is kept.

    Args:
        score: "magnitude": the L2 norm of all weights a channel has, in the rows that make it and the columns that
            read it (Fang et al. 2023, section 3.3). "l1": the sum of their absolute values (Li et al. 2017, section
            3.1, there of the rows alone). "bn_scale": the mean |scale| of its batch, group and instance norms (Liu et
            al. 2017, section 3). "random": uniform, needs `generator`. Or scores of your own: weight -> tensor of its
            shape for every prunable weight, which are summed over a channel's slices, or group -> [channels].
            A weight in both a row and a column of a channel counts in both.
        normalize: Divide each group's scores by their mean, so that layers of unlike scale can be compared.

    Returns:
        Group -> fp64 [channels], on the CPU.

    Raises:
        ValueError: A score is NaN (group and channel are named) or missing; a group without a norm under "bn_scale";
            "random" without a generator.
    """
    found = _scores(model, groups, score, generator)
    for name, values in found.items():
        if bool(values.isnan().any()):
            first = int(values.isnan().nonzero()[0])
            raise ValueError(
                f"the score of channel {first} of {name!r} is NaN: look for NaN in the weights or scores of that layer"
            )
    if normalize:
        # Of a group without any score nothing is to be divided.
        return {
            n: v / m if (m := float(v.mean())) and math.isfinite(m) else v for n, v in found.items()
        }
    return found


def channel_taylor(
    model: nn.Module,
    dataloader: Iterable[Batch],
    groups: ChannelGroups,
    *,
    loss_fn: LossFn | None = None,
    num_samples: int | None = None,
    progress: Telling = None,
) -> dict[str, Tensor]:
    """Group-wise first-order Taylor scores: the mean over batches of (sum of w * dL/dw over a channel's rows) squared.

    Molchanov et al. 2019 (1906.10771), section 3.1, equation 8, with a channel's rows in all layers of its group as
    the set of parameters; biases and norm parameters of these rows count as well. Gradients are of the batch's mean
    loss, so that the size of batches matters. The network runs in eval mode and is left as it was found.

    Returns:
        Group -> fp64 [channels], on the CPU: scores for `prune_channels`.

    Raises:
        ValueError: The loader is empty or too short; the loss is not finite or has no gradient.
    """
    parameters = dict(model.named_parameters())
    sums = {
        g.name: torch.zeros(g.channels, dtype=torch.float64, device="cpu") for g in groups.groups
    }
    count = 0
    with preserved(model, training=False):
        wanted = {m.name for g in groups.groups for m in g.members if m.role != "columns"}
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in wanted and parameter.is_floating_point())
        steps = batches(dataloader, num_samples=num_samples, device=device_of(model))
        for batch in follow(steps, "Taylor scores", None, progress):
            torch.autograd.backward(differentiable(batch_loss(model, batch, loss_fn)))
            for group in groups.groups:
                total = torch.zeros(group.channels, dtype=torch.float64, device="cpu")
                for member in group.members:
                    one = parameters.get(member.name)
                    if member.role != "columns" and one is not None and one.grad is not None:
                        total += _per_channel(
                            one.detach().float() * one.grad.float(), member, group
                        )
                sums[group.name] += total.square()
            for parameter in parameters.values():
                parameter.grad = None
            count += 1
    return {name: total / count for name, total in sums.items()}


def _scores(
    model: nn.Module,
    groups: ChannelGroups,
    score: ChannelScore | Mapping[str, Tensor],
    generator: torch.Generator | None,
) -> dict[str, Tensor]:
    if isinstance(score, Mapping):
        return _given(groups, score)
    parameters = dict(model.named_parameters())
    if score == "magnitude":
        squares = (
            _sums(g, {n: parameters[n].detach().float().square() for n in _held(g)})
            for g in groups.groups
        )
        return {g.name: s.sqrt() for g, s in zip(groups.groups, squares, strict=True)}
    if score == "l1":
        return {
            g.name: _sums(g, {n: parameters[n].detach().float().abs() for n in _held(g)})
            for g in groups.groups
        }
    if score == "bn_scale":
        return {group.name: _norm_scale(model, group) for group in groups.groups}
    if score == "random":
        if generator is None:
            raise ValueError("score 'random' needs a generator: pass a seeded torch.Generator")
        return {
            g.name: torch.rand(
                g.channels, generator=generator, device=generator.device, dtype=torch.float64
            ).cpu()
            for g in groups.groups
        }
    raise ValueError(
        f"score is {score!r}: use 'magnitude', 'l1', 'bn_scale', 'random', or scores by weight or by group"
    )


def _given(groups: ChannelGroups, score: Mapping[str, Tensor]) -> dict[str, Tensor]:
    by_group = all(group.name in score for group in groups.groups)
    if by_group:
        wrong = [g.name for g in groups.groups if score[g.name].shape != (g.channels,)]
        if wrong:
            raise ValueError(f"the scores of {', '.join(wrong)} are not one number a channel")
        return {g.name: score[g.name].detach().double().cpu() for g in groups.groups}
    held = {name for group in groups.groups for name in _held(group)}
    wrong = [
        name
        for name in groups.weights
        if name in held and (name not in score or tuple(score[name].shape) != groups.shapes[name])
    ]
    if wrong:
        raise ValueError(f"score lacks {', '.join(wrong)}, or has them in another shape")
    return {g.name: _sums(g, {n: score[n].float() for n in _held(g)}) for g in groups.groups}


def _held(group: ChannelGroup) -> list[str]:
    """The weights of linear layers and convolutions that a channel's slices are of."""
    return list(dict.fromkeys(m.name for m in group.members if m.role != "along"))


def _sums(group: ChannelGroup, values: Mapping[str, Tensor]) -> Tensor:
    """fp64 [channels]: the sum over all rows and columns of each channel."""
    total = torch.zeros(group.channels, dtype=torch.float64, device="cpu")
    for member in group.members:
        if member.role != "along":
            total += _per_channel(values[member.name].detach(), member, group)
    return total


def _per_channel(values: Tensor, member: Member, group: ChannelGroup) -> Tensor:
    over = [dim for dim in range(values.dim()) if dim != member.dim]
    slices = (values.sum(dim=over) if over else values).double().cpu()
    mine = member.channel >= 0
    total = torch.zeros(group.channels, dtype=torch.float64, device="cpu")
    return total.index_add_(0, member.channel[mine], slices[mine])


def _norm_scale(model: nn.Module, group: ChannelGroup) -> Tensor:
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm)
    total = torch.zeros(group.channels, dtype=torch.float64, device="cpu")
    count = 0
    for member in group.members:
        module, _, name = member.name.rpartition(".")
        if name == "weight" and isinstance(model.get_submodule(module), norms):
            total += _per_channel(
                model.get_parameter(member.name).detach().float().abs(), member, group
            )
            count += member.times
    if not count:
        raise ValueError(
            f"score is 'bn_scale', but the channels of {group.name!r} pass no batch norm: use 'magnitude', or exclude "
            f"that layer"
        )
    return total / count
