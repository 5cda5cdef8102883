"""budget: what rounds cost, how long they will take, and whether one more fits."""

from decimal import Decimal
from typing import Any

import pytest

from ticketsmith.experiment.budget import cost, fits, forecast, ignored_limits
from ticketsmith.experiment.decision import Prices
from ticketsmith.experiment.spec import LimitsSpec
from ticketsmith.experiment.status import RoundStatus, Usage


def done(arm: str, seconds: float, state: str = "Done") -> RoundStatus:
    return RoundStatus(name=f"{arm}-{seconds}", arm=arm, state=state, duration_seconds=seconds)


@pytest.mark.parametrize(
    ("hourly", "gpus", "seconds", "price"),
    [
        ("3.6", 0, 10, "0.01"),
        ("3.6", 8, 10, "0.01"),  # the price is the whole placement's, GPUs included
        ("0.35", 1, 3600, "0.35"),
        ("1", 0, 0.001, "0"),
        (None, 4, 3600, "0"),
    ],
)
def test_cost(hourly: str | None, gpus: int, seconds: float, price: str) -> None:
    prices = Prices(None if hourly is None else Decimal(hourly), "USD", gpus)
    assert cost(prices, seconds) == Decimal(price)


def test_a_forecast_is_the_mean_of_like_rounds_and_falls_back_to_all_training_rounds() -> None:
    seen = forecast(
        [
            done("dense", 10), done("dense", 30), done("ticket", 60), done("benchmark", 1000),
            done("ticket", 9999, "Running"), done("reinit", 9999, "Failed"),
        ]
    )  # fmt: skip
    assert seen.seconds("dense") == 20
    assert seen.seconds("ticket") == 60
    assert seen.seconds("random") == pytest.approx(100 / 3)
    assert seen.seconds("benchmark") == 1000


def test_an_unknown_length_is_forecast_as_nothing_so_that_the_first_may_start() -> None:
    assert forecast([]).seconds("dense") == 0


@pytest.mark.parametrize(
    ("most", "spent", "reserved", "predicted", "admitted"),
    [
        ("1", "0", 0, 1000, True),  # 0.001 a second: exactly all of it
        ("1", "0", 0, 1001, False),
        ("1", "0.5", 400, 100, True),
        ("1", "0.5", 401, 100, False),
        ("1", "0.999", 0, 0, True),
        ("1", "1", 0, 0, False),
        ("1", "1.5", 0, 0, False),
        ("0", "0", 0, 0, False),
        (None, "1000", 10**6, 10**6, True),
    ],
)
def test_money(
    most: str | None, spent: str, reserved: float, predicted: float, admitted: bool
) -> None:
    limits = LimitsSpec(max_cost=None if most is None else Decimal(most))
    prices = Prices(Decimal("3.6"), "USD")
    assert fits(limits, prices, Usage(cost=Decimal(spent)), reserved, predicted) == admitted


@pytest.mark.parametrize(
    ("gpus", "used", "reserved", "predicted", "admitted"),
    [
        (2, 0, 0, 1800, True),
        (2, 0, 0, 1801, False),
        (2, 1600, 500, 500, True),
        (2, 1601, 500, 500, False),
        (2, 3600, 0, 0, False),
        (0, 9999, 9999, 9999, True),
    ],
)
def test_gpu_hours(
    gpus: int, used: float, reserved: float, predicted: float, admitted: bool
) -> None:
    limits = LimitsSpec(max_gpu_hours=Decimal(1))
    usage = Usage(gpu_seconds=used)
    assert fits(limits, Prices(gpus=gpus), usage, reserved, predicted) == admitted


@pytest.mark.parametrize(
    ("limits", "prices", "named"),
    [
        ({}, Prices(), []),
        ({"max_cost": 1}, Prices(), ["limits.maxCost"]),
        ({"max_cost": 1}, Prices(Decimal(1)), []),
        ({"max_gpu_hours": 1}, Prices(Decimal(1)), ["limits.maxGpuHours"]),
        ({"max_gpu_hours": 1}, Prices(gpus=1), []),
        ({"max_cost": 1, "max_gpu_hours": 1}, Prices(), ["limits.maxCost", "limits.maxGpuHours"]),
    ],
)
def test_limits_that_have_no_effect_are_named(
    limits: dict[str, Any], prices: Prices, named: list[str]
) -> None:
    said = ignored_limits(LimitsSpec(**limits), prices)
    assert [sentence.split()[0] for sentence in said] == named
