"""The tickets that were kept, and the one an experiment stands for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ticketsmith.experiment.contract import Key, Timing
from ticketsmith.experiment.gates import VALIDATION, higher_is_better
from ticketsmith.experiment.ledger import figure
from ticketsmith.experiment.spec import GateMetric
from ticketsmith.experiment.status import Best, RoundStatus
from ticketsmith.experiment.steps import round_name

THROUGHPUT: Final = "samplesPerSecond"
"""Begins the benchmark's metrics samplesPerSecond1, samplesPerSecond32, ...: the batch size follows."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket round that passed, with the figures it is ranked by."""

    name: str
    key: Key
    seed: int
    level: int
    sparsity: float
    metric: float
    """On the test set."""
    validation: float
    drop: float
    """Quality lost against the same seed's dense round on the test set; negative is a gain."""


def kept(rounds: Mapping[str, RoundStatus], metric: GateMetric) -> tuple[Ticket, ...]:
    """The tickets that passed every gate and whose `metric` is known, beside their dense round's.

    They come by level, then seed, so that no tie between them depends on which finished first.
    """
    found = []
    sign = 1.0 if higher_is_better(metric) else -1.0
    for one in rounds.values():
        if one.arm != "ticket" or one.state != "Done" or one.gate == "failed":
            continue
        if one.key is None or one.seed is None or one.level is None or one.sparsity is None:
            continue
        test, validation = one.metrics.get(metric), one.metrics.get(VALIDATION[metric])
        dense = rounds[round_name("dense", one.seed, 0)].metrics.get(metric)
        if test is None or validation is None or dense is None:
            continue
        found.append(
            Ticket(
                name=one.name,
                key=one.key,
                seed=one.seed,
                level=one.level,
                sparsity=figure(one.sparsity),
                metric=figure(test),
                validation=figure(validation),
                drop=figure(sign * (figure(dense) - figure(test))),
            )
        )
    return tuple(sorted(found, key=lambda ticket: (ticket.level, ticket.seed)))


def choose(tickets: Iterable[Ticket], metric: GateMetric) -> Ticket | None:
    """Of the level that the most seeds pass (of such levels the deepest), the ticket that validates best.

    The test set has no say: it would be chosen on what it is then reported on. The lowest seed wins a tie.
    """
    by_level = Counter[int]()
    tickets = tuple(tickets)
    for ticket in tickets:
        by_level[ticket.level] += 1
    if not by_level:
        return None
    level = max(by_level, key=lambda n: (by_level[n], n))
    sign = 1.0 if higher_is_better(metric) else -1.0
    return max(
        (ticket for ticket in tickets if ticket.level == level),
        key=lambda ticket: (sign * ticket.validation, -ticket.seed),
    )


def best(
    tickets: Sequence[Ticket], chosen: Ticket | None, seeds: int, speedup: float | None
) -> Best | None:
    """What the status says of the chosen ticket."""
    if chosen is None:
        return None
    return Best(
        round=chosen.name,
        level=chosen.level,
        sparsity=chosen.sparsity,
        metric=chosen.metric,
        drop=chosen.drop,
        seeds_passed=sum(ticket.level == chosen.level for ticket in tickets),
        seeds=seeds,
        speedup=speedup,
        artifact=chosen.key,
    )


def measured_speedup(timings: Iterable[Timing], key: Key | None, batch_size: int) -> float | None:
    """The artifact's largest speedup at that batch size over its execution paths; None unless its interval
    lies above 1."""
    ratios = [
        timing.speedup
        for timing in timings
        if timing.round == key and timing.batch_size == batch_size and timing.is_speedup
    ]
    return max(ratios, default=None)


def measured_throughput(timings: Iterable[Timing], key: Key | None) -> dict[str, float]:
    """Samples per second of the artifact at each batch size timed, by its median pass on its fastest execution path."""
    fastest: dict[str, float] = {}
    for timing in timings:
        if timing.round == key:
            name = f"{THROUGHPUT}{timing.batch_size}"
            fastest[name] = max(fastest.get(name, 0.0), timing.samples_per_second)
    return fastest
