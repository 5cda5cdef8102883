"""Conditions in metav1's manner: the transition time moves only when the status does."""

from collections.abc import Sequence
from typing import Literal

from ticketsmith.experiment.clock import rfc3339
from ticketsmith.experiment.status import Condition

Said = tuple[Literal["True", "False", "Unknown"], str, str]
"""Status, reason and message."""


def conditions(
    before: Sequence[Condition],
    now: float,
    generation: int | None,
    *,
    accepted: Said,
    progressing: Said,
    complete: Said,
) -> tuple[Condition, ...]:
    """The three conditions as they stand now; each keeps its transition time while its status stays."""
    earlier = {one.type: one for one in before}
    said: tuple[tuple[Literal["Accepted", "Progressing", "Complete"], Said], ...] = (
        ("Accepted", accepted),
        ("Progressing", progressing),
        ("Complete", complete),
    )
    found = []
    for kind, (status, reason, message) in said:
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
