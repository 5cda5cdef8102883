"""What pruning really saved: measured ratios of time, with their intervals."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ticketsmith.experiment.contract import Timing
from ticketsmith.report.findings import Row, null_controls, timings
from ticketsmith.report.pictures.axes import SIZE
from ticketsmith.report.pictures.drawing import Picture, picture
from ticketsmith.report.pictures.palette import ARM_COLOURS, INK, MUTED
from ticketsmith.report.runs import Run
from ticketsmith.report.words import ARM_NAMES, percent, ratio, verdict


def speed(run: Run, table: Sequence[Row], prefix: str) -> Picture | None:
    """Every timing beside the dense network, and the dense network beside itself."""
    measured = timings(run)
    if not measured:
        return None
    levels = {k.status.key: (row.arm, row.sparsity) for row in table for k in row.rounds}
    lines: list[tuple[str, str, Timing]] = [
        (f"Dense again, batch {t.batch_size}", MUTED, t) for t in null_controls(run)
    ]
    for timing in sorted(
        measured, key=lambda t: (t.batch_size, t.path, levels.get(t.round, ("", 0.0))[1])
    ):
        arm, sparsity = levels.get(timing.round, ("ticket", None))
        name = ARM_NAMES[arm] if sparsity is None else f"{ARM_NAMES[arm]} {percent(sparsity)}"
        lines.append((f"{name}, batch {timing.batch_size}", ARM_COLOURS[arm], timing))
    figure = Figure(figsize=(SIZE[0], max(2.0, 0.9 + 0.27 * len(lines))), layout="constrained")
    axes = figure.add_subplot()
    for y, (_, colour, timing) in enumerate(lines):
        axes.plot(
            [timing.low, timing.high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt"
        )
        filled = colour if timing.is_speedup else "none"
        axes.plot(timing.speedup, y, "o", color=colour, markerfacecolor=filled, markeredgewidth=1.5)
    axes.axvline(1.0, color=INK, linewidth=1.0)
    axes.set_yticks(range(len(lines)), [name for name, _, _ in lines])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    low, high = min(t.low for _, _, t in lines), max(t.high for _, _, t in lines)
    margin = 0.08 * max(high - low, 0.1)
    axes.set_xlim(min(low, 0.95) - margin, max(high, 1.05) + margin)
    axes.set_xlabel("times as fast as the dense network")
    return picture(
        f"{prefix}speed",
        "Measured speed",
        "; ".join(f"{name}: {_told(colour, timing)}" for name, colour, timing in lines),
        f"Medians of paired, interleaved passes with 95% bootstrap intervals, path {measured[0].path}. A mark is "
        "filled where the whole interval lies above 1; grey is the dense network against a copy of itself.",
        figure,
    )


def _told(colour: str, timing: Timing) -> str:
    return ratio(timing) if colour == MUTED else verdict(timing)
