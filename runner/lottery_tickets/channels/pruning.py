"""One call from a network to the channels that stay."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lottery_tickets.channels.choosing import all_kept, choose
from lottery_tickets.channels.counting import Amount, check_amount
from lottery_tickets.channels.groups import ChannelGroups, channel_groups
from lottery_tickets.channels.plan import ChannelPlan, mask_devices, plan_of
from lottery_tickets.channels.scoring import ChannelScore, channel_scores
from lottery_tickets.levels import Scope
from lottery_tickets.masks import check_fit


def prune_channels(
    model: nn.Module,
    example_inputs: Any,
    *,
    target_sparsity: float,
    of: Amount = "weights",
    score: ChannelScore | Mapping[str, Tensor] = "magnitude",
    scope: Scope = "global",
    normalize: bool = False,
    exclude: Sequence[str] = (),
    rate_factors: Mapping[str, float] | None = None,
    round_to: int = 1,
    min_channels: int = 1,
    mask: Mapping[str, Tensor] | None = None,
    generator: torch.Generator | None = None,
    groups: ChannelGroups | None = None,
) -> ChannelPlan:
    """Choose whole channels to remove; the network itself stays as it is.

    Channels go in ascending order of score, ties from the last; the fewest that reach the target go, so that what is
    pruned exceeds the target by less than the last step (one channel, or `round_to` features). With `of="channels"`
    and `round_to=1` the count is exact.

    Args:
        model: The network, of which `channel_groups` says which channels may go.
        example_inputs: A tensor, a tuple of positional or a dict of keyword arguments for `model(...)`.
        target_sparsity: Fraction of `of` that is gone afterwards, in [0, 1), those pruned before included.
        of: "weights": of the weights that a mask covers. "channels": of the channels that may go. "parameters": of
            all parameters. "macs": of the multiply-adds on the example, see `ChannelPlan.left`.
        score: See `channel_scores`.
        scope: "global": all groups compete by score; "layer": every group loses the same fraction.
        normalize: Divide each group's scores by their mean before groups compete.
        exclude: Patterns of weights that lose neither rows nor columns and do not count, see `prunable`.
        rate_factors: Pattern over the layers that make a group's channels -> its rate next to the others', as in
            `prune`. A group with another factor than 1 has a budget of its own; 0 keeps it whole.
        round_to: Leave each pruned group a multiple of so many features; one of fewer channels stays whole.
        min_channels: Least number of channels left in each group, 1 or more; a group that has fewer stays whole.
        mask: The level before, as a plan gave it: its channels stay pruned.
        generator: Source of the random scores.
        groups: From `channel_groups` of this network, to spare its analysis; `exclude` must then be empty.

    Raises:
        ValueError: One sentence that names the argument; a target beyond reach says what can be reached.
    """
    if not 0 <= target_sparsity < 1:
        raise ValueError(f"target_sparsity is {target_sparsity}: use a fraction in [0, 1)")
    check_amount(of)
    if scope not in ("global", "layer"):
        raise ValueError(f"scope is {scope!r}: use 'global' or 'layer'")
    if round_to < 1:
        raise ValueError(f"round_to is {round_to}: use 1 for any number, or a multiple such as 8")
    if min_channels < 1:
        raise ValueError(f"min_channels is {min_channels}: a layer needs 1 or more")
    if groups is None:
        groups = channel_groups(model, example_inputs, exclude=exclude)
    elif exclude:
        raise ValueError("exclude and groups are both given: give exclude to channel_groups alone")
    if not groups.groups:
        raise ValueError(_none_may_go(groups))
    devices = mask_devices(model)
    kept = choose(
        groups,
        channel_scores(model, groups, score, normalize=normalize, generator=generator),
        target_sparsity,
        of=of,
        scope=scope,
        rate_factors=rate_factors or {},
        round_to=round_to,
        min_channels=min_channels,
        before=all_kept(groups) if mask is None else kept_before(groups, mask, devices),
    )
    return plan_of(groups, kept, devices)


def kept_before(
    groups: ChannelGroups, mask: Mapping[str, Tensor], devices: Mapping[str, torch.device]
) -> dict[str, Tensor]:
    """Which channels a mask has left; ValueError if it prunes anything but whole channels."""
    shapes = {n: torch.empty(groups.shapes[n], device="meta") for n in groups.weights}
    check_fit(dict(mask), shapes)
    kept = all_kept(groups)
    for group in groups.groups:
        for member in group.members:
            if member.role != "along":
                whole = mask[member.name]
                over = [dim for dim in range(whole.dim()) if dim != member.dim]
                gone = ~whole.cpu().any(dim=over)
                kept[group.name][member.channel[gone & (member.channel >= 0)]] = False
    whole_channels = plan_of(groups, kept, devices).mask
    uneven = [n for n, kept_here in mask.items() if not kept_here.equal(whole_channels[n])]
    if uneven:
        raise ValueError(
            f"the mask prunes single weights of {', '.join(uneven)}, not whole channels: give the mask of a plan, or "
            f"none"
        )
    return kept


def _none_may_go(groups: ChannelGroups) -> str:
    first = next(iter(groups.untouched.items()), None)
    example = "" if first is None else f": {first[0]}, whose channels stay because: {first[1].why}"
    return f"no channel of this network may be removed{example}; prune single weights instead"
