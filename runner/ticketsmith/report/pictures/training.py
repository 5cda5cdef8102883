"""How training went: learning curves, and when early stopping would have ended it."""

from collections.abc import Callable, Sequence

from matplotlib.ticker import LogLocator, NullLocator

from ticketsmith.experiment.results import Evaluation
from ticketsmith.report.findings import Curve, Row, curve
from ticketsmith.report.pictures.axes import empty, legend, line, short, sparsity_axis
from ticketsmith.report.pictures.drawing import Picture, picture
from ticketsmith.report.pictures.palette import ARM_COLOURS, DEPTHS
from ticketsmith.report.runs import Run
from ticketsmith.report.telling import best_row
from ticketsmith.report.words import ARM_NAMES, percent, plural


def learning(run: Run, table: Sequence[Row], prefix: str) -> Picture | None:
    """How validation accuracy rises over training."""
    curves = _chosen_curves(run, table, lambda evaluation: 100 * evaluation.val_accuracy)
    return _curves(f"{prefix}learning", "Learning curves", "validation accuracy, %", curves)


def losses(run: Run, table: Sequence[Row], prefix: str) -> Picture | None:
    """How validation loss falls over training, and where it turns."""
    curves = _chosen_curves(run, table, lambda evaluation: evaluation.val_loss)
    return _curves(f"{prefix}losses", "Validation loss", "validation loss, nats", curves, log=True)


def stopping(run: Run, table: Sequence[Row], prefix: str) -> Picture | None:
    """When early stopping would have ended training, by sparsity."""
    del run
    known = [row for row in table if row.stopping]
    if not any(row.arm != "dense" for row in known):
        return None
    figure, axes = empty()
    for arm in ("random", "reinit", "ticket"):
        mine = [row for row in known if row.arm == arm or (arm == "ticket" and row.arm == "dense")]
        line(axes, arm, [(r.sparsity, r.stopping) for r in mine if r.stopping])
    sparsity_axis(axes, table)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("steps")
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    legend(figure, axes)
    return picture(
        f"{prefix}stopping",
        "Early-stopping step",
        "Mean step of the lowest validation loss: "
        + "; ".join(
            f"{ARM_NAMES[r.arm].lower()} at {percent(r.sparsity)} {r.stopping.mean:,.0f}"
            for r in known
            if r.stopping
        ),
        "Mean over the seeds of the step with the lowest validation loss, with its 95% interval; "
        "lower is a network that learns faster.",
        figure,
    )


def _chosen_curves(
    run: Run, table: Sequence[Row], measure: Callable[[Evaluation], float]
) -> list[tuple[str, str, str, Curve]]:
    """Label, colour, line style and curve of: dense, up to three ticket levels, the control at the last."""
    tickets = [row for row in table if row.arm == "ticket"]
    best = best_row(run, table)
    wanted = {0, len(tickets) // 2, len(tickets) - 1}
    if best:
        wanted.add(tickets.index(best))
    picked = [tickets[index] for index in sorted(wanted) if 0 <= index < len(tickets)]
    lines: list[tuple[str, str, str, Curve]] = []

    def add(row: Row, name: str, colour: str, style: str) -> None:
        found = curve(row, measure)
        if found:
            lines.append((name, colour, style, found))

    for row in table:
        if row.arm == "dense":
            add(row, "Dense", ARM_COLOURS["dense"], "--")
    for row, colour in zip(picked, DEPTHS, strict=False):
        add(row, f"Ticket {percent(row.sparsity)}", colour, "-")
    if picked:
        for row in table:
            if row.arm == "reinit" and row.level == picked[-1].level:
                add(row, f"Re-init. {percent(row.sparsity)}", ARM_COLOURS["reinit"], "-.")
    return lines


def _curves(
    name: str,
    title: str,
    quantity: str,
    lines: Sequence[tuple[str, str, str, Curve]],
    *,
    log: bool = False,
) -> Picture | None:
    if not lines:
        return None
    figure, axes = empty()
    for label, colour, style, found in lines:
        mean = [value.mean for value in found.values]
        axes.plot(found.iterations, mean, style, color=colour, label=label, linewidth=1.6)
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.set_xlabel("optimizer steps")
    axes.set_ylabel(quantity)
    legend(figure, axes)
    ends = "; ".join(f"{label} ends at {found.values[-1].mean:.4g}" for label, _, _, found in lines)
    seeds = max(value.n for _, _, _, found in lines for value in found.values)
    return picture(
        name,
        title,
        f"{quantity.capitalize()} over training steps: {ends}.",
        f"Measured on the validation split, mean over {plural(seeds, 'seed')}.",
        figure,
    )
