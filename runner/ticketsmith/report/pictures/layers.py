"""Where in the network the surviving weights are."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ticketsmith.experiment.results import LayerCount
from ticketsmith.report.findings import Row
from ticketsmith.report.pictures.axes import SIZE
from ticketsmith.report.pictures.drawing import Picture, picture
from ticketsmith.report.pictures.palette import PAPER
from ticketsmith.report.runs import Run
from ticketsmith.report.words import percent


def layers(run: Run, table: Sequence[Row], prefix: str) -> Picture | None:
    """How much of each layer the tickets keep, by level."""
    del run
    tickets = [row for row in table if row.arm == "ticket" and any(k.layers for k in row.rounds)]
    if not tickets:
        return None
    names = [layer.name for layer in _layers(tickets[0])[0]]
    left = [[_left(row, name) for row in tickets] for name in names]
    figure = layer_map(
        names, [percent(r.sparsity) for r in tickets], left, "weights removed in the whole network"
    )
    last = "; ".join(f"{name} {line[-1]:.1f}%" for name, line in zip(names, left, strict=True))
    return picture(
        f"{prefix}layers",
        "Weights left in each layer",
        f"Share of each layer's weights left at {percent(tickets[-1].sparsity)} sparsity: {last}.",
        "Percent of each layer's prunable weights that the tickets keep, mean over the seeds.",
        figure,
    )


def layer_map(
    names: Sequence[str], columns: Sequence[str], left: Sequence[Sequence[float]], axis: str
) -> Figure:
    """Percent left, a line for each layer and a column for each level; figures in the cells if there are few."""
    figure = Figure(figsize=(SIZE[0], max(2.2, 1.1 + 0.34 * len(names))), layout="constrained")
    axes = figure.add_subplot()
    mesh = axes.pcolormesh(left, cmap="viridis", vmin=0, vmax=100, edgecolors=PAPER, linewidth=1.5)
    for y, line in enumerate(left):
        for x, value in enumerate(line):
            if len(columns) <= 10:
                shade = "#ffffff" if value < 60 else "#111111"
                text = f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"
                axes.text(
                    x + 0.5, y + 0.5, text, ha="center", va="center", color=shade, fontsize=8.5
                )
    axes.set_xticks([n + 0.5 for n in range(len(columns))], columns)
    if len(columns) > 6:
        axes.tick_params(axis="x", labelrotation=60)
    axes.set_yticks(
        [n + 0.5 for n in range(len(names))], [n.removesuffix(".weight") for n in names]
    )
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel(axis)
    if len(columns) > 10:
        figure.colorbar(mesh, ax=axes, label="% of the layer's weights left")
    return figure


def _layers(row: Row) -> list[tuple[LayerCount, ...]]:
    return [known.layers.layers for known in row.rounds if known.layers]


def _left(row: Row, name: str) -> float:
    counts = [
        layer
        for known in row.rounds
        if known.layers
        for layer in known.layers.layers
        if layer.name == name
    ]
    total = sum(layer.prunable for layer in counts)
    return 100 * sum(layer.remaining for layer in counts) / total if total else 0.0
