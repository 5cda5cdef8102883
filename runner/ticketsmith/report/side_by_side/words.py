"""How a comparison writes its figures."""

from collections.abc import Sequence

from ticketsmith.experiment.levels import Level, Measure, is_better_high
from ticketsmith.report.side_by_side.matching import Difference
from ticketsmith.report.stats import Estimate, estimate
from ticketsmith.report.words import accuracy, percent, plural, signed

MEASURE_NAMES: dict[Measure, str] = {
    "accuracy": "Test accuracy",
    "loss": "Test loss",
    "valAccuracy": "Validation accuracy",
    "valLoss": "Validation loss",
}
UNITS = {True: "points", False: "of loss"}


def quality(level: Level, measure: Measure) -> str:
    """Mean and 95% interval over the seeds, e.g. 97.92% [97.70, 98.14]."""
    return value(estimate(list(level.quality.values())), measure)


def drop(level: Level, measure: Measure) -> str | None:
    """What was lost against the same seeds' dense rounds; None where no seed has both."""
    values = list(level.drop.values())
    return gain(estimate(values), measure) if values else None


def value(said: Estimate, measure: Measure) -> str:
    if is_better_high(measure):
        return accuracy(said)
    return f"{said.mean:.4g}{_bounds(said, 1, 4)}"


def gain(said: Estimate, measure: Measure) -> str:
    """A difference with its sign, accuracies in percentage points, e.g. +0.21 [−0.10, 0.52]."""
    factor, digits = (100, 2) if is_better_high(measure) else (1, 4)
    plus = "+" if round(factor * said.mean, digits) > 0 else ""
    return f"{plus}{signed(factor * said.mean, digits)}{_bounds(said, factor, digits)}"


def told(found: Difference, measure: Measure) -> str:
    """A difference, and on what it rests, on a second line."""
    how = plural(found.estimate.n, "seed")
    return f"{gain(found.estimate, measure)}\n{'paired, ' if found.paired else 'unpaired, '}{how}"


def sparsities(values: Sequence[float]) -> str:
    """36.0%, 48.8%."""
    return ", ".join(percent(value) for value in values)


def _bounds(said: Estimate, factor: float, digits: int) -> str:
    if said.low is None or said.high is None:
        return ""
    return f" [{signed(factor * said.low, digits)}, {signed(factor * said.high, digits)}]"
