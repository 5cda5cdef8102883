"""What the page needs to know of one experiment."""

from dataclasses import dataclass

from ticketsmith.experiment.spec import GateMetric, LimitsSpec
from ticketsmith.experiment.status import Phase, Status


@dataclass(frozen=True, slots=True)
class Seen:
    """One experiment as memory has it."""

    namespace: str
    name: str
    status: Status | None
    """None where none was written yet."""
    limits: LimitsSpec | None = None
    """None where the spec cannot be read."""
    metric: GateMetric = "accuracy"
    """What its tickets are ranked by."""

    @property
    def phase(self) -> Phase:
        """One without a status is yet to be looked at."""
        return "Pending" if self.status is None else self.status.phase
