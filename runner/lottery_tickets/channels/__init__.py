"""Channel pruning: which channels there are, which of them go, and the smaller network without them.

groups = channel_groups(model, example)            what depends on what
plan = prune_channels(model, example, target_sparsity=0.5)
masks.apply(model, plan.mask)                      train on with the mask, or
smaller = compact(model, plan)                     a dense network without the channels
"""

from lottery_tickets.channels.compacting import compact
from lottery_tickets.channels.counting import Amount
from lottery_tickets.channels.dead import dead_channels
from lottery_tickets.channels.groups import (
    ChannelGroup,
    ChannelGroups,
    Follower,
    Member,
    Untouched,
    channel_groups,
)
from lottery_tickets.channels.plan import ChannelPlan
from lottery_tickets.channels.pruning import prune_channels
from lottery_tickets.channels.random_like import random_channels_like
from lottery_tickets.channels.scoring import ChannelScore, channel_scores, channel_taylor

__all__ = [
    "Amount",
    "ChannelGroup",
    "ChannelGroups",
    "ChannelPlan",
    "ChannelScore",
    "Follower",
    "Member",
    "Untouched",
    "channel_groups",
    "channel_scores",
    "channel_taylor",
    "compact",
    "dead_channels",
    "prune_channels",
    "random_channels_like",
]
