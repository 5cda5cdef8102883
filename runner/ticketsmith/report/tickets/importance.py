"""Heat maps of scores: which rows and columns of each layer matter, averaged over blocks where a layer is large."""

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray
from torch import Tensor

from ticketsmith.report.pictures.axes import SIZE
from ticketsmith.report.pictures.drawing import picture
from ticketsmith.report.pictures.palette import INK, MUTED
from ticketsmith.report.tables import Table
from ticketsmith.report.tickets.section import (
    Result,
    Section,
    figure,
    layer_name,
    slug,
    styled,
)
from ticketsmith.report.view import Fact
from ticketsmith.report.words import plural

CELLS = 48
"""Cells of a heat map across and down, at most."""
LAYERS = 12
"""Heat maps in a picture, at most: of more layers, so many evenly spaced."""
DECADES = 4
"""Powers of ten that the colours span at most, down from the largest mean."""


@styled
def importance_maps(scores: Mapping[str, Tensor]) -> Figure:
    """A heat map of each layer, all on one scale: outputs down, inputs across."""
    maps = {name: block_means(scores[name]) for name in chosen(scores)}
    values = np.concatenate([cells.ravel() for cells in maps.values()])
    norm, shade = _scale(values[np.isfinite(values)])
    columns = 2 if len(maps) in (2, 4) else min(3, len(maps))
    rows = -(-len(maps) // columns)
    drawn = Figure(figsize=(SIZE[0] + 0.4, 0.5 + 1.75 * rows), layout="constrained")
    grid = drawn.subplots(rows, columns, squeeze=False)
    for axes, (name, cells) in zip(grid.flat, maps.items(), strict=False):
        axes.imshow(cells, cmap=shade, norm=norm, aspect="auto", interpolation="nearest")
        axes.set_title(layer_name(name, 20), fontsize=9, color=INK, loc="left", pad=3)
        axes.set_xlabel(_shape(scores[name]), fontsize=8, color=MUTED, labelpad=2)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
    for axes in list(grid.flat)[len(maps) :]:
        axes.set_visible(False)
    mappable = grid.flat[0].images[0]
    bar = drawn.colorbar(mappable, ax=grid, shrink=0.9, aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label("mean score", fontsize=9)
    bar.ax.tick_params(labelsize=8.5)
    if isinstance(norm, LogNorm):
        # Plain numbers: powers as formulas would not follow the page's colours.
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    return drawn


def is_importance(result: Result) -> bool:
    return bool(result) and all(
        isinstance(value, Tensor) and value.is_floating_point() and value.dim()
        for value in result.values()
    )


def importance(name: str, result: Result) -> Section:
    """Scores by parameter name, told."""
    figures = {layer: _figures(scores) for layer, scores in result.items() if scores.numel()}
    total = sum(scores.numel() for scores in result.values())
    sums = {layer: found[0] * result[layer].numel() for layer, found in figures.items()}
    top = max(figures, key=lambda layer: figures[layer][0])
    zeros = sum(found[3] for found in figures.values())
    shown = chosen(result)
    drawn = picture(
        f"{slug(name)}-importance",
        "Importance of weights",
        f"Heat maps of {plural(len(shown), 'layer')}; mean score by layer: "
        + "; ".join(f"{layer} {found[0]:.3g}" for layer, found in figures.items()),
        "Outputs down, inputs across (a convolution's inputs times its kernel), each cell the mean of a block of "
        "weights, all layers on one scale."
        + (
            f" {len(shown)} of {len(result)} layers, evenly spaced."
            if len(shown) < len(result)
            else ""
        ),
        importance_maps(result),
    )
    everything = sum(sums.values())
    rows = tuple(
        (
            layer,
            f"{result[layer].numel():,}",
            figure(mean),
            figure(low),
            figure(high),
            figure(sums[layer] / everything if everything > 0 else None, 3),
        )
        for layer, (mean, low, high, _) in figures.items()
    )
    return Section(
        name,
        "Importance scores",
        f"Of {plural(len(result), 'layer')} the weights of layer {layer_name(top)} matter most on average.",
        (
            Fact("Weights scored", f"{total:,}", f"in {plural(len(result), 'layer')}"),
            Fact("Scores of zero", f"{zeros:,}", f"{100 * zeros / total:.2f}% of all"),
        ),
        (drawn,),
        (
            Table(
                "Scores of each layer",
                ("Layer", "Weights", "Mean", "Lowest", "Highest", "Share of the sum"),
                rows,
            ),
        ),
    )


def block_means(scores: Tensor, cells: int = CELLS) -> NDArray[np.float64]:
    """The scores as [outputs, inputs x kernel], averaged over blocks to at most `cells` each way.

    It reads some rows at a time, so that what is held beside the scores does not grow with the layer.
    """
    table = scores.detach()
    table = table.view(1, -1) if table.dim() == 1 else table
    down = min(cells, len(table))
    lines = []
    for rows in torch.tensor_split(table, down):
        width = rows[0].numel()
        line = torch.zeros(width, dtype=torch.float64, device=rows.device)
        for part in torch.split(rows, max(1, (1 << 22) // max(1, width))):
            line += part.reshape(len(part), -1).to(torch.float64).sum(0)
        line /= len(rows)
        lines.append([float(one.mean()) for one in torch.tensor_split(line, min(cells, width))])
    return np.array(lines, dtype=np.float64)


def chosen(scores: Mapping[str, Tensor]) -> list[str]:
    """The layers that are drawn: all, or LAYERS of them evenly spaced, first and last among them."""
    names = [name for name, tensor in scores.items() if tensor.numel()]
    if len(names) <= LAYERS:
        return names
    return [names[round(n * (len(names) - 1) / (LAYERS - 1))] for n in range(LAYERS)]


def _scale(values: NDArray[np.float64]) -> tuple[Normalize, str]:
    """Logarithmic for scores from 0 up, since they span powers of ten; else linear around 0."""
    if not values.size or values.min() == values.max():
        return Normalize(0, 1), "viridis"
    if values.min() < 0:
        reach = float(np.abs(values).max())
        return TwoSlopeNorm(0.0, -reach, reach), "RdBu_r"
    high = float(values.max())
    low = max(float(values[values > 0].min()), high / 10**DECADES)
    return LogNorm(low, high, clip=True) if low < high else Normalize(0, high), "viridis"


def _figures(scores: Tensor) -> tuple[float, float, float, int]:
    """Mean, lowest, highest, and how many are zero."""
    total, zeros, low, high = 0.0, 0, float("inf"), float("-inf")
    for part in torch.split(scores.detach().reshape(-1), 1 << 22):
        total += float(part.sum(dtype=torch.float64))
        zeros += int((part == 0).sum())
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    return total / scores.numel(), low, high, zeros


def _shape(scores: Tensor) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(str(size) for size in scores.shape)
