"""How the mask settled: the distance of each mask to those before it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ticketsmith.report.pictures.axes import SIZE
from ticketsmith.report.pictures.drawing import picture
from ticketsmith.report.pictures.palette import GATE, PAPER
from ticketsmith.report.tickets.masks import mask
from ticketsmith.report.tickets.section import Result, Section, figure, slug, styled
from ticketsmith.report.view import Fact
from ticketsmith.report.words import percent, plural


@styled
def early_bird_distances(result: Result) -> Figure:
    """The distance of the mask of each check (down) to the masks before it (across)."""
    checks: Sequence[Mapping[str, Any]] = result["checks"]
    newer, earlier = checks[1:], checks[:-1]
    matrix = np.full((max(1, len(newer)), max(1, len(earlier))), math.nan)
    for row, check in enumerate(newer):
        for back, distance in enumerate(reversed(check["distances"])):
            if row - back >= 0:
                matrix[row, row - back] = distance
    shown = np.ma.masked_invalid(matrix)
    drawn = Figure(figsize=(SIZE[0], SIZE[0] * 0.82), layout="constrained")
    axes = drawn.add_subplot()
    mesh = axes.pcolormesh(
        shown, cmap="viridis_r", vmin=0, edgecolors=PAPER, linewidth=1.2 if len(checks) <= 40 else 0
    )
    top = float(shown.max()) if shown.count() else 1.0
    if len(checks) <= 12:
        for row, column in zip(*np.nonzero(~np.isnan(matrix)), strict=True):
            value = matrix[row, column]
            axes.text(
                column + 0.5,
                row + 0.5,
                f"{value:.2g}",
                ha="center",
                va="center",
                fontsize=8,
                color="#ffffff" if value > 0.45 * top else "#111111",
            )
    if result["converged"] and newer:
        row = len(newer) - 1
        left = row + 1 - len(checks[-1]["distances"])
        axes.plot(
            [left, row + 1, row + 1, left, left],
            [row, row, row + 1, row + 1, row],
            color=GATE,
            linewidth=1.8,
            clip_on=False,
        )
    for side, shown_checks in ((axes.xaxis, earlier), (axes.yaxis, newer)):
        step = max(1, -(-len(shown_checks) // 14))
        side.set_ticks(
            [n + 0.5 for n in range(0, len(shown_checks), step)],
            [str(check["epoch"]) for check in shown_checks[::step]],
        )
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("epoch of the earlier mask")
    axes.set_ylabel("epoch of the newer mask")
    bar = drawn.colorbar(mesh, ax=axes, aspect=28, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(_quantity(result), fontsize=9.5)
    return drawn


def is_early_bird(result: Result) -> bool:
    return {"converged", "checks", "final_mask"} <= result.keys()


def early_bird(name: str, result: Result) -> Section:
    """A result of `compute_early_bird_tickets`, told."""
    checks = result["checks"]
    agreement = next((c["agreement"] for c in reversed(checks) if c["agreement"] is not None), None)
    threshold = result["convergence_threshold"]
    if result["converged"]:
        sentence = (
            f"The mask was stable after {plural(result['convergence_epoch'], 'epoch')}: it agrees with "
            f"those before it to {figure(agreement)}, and {figure(threshold)} was asked for."
        )
    else:
        sentence = (
            f"The mask was not stable within {plural(result['epochs'], 'epoch')}: it agreed with those "
            f"before it to {figure(agreement)}, and {figure(threshold)} was asked for."
        )
    drawn = [
        picture(
            f"{slug(name)}-distances",
            "Distance between masks",
            f"{_quantity(result).capitalize()} between the newest mask and those before it: "
            + "; ".join(
                f"epoch {c['epoch']} at most {max(c['distances']):.3f}"
                for c in checks
                if c["distances"]
            ),
            "Each line is a mask, each cell its distance to an earlier one in the queue."
            + (" Framed: the line that was stable." if result["converged"] else ""),
            early_bird_distances(result),
        )
    ]
    final = mask(f"{name}-final", result["final_mask"])
    return Section(
        name,
        "Early-bird ticket",
        sentence,
        (
            Fact(
                "Stable after",
                str(result["convergence_epoch"]) if result["converged"] else "not found",
                f"epochs, of {result['epochs']} trained",
            ),
            Fact(
                "Agreement",
                figure(agreement),
                f"{figure(threshold)} asked for, by {result['distance']}",
            ),
            Fact("Sparsity", percent(result["sparsity"]), "of the final mask"),
        ),
        (*drawn, *final.pictures),
        final.tables,
        cautions=final.cautions,
    )


def _quantity(result: Result) -> str:
    return (
        "1 - rank correlation"
        if result["distance"] == "spearman"
        else "normalised Hamming distance"
    )
