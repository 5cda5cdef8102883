"""From one status to the next: what a watcher is told about the change. Pure.

Looks may be far apart (the watch was cut, the operator wrote twice): whatever happened between two of them is told
in an order in which it could have happened.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never, get_args

from ticketsmith.experiment.clock import unix
from ticketsmith.experiment.contract import Arm, RoundResult
from ticketsmith.experiment.decision import Event, Observed
from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.status import RoundStatus, Status
from ticketsmith.experiment.steps import Step
from ticketsmith.experiment.view import View


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt at a step was started."""

    step: Step
    attempt: int


Telling = Begun | Observed | Status | Event
"""One call of a View: started, ended, decided or happened."""


def tellings(before: Status | None, after: Status, steps: Sequence[Step]) -> tuple[Telling, ...]:
    """What to tell a View between two looks. Before the first one (None) only what runs is told."""
    known = recall(before.rounds, before.ledger) if before else {}
    now = recall(after.rounds, after.ledger)
    told: list[Telling] = []
    begun: list[Begun] = []
    events: list[Event] = []
    for step in steps:
        one = now.get(step.name)
        if one is None:
            continue
        if before is not None:
            was = known.get(step.name) or RoundStatus(name=one.name, arm=one.arm, state="Waiting")
            told += _ended(was, one, step)
            events += _events(was, one, after)
        if one.state == "Running" and (
            step.name not in known or one.attempts > known[step.name].attempts
        ):
            begun.append(Begun(step, one.attempts))
    return (*told, after, *events, *_turns(before, after), *begun)


def show(view: View, told: Iterable[Telling]) -> None:
    """Make the calls."""
    for telling in told:
        match telling:
            case Begun():
                view.started(telling.step, telling.attempt)
            case Observed():
                view.ended(telling)
            case Status():
                view.decided(telling)
            case Event():
                view.happened(telling)
            case _:
                assert_never(telling)


def _ended(was: RoundStatus, now: RoundStatus, step: Step) -> Iterator[Telling]:
    """Attempts that ended between the two looks, also one that was never seen to run."""
    is_new = now.attempts > was.attempts
    if is_new and was.state == "Running":
        failed = now.failures > was.failures
        yield Observed(now.name, was.attempts, "failed" if failed else "interrupted")
    if now.state == "Running" or (not is_new and now.state == was.state):
        return
    if is_new:
        yield Begun(step, now.attempts)
    match now.state:
        case "Done":
            yield _done(was, now)
        case "Failed":
            yield Observed(now.name, now.attempts, "failed", message=now.message)
        case "Waiting" if now.failures > was.failures:
            yield Observed(now.name, now.attempts, "failed", message=now.message)
        case _:
            yield Observed(now.name, now.attempts, "interrupted")


def _done(was: RoundStatus, now: RoundStatus) -> Observed:
    """As the driver saw it, as far as a status tells: weights are not counted in it."""
    begun = unix(was.started_at) if was.started_at else 0.0
    ended = begun + max(0.0, now.duration_seconds - was.duration_seconds)
    answer = None
    if now.key is not None and now.arm in get_args(Arm):
        answer = RoundResult.model_validate(
            {
                "key": now.key,
                "arm": now.arm,
                "seed": now.seed,
                "level": now.level,
                "metrics": now.metrics,
            }
        )
    return Observed(
        now.name, now.attempts, "done", started_at=begun, finished_at=ended, answer=answer
    )


def _events(was: RoundStatus, now: RoundStatus, after: Status) -> Iterator[Event]:
    """What is worth a line of its own about one round, in the words the operator uses."""
    words = f": {now.message}" if now.message else ""
    if now.state == "Failed" and was.state != "Failed":
        tries = f"{now.attempts} attempt{'s' if now.attempts > 1 else ''}"
        yield Event("Warning", "RoundFailed", f"{now.name} failed after {tries}{words}", now.name)
    elif now.failures > was.failures:
        said = f"{now.name} failed and is tried again{words}"
        yield Event("Warning", "RoundRetried", said, now.name)
    elif was.state == "Running" and now.state == "Waiting" and after.phase != "Suspended":
        said = f"{now.name} was interrupted and will be started again"
        yield Event("Normal", "RoundInterrupted", said, now.name)
    if now.arm == "ticket" and now.gate == "failed" and was.gate != "failed":
        yield Event("Warning", "GateFailed", f"{now.name} fails the gate", now.name)


def _turns(before: Status | None, after: Status) -> Iterator[Event]:
    """Changes of the whole experiment; how it ends is told by whoever waits for it."""
    was = before.phase if before else None
    if after.phase == "Suspended" and was != "Suspended":
        yield Event("Normal", "Suspended", after.message or "No round starts until it goes on")
    if was == "Suspended" and after.phase == "Running":
        yield Event("Normal", "Resumed", "Rounds are started again from their last checkpoints")
    cut = after.phase == "Running" and after.reason == "BudgetReached"
    if cut and (before is None or before.reason != "BudgetReached"):
        yield Event(
            "Warning", "BudgetReached", after.message or "The budget admits no further round"
        )
