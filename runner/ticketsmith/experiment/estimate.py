"""What an experiment would take, before anything runs: a list schedule of its steps."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ticketsmith.experiment.budget import cost
from ticketsmith.experiment.decision import Prices
from ticketsmith.experiment.steps import Step


@dataclass(frozen=True, slots=True)
class Estimate:
    """If every round takes as long as given and every gate passes."""

    wall_seconds: float
    """From the first round's start to the last one's end."""
    work_seconds: float
    """Sum over all rounds."""
    gpu_seconds: float
    cost: Decimal | None
    """None where no price is known."""
    starts: Mapping[str, float]
    """Seconds after the first round's start at which each step would start, by name."""


def estimate(
    steps: Sequence[Step],
    seconds: Mapping[str, float],
    parallelism: int,
    prices: Prices | None = None,
) -> Estimate:
    """Schedule `steps`, in their order, on `parallelism` places; `seconds` gives a round's length per arm.

    A place takes the first step in order whose parents have ended, as `plan` does. Parents that are not among
    the steps count as done, so the rest of an experiment can be estimated too.
    """
    if parallelism < 1:
        raise ValueError(f"parallelism is {parallelism}: at least 1 place is needed")
    prices = prices or Prices()
    children: dict[str, list[int]] = {step.name: [] for step in steps}
    waiting = [sum(parent in children for parent in step.parents) for step in steps]
    for index, step in enumerate(steps):
        for parent in step.parents:
            if parent in children:
                children[parent].append(index)
    ready = [index for index, parents in enumerate(waiting) if not parents]
    running: list[tuple[float, int]] = []
    starts: dict[str, float] = {}
    now = work = 0.0
    while ready or running:
        while ready and len(running) < parallelism:
            index = heapq.heappop(ready)
            length = seconds[steps[index].arm]
            starts[steps[index].name] = now
            work += length
            heapq.heappush(running, (now + length, index))
        now = running[0][0]
        while running and running[0][0] == now:
            ended = heapq.heappop(running)[1]
            for child in children[steps[ended].name]:
                waiting[child] -= 1
                if not waiting[child]:
                    heapq.heappush(ready, child)
    return Estimate(
        wall_seconds=now,
        work_seconds=work,
        gpu_seconds=prices.gpus * work,
        cost=None if prices.hourly is None else cost(prices, work),
        starts=starts,
    )
