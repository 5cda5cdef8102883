"""What of a status may be relied on: people edit it, and a plan must not stumble over what no plan has written."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from ticketsmith.experiment import ledger
from ticketsmith.experiment.spec import ExperimentSpec
from ticketsmith.experiment.status import RoundStatus, Status, Usage
from ticketsmith.experiment.steps import Step, steps

_MOST: Final = 1e12
"""Attempts, and seconds: thirty thousand years. Figures beyond it would grow to infinity when they are added up."""
_KEY: Final = re.compile(r"[0-9a-f]{16}")


def trusted(status: Status, spec: ExperimentSpec) -> Status:
    """The status without rounds that this spec does not have, lines that nobody can read and figures beyond reason.

    What is left out counts as never told; a driver finds it again in what its rounds have left.
    """
    planned = {step.name: step for step in steps(spec)}
    rounds = tuple(one for one in status.rounds if _is_possible(one, planned))
    lines = tuple(_readable(status.ledger, planned))
    usage = status.usage if _is_reasonable(status.usage) else Usage()
    if (len(rounds), len(lines)) == (
        len(status.rounds),
        len(status.ledger),
    ) and usage == status.usage:
        return status
    return status.model_copy(update={"rounds": rounds, "ledger": lines, "usage": usage})


def _readable(lines: tuple[str, ...], planned: Mapping[str, Step]) -> Iterator[str]:
    for line in lines:
        try:
            known = ledger.read(line)
        except ValueError:
            continue
        if _is_possible(known, planned):
            yield line


def _is_possible(known: RoundStatus, planned: Mapping[str, Step]) -> bool:
    step = planned.get(known.name)
    if step is None or (known.arm, known.seed, known.level) != (step.arm, step.seed, step.level):
        return False
    must_have_begun = known.state in {"Running", "Done"}
    if known.key is None or known.attempts < 1:
        if must_have_begun:
            return False
    elif not _KEY.fullmatch(known.key):
        return False
    figures = (
        known.attempts,
        known.failures,
        known.duration_seconds,
        known.gpu_seconds,
        known.cost,
    )
    return all(0 <= figure <= _MOST for figure in figures)


def _is_reasonable(usage: Usage) -> bool:
    return all(0 <= one <= _MOST for one in (usage.duration_seconds, usage.gpu_seconds, usage.cost))
