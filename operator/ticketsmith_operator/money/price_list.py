"""The price list: what a placement costs an hour, by the node labels it selects."""

import json
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ticketsmith.experiment.base import Document
from ticketsmith.experiment.decision import Prices
from ticketsmith.experiment.placement import LabelKey, LabelValue, RunnerSpec
from ticketsmith.experiment.spec import Money
from ticketsmith_operator.render.resources import gpus

Capacity = Literal["spot", "on-demand"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an experiment's rounds run, as far as money is concerned."""

    prices: Prices
    """What one round's place costs."""
    accelerator: str
    """The price list's name for it; for a place it does not know cpu, or unknown if GPUs are asked for."""
    capacity: Capacity
    """Whether the cluster may take the place back at any time (spot)."""


class Price(Document):
    """What nodes with certain labels cost."""

    match: dict[LabelKey, LabelValue] = Field({}, max_length=16)
    """Labels that runner.nodeSelector must ask for; none matches every placement."""
    accelerator: Annotated[str, Field(min_length=1, max_length=63)]
    """Name in metrics, e.g. nvidia-tesla-t4; cpu where there is none."""
    capacity: Capacity = "on-demand"
    """spot or on-demand."""
    hourly_per_gpu: Money | None = None
    """Price of one GPU (or MIG slice) per hour, in currency."""
    hourly_per_pod: Money | None = None
    """Price per hour of what else a Pod takes (CPUs, memory), in currency."""

    @model_validator(mode="after")
    def _says_a_price(self) -> "Price":
        if self.hourly_per_gpu is None and self.hourly_per_pod is None:
            raise ValueError("it says no price: add hourlyPerGpu, hourlyPerPod or both")
        return self

    def prices(self, count: int, currency: str | None) -> Prices:
        """Of a round with `count` GPUs. Unknown, not zero, if the price of what it occupies is not said."""
        own = self.hourly_per_gpu if count else self.hourly_per_pod
        if own is None:
            return Prices(gpus=count)
        hourly = own * count + (self.hourly_per_pod or 0) if count else own
        return Prices(hourly, currency, count)


class PriceList(Document):
    """All prices, in one currency. The entry with the most labels among those that match holds; of these, the first."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    """ISO 4217, e.g. USD."""
    prices: tuple[Price, ...] = Field((), max_length=200)
    """The entries."""

    @model_validator(mode="after")
    def _is_clear(self) -> "PriceList":
        if self.prices and self.currency is None:
            raise ValueError("currency is missing: add it, e.g. currency: USD")
        for (i, one), (j, other) in combinations(enumerate(self.prices), 2):
            if one.match == other.match:
                raise ValueError(
                    f"prices[{i}] and prices[{j}] match the same labels, {json.dumps(one.match)}: remove one"
                )
        return self

    def place(self, runner: RunnerSpec) -> Place:
        """What a round of such a runner costs: by its node selector, and the GPUs of its limits."""
        count = gpus(runner.resources)
        selector = runner.node_selector.items()
        fitting = [price for price in self.prices if price.match.items() <= selector]
        if not fitting:
            return Place(Prices(gpus=count), "unknown" if count else "cpu", "on-demand")
        price = max(fitting, key=lambda one: len(one.match))
        knows = not count or price.hourly_per_gpu is not None
        return Place(
            price.prices(count, self.currency),
            price.accelerator if knows else "unknown",
            price.capacity,
        )
