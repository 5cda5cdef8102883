"""The tables of a comparison, as text in cells; terminal and page only lay them out."""

from collections.abc import Sequence

from ticketsmith.experiment.levels import Level, Measure, is_better_high
from ticketsmith.report.side_by_side.asked import Asked
from ticketsmith.report.side_by_side.cautions import same_data
from ticketsmith.report.side_by_side.matching import Match, difference
from ticketsmith.report.side_by_side.sides import Side
from ticketsmith.report.side_by_side.words import MEASURE_NAMES, UNITS, drop, quality, told
from ticketsmith.report.tables import Table
from ticketsmith.report.words import (
    MINUS,
    MISSING,
    TIMES,
    duration,
    percent,
    plural,
    verdicts_in_lines,
)


def differences(sides: Sequence[Side], fields: Sequence[Asked]) -> Table:
    """What was asked for differently."""
    return Table(
        "What differs in the experiments",
        ("Field", *(one.label for one in sides)),
        tuple((one.field, *one.values) for one in fields),
        "" if fields else "Nothing: the specs are the same.",
        frozenset(range(len(sides) + 1)),
    )


def qualities(sides: Sequence[Side], found: Sequence[Match]) -> Table:
    """Each sparsity that was measured, and how far the others are from the first there."""
    first, others = sides[0], sides[1:] if same_data(sides) else ()
    measure = first.measure
    head = ["Sparsity", *(one.label for one in sides)]
    head += [f"{other.label} {MINUS} {first.label}" for other in others]
    lines = []
    for match in found:
        cells = [percent(match.sparsity) if match.sparsity else "dense"]
        cells += [_quality(level, measure) for level in match.levels]
        for number, _ in enumerate(others, start=1):
            one, other = match.levels[0], match.levels[number]
            cells.append(told(difference(one, other, first), measure) if one and other else MISSING)
        lines.append(tuple(cells))
    unit = "percentage points" if is_better_high(measure) else "of loss"
    note = "Mean over the seeds; brackets hold 95% intervals. "
    if others:
        note += (
            f"Differences are gains, {unit}: positive is better; paired means within each seed. "
        )
    note += f"{MISSING} was not measured at that sparsity; nothing is interpolated."
    return Table(f"{MEASURE_NAMES[measure]} at matching sparsity", tuple(head), tuple(lines), note)


def outcomes(sides: Sequence[Side]) -> Table:
    """What each stands for, and what it took."""
    measure = sides[0].measure
    lines = {
        "Phase": [_phase(one) for one in sides],
        "Network": [one.run.experiment.spec.model.name for one in sides],
        "Data": [one.run.experiment.spec.dataset.name for one in sides],
        "Best ticket's sparsity": [_sparsity(one) for one in sides],
        f"{MEASURE_NAMES[measure]} there": [_quality(s.best, s.measure) for s in sides],
        f"Drop against dense, {UNITS[is_better_high(measure)]}": [_drop(one) for one in sides],
        "Seeds that passed": [_passed(one) for one in sides],
        "Weights left": [_left(one) for one in sides],
        "Speed": [_speed(one) for one in sides],
        "Timed on": ["\n".join(one.timed_on) or MISSING for one in sides],
        "Rounds": [str(len(one.run.rounds)) for one in sides],
        "Work": [duration(one.run.status.usage.duration_seconds) for one in sides],
        "From start to end": [_wall(one) for one in sides],
        "GPU time": [_gpu(one) for one in sides],
        "Cost": [_cost(one) for one in sides],
        "PyTorch": ["\n".join(one.torch) or MISSING for one in sides],
    }
    return Table(
        "Best tickets, and what they took",
        ("Figure", *(one.label for one in sides)),
        tuple((name, *cells) for name, cells in lines.items()),
        "Figures of quality are means over the seeds at the level each experiment stands for: the deepest that most of "
        "its seeds pass. Speed is given only where it was measured. Work adds up rounds that ran side by side, failed "
        "attempts included.",
        frozenset(range(len(sides) + 1)),
    )


def _quality(level: Level | None, measure: Measure) -> str:
    if level is None:
        return MISSING
    return f"{quality(level, measure)}\n{plural(len(level.quality), 'seed')}"


def _phase(one: Side) -> str:
    status = one.run.status
    return f"{status.phase}\n{status.reason or ''}".rstrip()


def _sparsity(one: Side) -> str:
    best = one.run.status.best
    return percent(best.sparsity) if best else "none passed"


def _drop(one: Side) -> str:
    said = drop(one.best, one.measure) if one.best else None
    return said or MISSING


def _passed(one: Side) -> str:
    best = one.run.status.best
    return f"{best.seeds_passed} of {best.seeds}" if best else MISSING


def _left(one: Side) -> str:
    row = one.best_row
    if row is None or row.remaining is None or not row.prunable:
        return MISSING
    return f"{row.remaining:,.0f} of {row.prunable:,}"


def _speed(one: Side) -> str:
    row, best = one.best_row, one.run.status.best
    if row is not None:
        said = verdicts_in_lines(row.timings)
        return f"{said}\nat batch {one.batch_size}" if row.timings else said
    if best is not None and best.speedup is not None:
        return f"{best.speedup:.2f}{TIMES} faster\nthe machine is not known here"
    return MISSING


def _wall(one: Side) -> str:
    return MISSING if one.wall_seconds is None else duration(one.wall_seconds)


def _gpu(one: Side) -> str:
    seconds = one.run.status.usage.gpu_seconds
    return duration(seconds) if seconds else "none"


def _cost(one: Side) -> str:
    usage = one.run.status.usage
    return f"{usage.cost:.4f} {usage.currency}" if usage.currency else MISSING
