"""How large a network is when so many channels of each group are left: exact, without building it."""

from collections.abc import Sequence
from math import prod
from typing import Literal, get_args

from lottery_tickets.channels.groups import ChannelGroups

Amount = Literal["weights", "channels", "parameters", "macs"]
"""What a target is a fraction of: prunable weights, channels that may go, all parameters, or multiply-adds."""


class Sizing:
    """Counts a network by the number of channels kept in each group, in the order of the groups."""

    def __init__(self, found: ChannelGroups) -> None:
        self._found = found
        self._positions: dict[str, int] = {}
        for product in found.products:
            self._positions[product.weight] = (
                self._positions.get(product.weight, 0) + product.positions
            )
        # Dimension -> for each group that has a part in it (place of the group, indices a channel).
        self._parts: dict[str, dict[int, list[tuple[int, int]]]] = {}
        for place, group in enumerate(found.groups):
            for member in group.members:
                dims = self._parts.setdefault(member.name, {})
                dims.setdefault(member.dim, []).append((place, member.times))
        self._full = [group.channels for group in found.groups]

    def count(self, of: Amount, kept: Sequence[int] | None = None) -> int:
        """The amount that is left with these channels; None: with all.

        "macs" are the multiply-adds of linear layers and convolutions (padding counts as multiplied) in one run on
        the example inputs. Products of activations, as inside attention, are left out.
        """
        kept = self._full if kept is None else kept
        if of == "channels":
            return sum(kept)
        if of == "macs":
            return sum(p * self._numel(name, kept) for name, p in self._positions.items())
        names = self._found.weights if of == "weights" else self._found.parameters
        return sum(self._numel(name, kept) for name in names)

    def _numel(self, name: str, kept: Sequence[int]) -> int:
        shape = list(self._found.shapes[name])
        for dim, parts in self._parts.get(name, {}).items():
            shape[dim] -= sum(times * (self._full[p] - kept[p]) for p, times in parts)
        return prod(shape)


def check_amount(of: str) -> None:
    """ValueError for an amount there is not."""
    if of not in get_args(Amount):
        raise ValueError(f"of is {of!r}: use {', '.join(map(repr, get_args(Amount)))}")
