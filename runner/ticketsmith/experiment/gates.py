"""Whether a round holds what the gates ask, judged on the validation split alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ticketsmith.experiment.spec import GateMetric, GateSpec

VALIDATION: Mapping[GateMetric, str] = {"accuracy": "valAccuracy", "loss": "valLoss"}
"""What a gate's metric is called where a round measured it on the validation split."""

_NOISE = 1e-9
"""Differences of decimal fractions are off by about 1e-17; 0.98 - 0.96 must still count as 0.02."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One gate that a round failed."""

    gate: GateSpec
    message: str
    """What was measured and what was asked, e.g. valAccuracy 0.951 is 0.031 below the dense round's 0.982."""


def judge(
    gates: Sequence[GateSpec], dense: Mapping[str, float], measured: Mapping[str, float]
) -> tuple[Failure, ...]:
    """The gates that a round with metrics `measured` fails beside the same seed's `dense` metrics.

    A metric that is missing or not finite fails: what was not measured was not held.
    """
    failures = []
    for gate in gates:
        message = _shortfall(gate, dense, measured)
        if message is not None:
            failures.append(Failure(gate, message))
    return tuple(failures)


def ends_branch(failures: Sequence[Failure]) -> bool:
    """Whether these failures stop what hangs on the round: not if every failed gate says continue."""
    return any(failure.gate.on_fail != "continue" for failure in failures)


def higher_is_better(metric: GateMetric) -> bool:
    return metric == "accuracy"


def ranking_metric(gates: Sequence[GateSpec]) -> GateMetric:
    """What tickets are ranked by: the first gate's metric, or accuracy where there is no gate."""
    return gates[0].metric if gates else "accuracy"


def _shortfall(
    gate: GateSpec, dense: Mapping[str, float], measured: Mapping[str, float]
) -> str | None:
    name = VALIDATION[gate.metric]
    value = measured.get(name, math.nan)
    if not math.isfinite(value):
        return f"it measured no finite {name}"
    sign = 1.0 if higher_is_better(gate.metric) else -1.0
    if gate.worst is not None and sign * (gate.worst - value) > _NOISE:
        return f"{name} {value:.4g} is worse than {gate.worst:g}"
    if gate.max_drop is None:
        return None
    baseline = dense.get(name, math.nan)
    if not math.isfinite(baseline):
        return f"the dense round measured no finite {name} to compare with"
    drop = sign * (baseline - value)
    if drop - gate.max_drop > _NOISE:
        side = "below" if sign > 0 else "above"
        return (
            f"{name} {value:.4g} is {drop:.4g} {side} the dense round's {baseline:.4g},"
            f" more than {gate.max_drop:g}"
        )
    return None
