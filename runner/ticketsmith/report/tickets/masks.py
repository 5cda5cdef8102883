"""Where in the network a mask keeps weights."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from ticketsmith.report.pictures.axes import SIZE
from ticketsmith.report.pictures.drawing import picture
from ticketsmith.report.pictures.palette import ARM_COLOURS, GRID, INK
from ticketsmith.report.tables import Table
from ticketsmith.report.tickets.section import Result, Section, layer_name, slug, styled
from ticketsmith.report.view import Fact
from ticketsmith.report.words import percent, plural

MOST = 60
"""Layers that a picture draws each with its name; of more, every so many are named."""


@styled
def layer_sparsity(mask: Mapping[str, Any]) -> Figure:
    """How much of each layer is pruned, beside the whole network."""
    counts = counts_of(mask)
    total = _overall(counts)
    height = min(9.0, max(1.9, 0.95 + 0.25 * len(counts)))
    drawn = Figure(figsize=(SIZE[0], height), layout="constrained")
    axes = drawn.add_subplot()
    pruned = [100 * (1 - kept / all_) for kept, all_ in counts.values()]
    rows = range(len(counts))
    axes.barh(rows, [100] * len(counts), height=0.62, color=GRID)
    axes.barh(rows, pruned, height=0.62, color=ARM_COLOURS["ticket"])
    axes.axvline(100 * total, color=INK, linewidth=1.1, linestyle="--")
    axes.annotate(
        f"whole network {percent(total)}",
        (100 * total, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 5),
        textcoords="offset points",
        ha="right" if total > 0.5 else "left",
        color=INK,
        fontsize=9.5,
    )
    few = len(counts) <= 24
    step = max(1, -(-len(counts) // MOST))
    names = [layer_name(name) for name in counts]
    axes.set_yticks(list(rows)[::step], names[::step])
    if few:
        for row, value in enumerate(pruned):
            axes.text(103, row, f"{value:.1f}%", va="center", fontsize=9, color=INK)
    axes.set_xlim(0, 118 if few else 100)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("weights removed, %")
    return drawn


def is_mask(result: Result) -> bool:
    return bool(result) and all(_is_bool(value) for value in result.values())


def mask(name: str, result: Result) -> Section:
    """A mask, told."""
    counts = {layer: count for layer, count in counts_of(result).items() if count[1]}
    kept, total = (sum(part) for part in zip(*counts.values(), strict=True))
    most = max(counts, key=lambda layer: 1 - counts[layer][0] / counts[layer][1])
    least = min(counts, key=lambda layer: 1 - counts[layer][0] / counts[layer][1])
    empty = [layer for layer, (left, _) in counts.items() if not left]
    drawn = picture(
        f"{slug(name)}-layers",
        "Sparsity of each layer",
        "Share of weights removed: "
        + "; ".join(f"{n} {percent(1 - k / t)}" for n, (k, t) in counts.items()),
        "Weights removed of each layer's prunable ones; the dashed line is the whole network.",
        layer_sparsity(result),
    )
    rows = tuple(
        (
            layer,
            percent(1 - left / all_, 2),
            f"{left:,}",
            f"{all_:,}",
            percent(left / kept if kept else 0.0),
        )
        for layer, (left, all_) in counts.items()
    )
    return Section(
        name,
        "Mask",
        f"The mask removes {percent(1 - kept / total, 2)} of {total:,} weights, from {_share(counts[least])} of "
        f"layer {layer_name(least)} to {_share(counts[most])} of layer {layer_name(most)}.",
        (
            Fact("Sparsity", percent(1 - kept / total, 2), f"{kept:,} of {total:,} weights left"),
            Fact("Layers", f"{len(counts)}", f"{plural(len(empty), 'layer')} without any weight"),
        ),
        (drawn,),
        (Table("Layers", ("Layer", "Sparsity", "Kept", "Weights", "Share of the kept"), rows),),
        cautions=(
            (f"The mask keeps no weight of {', '.join(empty)}: no signal passes there.",)
            if empty
            else ()
        ),
    )


def counts_of(mask: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Layer -> weights kept, weights in all."""
    return {name: (int(kept.count_nonzero()), kept.numel()) for name, kept in mask.items()}


def left_of(kept: Any) -> float:
    """The share of a layer that its mask keeps."""
    return int(kept.count_nonzero()) / kept.numel() if kept.numel() else 0.0


def _overall(counts: Mapping[str, tuple[int, int]]) -> float:
    kept, total = (sum(part) for part in zip(*counts.values(), strict=True))
    return 1 - kept / total if total else 0.0


def _share(count: tuple[int, int]) -> str:
    return percent(1 - count[0] / count[1])


def _is_bool(value: Any) -> bool:
    return str(getattr(value, "dtype", "")) == "torch.bool"
