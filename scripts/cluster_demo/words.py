"""What the demo says. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Document = Mapping[str, Any]
COST_QUERY = "sum by (name, currency) (ticketsmith_experiment_cost)"
ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Cost:
    """What one experiment cost, as Prometheus answers COST_QUERY."""

    name: str
    amount: float
    currency: str


def clock(seconds: float) -> str:
    """Minutes and seconds since the start."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:2d}:{rest:02d}"


def progress(experiments: Sequence[Document]) -> str:
    """How far each has come, on one line."""
    return " · ".join(_standing(one) for one in experiments)


def have_ended(experiments: Sequence[Document]) -> bool:
    """Whether all have ended, well or badly."""
    return all(_status(one).get("phase") in ENDED for one in experiments)


def failures(experiments: Sequence[Document]) -> list[str]:
    """A sentence for each that did not succeed."""
    return [
        f"{one['metadata']['name']} did not succeed: {_status(one).get('message', 'it says nothing')}"
        for one in experiments
        if _status(one).get("phase") != "Succeeded"
    ]


def ending(
    table: str,
    costs: Sequence[Cost],
    prometheus: str,
    reports: Sequence[Path],
    kubectl: Sequence[str | Path],
) -> str:
    """The last words: `table` is kubectl's, `kubectl` the command that reaches the cluster."""
    first, *others = [str(path) for path in reports]
    return "\n".join(
        [
            "$ kubectl get pex",
            table.rstrip(),
            "",
            f"Cost, at made-up prices ({COST_QUERY}):",
            *_table(costs),
            "",
            f"Prometheus  {prometheus}   alerts: {prometheus}/alerts",
            f"Reports     {first}",
            *(f"            {path}" for path in others),
            f"kubectl     {shlex.join(map(str, kubectl))} get pex",
        ]
    )


def _table(costs: Sequence[Cost]) -> list[str]:
    """A line each, and their sum by currency."""
    ordered = sorted(costs, key=lambda cost: cost.name)
    for currency in sorted({cost.currency for cost in costs}):
        amounts = [cost.amount for cost in costs if cost.currency == currency]
        ordered.append(Cost("together", sum(amounts), currency))
    width = max((len(cost.name) for cost in ordered), default=0)
    return [f"  {cost.name:<{width}}  {cost.amount:.6f} {cost.currency}" for cost in ordered]


def _standing(experiment: Document) -> str:
    status, name = _status(experiment), experiment["metadata"]["name"]
    phase = status.get("phase", "Pending")
    said = "" if phase == "Running" else f" {phase}"
    return f"{name} {status.get('progress', '-')}{said}"


def _status(experiment: Document) -> Document:
    status: Document = experiment.get("status") or {}
    return status
