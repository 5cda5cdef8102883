"""The keys of the rounds that an experiment may yet ask for: known before any of them has run."""

from collections.abc import Iterator

from ticketsmith.experiment.decision import World
from ticketsmith.experiment.rounds import train_round
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import RoundStatus
from ticketsmith.experiment.steps import steps


def training_keys(
    experiment: PruningExperiment, known: dict[str, RoundStatus], runner_version: str
) -> Iterator[tuple[str, str]]:
    """Name and key of every training round, `known` ones as they are, the others as this version would make them.

    A round's key follows from its parents' keys, not from what they found.
    """
    world = World(now=0.0, runner_version=runner_version, machine="", capacity=1)
    rounds = {name: one for name, one in known.items() if one.key is not None}
    for step in steps(experiment.spec):
        if not step.trains:
            continue
        if step.name not in rounds:
            key = train_round(step, experiment, world, rounds).key
            rounds[step.name] = RoundStatus(name=step.name, arm=step.arm, state="Waiting", key=key)
        yield step.name, rounds[step.name].key or ""
