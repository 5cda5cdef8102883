"""Which levels of several experiments may be set side by side, and how far apart they are. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from ticketsmith.experiment.levels import Level, is_better_high
from ticketsmith.report.side_by_side.sides import Side
from ticketsmith.report.stats import Estimate, paired, unpaired

SAME = 0.0005
"""Sparsities closer than this are one: they are printed alike. Whole weights leave a little between two networks."""


@dataclass(frozen=True, slots=True)
class Match:
    """One sparsity, and the level of each experiment that was measured there; None where there is none."""

    sparsity: float
    levels: tuple[Level | None, ...]

    @property
    def is_shared(self) -> bool:
        """Whether at least two experiments have it."""
        return sum(one is not None for one in self.levels) > 1


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better a level is than another at the same sparsity."""

    estimate: Estimate
    """Of the gain: positive is better, whatever the measure."""
    paired: bool
    """By seed; else of two independent means."""


def matches(sides: Sequence[Side]) -> tuple[Match, ...]:
    """Every sparsity that any of them measured, dense first. Nothing is interpolated."""
    measured = sorted(
        (level.sparsity, number, level)
        for number, one in enumerate(sides)
        for level in one.levels
        if level.level
    )
    found = [Match(0.0, tuple(one.dense for one in sides))]
    for sparsity, number, level in measured:
        last = found[-1]
        is_near = len(found) > 1 and sparsity - last.sparsity <= SAME
        if is_near and last.levels[number] is None:
            found[-1] = Match(last.sparsity, _put(last.levels, number, level))
        else:
            found.append(Match(sparsity, _put((None,) * len(sides), number, level)))
    return tuple(match for match in found if any(match.levels))


def deepest_shared(found: Sequence[Match]) -> Match | None:
    """The sparsest level of tickets that all of them measured."""
    return next((m for m in reversed(found) if m.sparsity and None not in m.levels), None)


def difference(first: Level, other: Level, measure_of: Side) -> Difference:
    """The gain of `other` over `first`: by seed where they share seeds, for those take the same initialisation and
    data order; else of the two means."""
    sign = 1.0 if is_better_high(measure_of.measure) else -1.0
    gains = {seed: sign * value for seed, value in other.quality.items()}
    base = {seed: sign * value for seed, value in first.quality.items()}
    by_seed = paired(gains, base)
    if by_seed is not None:
        return Difference(by_seed, paired=True)
    return Difference(unpaired(list(gains.values()), list(base.values())), paired=False)


def _put(levels: Sequence[Level | None], number: int, level: Level) -> tuple[Level | None, ...]:
    return (*levels[:number], level, *levels[number + 1 :])
