"""What newly happened between two statuses of one experiment. Pure.

Counters are fed from the statuses that were written, not from the calls that led there: what was never written did not
happen, and what was written once is counted once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from ticketsmith.experiment.gates import judge
from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.spec import GateMetric, GateSpec
from ticketsmith.experiment.status import GateVerdict, Phase, RoundStatus, Status
from ticketsmith.experiment.steps import round_name

Outcome = Literal["done", "failed", "retried", "interrupted", "stopped"]
"""How an attempt ended: failed is for good, retried failed and is tried again, interrupted ended through no fault of
its own, stopped was asked to end."""
Pair = tuple[RoundStatus | None, RoundStatus]
"""A round as it was known, if it was, and as it is now."""
Attempt = tuple[str, int]
"""Name of a round and number of the attempt."""
_FAILURES = {"failed", "retried"}


@dataclass(frozen=True, slots=True)
class Changes:
    """What the later of two statuses adds. Nothing here is ever negative."""

    ended: tuple[tuple[str, Outcome], ...] = ()
    """Arm and outcome of every attempt that ended."""
    durations: tuple[tuple[str, float], ...] = ()
    """Arm of every round that is newly done, and the seconds of all its attempts."""
    verdicts: tuple[tuple[GateMetric, GateVerdict], ...] = ()
    """Metric and verdict of every gate that was newly applied."""
    gpu_seconds: float = 0.0
    cost: Decimal = Decimal(0)
    """In the later status's currency."""
    failed: frozenset[Attempt] = frozenset()
    """The attempts that failed, tried again or not."""
    failed_seconds: float = 0.0
    """How long those ran."""


def changes(before: Status | None, after: Status, gates: Sequence[GateSpec]) -> Changes:
    """Compare two statuses; `gates` are those of the spec that `after` was decided by.

    Only rounds that differ are looked at, so the ledger of a long experiment costs next to nothing. A figure that went
    down (a status edited by hand) counts as unchanged.
    """
    before = before or Status()
    pairs = changed(before, after)
    ended = list(_ended(pairs, after.phase))
    failed = [(old, one) for old, one, outcome in ended if outcome in _FAILURES]
    return Changes(
        ended=tuple((one.arm, outcome) for _, one, outcome in ended),
        durations=tuple((one.arm, one.duration_seconds) for old, one in pairs if _is_new(old, one)),
        verdicts=tuple(_verdicts(pairs, gates, after)),
        gpu_seconds=max(0.0, after.usage.gpu_seconds - before.usage.gpu_seconds),
        cost=max(Decimal(0), after.usage.cost - before.usage.cost),
        failed=frozenset((one.name, (old or one).attempts) for old, one in failed),
        failed_seconds=sum(_seconds(old, one) for old, one in failed),
    )


def changed(before: Status, after: Status) -> list[Pair]:
    """The rounds that differ."""
    filed_before, filed_after = set(before.ledger), set(after.ledger)
    known = recall(before.rounds, filed_before - filed_after)
    now = recall(after.rounds, filed_after - filed_before)
    return [(known.get(one.name), one) for one in now.values() if known.get(one.name) != one]


def _is_new(old: RoundStatus | None, one: RoundStatus) -> bool:
    """Whether the round is done and was not before."""
    return one.state == "Done" and (old is None or old.state != "Done")


def _seconds(old: RoundStatus | None, one: RoundStatus) -> float:
    """What the attempt that ended added to the round's time."""
    return max(0.0, one.duration_seconds - (old.duration_seconds if old is not None else 0.0))


def _ended(
    pairs: Sequence[Pair], phase: Phase
) -> Iterator[tuple[RoundStatus | None, RoundStatus, Outcome]]:
    for old, one in pairs:
        outcome = outcome_of(old, one, phase)
        if outcome is not None:
            yield old, one, outcome


def outcome_of(old: RoundStatus | None, one: RoundStatus, phase: Phase) -> Outcome | None:
    """How the attempt that was known to run has ended; None if it has not, or was counted before."""
    if old is not None and old.state in {"Done", "Failed", "Stopped"}:
        return None
    if one.state == "Done":
        return "done"
    if one.state == "Failed":
        return "failed"
    if old is None:
        return None
    if one.failures > old.failures:
        return "retried"
    if old.state != "Running":
        return None
    if one.state == "Stopped" or (one.state == "Waiting" and phase == "Suspended"):
        return "stopped"
    return "interrupted" if one.state == "Waiting" or one.attempts > old.attempts else None


def _verdicts(
    pairs: Sequence[Pair], gates: Sequence[GateSpec], after: Status
) -> Iterator[tuple[GateMetric, GateVerdict]]:
    """Status keeps one verdict a round; where several gates stand behind a failure, each is asked again."""
    for old, one in pairs:
        if one.gate is None or (old is not None and old.gate is not None):
            continue
        if one.gate == "passed" or len(gates) == 1:
            yield from ((gate.metric, one.gate) for gate in gates)
        else:
            dense = _dense_metrics(after, one.seed)
            for gate in gates:
                yield gate.metric, "failed" if judge((gate,), dense, one.metrics) else "passed"


def _dense_metrics(after: Status, seed: int | None) -> Mapping[str, float]:
    dense = recall(after.rounds, after.ledger).get(round_name("dense", seed or 0, 0))
    return {} if dense is None else dense.metrics
