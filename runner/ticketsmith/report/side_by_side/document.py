"""A comparison for programs: numbers as numbers, null where nothing was measured."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from ticketsmith.experiment.levels import Level
from ticketsmith.report.side_by_side.cautions import same_data
from ticketsmith.report.side_by_side.matching import Match, difference
from ticketsmith.report.side_by_side.sides import Side
from ticketsmith.report.side_by_side.view import View
from ticketsmith.report.stats import Estimate, estimate

_FIELDS = [
    *("sparsity", "experiment", "reference", "metric", "seeds", "mean", "low", "high"),
    *(
        "drop",
        "drop_low",
        "drop_high",
        "gain",
        "gain_low",
        "gain_high",
        "gain_seeds",
        "gain_paired",
    ),
]


def document(shown: View) -> dict[str, Any]:
    """All that a comparison found."""
    return {
        "metric": shown.sides[0].measure,
        "experiments": [_experiment(one) for one in shown.sides],
        "differences": [
            {"field": one.field, "values": list(one.values), "decidesResults": one.decides}
            for one in shown.asked
        ],
        "levels": [
            {"sparsity": match.sparsity, "experiments": _at(shown.sides, match)}
            for match in shown.matches
        ],
        "warnings": list(shown.cautions),
        "findings": list(shown.findings),
    }


def table(shown: View) -> str:
    """CSV with a header: one line for each experiment at each sparsity it measured."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_FIELDS)
    for match in shown.matches:
        for one, found in zip(shown.sides, _at(shown.sides, match), strict=True):
            if found is None:
                continue
            quality, drop, gain = found["quality"], found["drop"] or {}, found["gain"] or {}
            cells = [match.sparsity, one.label, one.reference, one.measure, quality["seeds"]]
            cells += [quality.get(name) for name in ("mean", "low", "high")]
            cells += [drop.get(name) for name in ("mean", "low", "high")]
            cells += [gain.get(name) for name in ("mean", "low", "high", "seeds", "paired")]
            writer.writerow(["" if cell is None else cell for cell in cells])
    return stream.getvalue()


def _experiment(one: Side) -> dict[str, Any]:
    status, row = one.run.status, one.best_row
    return {
        "name": one.run.experiment.metadata.name,
        "reference": one.reference,
        "phase": status.phase,
        "best": status.best.document() if status.best else None,
        "timings": [timing.document() for timing in row.timings] if row else [],
        "timedOn": list(one.timed_on),
        "usage": status.usage.document(),
        "wallSeconds": one.wall_seconds,
        "torch": list(one.torch),
        "ticketsmith": list(one.ticketsmith),
    }


def _at(sides: Sequence[Side], match: Match) -> list[dict[str, Any] | None]:
    first = match.levels[0]
    found: list[dict[str, Any] | None] = []
    for number, level in enumerate(match.levels):
        if level is None:
            found.append(None)
            continue
        against = first if number and same_data(sides) else None
        found.append(
            {
                "level": level.level,
                "quality": _figures(level.quality),
                "drop": _figures(level.drop) if level.drop else None,
                "gain": _gain(against, level, sides[0]) if against else None,
            }
        )
    return found


def _figures(by_seed: Mapping[int, float]) -> dict[str, Any]:
    said = estimate(list(by_seed.values()))
    return _said(said) | {"bySeed": {str(seed): value for seed, value in by_seed.items()}}


def _gain(first: Level, level: Level, of: Side) -> dict[str, Any]:
    """On the first experiment: positive is better."""
    apart = difference(first, level, of)
    return _said(apart.estimate) | {"paired": apart.paired}


def _said(said: Estimate) -> dict[str, Any]:
    return {"mean": said.mean, "low": said.low, "high": said.high, "seeds": said.n}
