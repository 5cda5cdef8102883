"""Which finished Jobs may go: those whose end the status holds, and no others. Pure."""

from collections.abc import Iterable, Mapping

from ticketsmith.experiment.status import RoundStatus
from ticketsmith_operator.controller.views import JobView

_SETTLED = {"Done", "Failed", "Stopped"}


def is_told(job: JobView, known: RoundStatus | None) -> bool:
    """Whether the status has already heard of this attempt's end."""
    if known is None:
        return False
    return known.attempts > job.attempt or known.state in _SETTLED


def to_retire(
    rounds: Mapping[str, RoundStatus], jobs: Iterable[JobView], ttl: int
) -> list[JobView]:
    """The Jobs that are to be given this time to live, and have another or none.

    A placeholder never finishes, and stays: it keeps its name from being taken.
    """
    return [
        job
        for job in jobs
        if job.outcome is not None
        and job.ttl != ttl
        and not job.deleting
        and is_told(job, rounds.get(job.round))
    ]
