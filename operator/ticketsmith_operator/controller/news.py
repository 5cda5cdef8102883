"""When to tell: short rounds share an Event, so that an experiment costs few writes and its story stays short. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ticketsmith.experiment.decision import Event

PATIENCE_SECONDS = 60.0
"""Rounds that come and go sooner than this after the last Event are told together."""
_ROUTINE = {"RoundStarted", "RoundDone"}
"""Reasons of what may wait; everything else is told at once, and with it what waited."""
_ENOUGH = 700
"""Characters of text that fill an Event well, with room for what one more turn brings."""


@dataclass(slots=True)
class News:
    """What one experiment has to tell."""

    told_at: float = -math.inf
    waiting: list[Event] = field(default_factory=list)

    def due(self, now: float) -> float | None:
        """Seconds until what waits is to be told; None if nothing waits."""
        if not self.waiting:
            return None
        is_urgent = any(event.reason not in _ROUTINE for event in self.waiting)
        if is_urgent or sum(len(event.message) for event in self.waiting) > _ENOUGH:
            return 0.0
        return max(0.0, self.told_at + PATIENCE_SECONDS - now)

    def take(self, now: float) -> Sequence[Event]:
        """What is to be told now, in the order in which it happened."""
        taken, self.waiting, self.told_at = self.waiting, [], now
        return taken
