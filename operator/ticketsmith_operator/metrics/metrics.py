"""The counters and histograms of the operator, named as docs/metrics.md explains them."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ticketsmith import __version__
from ticketsmith.experiment.budget import cost
from ticketsmith.experiment.contract import Arm
from ticketsmith.experiment.decision import Observed
from ticketsmith.experiment.spec import GateSpec
from ticketsmith.experiment.status import Status
from ticketsmith_operator.metrics.changes import Changes, Outcome, changes
from ticketsmith_operator.money.prices import Place

Trouble = Literal["conflict", "refused", "unreachable", "bug"]
"""Why a reconcile failed. A closed set: a label must not grow with what goes wrong."""

_TOLD_BEFORE: tuple[Outcome, ...] = ("done", "failed", "retried")
"""Outcomes that are shown before there is one: shares are taken of them."""
_ROUND_SECONDS = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400)
_GAP_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.12, 0.25, 0.5, 1, 2.5, 10, 60)
_RECONCILE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)


class Metrics:
    """What the operator has done since it started, kept in the registry it is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"ticketsmith_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(
                f"ticketsmith_{name}", text, labels, buckets=buckets, registry=registry
            )

        where = ("namespace", "accelerator", "capacity")
        what = ("namespace", "currency", "accelerator", "capacity")
        self._rounds = counter(
            "rounds", "Attempts at rounds that ended.", "namespace", "arm", "outcome"
        )
        self._durations = histogram(
            "round_duration_seconds", "Time of rounds that are done.", _ROUND_SECONDS, "arm"
        )
        self._gpu_seconds = counter(
            "gpu_seconds", "GPUs times seconds of attempts that ended.", *where
        )
        self._wasted_gpu_seconds = counter(
            "wasted_gpu_seconds", "GPUs times seconds of attempts that failed.", *where
        )
        self._cost = counter("cost", "Cost of attempts that ended.", *what)
        self._wasted_cost = counter("wasted_cost", "Cost of attempts that failed.", *what)
        self._unanswered = counter(
            "answers_missing", "Attempts that ended well but left no usable answer.", "namespace"
        )
        self._gates = counter(
            "gate_evaluations", "Gates applied to finished rounds.", "metric", "outcome"
        )
        self._gap = histogram(
            "scheduling_gap_seconds",
            "From a round's answer seen to the next Job created.",
            _GAP_SECONDS,
        )
        self._reconciles = histogram(
            "reconcile_duration_seconds",
            "Time of one look at one experiment.",
            _RECONCILE_SECONDS,
        )
        self._troubles = counter("reconcile_errors", "Reconciles that failed.", "kind")
        for kind in get_args(Trouble):  # a rate needs a zero to rise from
            self._troubles.labels(kind)
        self._writes = counter(
            "api_writes", "Writes that the API server answered.", "verb", "resource"
        )
        self._depth = Gauge(
            "ticketsmith_workqueue_depth", "Experiments waiting for a worker.", registry=registry
        )
        self._resynced = Gauge(
            "ticketsmith_last_resync_timestamp_seconds",
            "Unix time at which everything was last listed; 0 before the first time.",
            registry=registry,
        )
        build = Gauge(
            "ticketsmith_build_info",
            "The operator that runs; always 1.",
            ("version",),
            registry=registry,
        )
        build.labels(__version__).set(1)

        self._expected: set[tuple[str, Place]] = set()

    def expect(self, namespace: str, place: Place) -> None:
        """Rounds of this namespace may run in this place: what counts them needs a zero to rise from, or the first of
        everything would be lost on whoever asks for an increase."""
        if (namespace, place) in self._expected:
            return
        self._expected.add((namespace, place))
        where = (namespace, place.accelerator, place.capacity)
        self._unanswered.labels(namespace)
        for arm, outcome in product(get_args(Arm), _TOLD_BEFORE):
            self._rounds.labels(namespace, arm, outcome)
        if place.prices.gpus:
            self._gpu_seconds.labels(*where)
            self._wasted_gpu_seconds.labels(*where)
        if place.prices.currency is not None:
            what = (namespace, place.prices.currency, place.accelerator, place.capacity)
            self._cost.labels(*what)
            self._wasted_cost.labels(*what)

    def decided(
        self,
        namespace: str,
        before: Status | None,
        after: Status,
        place: Place,
        gates: Sequence[GateSpec],
        observed: Sequence[Observed] = (),
    ) -> None:
        """A status was written in place of another. `place` is where its rounds run, `gates` are its spec's, and
        `observed` is what it was decided on."""
        new = changes(before, after, gates)
        for arm, outcome in new.ended:
            self._rounds.labels(namespace, arm, outcome).inc()
        for arm, seconds in new.durations:
            self._durations.labels(arm).observe(seconds)
        for metric, verdict in new.verdicts:
            self._gates.labels(metric, verdict).inc()
        self._spent(namespace, new, place, after.usage.currency)
        # An attempt that ended well and counts as failed all the same had no answer of its own.
        ended_well = {(seen.name, seen.attempt) for seen in observed if seen.state == "done"}
        self._unanswered.labels(namespace).inc(len(new.failed & ended_well))

    def _spent(self, namespace: str, new: Changes, place: Place, currency: str | None) -> None:
        where = (place.accelerator, place.capacity)
        if new.gpu_seconds:
            wasted = place.prices.gpus * new.failed_seconds
            self._gpu_seconds.labels(namespace, *where).inc(new.gpu_seconds)
            self._wasted_gpu_seconds.labels(namespace, *where).inc(wasted)
        if new.cost and currency is not None:
            wasted_cost = float(cost(place.prices, new.failed_seconds))
            self._cost.labels(namespace, currency, *where).inc(float(new.cost))
            self._wasted_cost.labels(namespace, currency, *where).inc(wasted_cost)

    def resynced(self) -> None:
        """Everything was listed just now."""
        self._resynced.set_to_current_time()

    def gap(self, seconds: float) -> None:
        """A Job was created so long after the answer that made room for it was seen."""
        # Two clocks may disagree by a little; a histogram's sum must not go down.
        self._gap.observe(max(0.0, seconds))

    def reconciled(self, seconds: float) -> None:
        """One reconcile, whether it went well or not, took so long."""
        self._reconciles.observe(seconds)

    def reconcile_failed(self, kind: Trouble) -> None:
        """A reconcile failed and will be tried again."""
        self._troubles.labels(kind).inc()

    def api_write(self, verb: str, resource: str) -> None:
        """The API server carried out a create, update, patch or delete of this plural."""
        self._writes.labels(verb, resource).inc()

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Ask `depth` for the length of the queue whenever it is read, from whatever thread reads it."""
        self._depth.set_function(depth)
