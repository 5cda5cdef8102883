"""Channels that an unstructured mask has left without use: what nothing reads, and what is always zero."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from lottery_tickets.channels.groups import ChannelGroup, Member, channel_groups
from lottery_tickets.channels.plan import ChannelPlan, mask_devices, plan_of
from lottery_tickets.channels.watching import arguments
from lottery_tickets.masks import check_fit
from lottery_tickets.modules import prunable
from lottery_tickets.running import preserved


def dead_channels(model: nn.Module, mask: Mapping[str, Tensor], example_inputs: Any) -> ChannelPlan:
    """The plan that removes the channels that are dead under a mask, and keeps all others.

    A channel is dead if it may go (see `channel_groups`) and

    - nothing reads it: all columns that read it are pruned, as far as they lead to channels that are alive. Biases
      and batch norms may still shift it: no one sees that; or
    - it is always zero: all rows that make it are pruned, or read only channels that are always zero, so that it is
      a constant; and that constant, seen where it is read in a run on the example, is zero. A constant of another
      value (a bias or the shift of a batch norm that an activation lets through) is not folded into the next bias:
      next to a padded convolution it has no bias that would do the same. Such a channel stays.

    Both are looked for again until nothing changes, as a dead channel can leave others dead. A group's last channel
    stays. "Always zero" holds in eval mode.

    Args:
        mask: Weight -> bool tensor, for some or all of the prunable weights. Weights that are zero already count as
            pruned.
        example_inputs: As in `channel_groups`.

    Raises:
        ValueError: The mask does not fit the network, or the network does not run on the example.
    """
    weights = prunable(model)
    check_fit(dict(mask), {name: weights[name] for name in mask if name in weights})
    groups = channel_groups(model, example_inputs)
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    alive = {
        name: _nonzero(tensors[name], mask.get(name))
        for name in {member.name for group in groups.groups for member in group.members}
    }
    pruned = {
        n: weights[n].detach().masked_fill(~m.to(weights[n].device), 0) for n, m in mask.items()
    }
    peaks = _peaks(model, pruned, example_inputs)
    kept = {g.name: torch.ones(g.channels, dtype=torch.bool) for g in groups.groups}
    changed = True
    while changed:
        changed = False
        for group in groups.groups:
            dead = _unread(group, alive) | _always_zero(group, alive, peaks)
            dead &= kept[group.name]
            if dead.equal(kept[group.name]):
                dead[int(dead.nonzero()[0])] = False  # the last one stays
            if bool(dead.any()):
                changed = True
                kept[group.name] &= ~dead
                for member in group.members:
                    _clear(alive[member.name], member, dead)
    return plan_of(groups, kept, mask_devices(model))


def _nonzero(tensor: Tensor, kept: Tensor | None) -> Tensor:
    """Where a tensor, masked, is not zero; on the CPU."""
    found = tensor.detach() != 0
    return (found if kept is None else found & kept.to(found.device)).cpu()


def _unread(group: ChannelGroup, alive: Mapping[str, Tensor]) -> Tensor:
    """bool [channels]: no weight reads it."""
    read = torch.zeros(group.channels, dtype=torch.bool)
    for member in group.members:
        if member.role == "columns":
            read |= _any(alive[member.name], member, group.channels)
    return ~read


def _always_zero(
    group: ChannelGroup, alive: Mapping[str, Tensor], peaks: Mapping[str, Tensor]
) -> Tensor:
    """bool [channels]: nothing that depends on the input makes it, and it is zero where it is read."""
    live = torch.zeros(group.channels, dtype=torch.bool)
    if not group.steady:
        return live
    for member in group.members:
        if member.role == "rows" or (member.role == "along" and alive[member.name].dim() > 1):
            live |= _any(alive[member.name], member, group.channels)
        elif member.role == "columns":
            peak = peaks.get(member.name)
            if peak is None or len(peak) != len(member.channel):
                return torch.zeros(group.channels, dtype=torch.bool)
            mine = member.channel >= 0
            loud = torch.zeros(group.channels, dtype=torch.int64)
            loud.index_add_(0, member.channel[mine], (peak[mine] != 0).long())
            live |= loud > 0
    return ~live


def _any(alive: Tensor, member: Member, channels: int) -> Tensor:
    """bool [channels]: some weight of the member's slices is not zero."""
    over = [dim for dim in range(alive.dim()) if dim != member.dim]
    slices = alive.any(dim=over) if over else alive
    mine = member.channel >= 0
    count = torch.zeros(channels, dtype=torch.int64)
    count.index_add_(0, member.channel[mine], slices[mine].long())
    return count > 0


def _clear(alive: Tensor, member: Member, dead: Tensor) -> None:
    gone = (member.channel >= 0) & dead[member.channel.clamp(min=0)]
    alive.index_fill_(member.dim, gone.nonzero().squeeze(1), False)


class _Readers(TorchFunctionMode):
    """Notes the largest absolute value that each weight's columns read."""

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self.names = names
        self.peaks: dict[str, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "linear" or name.startswith("conv"):
            features = args[0] if args else kwargs["input"]
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            if id(weight) in self.names:
                self._note(self.names[id(weight)], features.detach(), weight.dim())
        return func(*args, **kwargs)

    def _note(self, name: str, features: Tensor, dims: int) -> None:
        channel = features.dim() - 1 if dims == 2 else features.dim() - (dims - 1)
        over = [dim for dim in range(features.dim()) if dim != channel]
        peak = features.abs().amax(dim=over) if over else features.abs()
        before = self.peaks.get(name)
        self.peaks[name] = peak.cpu() if before is None else torch.maximum(before, peak.cpu())


def _peaks(
    model: nn.Module, pruned: Mapping[str, Tensor], example_inputs: Any
) -> dict[str, Tensor]:
    """Weight -> the largest absolute input of each column, in a run of the masked network on the example."""
    args, kwargs = arguments(example_inputs)
    used = {**dict(model.named_parameters()), **pruned}
    readers = _Readers({id(tensor): name for name, tensor in used.items()})
    with preserved(model, training=False), torch.no_grad(), readers:
        functional_call(model, used, args, kwargs)
    return readers.peaks
