"""How the experiments of this moment stand, as gauges: one that is deleted is gone with the next look."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ticketsmith.experiment.best import THROUGHPUT
from ticketsmith.experiment.clock import unix
from ticketsmith.experiment.spec import LimitsSpec
from ticketsmith.experiment.status import Phase, Status
from ticketsmith.experiment.steps import BENCHMARK


@dataclass(frozen=True, slots=True)
class Seen:
    """One experiment as memory has it."""

    namespace: str
    name: str
    status: Status | None
    """None where none was written yet."""
    limits: LimitsSpec | None = None
    """None where the spec cannot be read."""


_WHO = ("namespace", "name")
_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
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
    "deadline_ratio": ("Time the experiment has run, of limits.deadlineSeconds.", _WHO),
}
Figure = tuple[str, tuple[str, ...], float]
"""A gauge, its labels beside namespace and name, and its value."""


class ExperimentCollector(Collector):
    """Gauges of these experiments at the Unix time `now`."""

    def __init__(self, experiments: Sequence[Seen], now: float) -> None:
        self._experiments = experiments
        self._now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The families, those without a sample included."""
        yield _phases(self._experiments)
        gauges = {
            name: GaugeMetricFamily(f"ticketsmith_experiment_{name}", text, labels=labels)
            for name, (text, labels) in _GAUGES.items()
        }
        for seen in self._experiments:
            if seen.status is None:
                continue
            for name, labels, value in _figures(seen.status, seen.limits, self._now):
                gauges[name].add_metric((seen.namespace, seen.name, *labels), value)
        yield from gauges.values()


def _phases(experiments: Iterable[Seen]) -> GaugeMetricFamily:
    count: dict[Phase, int] = dict.fromkeys(get_args(Phase), 0)
    for seen in experiments:
        count["Pending" if seen.status is None else seen.status.phase] += 1
    family = GaugeMetricFamily(
        "ticketsmith_experiments", "Experiments that exist.", labels=("phase",)
    )
    for phase, number in count.items():
        family.add_metric((phase,), number)
    return family


def _figures(status: Status, limits: LimitsSpec | None, now: float) -> Iterator[Figure]:
    """What is known of one experiment; what is not known is left out rather than told as 0."""
    usage, best = status.usage, status.best
    if usage.currency is not None:
        yield "cost", (usage.currency,), float(usage.cost)
        if limits is not None and limits.max_cost:
            yield "budget_ratio", (), float(usage.cost / limits.max_cost)
    yield "gpu_seconds", (), usage.gpu_seconds
    settled, _, planned = (status.progress or "").partition("/")
    if settled.isdecimal() and planned.isdecimal() and int(planned):
        yield "progress_ratio", (), int(settled) / int(planned)
    if limits is not None and limits.deadline_seconds:
        yield "deadline_ratio", (), _active_seconds(status, now) / limits.deadline_seconds
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
