"""The control for channels: as many of each group, drawn by chance."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lottery_tickets.channels.groups import channel_groups
from lottery_tickets.channels.plan import ChannelPlan, mask_devices, plan_of
from lottery_tickets.channels.pruning import kept_before


def random_channels_like(
    model: nn.Module,
    example_inputs: Any,
    mask: Mapping[str, Tensor],
    generator: torch.Generator,
    *,
    exclude: Sequence[str] = (),
) -> ChannelPlan:
    """A plan that keeps as many channels of each group as `mask`, drawn from all of them.

    It tells which channels are kept from how many, as `random_like` does for weights: each layer keeps its count.

    Args:
        model: The network the mask was made for.
        example_inputs: As in `channel_groups`.
        mask: Of a `ChannelPlan`.
        generator: On the CPU.
        exclude: As it was when the mask was made.

    Raises:
        ValueError: The mask does not fit the network, or prunes anything but whole channels.
    """
    groups = channel_groups(model, example_inputs, exclude=exclude)
    devices = mask_devices(model)
    kept = {
        name: channels[torch.randperm(len(channels), generator=generator)]
        for name, channels in kept_before(groups, mask, devices).items()
    }
    return plan_of(groups, kept, devices)
