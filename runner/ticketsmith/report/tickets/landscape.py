"""The loss around a network's weights: contours over two directions, a line over one."""

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from ticketsmith.report.pictures.axes import SIZE, empty
from ticketsmith.report.pictures.drawing import picture
from ticketsmith.report.pictures.palette import ARM_COLOURS, INK
from ticketsmith.report.tickets.section import Result, Section, figure, slug, styled
from ticketsmith.report.view import Fact

_LEVELS = 16
_SPAN = 12.0
"""From this ratio of the largest to the smallest loss on, the scale is logarithmic."""


@styled
def loss_landscape(result: Result) -> Figure:
    """Filled contours of the loss with the network in the middle, or its curve along one direction."""
    x, loss = np.asarray(result["x"]), np.asarray(result["loss"])
    log = _logarithmic(loss)
    if loss.ndim == 1:
        drawn, axes = empty()
        axes.plot(x, loss, color=ARM_COLOURS["ticket"])
        axes.plot([0], [result["center_loss"]], "o", color=INK, markersize=6)
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("distance along the direction, in filter norms")
        axes.set_ylabel("loss")
        return drawn
    shown = np.ma.masked_invalid(loss.T)
    low, high = float(shown.min()), float(shown.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    levels = np.geomspace(low, high, _LEVELS) if log else np.linspace(low, high, _LEVELS)
    levels[0], levels[-1] = low, high
    norm = LogNorm(low, high) if log else Normalize(low, high)
    drawn = Figure(figsize=(SIZE[0], SIZE[0] * 0.84), layout="constrained")
    axes = drawn.add_subplot()
    y = np.asarray(result["y"])
    filled = axes.contourf(x, y, shown, levels=levels, norm=norm, cmap="viridis")
    lines = axes.contour(
        x, y, shown, levels=levels[1:-1:2], colors="#ffffff", linewidths=0.6, alpha=0.7
    )
    axes.clabel(lines, fmt=lambda value: f"{value:.3g}", fontsize=7.5, inline_spacing=3)
    axes.plot([0], [0], "o", color="#ffffff", markeredgecolor="#111111", markersize=6.5)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.set_xlabel("first direction, in filter norms")
    axes.set_ylabel("second direction")
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = drawn.colorbar(filled, ax=axes, aspect=28, pad=0.02)
    bar.outline.set_visible(False)
    ticks = levels[::3]
    bar.set_ticks(list(ticks), labels=[f"{tick:.3g}" for tick in ticks])
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.set_label("loss" + (" (log scale)" if log else ""), fontsize=9.5)
    return drawn


def is_landscape(result: Result) -> bool:
    return {"center_loss", "loss", "x", "normalization"} <= result.keys()


def landscape(name: str, result: Result) -> Section:
    """A result of `compute_loss_landscape`, told."""
    loss = np.asarray(result["loss"])
    finite = loss[np.isfinite(loss)]
    low = float(finite.min()) if finite.size else float("nan")
    high = float(finite.max()) if finite.size else float("nan")
    below = int((finite < result["center_loss"]).sum())
    two = loss.ndim == 2
    drawn = picture(
        f"{slug(name)}-landscape",
        "Loss landscape",
        f"Loss around the network, from {low:.4g} to {high:.4g}; {result['center_loss']:.4g} at the network itself.",
        f"Seed {result['seed']}, {'directions' if two else 'direction'} scaled filter by filter to the network's own "
        "norms (Li et al. 2018). "
        + ("Pruned weights are held at zero. " if result["masked"] else "")
        + "The mark is the network. A slice shows what lies on it, and nothing of other directions.",
        loss_landscape(result),
    )
    broken = loss.size - finite.size
    return Section(
        name,
        "Loss landscape",
        f"The loss is {figure(float(result['center_loss']))} at the network; over the slice it goes from {low:.4g} to "
        f"{high:.4g}, and {below} of {loss.size} points lie below the network.",
        (
            Fact("At the network", figure(float(result["center_loss"])), "loss"),
            Fact("Lowest", figure(low), f"of {loss.size:,} points"),
            Fact("Highest", figure(high), f"up to {result['radius']:g} filter norms away"),
        ),
        (drawn,),
        cautions=(
            (f"At {broken} points the loss is no number; they are left blank.",) if broken else ()
        ),
    )


def _logarithmic(loss: NDArray[np.float64]) -> bool:
    finite = loss[np.isfinite(loss)]
    return bool(finite.size and finite.min() > 0 and finite.max() / finite.min() > _SPAN)
