"""Conditions in metav1's manner: the transition time moves only when the status does.

Accepted, Progressing and Complete are ours. Ready, Reconciling and Stalled are for kstatus, the library by which Flux
and others tell whether a resource is what was asked for; the last two are there only while they are True.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from ticketsmith.experiment.clock import rfc3339
from ticketsmith.experiment.status import Condition, ConditionType, Phase

Said = tuple[Literal["True", "False", "Unknown"], str, str]
"""Status, reason and message."""


def conditions(
    before: Sequence[Condition],
    now: float,
    generation: int | None,
    said: Mapping[ConditionType, Said],
) -> tuple[Condition, ...]:
    """The conditions as they stand now; each keeps its transition time while its status stays."""
    earlier = {one.type: one for one in before}
    found = []
    for kind, (status, reason, message) in said.items():
        last = earlier.get(kind)
        since = rfc3339(int(now))
        if last is not None and last.status == status:
            since = last.last_transition_time
        found.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=message,
                last_transition_time=since,
                observed_generation=generation,
            )
        )
    return tuple(found)


def readiness(phase: Phase, reason: str, message: str) -> dict[ConditionType, Said]:
    """What kstatus reads: Ready is True with the answer, Unknown on the way to it, and False where somebody has to act
    first. A suspended experiment is neither going on nor beyond help."""
    match phase:
        case "Succeeded":
            return {"Ready": ("True", reason, message)}
        case "Suspended":
            return {"Ready": ("False", reason, message)}
        case "Failed":
            return stalled(reason, message)
        case "Pending" | "Running":
            return {
                "Ready": ("Unknown", reason, message),
                "Reconciling": ("True", reason, message),
            }


def stalled(reason: str, message: str) -> dict[ConditionType, Said]:
    """What kstatus reads where nothing comes of this spec, whatever the phase."""
    return {"Ready": ("False", reason, message), "Stalled": ("True", reason, message)}
