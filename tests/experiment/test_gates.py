"""gates: what passes, what fails, and what a failure leads to."""

import math

import pytest

from ticketsmith.experiment.gates import ends_branch, judge
from ticketsmith.experiment.spec import GateSpec

DENSE = {"valAccuracy": 0.98, "valLoss": 0.10}


def gate(
    metric: str = "accuracy",
    max_drop: float | None = None,
    worst: float | None = None,
    on_fail: str = "stop",
) -> GateSpec:
    return GateSpec(metric=metric, max_drop=max_drop, worst=worst, on_fail=on_fail)


@pytest.mark.parametrize(
    ("rule", "measured", "passes"),
    [
        (gate(max_drop=0.02), {"valAccuracy": 0.96}, True),  # 0.98 - 0.96 is 0.020000000000000018
        (gate(max_drop=0.02), {"valAccuracy": 0.9599}, False),
        (gate(max_drop=0.02), {"valAccuracy": 0.959999}, False),
        (gate(max_drop=0.02), {"valAccuracy": 0.99}, True),
        (gate(max_drop=0), {"valAccuracy": 0.98}, True),
        (gate(max_drop=0), {"valAccuracy": 0.9799}, False),
        (gate("loss", max_drop=0.05), {"valLoss": 0.15}, True),
        (gate("loss", max_drop=0.05), {"valLoss": 0.151}, False),
        (gate("loss", max_drop=0.05), {"valLoss": 0.01}, True),
        (gate(worst=0.9), {"valAccuracy": 0.9}, True),
        (gate(worst=0.9), {"valAccuracy": 0.899}, False),
        (gate("loss", worst=0.2), {"valLoss": 0.2}, True),
        (gate("loss", worst=0.2), {"valLoss": 0.21}, False),
        (gate(max_drop=0.5, worst=0.9), {"valAccuracy": 0.89}, False),
        (gate(max_drop=0.01, worst=0.9), {"valAccuracy": 0.95}, False),
        (gate(max_drop=0.02), {}, False),
        (gate(max_drop=0.02), {"accuracy": 0.98}, False),  # the test set has no say
        (gate(max_drop=0.02), {"valAccuracy": math.nan}, False),
        (gate(worst=0.1), {"valAccuracy": math.inf}, False),
    ],
)
def test_one_gate(rule: GateSpec, measured: dict[str, float], passes: bool) -> None:
    failures = judge([rule], DENSE, measured)
    assert (not failures) == passes
    if failures:
        assert failures[0].gate is rule
        assert "val" in failures[0].message


@pytest.mark.parametrize("dense", [{}, {"valAccuracy": math.nan}])
def test_without_a_baseline_a_drop_cannot_be_shown_to_be_small(dense: dict[str, float]) -> None:
    assert judge([gate(max_drop=0.02)], dense, {"valAccuracy": 1.0})
    assert not judge([gate(worst=0.5)], dense, {"valAccuracy": 1.0})


def test_the_message_says_what_was_measured_and_asked() -> None:
    (failure,) = judge([gate(max_drop=0.02)], DENSE, {"valAccuracy": 0.95})
    assert (
        failure.message == "valAccuracy 0.95 is 0.03 below the dense round's 0.98, more than 0.02"
    )


@pytest.mark.parametrize(
    ("on_fail", "ends"),
    [
        ([], False),
        (["continue"], False),
        (["continue", "continue"], False),
        (["stop"], True),
        (["fail"], True),
        (["continue", "stop"], True),
    ],
)
def test_a_branch_goes_on_only_if_every_failed_gate_says_so(on_fail: list[str], ends: bool) -> None:
    gates = [gate(worst=0.99, on_fail=one) for one in on_fail]
    failures = judge([*gates, gate(worst=0.1)], DENSE, {"valAccuracy": 0.5})
    assert len(failures) == len(on_fail)
    assert ends_branch(failures) == ends
