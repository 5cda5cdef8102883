"""Several experiments in one picture: how good, how sparse."""

from collections.abc import Callable, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes

from ticketsmith.experiment.levels import Level, is_better_high
from ticketsmith.report.pictures.axes import empty, legend, sparsity_ticks
from ticketsmith.report.pictures.drawing import Picture, picture
from ticketsmith.report.pictures.palette import INK, RUN_COLOURS, RUN_LINES, RUN_MARKS, STYLE
from ticketsmith.report.side_by_side.sides import Side
from ticketsmith.report.side_by_side.words import MEASURE_NAMES, UNITS, gain, quality
from ticketsmith.report.stats import Estimate, estimate
from ticketsmith.report.words import percent


def overlay(sides: Sequence[Side]) -> list[Picture]:
    """The pictures of a comparison; none where no ticket was measured."""
    with mpl.rc_context(STYLE):
        drawn = [_qualities(sides), _drops(sides)]
    return [one for one in drawn if one]


def _qualities(sides: Sequence[Side]) -> Picture | None:
    """Quality itself, each dense network as a line of its own."""
    measure = sides[0].measure
    name = MEASURE_NAMES[measure]
    factor = 100.0 if is_better_high(measure) else 1.0
    unit = ", %" if is_better_high(measure) else ""
    figure, axes = empty()
    for number, one in enumerate(sides):
        if one.dense and one.tickets:
            mean = factor * estimate(list(one.dense.quality.values())).mean
            colour = RUN_COLOURS[number % len(RUN_COLOURS)]
            axes.axhline(mean, color=colour, linestyle=(0, (1, 2)), linewidth=1.2)
    shown = _lines(axes, sides, lambda level: level.quality, factor)
    if not shown:
        return None
    axes.set_ylabel(f"{name.lower()}{unit}")
    sparsity_ticks(axes, [level.sparsity for level in shown])
    legend(figure, axes, columns=1)
    return picture(
        "quality",
        f"{name} against sparsity",
        f"{name} of the tickets against the share of weights removed: {_ends(sides)}.",
        "Lines are means over the seeds, bands the 95% intervals of the mean, dotted lines the dense networks. The "
        "scale is even in pruning rounds; lines join measured levels, and nothing is read off between them.",
        figure,
    )


def _drops(sides: Sequence[Side]) -> Picture | None:
    """The same against each experiment's own dense networks."""
    measure = sides[0].measure
    is_accuracy = is_better_high(measure)
    factor = -100.0 if is_accuracy else -1.0
    figure, axes = empty()
    axes.axhline(0.0, color=INK, linewidth=1.0)
    shown = _lines(axes, sides, lambda level: level.drop, factor)
    if not shown:
        return None
    axes.set_ylabel("gain on dense, points" if is_accuracy else "gain on dense")
    sparsity_ticks(axes, [level.sparsity for level in shown])
    legend(figure, axes, columns=1)
    told = [
        f"{one.label} {gain(_negated(last), measure)} {UNITS[is_accuracy]} at {percent(last.sparsity)}"
        for one in sides
        if (last := next((level for level in reversed(one.tickets) if level.drop), None))
    ]
    return picture(
        "drop",
        "Against their own dense networks",
        f"Change of {MEASURE_NAMES[measure].lower()} against the same seed's dense network; at the sparsest level: "
        f"{'; '.join(told)}.",
        "Each seed's ticket against the same seed's dense network, mean and 95% interval; below zero, quality is lost.",
        figure,
    )


def _lines(
    axes: Axes,
    sides: Sequence[Side],
    read: Callable[[Level], object],
    factor: float,
) -> list[Level]:
    shown: list[Level] = []
    for number, one in enumerate(sides):
        points = [
            (level, estimate([factor * v for v in by_seed.values()]))
            for level in one.tickets
            if isinstance(by_seed := read(level), dict) and by_seed
        ]
        if not points:
            continue
        shown += [level for level, _ in points]
        x = [1 / (1 - level.sparsity) for level, _ in points]
        colour = RUN_COLOURS[number % len(RUN_COLOURS)]
        axes.plot(
            x,
            [e.mean for _, e in points],
            color=colour,
            marker=RUN_MARKS[number % len(RUN_MARKS)],
            linestyle=RUN_LINES[number // len(RUN_COLOURS) % len(RUN_LINES)],
            label=one.label,
        )
        if all(e.half_width is not None for _, e in points):
            low, high = [e.low or 0.0 for _, e in points], [e.high or 0.0 for _, e in points]
            axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
    return shown


def _negated(level: Level) -> Estimate:
    return estimate([-value for value in level.drop.values()])


def _ends(sides: Sequence[Side]) -> str:
    said = []
    for one in sides:
        if one.tickets:
            ends = dict.fromkeys([one.tickets[0].level, one.tickets[-1].level])
            chosen = [level for level in one.tickets if level.level in ends]
            figures = " to ".join(
                f"{quality(v, one.measure)} at {percent(v.sparsity)}" for v in chosen
            )
            said.append(f"{one.label} {figures}")
    return "; ".join(said)
