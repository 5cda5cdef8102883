"""Two tickets beside each other: what they share, and what chance would have them share."""

from matplotlib.figure import Figure

from ticketsmith.report.pictures.axes import SIZE, legend
from ticketsmith.report.pictures.drawing import picture
from ticketsmith.report.pictures.palette import ARM_COLOURS, GRID, MUTED
from ticketsmith.report.tables import Table
from ticketsmith.report.tickets.section import Result, Section, layer_name, slug, styled
from ticketsmith.report.view import Fact
from ticketsmith.report.words import MINUS, percent

_NAMES = {"jaccard": "Jaccard", "dice": "Dice", "overlap": "overlap coefficient"}


@styled
def ticket_overlap(result: Result) -> Figure:
    """Overlap of each layer and in all, joined to the level expected by chance."""
    lines = [
        ("Whole network", result["overall_overlap"], result["expected_by_chance"]),
        *(
            (layer_name(name), value, result["layer_expected"][name])
            for name, value in result["layer_overlaps"].items()
        ),
    ]
    height = min(9.0, max(2.2, 1.15 + 0.27 * len(lines)))
    drawn = Figure(figsize=(SIZE[0], height), layout="constrained")
    axes = drawn.add_subplot()
    rows = list(range(len(lines)))
    found, chance = [line[1] for line in lines], [line[2] for line in lines]
    axes.hlines(rows, 0, 1, color=GRID, linewidth=0.8)
    axes.hlines(rows, chance, found, color=ARM_COLOURS["ticket"], linewidth=2.4, alpha=0.55)
    axes.plot(chance, rows, "|", color=MUTED, markersize=11, markeredgewidth=2, label="By chance")
    axes.plot(
        found, rows, "o", color=ARM_COLOURS["ticket"], markersize=6.5, label="These two masks"
    )
    step = max(1, -(-len(lines) // 60))
    axes.set_yticks(rows[::step], [line[0] for line in lines][::step])
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"{_NAMES.get(result['method'], str(result['method']))} of kept weights")
    legend(drawn, axes)
    return drawn


def is_overlap(result: Result) -> bool:
    return {"overall_overlap", "layer_overlaps", "layer_expected"} <= result.keys()


def overlap(name: str, result: Result) -> Section:
    """A result of `compute_ticket_overlap`, told."""
    excess, deviation = result["excess_over_chance"], result["chance_deviation"]
    apart = abs(excess) / deviation if deviation else None
    method = _NAMES.get(result["method"], str(result["method"]))
    if apart is None:
        told = "masks with these counts can overlap in no other way"
    elif apart < 3:
        told = "about what two unrelated masks with these counts share"
    else:
        told = f"{'more' if excess > 0 else 'less'} than unrelated masks with these counts share"
    drawn = picture(
        f"{slug(name)}-overlap",
        "Overlap against chance",
        f"{method} of the kept weights {result['overall_overlap']:.3f}, by chance {result['expected_by_chance']:.3f}; "
        + "; ".join(
            f"{layer} {value:.3f}, by chance {result['layer_expected'][layer]:.3f}"
            for layer, value in result["layer_overlaps"].items()
        ),
        "Bars begin where two independent masks with the same number of kept weights in each layer would lie on "
        "average.",
        ticket_overlap(result),
    )
    rows = tuple(
        (
            layer,
            f"{value:.4f}",
            f"{result['layer_expected'][layer]:.4f}",
            _signed(result["layer_excess"][layer]),
        )
        for layer, value in result["layer_overlaps"].items()
    )
    return Section(
        name,
        "Ticket overlap",
        f"The tickets overlap by {result['overall_overlap']:.3f} ({method}), {told}.",
        (
            Fact("Overlap", f"{result['overall_overlap']:.3f}", f"{method}, whole network"),
            Fact(
                "By chance",
                f"{result['expected_by_chance']:.3f}",
                f"standard deviation {deviation:.2g}",
            ),
            Fact("Excess", _signed(excess, 3), f"{result['kept_by_both']:,} weights kept by both"),
            Fact(
                "Kept",
                percent(result["kept1"] / result["total"] if result["total"] else 0.0),
                f"and {percent(result['kept2'] / result['total'] if result['total'] else 0.0)}",
            ),
        ),
        (drawn,),
        (Table("Layers", ("Layer", method, "By chance", "Excess"), rows),),
        (
            "Chance means two masks that keep as many weights of each layer as these, drawn independently: the number "
            "they share is hypergeometric, and the expectation is exact.",
        ),
    )


def _signed(value: float, digits: int = 4) -> str:
    return f"{value:+.{digits}f}".replace("-", MINUS)
