"""What a driver tells whoever watches it."""

from typing import Protocol

from ticketsmith.experiment.decision import Event, Observed
from ticketsmith.experiment.results import Progress
from ticketsmith.experiment.status import Status
from ticketsmith.experiment.steps import Step


class View(Protocol):
    """Shows a run while it goes on. Called from the driver's thread only."""

    def started(self, step: Step, attempt: int) -> None:
        """An attempt (counted from 1) at a step was started."""
        ...

    def progressed(self, progress: Progress) -> None:
        """A running round told how far it is."""
        ...

    def ended(self, seen: Observed) -> None:
        """An attempt ended; the next `decided` knows what became of it."""
        ...

    def decided(self, status: Status) -> None:
        """The status was written anew."""
        ...

    def happened(self, event: Event) -> None:
        """Something worth telling."""
        ...

    def stopping(self, signal_name: str) -> None:
        """A signal asks the run to stop; running rounds keep their checkpoints first."""
        ...
