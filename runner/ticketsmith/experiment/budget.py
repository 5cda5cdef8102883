"""What rounds cost, and whether one more fits in what is left.

The budget is admission: a round that is predicted not to fit is not started, and a round that runs is never
stopped for money.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import get_args

from ticketsmith.experiment.contract import TrainArm
from ticketsmith.experiment.decision import Prices
from ticketsmith.experiment.spec import LimitsSpec
from ticketsmith.experiment.status import RoundStatus, Usage

_HOUR = Decimal(3600)
_MICRO = Decimal("0.000001")
_TRAINING: frozenset[str] = frozenset(get_args(TrainArm))


def cost(prices: Prices, seconds: float) -> Decimal:
    """Price of a round's place for that long, to the millionth; 0 where no price is known.

    The hourly price is that of the whole placement, so GPUs do not multiply it.
    """
    if prices.hourly is None:
        return Decimal(0)
    return (prices.hourly * Decimal(seconds) / _HOUR).quantize(_MICRO)


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long a round will probably take, by what like rounds took so far, all attempts included."""

    per_arm: dict[str, float]
    """Mean seconds of the arm's rounds that are done."""
    training: float
    """Mean seconds of all training rounds that are done; 0 while none is, so that the first may start."""

    def seconds(self, arm: str) -> float:
        """The arm's own mean; that of all training rounds while the arm has none."""
        return self.per_arm.get(arm, self.training)


def forecast(rounds: Iterable[RoundStatus]) -> Forecast:
    """What the rounds that are done say about those to come."""
    total: dict[str, float] = {}
    count: dict[str, int] = {}
    for known in rounds:
        if known.state == "Done":
            total[known.arm] = total.get(known.arm, 0.0) + known.duration_seconds
            count[known.arm] = count.get(known.arm, 0) + 1
    trained = sum(n for arm, n in count.items() if arm in _TRAINING)
    spent = sum(t for arm, t in total.items() if arm in _TRAINING)
    return Forecast(
        per_arm={arm: total[arm] / count[arm] for arm in total},
        training=spent / trained if trained else 0.0,
    )


def fits(
    limits: LimitsSpec, prices: Prices, usage: Usage, reserved: float, predicted: float
) -> bool:
    """Whether a round of `predicted` seconds fits beside `reserved` seconds of rounds that run.

    A round of unknown length (0) is let in as long as anything is left at all.
    """
    seconds = reserved + predicted
    if limits.max_cost is not None and prices.hourly:
        wanted = usage.cost + cost(prices, seconds)
        if wanted > limits.max_cost or (not predicted and wanted == limits.max_cost):
            return False
    if limits.max_gpu_hours is not None and prices.gpus:
        most = float(limits.max_gpu_hours * _HOUR)
        used = usage.gpu_seconds + prices.gpus * seconds
        if used > most or (not predicted and used == most):
            return False
    return True


def ignored_limits(limits: LimitsSpec, prices: Prices) -> tuple[str, ...]:
    """Limits that cannot take effect here, one clause each."""
    found = []
    if limits.max_cost is not None and prices.hourly is None:
        found.append(
            "limits.maxCost has no effect because no price is known: give the driver a price"
        )
    if limits.max_gpu_hours is not None and not prices.gpus:
        found.append("limits.maxGpuHours has no effect because the rounds use no GPU")
    return tuple(found)
