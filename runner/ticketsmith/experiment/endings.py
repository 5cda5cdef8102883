"""How an experiment ends, and what is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ticketsmith.experiment.best import Ticket
from ticketsmith.experiment.clock import rfc3339
from ticketsmith.experiment.conditions import Said, conditions, readiness, stalled
from ticketsmith.experiment.spec import LimitsSpec
from ticketsmith.experiment.status import ConditionType, Phase, Status

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
            {
                "Accepted": ("False", "InvalidSpec", message),
                "Progressing": ("False", "InvalidSpec", message),
                "Complete": ("False", "InvalidSpec", message),
                **stalled("InvalidSpec", message),
            },
        ),
        finished_at=rfc3339(now),
        message=message,
    )


def not_accepted(before: Status | None, message: str, now: float, generation: int | None) -> Status:
    """The status of a resource whose spec became wrong: what was won stays, nothing is decided until it is right."""
    if before is None or not before.rounds:
        if before is not None and (before.message, before.observed_generation) == (
            message,
            generation,
        ):
            return noted(before, now, generation)
        return invalid_spec(message, now, generation)
    if before.phase in TERMINAL:
        return noted(before, now, generation)
    said = _said(before)
    unknown: Said = ("Unknown", "InvalidSpec", message)
    return before.model_copy(
        update={
            "observed_generation": generation,
            "message": message,
            "conditions": conditions(
                before.conditions,
                now,
                generation,
                {
                    "Accepted": ("False", "InvalidSpec", message),
                    "Progressing": said.get("Progressing", unknown),
                    "Complete": said.get("Complete", unknown),
                    **stalled("InvalidSpec", message),
                },
            ),
        }
    )


def noted(status: Status, now: float, generation: int | None) -> Status:
    """An ending that a later change of the spec does not touch: the status only says that it was seen. Conditions that
    an earlier operator did not know are added."""
    why = (status.reason or status.phase, status.message or "")
    said = _said(status) | readiness(status.phase, *why)
    seen = conditions(status.conditions, now, generation, said)
    return status.model_copy(update={"observed_generation": generation, "conditions": seen})


def _said(status: Status) -> dict[ConditionType, Said]:
    """The conditions that do not follow from the phase alone."""
    return {
        one.type: (one.status, one.reason, one.message)
        for one in status.conditions
        if one.type not in ("Ready", "Reconciling", "Stalled")
    }


def may_be_mended(status: Status, generation: int | None) -> bool:
    """Whether a refused spec was changed since: then it is looked at as if for the first time."""
    return status.reason == "InvalidSpec" and status.observed_generation != generation
