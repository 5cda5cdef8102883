"""Patterns that hardware or kernels can use: of every M weights along the reduction axis, at most N are kept.

`structured24` prunes a whole network to one; it stands on `prune`, which knows the patterns, so it is not named here.
"""

from lottery_tickets.patterns.axes import Axis, as_found, outputs_first, reduction_axes
from lottery_tickets.patterns.n_m import check_fits, keep_n_of_m, parse, verify_n_of_m
from lottery_tickets.patterns.permutation import ChannelOrder, search_channel_order

__all__ = [
    "Axis",
    "ChannelOrder",
    "as_found",
    "check_fits",
    "keep_n_of_m",
    "outputs_first",
    "parse",
    "reduction_axes",
    "search_channel_order",
    "verify_n_of_m",
]
