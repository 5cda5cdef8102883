"""Which rounds are under way, and how long they have waited for their Pods."""

from collections.abc import Iterable, Iterator, Mapping

from ticketsmith.experiment.ledger import DETAILS, recall
from ticketsmith.experiment.status import RoundStatus, Status

Key = tuple[str, str]
"""Namespace and name of an experiment."""


def under_way(status: Status) -> Iterator[RoundStatus]:
    """Rounds whose attempt was announced and has not ended."""
    shown = [one for one in status.rounds if one.state == "Running"]
    yield from shown
    if len(shown) >= DETAILS:  # only then may the ledger hold more of them
        filed = recall((), status.ledger).values()
        yield from (one for one in filed if one.state == "Running")


def is_pending(one: RoundStatus) -> bool:
    """Whether an attempt that is under way has no container that runs yet."""
    return one.started_at is None


class Waits:
    """Since when attempts are pending, remembered from one look to the next.

    No status tells when an attempt was announced, and the age of its Job does not tell when it lost its place. So a
    wait counts from the first look that finds it, by this operator's clock, and anew when the operator is restarted.
    """

    def __init__(self) -> None:
        self._since: dict[tuple[Key, str, int], float] = {}

    def look(
        self, rounds: Mapping[Key, Iterable[RoundStatus]], now: float
    ) -> Iterator[tuple[Key, float]]:
        """Each experiment that has a pending round among these, and how many seconds its longest wait has lasted."""
        waits = {
            key: [(key, one.name, one.attempts) for one in found if is_pending(one)]
            for key, found in rounds.items()
        }
        attempts = [attempt for waiting in waits.values() for attempt in waiting]
        self._since = {attempt: self._since.get(attempt, now) for attempt in attempts}
        for key, waiting in waits.items():
            if waiting:
                yield key, now - min(self._since[attempt] for attempt in waiting)
