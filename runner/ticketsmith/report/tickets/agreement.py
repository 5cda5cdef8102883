"""How far rankings of the same weights agree, pair by pair."""

import numpy as np
from matplotlib.figure import Figure

from ticketsmith.report.pictures.axes import SIZE
from ticketsmith.report.pictures.drawing import picture
from ticketsmith.report.pictures.palette import INK, PAPER
from ticketsmith.report.tables import Table
from ticketsmith.report.tickets.section import Result, Section, figure, slug, styled
from ticketsmith.report.view import Fact
from ticketsmith.report.words import percent

_MEASURES = (("spearman", "Rank correlation"), ("top_k_overlap", "Kept weights shared"))


@styled
def rank_agreement(result: Result) -> Figure:
    """Rank correlation and shared kept weights of every pair, as two matrices."""
    names = result["names"]
    drawn = Figure(figsize=(SIZE[0] + 0.3, 3.05), layout="constrained")
    pair = drawn.subplots(1, 2, sharey=True)
    for axes, (measure, title) in zip(pair, _MEASURES, strict=True):
        values = np.asarray(result[measure], dtype=float)
        axes.pcolormesh(
            np.ma.masked_invalid(values),
            cmap="viridis",
            vmin=min(0.0, float(np.nanmin(values))),
            vmax=1,
            edgecolors=PAPER,
            linewidth=1.5,
        )
        if len(names) <= 8:
            for (row, column), value in np.ndenumerate(values):
                axes.text(
                    column + 0.5,
                    row + 0.5,
                    f"{value:.2f}" if np.isfinite(value) else "none",
                    ha="center",
                    va="center",
                    fontsize=8 if len(names) <= 5 else 6.5,
                    color="#ffffff" if not value > 0.6 else "#111111",
                )
        axes.set_title(title, loc="left", color=INK, fontsize=9.5)
        ticks = [n + 0.5 for n in range(len(names))]
        axes.set_xticks(ticks, names, rotation=40, ha="right", rotation_mode="anchor", fontsize=9)
        axes.set_yticks(ticks, names, fontsize=9)
        axes.set_aspect("equal")
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    pair[0].invert_yaxis()
    return drawn


def is_agreement(result: Result) -> bool:
    return {"pairs", "spearman", "top_k_overlap", "names"} <= result.keys()


def agreement(name: str, result: Result) -> Section:
    """A result of `compute_rank_agreement` or `compute_optimizer_agreement`, told."""
    pairs = result["pairs"]
    least = min(pairs, key=lambda pair: pairs[pair]["top_k_overlap"])
    drawn = picture(
        f"{slug(name)}-agreement",
        "Agreement of rankings",
        "; ".join(
            f"{pair}: rank correlation {figure(said['spearman'], 3)}, {percent(said['top_k_overlap'])} of the kept "
            "weights shared"
            for pair, said in pairs.items()
        ),
        f"Left: Spearman's rank correlation, of {result['compared']:,} weights. Right: the share of kept weights that "
        f"both keep at {percent(result['sparsity'])} sparsity; by chance {percent(result['chance_overlap'])}.",
        rank_agreement(result),
    )
    facts = [
        Fact("Least agreement", percent(pairs[least]["top_k_overlap"]), least),
        Fact("By chance", percent(result["chance_overlap"]), f"{result['kept']:,} weights kept"),
    ]
    between, within = result.get("between_optimizers"), result.get("within_optimizers")
    if between:
        facts.append(
            Fact(
                "Between optimizers", percent(between["top_k_overlap"]), "same seed, mean of pairs"
            )
        )
    if within:
        facts.append(
            Fact(
                "Within an optimizer", percent(within["top_k_overlap"]), "other seed, mean of pairs"
            )
        )
    rows = tuple(
        (
            pair,
            figure(said["spearman"]),
            percent(said["top_k_overlap"], 2),
            percent(said["excess_over_chance"], 2),
        )
        for pair, said in pairs.items()
    )
    sentence = f"The rankings of {least} share the fewest kept weights, {percent(pairs[least]['top_k_overlap'])}."
    if between and within:
        sentence = (
            f"Two optimizers share {percent(between['top_k_overlap'])} of the kept weights, two seeds of one optimizer "
            f"{percent(within['top_k_overlap'])}."
        )
    return Section(
        name,
        "Rank agreement",
        sentence,
        tuple(facts),
        (drawn,),
        (Table("Pairs", ("Pair", "Spearman", "Kept weights shared", "Over chance"), rows),),
    )
