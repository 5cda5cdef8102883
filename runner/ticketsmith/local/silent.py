"""A view for runs that nobody watches."""

from ticketsmith.experiment.decision import Event, Observed
from ticketsmith.experiment.results import Progress
from ticketsmith.experiment.status import Status
from ticketsmith.experiment.steps import Step


class SilentView:
    """Shows nothing."""

    def started(self, step: Step, attempt: int) -> None:
        """See View.started."""

    def progressed(self, progress: Progress) -> None:
        """See View.progressed."""

    def ended(self, seen: Observed) -> None:
        """See View.ended."""

    def decided(self, status: Status) -> None:
        """See View.decided."""

    def happened(self, event: Event) -> None:
        """See View.happened."""

    def stopping(self, signal_name: str) -> None:
        """See View.stopping."""
