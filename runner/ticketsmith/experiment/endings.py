"""How an experiment ends, and what is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ticketsmith.experiment.best import Ticket
from ticketsmith.experiment.clock import rfc3339
from ticketsmith.experiment.conditions import conditions
from ticketsmith.experiment.spec import LimitsSpec
from ticketsmith.experiment.status import Phase, Status

Reason = Literal[
    "AllRoundsDone",
    "GateStopped",
    "NoTicketPassed",
    "BudgetReached",
    "DeadlineExceeded",
    "RoundFailed",
    "GateFailed",
    "InvalidSpec",
]
TERMINAL: frozenset[Phase] = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class Ending:
    """The last phase, and why."""

    phase: Literal["Succeeded", "Failed"]
    reason: Reason
    message: str
    """One sentence a person can act on."""


def settled(
    best: Ticket | None, tickets: Sequence[Ticket], cut_by_gate: int, cut_by_budget: bool
) -> Ending:
    """The ending of an experiment in which nothing failed and nothing is left to do."""
    if best is None:
        if cut_by_budget:
            return Ending(
                "Failed",
                "BudgetReached",
                "The budget was reached before any ticket passed: raise limits.maxCost or limits.maxGpuHours.",
            )
        return Ending(
            "Failed",
            "NoTicketPassed",
            "No ticket passed its gates: begin with a lower sparsity, train longer or loosen spec.gates.",
        )
    seeds = sum(ticket.level == best.level for ticket in tickets)
    won = (
        f"{best.name} is kept at sparsity {best.sparsity:.1%}, the deepest level that the most seeds"
        f" ({seeds}) passed"
    )
    if cut_by_budget:
        return Ending(
            "Succeeded",
            "BudgetReached",
            f"The budget admits no further round; {won}.",
        )
    if cut_by_gate:
        return Ending(
            "Succeeded",
            "GateStopped",
            f"A gate ended a branch, so {cut_by_gate} deeper or compared rounds were not needed; {won}.",
        )
    return Ending("Succeeded", "AllRoundsDone", f"All rounds are done; {won}.")


def deadline_exceeded(limits: LimitsSpec) -> Ending:
    return Ending(
        "Failed",
        "DeadlineExceeded",
        f"The rounds took longer than limits.deadlineSeconds ({limits.deadline_seconds}): raise it, or ask"
        " for fewer levels, seeds or controls.",
    )


def invalid_spec(message: str, now: float, generation: int | None) -> Status:
    """The status of a resource whose spec is wrong, told in one sentence; nothing of it ever starts."""
    return Status(
        observed_generation=generation,
        phase="Failed",
        reason="InvalidSpec",
        progress="0/0",
        conditions=conditions(
            (),
            now,
            generation,
            accepted=("False", "InvalidSpec", message),
            progressing=("False", "InvalidSpec", message),
            complete=("False", "InvalidSpec", message),
        ),
        finished_at=rfc3339(now),
        message=message,
    )
