"""Several runs in one picture."""

from collections.abc import Sequence

from ticketsmith.report.findings import Row
from ticketsmith.report.pictures.axes import empty, legend, sparsity_axis
from ticketsmith.report.pictures.drawing import Picture, picture
from ticketsmith.report.pictures.palette import INK, RUN_COLOURS, RUN_LINES, RUN_MARKS
from ticketsmith.report.runs import Run
from ticketsmith.report.words import percent, signed


def comparison(tables: Sequence[tuple[Run, Sequence[Row]]]) -> Picture | None:
    """How much accuracy each run's tickets lose as weights go."""
    figure, axes = empty()
    axes.axhline(0.0, color=INK, linewidth=1.0)
    told: list[str] = []
    shown: list[Row] = []
    for number, (run, table) in enumerate(tables):
        points = [(row, row.drop) for row in table if row.arm == "ticket" and row.drop]
        if not points:
            continue
        axes.plot(
            [1 / (1 - row.sparsity) for row, _ in points],
            [-100 * drop.mean for _, drop in points],
            color=RUN_COLOURS[number % len(RUN_COLOURS)],
            marker=RUN_MARKS[number % len(RUN_MARKS)],
            linestyle=RUN_LINES[number // len(RUN_COLOURS) % len(RUN_LINES)],
            label=run.label,
        )
        shown += [row for row, _ in points]
        last, drop = points[-1]
        told.append(f"{run.label} {signed(-100 * drop.mean)} points at {percent(last.sparsity)}")
    if not shown:
        return None
    sparsity_axis(axes, shown)
    axes.set_ylabel("accuracy against dense, points")
    legend(figure, axes, columns=1)
    return picture(
        "report_plot",
        "Quality against sparsity, every run",
        "Change of test accuracy against the dense network: " + "; ".join(told) + ".",
        "Tickets of each run against their own seed's dense network, mean over the seeds.",
        figure,
    )
