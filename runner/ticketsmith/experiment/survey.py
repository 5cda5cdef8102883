"""Where the training rounds stand: which may start, which wait for others, which never will."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ticketsmith.experiment.status import RoundStatus
from ticketsmith.experiment.steps import Step


@dataclass(frozen=True, slots=True)
class Survey:
    """The training rounds, sorted out."""

    settled: int
    """Done or failed."""
    running: int
    ready: tuple[Step, ...]
    """May start now, in order: their parents are done and passed, or an attempt at them is to be repeated."""
    later: int
    """Wait for parents that are not done."""
    never: int
    """Cannot start any more: a gate ended their branch."""

    @property
    def is_over(self) -> bool:
        return not (self.running or self.ready or self.later)


def survey(steps: Iterable[Step], rounds: Mapping[str, RoundStatus]) -> Survey:
    """Sort the training steps out, in one pass: parents precede their children."""
    settled = running = later = 0
    ready: list[Step] = []
    barren: set[str] = set()  # nothing starts from these
    never = 0
    for step in steps:
        if not step.trains:
            continue
        known = rounds.get(step.name)
        if known is not None:
            match known.state:
                case "Waiting":
                    ready.append(step)
                case "Running":
                    running += 1
                case _:
                    settled += 1
                    if known.ends_branch or known.state != "Done":
                        barren.add(step.name)
        elif not step.parents:
            ready.append(step)
        elif step.parents[-1] in barren:
            never += 1
            barren.add(step.name)
        elif _is_done(rounds.get(step.parents[-1])):
            ready.append(step)
        else:
            later += 1
    return Survey(settled, running, tuple(ready), later, never)


def _is_done(known: RoundStatus | None) -> bool:
    return known is not None and known.state == "Done"
