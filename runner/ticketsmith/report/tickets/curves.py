"""Sparsity against performance: what one-shot pruning leaves, and what rounds of training and pruning leave."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from ticketsmith.report.pictures.axes import empty, legend, sparsity_ticks
from ticketsmith.report.pictures.drawing import Picture, picture
from ticketsmith.report.pictures.layers import layer_map
from ticketsmith.report.pictures.palette import (
    ARM_COLOURS,
    ARM_MARKS,
    GATE,
    RUN_COLOURS,
    RUN_LINES,
    RUN_MARKS,
)
from ticketsmith.report.tables import Table
from ticketsmith.report.tickets.masks import left_of
from ticketsmith.report.tickets.section import Result, Section, figure, layer_name, slug, styled
from ticketsmith.report.view import Fact
from ticketsmith.report.words import MISSING, percent


@styled
def sparsity_curves(results: Mapping[str, Result]) -> Figure:
    """Retention against sparsity of one or several results of `compute_pruning_robustness`, by name.

    Raises:
        ValueError: One result is given by itself.
    """
    if "sparsity_curves" in results:
        raise ValueError("results is one result: give it a name, e.g. {'magnitude': result}")
    drawn, axes = empty()
    alone = len(results) == 1
    seen: list[float] = [0.0]
    axes.axhline(100, color=ARM_COLOURS["dense"], linestyle="--", label="Dense")
    tolerances = {result["tolerance"] for result in results.values()}
    if len(tolerances) == 1:
        axes.axhline(
            100 * (1 - tolerances.pop()),
            color=GATE,
            linestyle=":",
            linewidth=1.4,
            label="Tolerance",
        )
    for number, (name, result) in enumerate(results.items()):
        points = list(result["sparsity_curves"].values())
        seen += [point["sparsity"] for point in points]
        x = [1.0, *(1 / (1 - point["sparsity"]) for point in points)]
        if alone and all("random_retention" in point for point in points):
            axes.plot(
                x,
                [100, *(100 * point["random_retention"] for point in points)],
                color=ARM_COLOURS["random"],
                marker=ARM_MARKS["random"],
                label="Random, same layers",
            )
        axes.plot(
            x,
            [100, *(100 * point["performance_retention"] for point in points)],
            color=ARM_COLOURS["ticket"] if alone else RUN_COLOURS[number % len(RUN_COLOURS)],
            marker=RUN_MARKS[number % len(RUN_MARKS)],
            linestyle=RUN_LINES[number // len(RUN_COLOURS) % len(RUN_LINES)],
            label="Pruned" if alone else name,
        )
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    sparsity_ticks(axes, seen)
    axes.set_ylabel("performance kept, %")
    legend(drawn, axes, columns=2)
    return drawn


def is_robustness(result: Result) -> bool:
    return {"sparsity_curves", "robustness_metrics"} <= result.keys()


def robustness(name: str, result: Result) -> Section:
    """A result of `compute_pruning_robustness`, told."""
    curves, metrics = result["sparsity_curves"], result["robustness_metrics"]
    kept = percent(1 - result["tolerance"], 0)
    critical = metrics["critical_sparsity"]
    last = max(curves)
    fall = (
        f"performance first falls below {kept} of dense at {percent(critical)}"
        if critical is not None
        else f"performance never falls below {kept} of dense, up to {percent(last)}"
    )
    told = _told(name, result)
    drawn = [
        picture(
            f"{slug(name)}-curve",
            "Performance against sparsity",
            f"Share of the dense network's {result['metric']} kept as weights are removed in one shot: {told}.",
            _meaning(result),
            sparsity_curves({name: result}),
        )
    ]
    if "masks" in result:
        drawn.append(_levels(name, result))
    facts = [
        Fact("Optimal sparsity", percent(metrics["optimal_sparsity"]), f"keeps {kept} or more"),
        Fact(
            "Critical sparsity",
            MISSING if critical is None else percent(critical),
            "not reached" if critical is None else f"first level below {kept}",
        ),
        Fact(
            "Score", f"{metrics['winning_ticket_score']:.3f}", "mean retention, one shot, at most 1"
        ),
    ]
    if "random_score" in metrics:
        facts.append(
            Fact(
                "Over random masks",
                f"{metrics['score_over_random']:+.3f}".replace("-", "\N{MINUS SIGN}"),
                f"random masks score {metrics['random_score']:.3f}",
            )
        )
    return Section(
        name,
        "Pruning robustness",
        f"Pruned in one shot, {fall}.",
        tuple(facts),
        tuple(drawn),
        (_table(result),),
        (
            f"Retention is {result['retention_definition']}, on one batch of {result['samples']:,} samples. Optimal "
            "sparsity is the sparsest level up to which retention stays within the tolerance, critical sparsity the "
            "first at which it does not.",
            "The score is the mean of retention, counted as at most 1, over sparsity. It describes one-shot pruning "
            "without training, and does not show that a level is a winning ticket.",
        ),
    )


def compared(results: Mapping[str, Result]) -> Picture:
    """Several results in one picture."""
    return picture(
        "sparsity-curves",
        "Pruning strategies side by side",
        "Share of performance kept as weights are removed: "
        + "; ".join(_told(name, result) for name, result in results.items())
        + ".",
        "Each line is one result, each point a level that was measured; nothing is read off between them.",
        sparsity_curves(results),
    )


@styled
def _levels(name: str, result: Result) -> Picture:
    masks = result["masks"]
    levels = sorted(masks)
    layers = list(masks[levels[0]])
    left = [[100 * left_of(masks[level][layer]) for level in levels] for layer in layers]
    told = "; ".join(f"{n} {line[-1]:.1f}%" for n, line in zip(layers, left, strict=True))
    return picture(
        f"{slug(name)}-layers",
        "Weights left in each layer",
        f"Share of each layer's weights left at {percent(levels[-1])}: {told}.",
        "Percent of each layer's prunable weights that are kept, by the level of the whole network.",
        layer_map(
            [layer_name(n) for n in layers],
            [percent(level) for level in levels],
            left,
            "weights removed in the whole network",
        ),
    )


def _meaning(result: Result) -> str:
    random = all("random_retention" in point for point in result["sparsity_curves"].values())
    said = f"Retention is {result['retention_definition']}. The scale is even in pruning rounds."
    return (
        f"{said} Random masks keep as many weights of each layer as the pruned network."
        if random
        else said
    )


def _told(name: str, result: Result) -> str:
    points = list(result["sparsity_curves"].values())
    return f"{name} " + ", ".join(
        f"{_share(point['performance_retention'])} at {percent(point['sparsity'])}"
        for point in points
    )


def _share(value: float) -> str:
    return "no figure" if math.isnan(value) else percent(value)


def _table(result: Result) -> Table:
    curves: Sequence[Result] = list(result["sparsity_curves"].values())
    random = all("random_retention" in point for point in curves)
    accuracy = any(point["accuracy"] is not None for point in curves)
    head = ["Sparsity", "Weights left", "Loss", "Loss / dense"]
    head += (["Accuracy"] if accuracy else []) + ["Performance kept"]
    head += ["Random masks keep"] if random else []
    rows = []
    for point in curves:
        cells = [
            percent(point["sparsity"], 2),
            f"{point['kept']:,}",
            figure(point["loss"]),
            figure(point["loss_ratio"]),
        ]
        if accuracy:
            cells.append(MISSING if point["accuracy"] is None else percent(point["accuracy"], 2))
        cells.append(_share(point["performance_retention"]))
        if random:
            cells.append(_share(point["random_retention"]))
        rows.append(tuple(cells))
    best = result["robustness_metrics"]["optimal_sparsity"]
    strong = frozenset(n for n, level in enumerate(result["sparsity_curves"]) if level == best)
    dense = f"Dense: loss {figure(result['baseline_loss'])}"
    if result["baseline_accuracy"] is not None:
        dense += f", accuracy {percent(result['baseline_accuracy'], 2)}"
    return Table("Every level", tuple(head), tuple(rows), f"{dense}.", strong=strong)
