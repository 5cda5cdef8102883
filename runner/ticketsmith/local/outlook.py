"""What lies ahead of an experiment: its rounds, which of them the store has, and what the others would take. Pure
but for asking the store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ticketsmith.experiment.decision import Prices, World
from ticketsmith.experiment.estimate import Estimate, estimate
from ticketsmith.experiment.rounds import train_round
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import RoundStatus
from ticketsmith.experiment.steps import Step, steps


@dataclass(frozen=True, slots=True)
class Ahead:
    """One step of the experiment."""

    step: Step
    key: str | None
    """None for benchmark and report: their keys hang on results."""
    done: bool
    """The store has its result."""


def look_ahead(
    experiment: PruningExperiment, runner_version: str, is_done: Callable[[str], bool]
) -> tuple[Ahead, ...]:
    """Every step in order. The keys of training rounds follow from the spec alone, parents first."""
    world = World(now=0.0, runner_version=runner_version, machine="", capacity=1)
    known: dict[str, RoundStatus] = {}
    found = []
    for step in steps(experiment.spec):
        if not step.trains:
            found.append(Ahead(step, None, False))
            continue
        key = train_round(step, experiment, world, known).key
        known[step.name] = RoundStatus(name=step.name, arm=step.arm, state="Done", key=key)
        found.append(Ahead(step, key, is_done(key)))
    return tuple(found)


def estimate_rest(
    ahead: Sequence[Ahead], seconds: Mapping[str, float], parallelism: int, prices: Prices
) -> Estimate:
    """What the rounds that are not done would take, if every gate passes. `seconds` per round, by arm."""
    done = {one.step.name for one in ahead if one.done}
    rest = [
        replace(one.step, parents=tuple(p for p in one.step.parents if p not in done))
        for one in ahead
        if not one.done
    ]
    return estimate(rest, seconds, parallelism, prices)
