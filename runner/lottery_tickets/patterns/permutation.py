"""An order of the input channels in which an N:M pattern keeps more.

Pool & Yu 2021, "Channel Permutations for N:M Sparsity" (NeurIPS 2021), section 3: which weights share a group depends
on the order of the input channels, and that order is free, as long as whatever produces the channels follows it. The
search is their greedy one over swaps of two channels: the swap that gains most, again and again, until none gains.
It ends in a local optimum; they also escape from those by perturbing, which is not done here.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lottery_tickets.patterns.axes import Axis
from lottery_tickets.patterns.n_m import check_fits, keep_n_of_m, parse
from lottery_tickets.running.progress import Telling, follow

_ENOUGH = 1e-6
"""Share of the kept score that a swap must gain: more than rounding makes of it in fp32."""


@dataclass(frozen=True)
class ChannelOrder:
    """An order of input channels, and what it is worth."""

    order: Tensor
    """int64, on the CPU: place -> channel. With `mask` applied, `weight.index_select(axis, order)` has the pattern."""
    mask: Tensor
    """bool, of the weight's shape, with the channels in their *present* order: it can be applied as it is."""
    before: float
    """Sum of the kept scores in the present order."""
    after: float
    """Sum of the kept scores in the new order."""

    @property
    def gained(self) -> float:
        """Share by which the kept score rose."""
        return self.after / self.before - 1 if self.before else 0.0


def search_channel_order(
    scores: Tensor,
    pattern: str = "2:4",
    *,
    axis: int = 1,
    window: int = 512,
    max_swaps: int | None = None,
    progress: Telling = None,
) -> ChannelOrder:
    """A better order of the input channels, for scores of which more is better (e.g. `weight.abs()`).

    Args:
        scores: (out, in, ...), not negative, finite; as everywhere the groups lie along the input axis.
        pattern: "N:M".
        axis: The input axis: 1, and 0 for a transposed convolution.
        window: Channels are moved within runs of so many only. Time and memory of a run grow with its square: about
            window^2 * (weights per channel) steps, and 12 * window^2 bytes.
        max_swaps: Most swaps in a run; None: as many as gain.
        progress: See `running.Telling`; a step is a run.

    Returns:
        The order, never worse than the present one; the same for the same scores.

    Raises:
        ValueError: The input axis holds no whole groups, a score is negative, NaN or infinite, or a number is out of
            range.
    """
    n, m = parse(pattern)
    where = Axis(axis)
    check_fits({"scores": scores}, n, m, {"scores": where})
    if window < 2 * m:
        raise ValueError(f"window is {window}: use {2 * m} or more, two groups of {m}")
    if max_swaps is not None and max_swaps < 0:
        raise ValueError(f"max_swaps is {max_swaps}: use 0 or more, or None")
    found = keep_n_of_m({"scores": scores}, n, m, axes={"scores": where})["scores"]
    if bool((scores < 0).any()):
        raise ValueError(
            "scores are negative: give scores of which more is better, e.g. magnitudes"
        )
    columns = scores.detach().movedim(axis, -1).reshape(-1, scores.shape[axis])
    runs = torch.split(torch.arange(columns.shape[1], device="cpu"), window // m * m)
    order = torch.cat(
        [
            run[_search(columns[:, run[0] : run[-1] + 1].float(), n, m, max_swaps)]
            for run in follow(runs, "searching channel orders", len(runs), progress)
        ]
    )
    on_device = order.to(scores.device)
    permuted = {"scores": scores.detach().index_select(axis, on_device)}
    mask = torch.empty_like(found)
    mask.index_copy_(axis, on_device, keep_n_of_m(permuted, n, m, axes={"scores": where})["scores"])
    before, after = _kept(scores, found), _kept(scores, mask)
    if after < before:  # rounding
        return ChannelOrder(torch.arange(len(order), device="cpu"), found, before, before)
    return ChannelOrder(order, mask, before, after)


def _kept(scores: Tensor, mask: Tensor) -> float:
    return float(scores.detach().double().mul_(mask).sum())


def _search(columns: Tensor, n: int, m: int, max_swaps: int | None) -> Tensor:
    """place -> column of (rows, columns), after the swaps that gain."""
    count = columns.shape[1]
    order = torch.arange(count, device="cpu")
    values = columns.clone()
    # What a group of `m` keeps of a row once one column is replaced: with the others' n-1 highest (their sum is the
    # `base`) and n-th highest (the `bar`), a newcomer x makes it base + max(bar, x) = base + (bar + x + |bar - x|) / 2.
    # Summed over the rows, |bar - x| is an L1 distance between columns.
    bases, bars = torch.empty(count, device=columns.device), torch.empty_like(values)
    own = torch.empty(count // m, device=columns.device)

    def update(group: int) -> None:
        places = slice(group * m, group * m + m)
        members = values[:, places]
        own[group] = members.topk(n, dim=1).values.sum()
        for place in range(m):
            others = torch.cat((members[:, :place], members[:, place + 1 :]), 1)
            highest = others.topk(n, dim=1).values
            bases[group * m + place] = highest[:, :-1].sum()
            bars[:, group * m + place] = highest[:, -1]

    def measure(places: Tensor, newcomers: Tensor) -> Tensor:
        bar, new = bars[:, places], values[:, newcomers]
        apart = torch.cdist(bar.t().contiguous(), new.t().contiguous(), p=1)
        return bases[places, None] + (bar.sum(0)[:, None] + new.sum(0)[None] + apart) / 2

    for group in range(count // m):
        update(group)
    everywhere = torch.arange(count, device=columns.device)
    replaced = measure(everywhere, everywhere)
    least = _ENOUGH * float(own.sum())
    swaps = 0
    while max_swaps is None or swaps < max_swaps:
        present = own.repeat_interleave(m)
        gains = replaced + replaced.t() - present[:, None] - present[None]
        groups = everywhere // m
        gains.masked_fill_(groups[:, None] == groups[None], -torch.inf)
        best = int(gains.argmax())
        if count < 2 * m or float(gains.view(-1)[best]) <= least:
            break
        one, other = divmod(best, count)
        order[[one, other]] = order[[other, one]]
        values[:, [one, other]] = values[:, [other, one]]
        replaced[:, [one, other]] = replaced[:, [other, one]]
        changed = torch.cat([everywhere[g * m : g * m + m] for g in (one // m, other // m)])
        for group in (one // m, other // m):
            update(group)
        replaced[changed] = measure(changed, everywhere)
        swaps += 1
    return order
