"""What is said of several experiments side by side, in the order it is said; terminal, page and files lay it out."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ticketsmith.experiment.levels import Measure
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.report.page import lay_out
from ticketsmith.report.runs import Run
from ticketsmith.report.side_by_side.asked import Asked, asked
from ticketsmith.report.side_by_side.cautions import cautions
from ticketsmith.report.side_by_side.matching import Match, matches
from ticketsmith.report.side_by_side.sides import Side, side
from ticketsmith.report.side_by_side.tables import differences, outcomes, qualities
from ticketsmith.report.side_by_side.telling import findings, headline
from ticketsmith.report.side_by_side.words import MEASURE_NAMES
from ticketsmith.report.tables import Table
from ticketsmith.report.words import listed

MOST = 12
"""Experiments at once: more lines than that are told apart by nobody."""


@dataclass(frozen=True, slots=True)
class View:
    """A comparison, told."""

    sides: tuple[Side, ...]
    asked: tuple[Asked, ...]
    matches: tuple[Match, ...]
    title: str
    subtitle: str
    headline: str
    cautions: tuple[str, ...]
    findings: tuple[str, ...]
    tables: tuple[Table, ...]
    method: tuple[str, ...]
    command: str


def view(runs: Sequence[tuple[str, Run]], measure: Measure) -> View:
    """Compare runs, each with the reference it was called by; the first is what the others are held against.

    Raises:
        BadSpec: there are fewer than two or more than MOST of them, or one is named twice.
    """
    if not 2 <= len(runs) <= MOST:
        raise BadSpec(f"compare takes 2 to {MOST} experiments, and {len(runs)} are named")
    sides = tuple(side(run, reference, measure) for reference, run in runs)
    fields = asked([one.run.experiment.spec for one in sides])
    found = matches(sides)
    return View(
        sides=sides,
        asked=fields,
        matches=found,
        title=f"{listed([one.label for one in sides])} side by side",
        subtitle=f"{MEASURE_NAMES[measure]} of {len(sides)} experiments, {sides[0].label} first",
        headline=headline(sides),
        cautions=cautions(sides, found),
        findings=findings(sides, found),
        tables=(differences(sides, fields), qualities(sides, found), outcomes(sides)),
        method=_METHOD,
        command=shlex.join(["ticketsmith", "compare", *(one.reference for one in sides)]),
    )


def html(shown: View) -> str:
    """One file that asks nobody for anything."""
    from ticketsmith.report.pictures.overlay import overlay

    return lay_out("comparison.html.j2", view=shown, pictures=overlay(shown.sides))


_METHOD = (
    "Levels are set side by side where their measured sparsities agree to 0.05 points. A level that only one "
    "experiment has stands alone: nothing is interpolated.",
    "Qualities are means over the seeds with 95% t-intervals. Where two experiments have seeds in common, their "
    "difference is the mean over those seeds of the difference within each seed, which takes the same initialisation "
    "and order of data out of it; where they have none, it is the difference of the means with Welch's interval.",
    "A drop is paired too: each ticket against the dense network of its own seed and its own experiment.",
)
