"""How one experiment fares level by level, as gauges. Pure."""

from collections.abc import Iterator
from statistics import fmean
from typing import get_args

from ticketsmith.experiment.contract import TrainArm
from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.levels import levels
from ticketsmith.experiment.spec import GateMetric
from ticketsmith.experiment.status import Status

Figure = tuple[str, tuple[str, ...], float]
"""A gauge, its labels beside namespace and name, and its value."""


def ladder(status: Status, metric: GateMetric) -> Iterator[Figure]:
    """Sparsity, quality and drop of each level, means over the seeds that are done.

    `metric` is the one that tickets are ranked by; it is read from the test set, as `status.best` does.
    """
    rounds = recall(status.rounds, status.ledger).values()
    trained = {one.arm for one in rounds if one.state == "Done"} - {"dense"}
    arms = [arm for arm in get_args(TrainArm) if arm in trained] or ["ticket"]
    for arm in arms:
        for one in levels(rounds, metric, arm):
            if one.level == 0 and arm != arms[0]:
                continue  # the dense level stands at the foot of every arm's
            level = str(one.level)
            if one.level == 0 or arm == "ticket":
                yield "level_sparsity_ratio", (level,), one.sparsity
            made_by = arm if one.level else "dense"
            yield "level_quality", (made_by, level, metric), fmean(one.quality.values())
            if one.drop:
                yield "level_drop", (made_by, level), fmean(one.drop.values())


def first_level_failures(status: Status) -> int | None:
    """Seeds whose ticket of the first level failed its gates; None while none was held to any."""
    filed = (line for line in status.ledger if "-l01 " in line)  # to read them all would be slow
    first = recall((one for one in status.rounds if one.level == 1), filed).values()
    verdicts = [one.gate for one in first if one.arm == "ticket" and one.gate is not None]
    return verdicts.count("failed") if verdicts else None
