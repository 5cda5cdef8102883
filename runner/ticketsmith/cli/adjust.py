"""What the command line changes in an experiment: where and how it runs, never what it finds."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import ArtifactsSpec, PruningExperiment
from ticketsmith.stores import open_store


@dataclass(frozen=True, slots=True)
class Changes:
    """None leaves what the file says."""

    store: str | None = None
    parallelism: int | None = None


def adjusted(experiment: PruningExperiment, changes: Changes) -> PruningExperiment:
    """The experiment with `changes`. The store's address becomes absolute: the run is read from elsewhere too."""
    spec: dict[str, Any] = {}
    artifacts = experiment.spec.artifacts
    if changes.store is not None:
        artifacts = ArtifactsSpec(uri=changes.store or " ")
    if artifacts is not None:
        spec["artifacts"] = artifacts.model_copy(update={"uri": open_store(artifacts.uri).uri})
    if changes.parallelism is not None:
        if changes.parallelism < 1:
            raise BadSpec(
                f"--parallelism is {changes.parallelism}: at least 1 round must run at once"
            )
        limits = experiment.spec.limits
        spec["limits"] = limits.model_copy(update={"parallelism": changes.parallelism})
    return experiment.model_copy(update={"spec": experiment.spec.model_copy(update=spec)})


def read_price(text: str | None) -> Decimal | None:
    """A price per hour; BadSpec for what is not a sum of money."""
    if text is None:
        return None
    try:
        price = Decimal(text)
    except InvalidOperation as error:
        raise BadSpec(
            f"--price is {text!r}: write what an hour of this machine costs, e.g. 0.35"
        ) from error
    if not (price.is_finite() and 0 <= price < 1_000_000):
        raise BadSpec(f"--price is {text!r}: write an amount from 0 to 1000000 for an hour")
    return price
