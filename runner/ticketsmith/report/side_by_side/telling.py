"""What a comparison comes to, in sentences that follow from the numbers alone. Pure."""

from collections.abc import Iterator, Sequence

from ticketsmith.experiment.levels import is_better_high
from ticketsmith.report.side_by_side.cautions import same_data
from ticketsmith.report.side_by_side.matching import Match, deepest_shared, difference
from ticketsmith.report.side_by_side.sides import Side
from ticketsmith.report.side_by_side.words import MEASURE_NAMES, UNITS, gain
from ticketsmith.report.telling import gates_in_words, speed_in_words
from ticketsmith.report.words import listed, percent, plural


def headline(sides: Sequence[Side]) -> str:
    """How far each could be pruned."""
    return listed([_far(one) for one in sides]) + "."


def findings(sides: Sequence[Side], found: Sequence[Match]) -> tuple[str, ...]:
    """Who is better where both were measured, and by how much that can be told."""
    return (*_at_the_deepest(sides, found), *_speeds(sides))


def _far(one: Side) -> str:
    best, gates = one.run.status.best, one.run.experiment.spec.gates
    within = f"within {gates_in_words(gates)}" if gates else "without a gate"
    if best is None:
        return f"{one.label} has no ticket {within}"
    return f"{one.label} reaches {percent(best.sparsity)} {within}"


def _at_the_deepest(sides: Sequence[Side], found: Sequence[Match]) -> Iterator[str]:
    if not same_data(sides):
        return
    match = deepest_shared(found)
    if match is None:
        yield "No sparsity was measured by all of them, so their tickets have nowhere to be compared."
        return
    first, base = sides[0], match.levels[0]
    unit = UNITS[is_better_high(first.measure)]
    name = MEASURE_NAMES[first.measure].lower()
    for other, level in zip(sides[1:], match.levels[1:], strict=True):
        if base is None or level is None:
            continue
        apart = difference(base, level, first)
        said, how = apart.estimate, "paired" if apart.paired else "unpaired"
        figure = f"{gain(said, first.measure)} {unit}, {plural(said.n, 'seed')}, {how}"
        where = f"At {percent(match.sparsity)}, the deepest sparsity that all measured, {name} of {other.label}"
        if said.half_width is None:
            yield f"{where} cannot be told from {first.label}'s with so few seeds ({figure})."
        elif not said.excludes_zero:
            yield f"{where} cannot be told from {first.label}'s: the 95% interval includes 0 ({figure})."
        else:
            verb = "better" if said.mean > 0 else "worse"
            yield f"{where} is {verb} than {first.label}'s ({figure})."


def _speeds(sides: Sequence[Side]) -> Iterator[str]:
    timed = [one for one in sides if one.best_row and one.best_row.timings]
    for one in timed:
        row = one.best_row
        if row is not None:
            yield f"{one.label}, {speed_in_words(row.timings)}, on {listed(one.timed_on)}."
