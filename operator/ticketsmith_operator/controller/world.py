"""The circumstances the plan decides in, on a cluster. Pure."""

from ticketsmith import __version__
from ticketsmith.experiment.decision import World
from ticketsmith.experiment.placement import RunnerSpec
from ticketsmith_operator.money.prices import Place


def world(now: float, runner: RunnerSpec, place: Place, capacity: int) -> World:
    """What is so at the Unix time `now` for rounds that run in this place."""
    return World(
        now=now,
        runner_version=__version__,
        machine=machine(runner, place),
        capacity=capacity,
        prices=place.prices,
    )


def machine(runner: RunnerSpec, place: Place) -> str:
    """The hardware asked for, in words: a timing belongs to it."""
    asked = {**runner.resources.requests, **runner.resources.limits}
    parts = [f"{name} {amount}" for name, amount in sorted(asked.items())]
    parts += [f"{name}={value}" for name, value in sorted(runner.node_selector.items())]
    return ", ".join(parts) or f"a node of the cluster ({place.accelerator})"
