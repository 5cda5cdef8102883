"""Which channels go: the lowest scores, as few as reach the target exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, inf, isfinite

import torch
from torch import Tensor

from lottery_tickets.channels.counting import Amount, Sizing
from lottery_tickets.channels.groups import ChannelGroup, ChannelGroups
from lottery_tickets.levels import Scope
from lottery_tickets.modules import match


@dataclass(frozen=True)
class _Step:
    """Channels of one group that go together, the next after those before it."""

    group: int
    channels: tuple[int, ...]
    score: float


def choose(
    groups: ChannelGroups,
    scores: Mapping[str, Tensor],
    target: float,
    *,
    of: Amount,
    scope: Scope,
    rate_factors: Mapping[str, float],
    round_to: int,
    min_channels: int,
    before: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Group -> bool [channels], True is kept. See `prune_channels`."""
    sizing = Sizing(groups)
    factors = _factors(groups, rate_factors)
    kept = {name: stays.clone() for name, stays in before.items()}
    ladders = [
        _ladder(place, group, scores[group.name], kept[group.name], round_to, min_channels)
        for place, group in enumerate(groups.groups)
    ]
    order = _order(groups, ladders, factors, scope, kept)
    total = sizing.count(of)
    remove = round(target * total)
    counts = [int(kept[group.name].sum()) for group in groups.groups]
    already = total - sizing.count(of, counts)
    if already - remove >= _last_step(sizing, of, groups, counts, round_to):
        raise ValueError(
            f"target_sparsity {target} is below the {already / total:.6g} that is already pruned, and a pruned channel "
            f"stays pruned: ask for more"
        )

    def removed(steps: int) -> int:
        left = list(counts)
        for step in order[:steps]:
            left[step.group] -= len(step.channels)
        return total - sizing.count(of, left)

    low, high = 0, len(order)
    if removed(high) < remove:
        largest = int(removed(high) / total * 1e6) / 1e6 if total else 0.0
        raise ValueError(
            f"target_sparsity {target} of the {of} cannot be reached by removing channels: the largest reachable here "
            f"is {largest:.6g} (channels that may go: {sum(len(s.channels) for s in order)} of "
            f"{groups.channels}; see channel_groups(...).untouched, min_channels, round_to and exclude)"
        )
    while low < high:
        middle = (low + high) // 2
        if removed(middle) >= remove:
            high = middle
        else:
            low = middle + 1
    for step in order[:low]:
        kept[groups.groups[step.group].name][list(step.channels)] = False
    return kept


def _last_step(
    sizing: Sizing, of: Amount, groups: ChannelGroups, counts: Sequence[int], round_to: int
) -> int:
    """By how much a plan may exceed its target at most: the largest step that may have been the last; at least 1."""
    largest = 1
    for place, group in enumerate(groups.groups):
        if counts[place] < group.channels:
            more = list(counts)
            more[place] = min(counts[place] + round_to, group.channels)
            largest = max(largest, sizing.count(of, more) - sizing.count(of, counts))
    return largest


def _ladder(
    place: int,
    group: ChannelGroup,
    scores: Tensor,
    alive: Tensor,
    round_to: int,
    min_channels: int,
) -> list[_Step]:
    """A group's channels in the order they go, in steps that leave multiples of `round_to` features."""
    values = scores.tolist()
    # Among equals the earlier is kept.
    going = sorted(alive.nonzero().squeeze(1).tolist(), key=lambda c: (values[c], -c))
    # A head is many features: so many heads are a multiple of round_to features.
    multiple = round_to // gcd(round_to, min(m.times for m in group.members if m.role == "rows"))
    left = len(going)
    least = -(-max(min_channels, 1) // multiple) * multiple
    steps = []
    start = 0
    while left > least:
        size = left - max((left - 1) // multiple * multiple, least)
        gone = tuple(going[start : start + size])
        mean = sum(values[c] for c in gone) / size
        steps.append(_Step(place, gone, mean if isfinite(mean) else values[gone[-1]]))
        left, start = left - size, start + size
    return steps


def _order(
    groups: ChannelGroups,
    ladders: Sequence[Sequence[_Step]],
    factors: Sequence[Fraction],
    scope: Scope,
    kept: Mapping[str, Tensor],
) -> list[_Step]:
    """All steps in the order they are taken: each at the fraction of its budget that is gone when it is taken.

    Groups in one budget compete by score; budgets side by side lose the same fraction, times their rate factor.
    """
    alive = [int(kept[group.name].sum()) for group in groups.groups]
    pooled = [scope == "global" and factor == 1 for factor in factors]
    pool = sorted(
        (
            step
            for ladder, together in zip(ladders, pooled, strict=True)
            if together
            for step in ladder
        ),
        key=lambda step: (step.score, -step.group),
    )
    budgets = [
        (pool, sum(n for n, together in zip(alive, pooled, strict=True) if together), Fraction(1))
    ]
    budgets += [
        (list(ladder), count, factor)
        for ladder, count, factor, together in zip(ladders, alive, factors, pooled, strict=True)
        if not together and factor
    ]
    timed: list[tuple[float, int, _Step]] = []
    for number, (steps, count, factor) in enumerate(budgets):
        gone = 0
        for step in steps:
            size = len(step.channels)
            # Of whole numbers, so that equal fractions are equal floats.
            above, below = (2 * gone + size) * factor.denominator, 2 * count * factor.numerator
            timed.append((above / below, number, step))
            gone += size
    return [step for _, _, step in sorted(timed, key=lambda one: one[:2])]


def _factors(groups: ChannelGroups, rate_factors: Mapping[str, float]) -> list[Fraction]:
    """Each group's rate factor; a pattern means a group by any of the layers that make its channels."""
    rows = [
        list(dict.fromkeys(m.name for m in group.members if m.role == "rows"))
        for group in groups.groups
    ]
    labels = {group.name: names for group, names in zip(groups.groups, rows, strict=True)}
    found: dict[str, Fraction] = {}
    for pattern, hits in match(labels, rate_factors, aliases=labels).items():
        factor = rate_factors[pattern]
        if not 0 <= factor < inf:
            raise ValueError(f"the rate factor of {pattern!r} is {factor}: use a number from 0 up")
        for name in hits:
            if found.setdefault(name, Fraction(factor)) != Fraction(factor):
                raise ValueError(
                    f"the channels of {name!r} have two rate factors, {float(found[name]):g} and {factor:g} (of "
                    f"{pattern!r}): let one pattern match them"
                )
    return [found.get(group.name, Fraction(1)) for group in groups.groups]


def all_kept(groups: ChannelGroups) -> dict[str, Tensor]:
    return {g.name: torch.ones(g.channels, dtype=torch.bool, device="cpu") for g in groups.groups}
