"""The learning rate at each step, against values worked out by hand."""

import math
from typing import Any

import pytest

from ticketsmith.engine.schedules import schedule
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import TrainingSpec

EPOCH = 10


def rates(duration: str, shape: dict[str, Any], steps: list[int]) -> list[float]:
    spec = TrainingSpec.model_validate(
        {"duration": duration, "optimizer": {"name": "sgd", "lr": 0.4}, "lrSchedule": shape}
    )
    at = schedule(spec, EPOCH)
    return [at(step) for step in steps]


@pytest.mark.parametrize(
    ("shape", "steps", "expected"),
    [
        ({"name": "constant"}, [0, 1, 39], [0.4, 0.4, 0.4]),
        ({"name": "constant", "warmup": "4it"}, [0, 1, 3, 4, 39], [0.0, 0.1, 0.3, 0.4, 0.4]),
        ({"name": "constant", "warmup": "1ep"}, [0, 5, 10], [0.0, 0.2, 0.4]),
        (
            {"name": "step", "milestones": ["2ep", "3ep5it"]},
            [0, 19, 20, 34, 35, 39],
            [0.4, 0.4, 0.04, 0.04, 0.004, 0.004],
        ),
        (
            {"name": "step", "milestones": ["3it"], "gamma": 0.5, "warmup": "2it"},
            [0, 1, 2, 3],
            [0.0, 0.2, 0.4, 0.2],
        ),
        (
            {"name": "cosine"},
            [0, 10, 20, 40],
            [0.4, 0.2 * (1 + math.cos(math.pi / 4)), 0.2, 0.0],
        ),
        ({"name": "cosine", "warmup": "20it"}, [0, 10, 20, 30, 40], [0.0, 0.2, 0.4, 0.2, 0.0]),
    ],
)
def test_the_rate_at_each_step(
    shape: dict[str, Any], steps: list[int], expected: list[float]
) -> None:
    assert rates("4ep", shape, steps) == pytest.approx(expected, abs=1e-12)


def test_a_warmup_without_an_end_is_refused() -> None:
    with pytest.raises(BadSpec, match=r"lrSchedule\.warmup is 2ep, not shorter than .* 10it"):
        rates("10it", {"name": "constant", "warmup": "2ep"}, [0])
