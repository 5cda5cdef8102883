"""One experiment as a list shows it, wherever it lies. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.levels import Level, Measure, levels
from ticketsmith.experiment.status import Status


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one experiment at one look."""

    name: str
    where: str
    """The folder of its run, or context/namespace."""
    reference: str
    """What `ticketsmith compare` calls it."""
    model: str
    dataset: str
    measure: Measure
    """What its tickets are ranked by."""
    status: Status
    created: datetime
    """On a cluster, when the resource was made; here, when the first round started."""
    level: Level | None
    """The level it stands for: that of the best ticket, with every seed that came so far."""
    driven: bool | None = None
    """Of a run here: whether a process of this machine drives it."""

    @property
    def lies_idle(self) -> bool:
        """Whether its status says that it goes on, while nothing on this machine drives it."""
        return self.driven is False and self.status.phase in {"Pending", "Running"}

    def document(self) -> dict[str, Any]:
        """For programs: numbers as numbers, absent where nothing was measured."""
        status, level = self.status, self.level
        said: dict[str, Any] = {
            "name": self.name,
            "where": self.where,
            "reference": self.reference,
            "model": self.model,
            "dataset": self.dataset,
            "createdAt": self.created.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "phase": status.phase,
            "driven": self.driven,
            "reason": status.reason,
            "progress": status.progress,
            "best": status.best.document() if status.best else None,
            "quality": _figures(self.measure, level.quality) if level else None,
            "drop": _figures(self.measure, level.drop) if level and level.drop else None,
            "usage": status.usage.document(),
            "startedAt": status.started_at,
            "finishedAt": status.finished_at,
            "message": status.message,
        }
        return {name: value for name, value in said.items() if value is not None}


def level_of(status: Status, measure: Measure) -> Level | None:
    """The best ticket's level; ValueError if the status's ledger cannot be read."""
    if status.best is None:
        return None
    found = levels(recall(status.rounds, status.ledger).values(), measure)
    return next((one for one in found if one.level == status.best.level), None)


def mean(values: Mapping[int, float]) -> float | None:
    """Over the seeds; None where there are none."""
    return sum(values.values()) / len(values) if values else None


def _figures(measure: Measure, by_seed: Mapping[int, float]) -> dict[str, Any]:
    return {
        "metric": measure,
        "mean": mean(by_seed),
        "bySeed": {str(seed): value for seed, value in by_seed.items()},
    }
