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

from ticketsmith.experiment.decision import Prices
from ticketsmith.experiment.spec import GateSpec, LimitsSpec
from ticketsmith.experiment.status import Best, RoundStatus, Status, Usage
from ticketsmith_operator.metrics.experiments import Seen
from ticketsmith_operator.metrics.metrics import Metrics
from ticketsmith_operator.metrics.page import Page
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
LIMITED = LimitsSpec(max_cost=Decimal("0.42"), deadline_seconds=400)


def text(registry: CollectorRegistry, *seen: Seen, accept: str = "") -> str:
    body, _ = asyncio.run(Page(registry, lambda: iter(seen), lambda: NOW).render(accept))
    return body.decode()


def driven() -> tuple[Metrics, CollectorRegistry]:
    """Metrics that have heard of everything there is to hear of."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.decided(None, RUNNING, SPOT, (GATE,))
    metrics.decided(RUNNING, DONE, SPOT, (GATE,))
    metrics.gap(0.02)
    metrics.reconciled(0.004)
    metrics.reconcile_failed("conflict")
    metrics.api_write("create", "jobs")
    metrics.watch_queue(lambda: 3)
    return metrics, registry


def value(families: Sequence[Metric], name: str, **labels: str) -> float | None:
    found = [s.value for f in families for s in f.samples if (s.name, s.labels) == (name, labels)]
    return found[0] if found else None


def plain(registry: CollectorRegistry, *seen: Seen) -> list[Metric]:
    return list(parse_plain(text(registry, *seen)))


def test_a_written_status_moves_the_counters() -> None:
    _, registry = driven()
    families = plain(registry)
    assert value(families, "ticketsmith_rounds_total", arm="ticket", outcome="done") == 1
    assert value(families, "ticketsmith_round_duration_seconds_sum", arm="ticket") == 42
    where = {"accelerator": "nvidia-l4", "capacity": "spot"}
    assert value(families, "ticketsmith_gpu_seconds_total", **where) == 84
    assert value(families, "ticketsmith_cost_total", currency="USD", **where) == 0.042
    gate = {"metric": "accuracy", "outcome": "passed"}
    assert value(families, "ticketsmith_gate_evaluations_total", **gate) == 1
    assert value(families, "ticketsmith_scheduling_gap_seconds_count") == 1
    assert value(families, "ticketsmith_reconcile_duration_seconds_count") == 1
    assert value(families, "ticketsmith_reconcile_errors_total", kind="conflict") == 1
    assert value(families, "ticketsmith_reconcile_errors_total", kind="bug") == 0
    assert value(families, "ticketsmith_api_writes_total", verb="create", resource="jobs") == 1
    assert value(families, "ticketsmith_workqueue_depth") == 3


def test_no_counter_ever_goes_down() -> None:
    metrics, registry = driven()
    before = plain(registry)
    metrics.decided(DONE, RUNNING, SPOT, (GATE,))
    metrics.gap(-0.001)
    after = {(s.name, *s.labels.items()): s.value for f in plain(registry) for s in f.samples}
    for family in before:
        for sample in family.samples:
            assert after[(sample.name, *sample.labels.items())] >= sample.value


def test_money_of_no_known_currency_is_not_told() -> None:
    registry = CollectorRegistry()
    place = Place(Prices(), "cpu", "on-demand")
    Metrics(registry).decided(None, Status(usage=Usage(duration_seconds=5.0)), place, ())
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
    assert told["budget_ratio"] == told["throughput_samples_per_second"] == {}


def test_every_phase_is_counted_and_a_deleted_experiment_is_gone() -> None:
    memory = [
        Seen("a", "one", None),
        Seen("a", "two", Status(phase="Running")),
        Seen("b", "two", Status(phase="Running")),
    ]
    page = Page(CollectorRegistry(), lambda: memory, lambda: NOW)

    def phases() -> dict[str, float]:
        body, _ = asyncio.run(page.render(""))
        families = parse_plain(body.decode())
        counted = next(f for f in families if f.name == "ticketsmith_experiments")
        return {sample.labels["phase"]: sample.value for sample in counted.samples}

    assert phases() == {"Pending": 1, "Running": 2, "Suspended": 0, "Succeeded": 0, "Failed": 0}
    memory.pop()
    assert phases()["Running"] == 1


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
    page = text(registry, Seen("team", "mnist", DONE, LIMITED))
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
