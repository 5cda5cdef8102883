"""How much the order of weights changes while a network trains: the queue that early-bird tickets are judged by.

You et al. 2020 (1909.11957), section 4 and algorithm 1: the masks of the last five epochs wait in a queue, and the
newest is compared with each of the others.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

import torch
from torch import Tensor

from lottery_tickets.levels import Scope
from lottery_tickets.prune import prune
from lottery_tickets.spearman import correlation, mean_ranks

Distance = Literal["hamming", "spearman"]


class Check(TypedDict):
    """One look at the weights."""

    epoch: int
    """Epochs trained so far."""
    distances: list[float]
    """From the newest mask to each before it in the queue, oldest first; 1 - correlation for "spearman"."""
    agreement: float | None
    """1 - the largest of them; None until the queue is full."""


class Sample:
    """Some of the weights, the same ones at every check: all of them if they are few, else drawn once."""

    def __init__(
        self, weights: Mapping[str, Tensor], size: int, generator: torch.Generator | None
    ) -> None:
        self.of = sum(weight.numel() for weight in weights.values())
        self.size = self.of
        self.places: dict[str, Tensor] | None = None
        if self.of > size:
            self.places = _draw(weights, size, generator)
            self.size = sum(len(places) for places in self.places.values())

    @property
    def standard_error(self) -> float:
        """Of a distance, at most: that of a fraction counted on so many weights; 0 where all are counted."""
        return 0.0 if self.places is None else 0.5 / math.sqrt(self.size)

    def take(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The sampled weights by name, as they are now; copies, unless they are all."""
        if self.places is None:
            return {name: weight.detach() for name, weight in weights.items()}
        return {name: torch.take(weights[name].detach(), at) for name, at in self.places.items()}


@dataclass(frozen=True)
class Rule:
    """When the queue says that the ticket is found."""

    distance: Distance
    threshold: float
    """The newest must agree with each before it in at least this much."""
    target_sparsity: float
    scope: Scope
    length: int
    """Masks in the queue."""


class Queue:
    """The last masks (or rankings) of the sample, first in, first out."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.entries: deque[Tensor] = deque(maxlen=rule.length)

    def look(self, weights: Mapping[str, Tensor], epoch: int) -> Check:
        """Put the mask of these weights into the queue, and compare it with those before it."""
        before = list(self.entries)[-(self.rule.length - 1) :]
        if self.rule.distance == "hamming":
            mask = prune(weights, target_sparsity=self.rule.target_sparsity, scope=self.rule.scope)
            newest = torch.cat([kept.reshape(-1).cpu() for kept in mask.values()])
            distances = [hamming(newest, other) for other in before]
        else:
            newest = ranks(torch.cat([w.reshape(-1).abs().float().cpu() for w in weights.values()]))
            distances = [1 - correlation(newest, other, constant=0) for other in before]
        self.entries.append(newest)
        full = len(self.entries) == self.rule.length
        return {
            "epoch": epoch,
            "distances": distances,
            "agreement": 1 - max(distances) if full else None,
        }

    def stable(self, check: Check) -> bool:
        """Whether the ticket has emerged. (1 - 0.1 is not quite 0.9 in floating point.)"""
        agreement = check["agreement"]
        return agreement is not None and agreement >= self.rule.threshold - 1e-12


def hamming(one: Tensor, other: Tensor) -> float:
    """The fraction of places in which two bool tensors differ."""
    return int(torch.count_nonzero(one ^ other)) / one.numel()


def ranks(values: Tensor) -> Tensor:
    """`mean_ranks` in fp32 (1-d), in the place of the values.

    Raises:
        ValueError: One is NaN.
    """
    if values.isnan().any():
        raise ValueError("a weight is NaN: lower the learning rate, or look for NaN in the data")
    return mean_ranks(values, out=values)


def agreement_by_chance(target_sparsity: float) -> float:
    """The share of weights in which two unrelated masks of this sparsity agree: both keep, or both prune."""
    return 1 - 2 * target_sparsity * (1 - target_sparsity)


def _draw(
    weights: Mapping[str, Tensor], size: int, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """Flat indices into each tensor, ascending: `size` draws over all weights alike, those drawn twice counted once."""
    source = generator if generator is not None else torch.Generator().manual_seed(0)
    total = sum(weight.numel() for weight in weights.values())
    drawn = torch.randint(total, (size,), generator=source, device=source.device).cpu()
    drawn = torch.unique(drawn)
    places: dict[str, Tensor] = {}
    start = 0
    for name, weight in weights.items():
        low, high = torch.searchsorted(
            drawn, torch.tensor([start, start + weight.numel()])
        ).tolist()
        if high > low:
            places[name] = (drawn[low:high] - start).to(weight.device)
        start += weight.numel()
    return places
