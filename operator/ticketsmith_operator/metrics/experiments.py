"""How the experiments of this moment stand, as gauges: one that is deleted is gone with the next look."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ticketsmith.experiment.best import THROUGHPUT
from ticketsmith.experiment.clock import unix
from ticketsmith.experiment.endings import TERMINAL
from ticketsmith.experiment.spec import LimitsSpec
from ticketsmith.experiment.status import Status
from ticketsmith.experiment.steps import BENCHMARK
from ticketsmith_operator.metrics.census import phases, states
from ticketsmith_operator.metrics.ladder import Figure, first_level_failures, ladder
from ticketsmith_operator.metrics.seen import Seen
from ticketsmith_operator.metrics.under_way import Waits, under_way

LATELY_SECONDS = 3600.0
"""How long an experiment that has ended is still shown level by level."""
MOST_LADDERS = 200
"""Experiments shown level by level at most: each may take a hundred lines of the page."""


_WHO = ("namespace", "name")
_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "phase": ("1, for the phase it is in.", (*_WHO, "phase")),
    "finished_timestamp_seconds": ("Unix time at which it ended.", _WHO),
    "cost": ("Cost of its attempts so far.", (*_WHO, "currency")),
    "gpu_seconds": ("GPUs times seconds of its attempts so far.", _WHO),
    "progress_ratio": ("Rounds settled, of those planned.", _WHO),
    "best_sparsity_ratio": ("Measured sparsity of the best ticket.", _WHO),
    "metric_drop": ("Quality the best ticket lost against its dense network.", _WHO),
    "speedup_ratio": ("Measured speedup of the best ticket at the smallest batch.", _WHO),
    "throughput_samples_per_second": (
        "Measured throughput of the best ticket.",
        (*_WHO, "batch_size"),
    ),
    "budget_ratio": ("Cost so far, of limits.maxCost.", _WHO),
    "gpu_budget_ratio": ("GPU-hours so far, of limits.maxGpuHours.", _WHO),
    "deadline_ratio": ("Time the experiment has run, of limits.deadlineSeconds.", _WHO),
    "round_pending_seconds": ("Longest wait of a round for its Pod so far.", _WHO),
    "first_level_gate_failures": ("Seeds whose first ticket failed its gates.", _WHO),
    "level_sparsity_ratio": ("Measured sparsity of a level.", (*_WHO, "level")),
    "level_quality": ("Quality of a level on the test set.", (*_WHO, "arm", "level", "metric")),
    "level_drop": ("Quality a level lost against dense.", (*_WHO, "arm", "level")),
}


class ExperimentCollector(Collector):
    """Gauges of these experiments at the Unix time `now`; `waits` remembers from one collector to the next."""

    def __init__(self, experiments: Sequence[Seen], now: float, waits: Waits) -> None:
        self._experiments = experiments
        self._now = now
        self._waits = waits

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The families, those without a sample included."""
        rounds = {
            (seen.namespace, seen.name): tuple(under_way(seen.status))
            for seen in self._experiments
            if seen.status is not None
        }
        yield phases(self._experiments)
        yield states(self._experiments, rounds)
        gauges = {
            name: GaugeMetricFamily(f"ticketsmith_experiment_{name}", text, labels=labels)
            for name, (text, labels) in _GAUGES.items()
        }
        for who, seconds in self._waits.look(rounds, self._now):
            gauges["round_pending_seconds"].add_metric(who, seconds)
        for seen in self._experiments:
            for name, labels, value in _figures(seen, self._now):
                gauges[name].add_metric((seen.namespace, seen.name, *labels), value)
        for seen, status in _latest(self._experiments, self._now):
            for name, labels, value in ladder(status, seen.metric):
                gauges[name].add_metric((seen.namespace, seen.name, *labels), value)
        yield from gauges.values()


def _latest(experiments: Iterable[Seen], now: float) -> list[tuple[Seen, Status]]:
    """Those to be shown level by level: of those that have begun, the ones that began last."""
    begun = [
        (unix(seen.status.started_at), number, seen, seen.status)
        for number, seen in enumerate(experiments)
        if seen.status is not None and seen.status.started_at and _is_of_late(seen.status, now)
    ]
    return [(seen, status) for _, _, seen, status in nlargest(MOST_LADDERS, begun)]


def _is_of_late(status: Status, now: float) -> bool:
    """Whether the experiment is not over, or has not been for long."""
    if status.finished_at is None:
        return status.phase not in TERMINAL
    return now - unix(status.finished_at) < LATELY_SECONDS


def _figures(seen: Seen, now: float) -> Iterator[Figure]:
    """What is known of one experiment; what is not known is left out rather than told as 0."""
    yield "phase", (seen.phase,), 1.0
    if seen.status is None:
        return
    status, usage = seen.status, seen.status.usage
    if status.finished_at is not None and status.phase in TERMINAL:
        yield "finished_timestamp_seconds", (), unix(status.finished_at)
    if usage.currency is not None:
        yield "cost", (usage.currency,), float(usage.cost)
    yield "gpu_seconds", (), usage.gpu_seconds
    settled, _, planned = (status.progress or "").partition("/")
    if settled.isdecimal() and planned.isdecimal() and int(planned):
        yield "progress_ratio", (), int(settled) / int(planned)
    if seen.limits is not None:
        yield from _shares(status, seen.limits, now)
    if _is_of_late(status, now):
        failures = first_level_failures(status)
        if failures is not None:
            yield "first_level_gate_failures", (), failures
    yield from _best(status)


def _shares(status: Status, limits: LimitsSpec, now: float) -> Iterator[Figure]:
    """How much of each limit is used up."""
    usage = status.usage
    if limits.max_cost and usage.currency is not None:
        yield "budget_ratio", (), float(usage.cost / limits.max_cost)
    if limits.max_gpu_hours:
        yield "gpu_budget_ratio", (), usage.gpu_seconds / (3600 * float(limits.max_gpu_hours))
    if limits.deadline_seconds:
        yield "deadline_ratio", (), _active_seconds(status, now) / limits.deadline_seconds


def _best(status: Status) -> Iterator[Figure]:
    best = status.best
    if best is not None:
        yield "best_sparsity_ratio", (), best.sparsity
        yield "metric_drop", (), best.drop
        if best.speedup is not None:
            yield "speedup_ratio", (), best.speedup
    for one in status.rounds:
        if one.name == BENCHMARK:
            for name, value in one.metrics.items():
                if name.startswith(THROUGHPUT):
                    batch_size = name.removeprefix(THROUGHPUT)
                    yield "throughput_samples_per_second", (batch_size,), value


def _active_seconds(status: Status, now: float) -> float:
    """Seconds the deadline's clock has run; it stands still while the experiment is suspended or over."""
    since = max(0.0, now - unix(status.clock_since)) if status.clock_since else 0.0
    return status.active_seconds + since
