"""What several pictures share: an empty figure, the sparsity axis, a line with its band, short numbers."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ticketsmith.report.findings import Row
from ticketsmith.report.pictures.palette import ARM_COLOURS, ARM_MARKS
from ticketsmith.report.stats import Estimate
from ticketsmith.report.words import ARM_NAMES

SIZE = (5.0, 3.5)
"""Inches; small enough that its text is still read at the width of a phone."""


def empty() -> tuple[Figure, Axes]:
    """A figure of the common size with one pair of axes."""
    figure = Figure(figsize=SIZE, layout="constrained")
    return figure, figure.add_subplot()


def legend(figure: Figure, axes: Axes, columns: int = 3) -> None:
    """One legend above the axes, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, columnspacing=1.4)


def line(axes: Axes, arm: str, points: Sequence[tuple[float, Estimate]]) -> None:
    """An arm's means over sparsity, and the band of their 95% intervals where every mean has one."""
    if not points:
        return
    x = [1 / (1 - sparsity) for sparsity, _ in points]
    colour = ARM_COLOURS[arm]
    axes.plot(
        x, [e.mean for _, e in points], color=colour, marker=ARM_MARKS[arm], label=ARM_NAMES[arm]
    )
    if all(e.half_width is not None for _, e in points):
        low, high = [e.low or 0.0 for _, e in points], [e.high or 0.0 for _, e in points]
        axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)


def sparsity_axis(axes: Axes, table: Sequence[Row]) -> None:
    """Sparsity s at log(1 / (1 - s)), where equal pruning rates are equal steps; ticks name the levels."""
    sparsity_ticks(axes, [row.sparsity for row in table])


def sparsity_ticks(axes: Axes, sparsities: Sequence[float]) -> None:
    """The same for bare sparsities."""
    axes.set_xscale("log")
    found = sorted({round(sparsity, 4) for sparsity in sparsities})
    ticks = apart([1 / (1 - s) for s in found])
    axes.set_xticks(ticks, [f"{100 * (1 - 1 / tick):.3g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("weights removed, %")


def apart(values: Sequence[float]) -> list[float]:
    """Those of `values` that stand far enough apart on a log scale to be labelled, the smallest always."""
    ordered = sorted(values)
    reach = math.log(ordered[-1] / ordered[0]) or 1.0
    kept = ordered[:1]
    for value in ordered[1:]:
        if math.log(value / kept[-1]) / reach > 0.11:
            kept.append(value)
    return kept


def short(value: float) -> str:
    """1500 is 1.5k."""
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:g}{unit}"
    return f"{value:g}"
