"""Which channels stay: as an unstructured mask for training, and as what compaction cuts out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from lottery_tickets import masks
from lottery_tickets.channels.counting import Amount, Sizing
from lottery_tickets.channels.groups import ChannelGroups
from lottery_tickets.masks import Mask


@dataclass(frozen=True, eq=False)
class ChannelPlan:
    """The outcome of `prune_channels`: which channels of each group are kept."""

    groups: ChannelGroups
    kept: dict[str, Tensor]
    """Group -> bool [channels], on the CPU; True is kept."""
    mask: Mask
    """The weights that are left, as for any other pruning: rows, columns and filters of removed channels are False.

    A network with these weights at zero answers as the compacted one: nothing reads what biases and norms still
    give to a removed channel.
    """

    @property
    def sparsity(self) -> float:
        """Fraction of the prunable weights that are pruned."""
        return masks.sparsity(self.mask)

    def left(self, of: Amount) -> tuple[int, int]:
        """(what is left, what there was) of weights, channels, parameters or multiply-adds; see `Sizing.count`."""
        counts = [int(self.kept[group.name].sum()) for group in self.groups.groups]
        return self._sizing.count(of, counts), self._sizing.count(of)

    def cut(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors by parameter or buffer name, e.g. a mask or weights to rewind to, as the compacted network has them.

        Raises:
            ValueError: A tensor does not have its parameter's shape.
        """
        wrong = [n for n, t in tensors.items() if self.groups.shapes.get(n) != tuple(t.shape)]
        if wrong:
            raise ValueError(
                f"{', '.join(wrong)} do not have the shapes of the network that the plan was made for"
            )
        keep = kept_indices(self.groups, self.kept)
        return {name: sliced(tensor, keep.get(name, {})) for name, tensor in tensors.items()}

    @cached_property
    def _sizing(self) -> Sizing:
        return Sizing(self.groups)


def plan_of(
    groups: ChannelGroups, kept: dict[str, Tensor], devices: Mapping[str, torch.device]
) -> ChannelPlan:
    """The plan that keeps these channels, its mask on the given devices."""
    keep = kept_indices(groups, kept)
    mask: Mask = {}
    for name in groups.weights:
        shape, device = groups.shapes[name], devices[name]
        whole = torch.ones(shape, dtype=torch.bool, device=device)
        for dim, indices in keep.get(name, {}).items():
            whole &= indices.to(device).view([-1 if d == dim else 1 for d in range(len(shape))])
        mask[name] = whole
    return ChannelPlan(groups, kept, mask)


def mask_devices(model: nn.Module) -> dict[str, torch.device]:
    """Where each weight's mask lies: with the weight, but a mask has values even where weights have shapes alone."""
    return {
        name: torch.device("cpu") if weight.is_meta else weight.device
        for name, weight in model.named_parameters()
    }


def kept_indices(groups: ChannelGroups, kept: Mapping[str, Tensor]) -> dict[str, dict[int, Tensor]]:
    """Parameter or buffer -> dimension -> bool [size]: which of its indices are kept. What loses none is left out."""
    keep: dict[str, dict[int, Tensor]] = {}
    for group in groups.groups:
        stays = kept[group.name]
        if bool(stays.all()):
            continue
        for member in group.members:
            dims = keep.setdefault(member.name, {})
            before = dims.get(member.dim)
            mine = (member.channel < 0) | stays[member.channel.clamp(min=0)]
            dims[member.dim] = mine if before is None else before & mine
    return keep


def sliced(tensor: Tensor, keep: Mapping[int, Tensor]) -> Tensor:
    """A copy with only the kept indices of each dimension, in the tensor's memory format."""
    smaller = tensor.detach()
    for dim, indices in keep.items():
        smaller = smaller.index_select(dim, indices.nonzero().squeeze(1).to(tensor.device))
    if not keep:
        return smaller.clone()
    last = torch.channels_last
    if (
        tensor.dim() == 4
        and not tensor.is_contiguous()
        and tensor.is_contiguous(memory_format=last)
    ):
        return smaller.contiguous(memory_format=last)
    return smaller
