"""What newly came to an end between two statuses of one experiment, as spans. Pure.

Like the counters, spans are fed from the statuses that were written: what was written once is told once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ticketsmith.experiment.clock import unix
from ticketsmith.experiment.decision import Observed
from ticketsmith.experiment.endings import TERMINAL
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import RoundStatus, Status
from ticketsmith_operator.metrics.changes import Outcome, changed, outcome_of
from ticketsmith_operator.money.prices import Place

Value = str | int | float | bool
_SETTLED = {"Done", "Failed", "Stopped"}
_ENDINGS: Mapping[str, Outcome] = {"Done": "done", "Failed": "failed", "Stopped": "stopped"}


@dataclass(frozen=True, slots=True)
class Span:
    """Something that began and ended."""

    name: str
    path: tuple[str, ...]
    """(), the experiment; (round,); or (round, attempt): each is the child of the one above it."""
    start: float
    """Unix time in seconds."""
    end: float
    failed: bool
    attributes: Mapping[str, Value]
    """Figures and names; never what a container or a person wrote."""


@dataclass(frozen=True, slots=True)
class Change:
    """A status that was written in place of another."""

    namespace: str
    experiment: PruningExperiment
    before: Status | None
    after: Status
    place: Place
    """Where its rounds run."""
    observed: Sequence[Observed]
    """What it was decided on."""
    now: float


def spans(change: Change, begun: Mapping[str, float]) -> Iterator[Span]:
    """Every attempt, round and experiment that newly ended; `begun` is when rounds that were tried before first began.

    A round's only attempt is the round; the attempts of one that was tried again are spans of their own.
    """
    for old, one in changed(change.before or Status(), change.after):
        outcome = outcome_of(old, one, change.after.phase)
        settled = one.state in _SETTLED and (old is None or old.state not in _SETTLED)
        if outcome is None and not settled:
            continue
        start, end = moments(change, old, one)
        number = (old or one).attempts
        again = not settled or number > 1
        if outcome is not None and again:
            yield _attempt(change, one, outcome, number, (start, end))
        if settled:
            yield _round(change, one, begun.get(one.name), (start, end))
    if change.after.phase in TERMINAL and (
        change.before is None or change.before.phase not in TERMINAL
    ):
        yield from _experiment(change)


def moments(change: Change, old: RoundStatus | None, one: RoundStatus) -> tuple[float, float]:
    """When the attempt that ended began and ended, in Unix time. It is the node's word where that was seen; else it
    ended when that was decided, and lasted as long as was charged for it."""
    number = (old or one).attempts
    seen = next((s for s in change.observed if (s.name, s.attempt) == (one.name, number)), None)
    end = change.now if seen is None or seen.finished_at is None else seen.finished_at
    lasted = max(0.0, one.duration_seconds - (old.duration_seconds if old else 0.0))
    start = seen.started_at if seen is not None else None
    if start is None:
        known = None if old is None else old.started_at
        start = unix(known) if known else _reckoned(change, end, lasted)
    return min(start, end), end


def _reckoned(change: Change, end: float, lasted: float) -> float:
    """A start known by the length alone, which is rounded: it is not before the experiment's."""
    begun = change.after.started_at
    start = end - lasted
    return start if begun is None else min(end, max(start, unix(begun)))


def _attempt(
    change: Change, one: RoundStatus, outcome: Outcome, number: int, when: tuple[float, float]
) -> Span:
    attributes: dict[str, Value] = {
        **_where(change),
        "ticketsmith.round": one.name,
        "ticketsmith.attempt": number,
        "ticketsmith.outcome": outcome,
    }
    failed = outcome in {"failed", "retried"}
    return Span("attempt", (one.name, str(number)), *when, failed, attributes)


def _round(
    change: Change, one: RoundStatus, begun: float | None, last: tuple[float, float]
) -> Span:
    start, end = last
    is_estimated = begun is None and one.attempts > 1
    if begun is not None:
        start = begun
    elif is_estimated:  # what began before this operator did is known by its length alone
        start = _reckoned(change, end, one.duration_seconds)
    status = change.after
    known: dict[str, Value | None] = {
        **_where(change),
        "ticketsmith.round": one.name,
        "ticketsmith.arm": one.arm,
        "ticketsmith.seed": one.seed,
        "ticketsmith.level": one.level,
        "ticketsmith.sparsity": one.sparsity,
        "ticketsmith.outcome": _ENDINGS[one.state],
        "ticketsmith.gate": one.gate,
        "ticketsmith.key": one.key,
        "ticketsmith.attempts": one.attempts,
        "ticketsmith.failures": one.failures,
        "ticketsmith.work_seconds": one.duration_seconds,
        "ticketsmith.gpu_seconds": one.gpu_seconds,
        "ticketsmith.cost": float(one.cost) if status.usage.currency else None,
        "ticketsmith.currency": status.usage.currency,
        "ticketsmith.accelerator": change.place.accelerator,
        "ticketsmith.capacity": change.place.capacity,
        "ticketsmith.start_estimated": True if is_estimated else None,
        **{f"ticketsmith.metric.{name}": value for name, value in one.metrics.items()},
    }
    return Span(one.name, (one.name,), start, end, one.state == "Failed", _given(known))


def _experiment(change: Change) -> Iterator[Span]:
    status, spec = change.after, change.experiment.spec
    if status.started_at is None:
        return  # nothing ever ran
    start = unix(status.started_at)
    end = unix(status.finished_at) if status.finished_at else change.now
    best = status.best
    known: dict[str, Value | None] = {
        **_where(change),
        "ticketsmith.model": spec.model.name,
        "ticketsmith.dataset": spec.dataset.name,
        "ticketsmith.phase": status.phase,
        "ticketsmith.reason": status.reason,
        "ticketsmith.progress": status.progress,
        "ticketsmith.best.round": best.round if best else None,
        "ticketsmith.best.sparsity": best.sparsity if best else None,
        "ticketsmith.best.drop": best.drop if best else None,
        "ticketsmith.best.speedup": best.speedup if best else None,
        "ticketsmith.work_seconds": status.usage.duration_seconds,
        "ticketsmith.gpu_seconds": status.usage.gpu_seconds,
        "ticketsmith.cost": float(status.usage.cost) if status.usage.currency else None,
        "ticketsmith.currency": status.usage.currency,
    }
    yield Span("experiment", (), min(start, end), end, status.phase == "Failed", _given(known))


def _where(change: Change) -> dict[str, Value]:
    return {
        "k8s.namespace.name": change.namespace,
        "ticketsmith.experiment": change.experiment.metadata.name,
    }


def _given(known: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in known.items() if value is not None}
