"""Where a run's artifacts lie and what its rounds cost, on this machine."""

from decimal import Decimal
from pathlib import Path

from ticketsmith.experiment.decision import Prices
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.local.machine import Machine


def store_uri(experiment: PruningExperiment, runs: Path) -> str:
    """Where the spec says, else beside the run directories."""
    artifacts = experiment.spec.artifacts
    return artifacts.uri if artifacts else str(runs / "store")


def prices_here(
    price: Decimal | None, currency: str, machine: Machine, experiment: PruningExperiment
) -> Prices:
    """The price is that of an hour of the whole machine, so rounds side by side share it."""
    if price is None:
        return Prices(gpus=machine.gpus)
    places = experiment.spec.limits.parallelism or machine.capacity
    return Prices(hourly=price / places, currency=currency, gpus=machine.gpus)
