"""Which Jobs do not agree with the status, and what is to be done about them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ticketsmith.experiment.status import RoundStatus
from ticketsmith_operator.controller.memory import Sighting
from ticketsmith_operator.controller.observe import Pods, is_over, why_stuck
from ticketsmith_operator.controller.views import JobView


@dataclass(frozen=True, slots=True)
class Todo:
    """What to do to Jobs once the status is written."""

    delete: tuple[JobView, ...] = ()
    """They go on, though the status does not want them to."""
    give_up: tuple[tuple[JobView, str], ...] = ()
    """They can never start, and why."""
    look_again: float | None = None
    """Seconds after which one of them may have to be given up."""


def is_wanted(rounds: Mapping[str, RoundStatus], name: str, attempt: int) -> bool:
    """Whether the status has this very attempt running."""
    known = rounds.get(name)
    return known is not None and known.state == "Running" and known.attempts == attempt


def work_out(
    rounds: Mapping[str, RoundStatus],
    jobs: Sequence[tuple[Sighting[JobView], Pods]],
    now: float,
    grace: float,
) -> Todo:
    """Compare the Jobs that are there with the rounds of the new status."""
    delete: list[JobView] = []
    give_up: list[tuple[JobView, str]] = []
    waits: list[float] = []
    for seen, pods in jobs:
        job = seen.view
        if job.deleting or is_over(job, pods):
            continue
        if not is_wanted(rounds, job.round, job.attempt):
            delete.append(job)
            continue
        why, wait = why_stuck(pods, now, grace)
        if why is not None and job.given_up is None:
            give_up.append((job, why))
        elif wait is not None:
            waits.append(wait)
    return Todo(tuple(delete), tuple(give_up), min(waits, default=None))
