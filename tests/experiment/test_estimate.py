"""estimate: a list schedule of the steps."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ticketsmith.experiment.decision import Prices
from ticketsmith.experiment.estimate import estimate
from ticketsmith.experiment.steps import steps

SECONDS = {"dense": 10, "ticket": 10, "random": 10, "benchmark": 5, "report": 1}


@pytest.mark.parametrize(
    ("spec", "parallelism", "wall"),
    [
        ({}, 1, 31),
        ({}, 8, 31),  # a chain gains nothing from places
        ({"seeds": [0, 1]}, 1, 61),
        ({"seeds": [0, 1]}, 2, 31),
        ({"seeds": [0, 1, 2]}, 2, 51),
        ({"controls": ["random"]}, 1, 51),
        ({"controls": ["random"]}, 2, 41),
        ({"pruning": {"method": "oneShot"}}, 2, 21),
        ({"benchmark": {}}, 8, 36),
    ],
)
def test_wall_time(
    make_experiment: Callable[..., Any], spec: dict[str, Any], parallelism: int, wall: float
) -> None:
    assert estimate(steps(make_experiment(**spec).spec), SECONDS, parallelism).wall_seconds == wall


def test_work_and_cost(make_experiment: Callable[..., Any]) -> None:
    found = estimate(
        steps(make_experiment(seeds=[0, 1]).spec), SECONDS, 2, Prices(Decimal("3.6"), "USD", 2)
    )
    assert (found.work_seconds, found.gpu_seconds) == (61, 122)
    assert found.cost == Decimal("0.061")
    assert estimate(steps(make_experiment().spec), SECONDS, 1).cost is None


def test_every_step_starts_after_its_parents_have_ended(
    make_experiment: Callable[..., Any],
) -> None:
    asked = make_experiment(seeds=[0, 1, 2], controls=["random"], benchmark={})
    listed = steps(asked.spec)
    starts = estimate(listed, SECONDS, 3).starts
    arms = {step.name: step.arm for step in listed}
    assert starts.keys() == arms.keys()
    for step in listed:
        for parent in step.parents:
            assert starts[step.name] >= starts[parent] + SECONDS[arms[parent]]
    for moment in starts.values():
        assert sum(s <= moment < s + SECONDS[arms[name]] for name, s in starts.items()) <= 3


def test_the_rest_of_an_experiment(make_experiment: Callable[..., Any]) -> None:
    listed = steps(make_experiment().spec)
    assert estimate(listed[2:], SECONDS, 1).wall_seconds == 11
    assert estimate((), SECONDS, 1).wall_seconds == 0


def test_no_place_is_no_schedule(make_experiment: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="parallelism is 0"):
        estimate(steps(make_experiment().spec), SECONDS, 0)
