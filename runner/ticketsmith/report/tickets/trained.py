"""Tickets and controls that were trained: rounds of iterative pruning, and the sanity controls beside a ticket."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from ticketsmith.report.pictures.axes import SIZE, empty, legend, sparsity_ticks
from ticketsmith.report.pictures.drawing import picture
from ticketsmith.report.pictures.palette import ARM_COLOURS, ARM_MARKS, DEPTHS, INK
from ticketsmith.report.tables import Table
from ticketsmith.report.tickets.section import Result, Section, figure, slug, styled
from ticketsmith.report.view import Fact
from ticketsmith.report.words import ARM_NAMES, MISSING, percent

_COLOURS = {**ARM_COLOURS, "shuffled": DEPTHS[2]}
_NAMES = {**ARM_NAMES, "shuffled": "Shuffled in layer"}
_MEASURES = (("quality", "quality"), ("accuracy", "accuracy"), ("loss", "loss"))


@styled
def pruning_rounds(result: Result) -> Figure:
    """What every round of training and pruning reached, against sparsity, with the controls at the last."""
    measure, name = _measure(result["rounds"])
    rounds = [one for one in result["rounds"] if one.get(measure) is not None]
    drawn, axes = empty()
    if rounds[0]["sparsity"] == 0:
        axes.axhline(rounds[0][measure], color=ARM_COLOURS["dense"], linestyle="--", label="Dense")
    axes.plot(
        [1 / (1 - one["sparsity"]) for one in rounds],
        [one[measure] for one in rounds],
        color=ARM_COLOURS["ticket"],
        marker=ARM_MARKS["ticket"],
        label="Ticket",
    )
    last = 1 / (1 - rounds[-1]["sparsity"])
    for kind, values in _controls(result).items():
        axes.plot(
            [last] * len(values),
            values,
            ARM_MARKS.get(kind, "v"),
            color=_COLOURS.get(kind, INK),
            label=_NAMES.get(kind, kind),
        )
    sparsity_ticks(axes, [one["sparsity"] for one in rounds])
    axes.set_ylabel(name)
    legend(drawn, axes)
    return drawn


@styled
def control_bars(result: Result) -> Figure:
    """The performance of the ticket and of each control."""
    found = result["performance"]
    drawn = Figure(figsize=(SIZE[0], 1.1 + 0.42 * len(found)), layout="constrained")
    axes = drawn.add_subplot()
    rows = list(range(len(found)))
    axes.hlines(
        rows,
        min(0.0, *found.values()),
        list(found.values()),
        color=[_COLOURS.get(n, INK) for n in found],
    )
    for row, (control, value) in enumerate(found.items()):
        axes.plot(
            value, row, ARM_MARKS.get(control, "v"), color=_COLOURS.get(control, INK), markersize=7
        )
        axes.annotate(
            figure(value),
            (value, row),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
        )
    axes.set_yticks(rows, [_NAMES.get(control, control) for control in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.margins(x=0.15)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("performance")
    return drawn


def is_rounds(result: Result) -> bool:
    rounds = result.get("rounds")
    if not isinstance(rounds, Sequence) or not rounds or not isinstance(rounds[0], Mapping):
        return False
    return "sparsity" in rounds[0] and any(
        one.get(m) is not None for one in rounds for m, _ in _MEASURES
    )


def rounds(name: str, result: Result) -> Section:
    """What iterative magnitude pruning found, told."""
    measure, called = _measure(result["rounds"])
    known = [one for one in result["rounds"] if one.get(measure) is not None]
    first, last = known[0], known[-1]
    drawn = picture(
        f"{slug(name)}-rounds",
        "Performance against sparsity",
        f"{called.capitalize()} after each round: "
        + ", ".join(f"{figure(one[measure])} at {percent(one['sparsity'])}" for one in known),
        "Each point is one training of one seed. The scale is even in pruning rounds.",
        pruning_rounds(result),
    )
    rows = tuple(
        (
            str(one.get("round", number)),
            percent(one["sparsity"], 2),
            figure(one.get("kept")),
            *(figure(one.get(m)) for m, _ in _MEASURES),
        )
        for number, one in enumerate(result["rounds"])
    )
    facts = [
        Fact("Sparsity", percent(last["sparsity"], 2), f"{figure(last.get('kept'))} weights left"),
        Fact("Ticket", figure(last[measure]), called),
        Fact("Dense", figure(first[measure]) if first["sparsity"] == 0 else MISSING, called),
    ]
    for kind, values in _controls(result).items():
        facts.append(
            Fact(
                _NAMES.get(kind, kind),
                figure(sum(values) / len(values)),
                f"{called}, mean of {len(values)}",
            )
        )
    return Section(
        name,
        "Iterative pruning",
        f"At {percent(last['sparsity'])} sparsity {called} is {figure(last[measure])}, against "
        f"{figure(first[measure])} at {percent(first['sparsity'])}.",
        tuple(facts),
        (drawn,),
        (
            Table(
                "Rounds",
                ("Round", "Sparsity", "Weights left", *(n.capitalize() for _, n in _MEASURES)),
                rows,
            ),
        ),
        tuple(f"Method: {result[key]}." for key in ("method",) if result.get(key)),
    )


def is_controls(result: Result) -> bool:
    return {"performance", "gap", "revived"} <= result.keys()


def controls(name: str, result: Result) -> Section:
    """A result of `compute_sanity_controls`, told."""
    found, gap, revived = result["performance"], result["gap"], result["revived"]
    named = {control: _NAMES.get(control, control) for control in found}
    if gap:
        nearest = min(gap, key=lambda control: gap[control])
        verb = "no better than" if gap[nearest] <= 0 else f"better by {figure(gap[nearest])} than"
        sentence = f"The ticket does {verb} its best control, {named[nearest].lower()}."
    else:
        sentence = "The controls were trained without the ticket."
    drawn = picture(
        f"{slug(name)}-controls",
        "The ticket and its controls",
        "; ".join(f"{named[control]} {figure(value)}" for control, value in found.items()),
        "One training each, from the same weights, with the same budget and random numbers.",
        control_bars(result),
    )
    rows = tuple(
        (
            named[control],
            figure(value),
            figure(gap.get(control)),
            f"{result['kept'][control]:,}",
            f"{revived[control]:,}",
        )
        for control, value in found.items()
    )
    back = [named[control] for control, count in revived.items() if count]
    return Section(
        name,
        "Sanity controls",
        sentence,
        tuple(
            Fact(named[control], figure(value), "performance") for control, value in found.items()
        ),
        (drawn,),
        (
            Table(
                "Controls",
                (
                    "Network",
                    "Performance",
                    "Ticket's lead",
                    "Weights kept",
                    "Weights that came back",
                ),
                rows,
            ),
        ),
        ("One training each says little: compare means over several seeds.",),
        (
            (
                f"Training did not keep the mask ({', '.join(back)}): the figures do not mean what they should.",
            )
            if back
            else ()
        ),
    )


def _measure(rounds: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    return next(
        (measure, name)
        for measure, name in _MEASURES
        if any(one.get(measure) is not None for one in rounds)
    )


def _controls(result: Result) -> dict[str, list[float]]:
    """Kind -> quality of each control, of those measured as the rounds are."""
    if _measure(result["rounds"])[0] != "quality":
        return {}
    found: dict[str, list[float]] = {}
    for control in result.get("controls") or ():
        found.setdefault(control["kind"], []).append(control["quality"])
    return found
