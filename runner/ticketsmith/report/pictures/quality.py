"""How good, how small: quality against sparsity, and the tickets that no other beats."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes

from ticketsmith.report.findings import Row
from ticketsmith.report.pictures.axes import apart, empty, legend, line, short, sparsity_axis
from ticketsmith.report.pictures.drawing import Picture, picture
from ticketsmith.report.pictures.palette import ARM_COLOURS, ARM_MARKS, GATE
from ticketsmith.report.runs import Run
from ticketsmith.report.stats import Estimate
from ticketsmith.report.words import ARM_NAMES, percent, plural, signed


def quality(run: Run, table: Sequence[Row], prefix: str) -> Picture | None:
    """Test accuracy against sparsity, each arm with its seeds, mean and interval."""
    arms = _arms(table)
    if not any(arm != "dense" for arm in arms):
        return None
    figure, axes = empty()
    dense = next((row.accuracy for row in table if row.arm == "dense"), None)
    if dense:
        axes.axhline(100 * dense.mean, color=ARM_COLOURS["dense"], linestyle="--", label="Dense")
        _gateline(axes, run, dense.mean)
    for arm in ("random", "reinit", "ticket"):
        _armline(axes, arm, [row for row in table if row.arm == arm and row.accuracy])
    sparsity_axis(axes, table)
    axes.set_ylabel("test accuracy, %")
    legend(figure, axes)
    seeds = plural(len({s for row in table for s in row.accuracies}), "seed")
    return picture(
        f"{prefix}report_plot",
        "Quality against sparsity",
        "Test accuracy against the share of weights removed: "
        + "; ".join(_told(arm, [r for r in table if r.arm == arm]) for arm in arms),
        f"Small marks are seeds ({seeds}), lines their mean, bands the 95% interval of the mean. "
        "The scale is even in pruning rounds.",
        figure,
    )


def closeup(run: Run, table: Sequence[Row], prefix: str) -> Picture | None:
    """The tickets alone, each against its own seed's dense network: where quality begins to drop."""
    mine = [(row, row.drop) for row in table if row.arm == "ticket" and row.drop]
    if not mine:
        return None
    baseline = next(row.accuracies for row in table if row.arm == "dense")
    figure, axes = empty()
    axes.axhline(0.0, color=ARM_COLOURS["dense"], linestyle="--", label="Dense")
    for gate in run.experiment.spec.gates:
        if gate.metric == "accuracy" and gate.max_drop is not None:
            axes.axhline(-100 * gate.max_drop, color=GATE, linestyle=":", label="Gate")
    line(axes, "ticket", [(row.sparsity, _scaled(drop, -100)) for row, drop in mine])
    for row, _ in mine:
        changes = [
            100 * (a - baseline[seed]) for seed, a in row.accuracies.items() if seed in baseline
        ]
        _seeds(axes, "ticket", row, changes)
    sparsity_axis(axes, [row for row, _ in mine])
    axes.set_ylabel("accuracy against dense, points")
    legend(figure, axes)
    told = "; ".join(
        f"{signed(-100 * drop.mean)} points at {percent(r.sparsity)}" for r, drop in mine
    )
    return picture(
        f"{prefix}closeup",
        "Tickets against their dense networks",
        f"Change of test accuracy, tickets against dense, by share of weights removed: {told}.",
        "Each seed's ticket against the same seed's dense network. The gate judges the validation split, so a "
        "ticket near its line may fall on either side.",
        figure,
    )


def frontier(run: Run, table: Sequence[Row], prefix: str) -> Picture | None:
    """Which tickets no other beats in both sparsity and quality."""
    tickets = [row for row in table if row.arm == "ticket" and row.accuracy]
    kept = sorted(run.status.pareto, key=lambda point: point.sparsity)
    points = [(r.remaining, 100 * r.metrics["accuracy"]) for row in tickets for r in row.results]
    known = {k.status.name: k.result for k in run.rounds if k.result}
    front = [
        (result.remaining, 100 * result.metrics["accuracy"])
        for point in kept
        if (result := known.get(point.round)) and result.remaining and "accuracy" in result.metrics
    ]
    if not front:
        return None
    figure, axes = empty()
    axes.plot(
        *zip(*points, strict=True), "o", color=ARM_COLOURS["ticket"], alpha=0.45, label="Tickets"
    )
    axes.plot(
        *zip(*sorted(front), strict=True),
        color=ARM_COLOURS["dense"],
        marker="o",
        drawstyle="steps-post",
        label="Beaten by no other",
    )
    axes.set_xscale("log")
    spread = apart([row.remaining or 1.0 for row in tickets])
    axes.set_xticks(spread, [short(float(f"{count:.3g}")) for count in spread])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("prunable weights left (log scale)")
    axes.set_ylabel("test accuracy, %")
    legend(figure, axes)
    return picture(
        f"{prefix}pareto",
        "Smallest network for each quality",
        f"Test accuracy against prunable weights left; {plural(len(front), 'ticket')} beaten by no other, from "
        f"{min(front)[1]:.2f}% with {min(front)[0]:,} weights to {max(front)[1]:.2f}% with {max(front)[0]:,}.",
        "Every ticket of every seed; the line joins those that no other beats in both size and accuracy.",
        figure,
    )


def _arms(table: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row.arm for row in table))


def _gateline(axes: Axes, run: Run, dense: float) -> None:
    for gate in run.experiment.spec.gates:
        if gate.metric == "accuracy":
            level = dense - gate.max_drop if gate.max_drop is not None else gate.worst
            axes.axhline(
                100 * (level or 0.0), color=GATE, linestyle=":", linewidth=1.4, label="Gate"
            )
            return


def _armline(axes: Axes, arm: str, mine: Sequence[Row]) -> None:
    line(axes, arm, [(row.sparsity, _scaled(row.accuracy, 100)) for row in mine if row.accuracy])
    for row in mine:
        _seeds(axes, arm, row, [100 * value for value in row.accuracies.values()])


def _seeds(axes: Axes, arm: str, row: Row, values: Sequence[float]) -> None:
    """Small marks, one for each seed."""
    axes.plot(
        [1 / (1 - row.sparsity)] * len(values),
        values,
        ARM_MARKS[arm],
        markersize=3.2,
        alpha=0.55,
        color=ARM_COLOURS[arm],
        markeredgewidth=0,
    )


def _scaled(value: Estimate, factor: float) -> Estimate:
    width = None if value.half_width is None else abs(factor) * value.half_width
    return Estimate(factor * value.mean, value.n, width)


def _told(arm: str, mine: Sequence[Row]) -> str:
    known = [(row.sparsity, row.accuracy) for row in mine if row.accuracy]
    if not known:
        return f"{ARM_NAMES[arm].lower()} not measured"
    ends = [known[0], known[-1]] if len(known) > 1 else [known[0]]
    figures = " to ".join(f"{percent(e.mean, 2)} at {percent(s)}" for s, e in ends)
    return f"{ARM_NAMES[arm].lower()} {figures}"
