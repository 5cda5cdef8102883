"""metrics: what Prometheus reads, and that the page about it is true."""

import asyncio
import re
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_plain
from prometheus_client.registry import Collector

from ticketsmith import __version__
from ticketsmith.experiment.decision import Observed, Prices
from ticketsmith.experiment.spec import GateSpec, LimitsSpec
from ticketsmith.experiment.status import Best, RoundStatus, Status, Usage
from ticketsmith_operator.metrics.experiments import MOST_LADDERS
from ticketsmith_operator.metrics.metrics import Metrics
from ticketsmith_operator.metrics.page import Page
from ticketsmith_operator.metrics.seen import Seen
from ticketsmith_operator.money.prices import Place

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
NOW = 1_750_000_100.0
SPOT = Place(Prices(Decimal("3.6"), "USD", gpus=2), "nvidia-l4", "spot")
GATE = GateSpec(metric="accuracy", max_drop=0.02)
OPEN = "application/openmetrics-text; version=1.0.0"

Labels = dict[str, str]


def one(state: str, name: str = "ticket-s0-l01", **more: Any) -> RoundStatus:
    return RoundStatus(name=name, arm=name.split("-")[0], state=state, **{"attempts": 1, **more})


RUNNING = Status(phase="Running", rounds=(one("Running"),))
RETRIED = Status(
    phase="Running",
    rounds=(one("Running", attempts=2, failures=1, duration_seconds=10.0),),
    usage=Usage(gpu_seconds=20.0, duration_seconds=10.0, cost=Decimal("0.01"), currency="USD"),
)
UNANSWERED = Observed("ticket-s0-l01", 1, "done", 0.0, 10.0, None, 0)
DONE = Status(
    phase="Running",
    progress="3/4",
    rounds=(
        one("Done", gate="passed", duration_seconds=42.0),
        one("Done", "benchmark", metrics={"samplesPerSecond1": 800.0, "samplesPerSecond32": 9000.5}),
    ),
    best=Best(
        round="ticket-s0-l01", level=1, sparsity=0.8, metric=0.97, drop=0.01, seeds_passed=1, seeds=1,
        speedup=1.4,
    ),
    usage=Usage(gpu_seconds=84.0, duration_seconds=42.0, cost=Decimal("0.042"), currency="USD"),
    active_seconds=20.0,
    clock_since="2025-06-15T15:07:40Z",
)  # fmt: skip
LIMITED = LimitsSpec(max_cost=Decimal("0.42"), max_gpu_hours=Decimal("0.1"), deadline_seconds=400)
HOUR_AGO = "2025-06-15T14:08:21Z"
OVER = Status(
    phase="Succeeded",
    started_at="2025-06-15T14:00:00Z",
    finished_at=HOUR_AGO,
    rounds=(
        one("Done", "dense-s0", seed=0, level=0, sparsity=0.0, metrics={"accuracy": 0.98}),
        one("Done", seed=0, level=1, sparsity=0.5, gate="failed", metrics={"accuracy": 0.9}),
    ),
)
"""Ended an hour ago less a second."""


def text(registry: CollectorRegistry, *seen: Seen, accept: str = "") -> str:
    body, _ = asyncio.run(Page(registry, lambda: iter(seen), lambda: NOW).render(accept))
    return body.decode()


def driven() -> tuple[Metrics, CollectorRegistry]:
    """Metrics that have heard of everything there is to hear of."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.decided("team", None, RUNNING, SPOT, (GATE,))
    metrics.decided("team", RUNNING, RETRIED, SPOT, (GATE,), [UNANSWERED])
    metrics.decided("team", RETRIED, DONE, SPOT, (GATE,))
    metrics.gap(0.02)
    metrics.reconciled(0.004)
    metrics.reconcile_failed("conflict")
    metrics.api_write("create", "jobs")
    metrics.watch_queue(lambda: 3)
    metrics.resynced()
    return metrics, registry


def value(families: Sequence[Metric], name: str, **labels: str) -> float | None:
    found = [s.value for f in families for s in f.samples if (s.name, s.labels) == (name, labels)]
    return found[0] if found else None


def plain(registry: CollectorRegistry, *seen: Seen) -> list[Metric]:
    return list(parse_plain(text(registry, *seen)))


def test_a_written_status_moves_the_counters() -> None:
    _, registry = driven()
    families = plain(registry)
    ticket = {"namespace": "team", "arm": "ticket"}
    assert value(families, "ticketsmith_rounds_total", **ticket, outcome="done") == 1
    assert value(families, "ticketsmith_rounds_total", **ticket, outcome="retried") == 1
    assert value(families, "ticketsmith_round_duration_seconds_sum", arm="ticket") == 42
    where = {"namespace": "team", "accelerator": "nvidia-l4", "capacity": "spot"}
    assert value(families, "ticketsmith_gpu_seconds_total", **where) == 84
    assert value(families, "ticketsmith_wasted_gpu_seconds_total", **where) == 20
    assert value(families, "ticketsmith_cost_total", currency="USD", **where) == 0.042
    assert value(families, "ticketsmith_wasted_cost_total", currency="USD", **where) == 0.01
    assert value(families, "ticketsmith_answers_missing_total", namespace="team") == 1
    gate = {"metric": "accuracy", "outcome": "passed"}
    assert value(families, "ticketsmith_gate_evaluations_total", **gate) == 1
    assert value(families, "ticketsmith_scheduling_gap_seconds_count") == 1
    assert value(families, "ticketsmith_reconcile_duration_seconds_count") == 1
    assert value(families, "ticketsmith_reconcile_errors_total", kind="conflict") == 1
    assert value(families, "ticketsmith_reconcile_errors_total", kind="bug") == 0
    assert value(families, "ticketsmith_api_writes_total", verb="create", resource="jobs") == 1
    assert value(families, "ticketsmith_workqueue_depth") == 3
    assert (value(families, "ticketsmith_last_resync_timestamp_seconds") or 0) > NOW
    assert value(families, "ticketsmith_build_info", version=__version__) == 1


def test_what_may_be_counted_is_shown_as_zero_from_the_first() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.expect("team", SPOT)
    counted = (
        "rounds",
        "cost",
        "gpu_seconds",
        "wasted_cost",
        "wasted_gpu_seconds",
        "answers_missing",
    )
    zeros = {
        f.name: f.samples for f in plain(registry) if f.name.removeprefix("ticketsmith_") in counted
    }
    assert {sample.value for samples in zeros.values() for sample in samples} == {0}
    before = {name: len(samples) for name, samples in zeros.items()}
    assert before.keys() == {f"ticketsmith_{name}" for name in counted}
    metrics.decided("team", None, RUNNING, SPOT, (GATE,))
    metrics.decided("team", RUNNING, RETRIED, SPOT, (GATE,), [UNANSWERED])
    metrics.expect("team", SPOT)
    after = {f.name: len(f.samples) for f in plain(registry) if f.name in zeros}
    assert after == before, "each of them had its zero"


def test_a_place_without_gpus_or_prices_counts_neither() -> None:
    registry = CollectorRegistry()
    Metrics(registry).expect("team", Place(Prices(), "cpu", "on-demand"))
    page = text(registry)
    assert "ticketsmith_rounds_total{" in page
    assert "ticketsmith_gpu_seconds_total{" not in page
    assert "ticketsmith_cost_total{" not in page


def test_no_counter_ever_goes_down() -> None:
    metrics, registry = driven()
    before = plain(registry)
    metrics.decided("team", DONE, RUNNING, SPOT, (GATE,))
    metrics.gap(-0.001)
    after = {(s.name, *s.labels.items()): s.value for f in plain(registry) for s in f.samples}
    for family in before:
        for sample in family.samples:
            assert after[(sample.name, *sample.labels.items())] >= sample.value


def test_money_of_no_known_currency_is_not_told() -> None:
    registry = CollectorRegistry()
    place = Place(Prices(), "cpu", "on-demand")
    told = Status(usage=Usage(duration_seconds=5.0))
    Metrics(registry).decided("team", None, told, place, ())
    assert "ticketsmith_cost_total{" not in text(registry)


def test_two_operators_in_one_process_share_nothing() -> None:
    _, first = driven()
    second = CollectorRegistry()
    Metrics(second)
    assert (
        value(plain(second), "ticketsmith_api_writes_total", verb="create", resource="jobs") is None
    )
    assert value(plain(first), "ticketsmith_api_writes_total", verb="create", resource="jobs") == 1


def gauges(*seen: Seen) -> dict[str, dict[tuple[str, ...], float]]:
    """Value by gauge (without its prefix), then by namespace, name and what other labels there are."""
    told: dict[str, dict[tuple[str, ...], float]] = {}
    for family in plain(CollectorRegistry(), *seen):
        values = told.setdefault(family.name.removeprefix("ticketsmith_experiment_"), {})
        for sample in family.samples:
            rest = dict(sample.labels)
            who = (rest.pop("namespace", ""), rest.pop("name", ""))
            values[*who, *rest.values()] = sample.value
    return told


def test_an_experiment_shows_all_that_is_known_of_it() -> None:
    told = gauges(Seen("team", "mnist", DONE, LIMITED))
    who = ("team", "mnist")
    assert told["progress_ratio"] == {who: 0.75}
    assert told["gpu_seconds"] == {who: 84.0}
    assert told["best_sparsity_ratio"] == {who: 0.8}
    assert told["metric_drop"] == {who: 0.01}
    assert told["speedup_ratio"] == {who: 1.4}
    assert told["budget_ratio"] == {who: pytest.approx(0.1)}
    assert told["gpu_budget_ratio"] == {who: pytest.approx(84 / 360)}
    assert told["phase"] == {(*who, "Running"): 1.0}
    assert told["finished_timestamp_seconds"] == {}
    assert told["deadline_ratio"] == {who: pytest.approx((20.0 + 40.0) / 400)}
    assert told["cost"] == {(*who, "USD"): 0.042}
    assert told["throughput_samples_per_second"] == {(*who, "1"): 800.0, (*who, "32"): 9000.5}


@pytest.mark.parametrize("progress", [None, "", "0/0", "soon", "1/x", "-1/2"])
def test_what_is_not_known_is_absent(progress: str | None) -> None:
    told = gauges(
        Seen("a", "fresh", None),
        Seen("a", "bare", Status(progress=progress), LimitsSpec()),
        Seen("a", "unpriced", Status(), LIMITED),
    )
    assert told["gpu_seconds"].keys() == {("a", "bare"), ("a", "unpriced")}
    assert told["deadline_ratio"] == {("a", "unpriced"): 0.0}
    for name in ("cost", "progress_ratio", "best_sparsity_ratio", "metric_drop", "speedup_ratio"):
        assert told[name] == {}
    for name in (
        "level_quality",
        "level_drop",
        "first_level_gate_failures",
        "round_pending_seconds",
    ):
        assert told[name] == {}
    assert told["phase"].keys() == {
        ("a", name, "Pending") for name in ("fresh", "bare", "unpriced")
    }
    assert told["budget_ratio"] == told["throughput_samples_per_second"] == {}


def test_every_phase_is_counted_and_a_deleted_experiment_is_gone() -> None:
    memory = [
        Seen("a", "one", None),
        Seen("a", "two", Status(phase="Running")),
        Seen("b", "two", Status(phase="Running")),
    ]
    page = Page(CollectorRegistry(), lambda: memory, lambda: NOW)

    def phases() -> dict[str, dict[str, float]]:
        body, _ = asyncio.run(page.render(""))
        families = parse_plain(body.decode())
        counted = next(f for f in families if f.name == "ticketsmith_experiments")
        found: dict[str, dict[str, float]] = {}
        for sample in counted.samples:
            found.setdefault(sample.labels["namespace"], {})[sample.labels["phase"]] = sample.value
        return found

    none = {"Pending": 0, "Running": 0, "Suspended": 0, "Succeeded": 0, "Failed": 0}
    assert phases() == {"a": {**none, "Pending": 1, "Running": 1}, "b": {**none, "Running": 1}}
    memory.pop()
    assert phases() == {"a": {**none, "Pending": 1, "Running": 1}}


def test_an_attempt_that_failed_with_an_answer_or_ended_without_fault_lacks_none() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    crashed = Observed("ticket-s0-l01", 1, "failed", 0.0, 10.0, None, 1)
    metrics.decided("team", RUNNING, RETRIED, SPOT, (GATE,), [crashed])
    metrics.decided("team", RETRIED, DONE, SPOT, (GATE,), [UNANSWERED])  # old news
    families = plain(registry)
    assert value(families, "ticketsmith_answers_missing_total", namespace="team") == 0


def test_level_by_level_stands_what_goes_on_and_what_ended_in_the_last_hour() -> None:
    told = gauges(Seen("a", "over", OVER))
    assert told["level_sparsity_ratio"] == {("a", "over", "0"): 0.0, ("a", "over", "1"): 0.5}
    assert told["level_quality"] == {
        ("a", "over", "dense", "0", "accuracy"): 0.98,
        ("a", "over", "ticket", "1", "accuracy"): 0.9,
    }
    assert told["level_drop"] == {("a", "over", "ticket", "1"): pytest.approx(0.08)}
    assert told["first_level_gate_failures"] == {("a", "over"): 1.0}
    assert told["finished_timestamp_seconds"] == {("a", "over"): 1_749_996_501.0}
    earlier = OVER.model_copy(update={"finished_at": "2025-06-15T14:08:20Z"})
    told = gauges(Seen("a", "over", earlier))
    assert told["level_sparsity_ratio"] == told["level_quality"] == told["level_drop"] == {}
    assert told["first_level_gate_failures"] == {}
    assert told["finished_timestamp_seconds"] == {("a", "over"): 1_749_996_500.0}


def test_of_many_experiments_the_latest_are_shown_level_by_level() -> None:
    goes_on = OVER.model_copy(update={"phase": "Running", "finished_at": None})
    latest = {f"new-{number}" for number in range(MOST_LADDERS)}
    earlier = goes_on.model_copy(update={"started_at": "2025-06-15T13:00:00Z"})
    told = gauges(
        *(Seen("a", f"old-{number}", earlier) for number in range(5)),
        *(Seen("a", name, goes_on) for name in sorted(latest)),
    )
    assert {name for _, name, *_ in told["level_quality"]} == latest
    assert len(told["first_level_gate_failures"]) == MOST_LADDERS + 5


def test_a_round_is_pending_from_its_announcement_until_its_container_runs() -> None:
    memory = {"trial": RUNNING, "other": RUNNING}
    clock = [NOW]
    seen = lambda: (Seen("team", name, status) for name, status in memory.items())  # noqa: E731
    page = Page(CollectorRegistry(), seen, lambda: clock[0])

    def waits(later: float, status: Status) -> dict[str, float]:
        memory["trial"] = status
        clock[0] += later
        families = list(parse_plain(asyncio.run(page.render(""))[0].decode()))
        family = next(f for f in families if f.name.endswith("round_pending_seconds"))
        states = {
            state: value(families, "ticketsmith_rounds_in_progress", namespace="team", state=state)
            for state in ("pending", "running")
        }
        found = {s.labels["name"]: s.value for s in family.samples}
        assert found.pop("other") == clock[0] - NOW
        assert states == {"pending": 1 + len(found), "running": 1 - len(found)}
        return found

    begun = RUNNING.model_copy(update={"rounds": (one("Running", started_at=HOUR_AGO),)})
    again = RUNNING.model_copy(update={"rounds": (one("Running", attempts=2),)})
    assert waits(0, RUNNING) == {"trial": 0}
    assert waits(30, RUNNING) == {"trial": 30}
    assert waits(30, begun) == {}
    assert waits(30, RUNNING) == {"trial": 0}, "it lost its place, and waits anew"
    assert waits(30, again) == {"trial": 0}, "another attempt"
    assert waits(30, again) == {"trial": 30}


def test_both_formats_say_the_same() -> None:
    _, registry = driven()
    seen = Seen("team", "mnist", DONE, LIMITED)

    def samples(families: Sequence[Metric]) -> set[tuple[Any, ...]]:
        return {(s.name, *sorted(s.labels.items()), s.value) for f in families for s in f.samples}

    opened = list(parse_open(text(registry, seen, accept=OPEN)))
    assert samples(opened) == samples(plain(registry, seen))


def test_experiments_are_looked_at_on_the_event_loop_and_the_text_is_made_elsewhere() -> None:
    threads: dict[str, int] = {}

    def look() -> list[Seen]:
        threads["look"] = threading.get_ident()
        return []

    class Told(Collector):
        def collect(self) -> list[Metric]:
            threads["text"] = threading.get_ident()
            return []

    registry = CollectorRegistry()
    registry.register(Told())
    asyncio.run(Page(registry, look).render(""))
    assert threads["look"] == threading.get_ident() != threads["text"]


HEADING = re.compile(r"^### `(\w+)`\n\n(\w+)(?:, by ([^\n]*))?\.\n\n(.*?)(?=^##|\Z)", re.M | re.S)


def described() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels of every metric on the page, by name."""
    return {
        name: (kind.lower(), frozenset(re.findall(r"`(\w+)`", labels or "")))
        for name, kind, labels, _ in HEADING.findall(DOCS.read_text())
    }


def exposed() -> dict[str, tuple[str, frozenset[str]]]:
    """The same of every metric that an operator shows which has seen everything once."""
    _, registry = driven()
    seen = [Seen("team", "mnist", DONE, LIMITED), Seen("team", "over", OVER)]
    page = text(registry, *seen, Seen("team", "waits", RUNNING))
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.M))
    labels: dict[str, set[str]] = {name: set() for name in kinds}
    for family in parse_plain(page):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels[name] |= {label for sample in family.samples for label in sample.labels}
        assert family.samples, f"{name} was not driven"
    return {name: (kind, frozenset(labels[name] - {"le"})) for name, kind in kinds.items()}


def test_the_page_describes_exactly_what_is_exposed() -> None:
    assert described() == exposed()


def test_every_query_of_the_page_asks_for_metrics_that_are_there() -> None:
    page = DOCS.read_text()
    for name, _, _, text_ in HEADING.findall(page):
        queries = re.findall(r"```promql\n(.*?)```", text_, re.S)
        assert queries, f"{name} lacks an example"
        for query in queries:
            asked = re.findall(r"ticketsmith_\w+", query)
            bases = {re.sub(r"_(bucket|count|sum)$", "", found) for found in asked}
            assert name in bases
            assert bases <= exposed().keys()
