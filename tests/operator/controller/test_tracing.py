"""Traces: one an experiment, a span a round, whoever tells which part of it."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from ticketsmith.experiment.clock import rfc3339
from ticketsmith.experiment.status import Status
from ticketsmith_operator.flags import read_settings
from ticketsmith_operator.tracing.ids import span_id, trace_id
from ticketsmith_operator.tracing.otlp import OtlpExporter, is_wanted, open_traces
from ticketsmith_operator.tracing.spans import Span, _reckoned
from ticketsmith_operator.tracing.traces import Traces

BEGIN = 1_750_000_000.0
MakeDesk = Callable[..., Any]


class Receiver:
    """Everything that was told, in order."""

    def __init__(self) -> None:
        self.memory = InMemorySpanExporter()

    def traces(self) -> Traces:
        """One operator's."""
        return Traces(OtlpExporter(SimpleSpanProcessor(self.memory)))

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.memory.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        [found] = [span for span in self.spans if span.name == name]
        return found

    def names(self) -> list[str]:
        return [span.name for span in self.spans]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def told(span: ReadableSpan) -> dict[str, Any]:
    prefix = "ticketsmith."
    return {name.removeprefix(prefix): value for name, value in (span.attributes or {}).items()}


def seconds(span: ReadableSpan) -> tuple[float, float]:
    return (span.start_time or 0) / 1e9 - BEGIN, (span.end_time or 0) / 1e9 - BEGIN


def begin(desk: Any, name: str, attempt: int = 1) -> None:
    desk.now += 5
    desk.pod(name, attempt, running={"startedAt": "2025-06-15T00:00:00Z"})
    asyncio.run(desk.look_and_turn())


def play(desk: Any, name: str, attempt: int = 1) -> None:
    """The node starts the attempt after 5 seconds, and 10 seconds later it is done."""
    begin(desk, name, attempt)
    desk.now += 10
    desk.finish(name, attempt)
    asyncio.run(desk.look_and_turn())


def test_an_experiment_is_one_trace_with_a_span_for_each_round(
    make_desk: MakeDesk, receiver: Receiver
) -> None:
    desk = make_desk(traces=receiver.traces())
    uid = desk.apply()["metadata"]["uid"]
    asyncio.run(desk.look_and_turn())
    for name in ("dense-s0", "ticket-s0-l01", "report"):
        play(desk, name)
    assert desk.status["phase"] == "Succeeded"
    assert receiver.names() == ["dense-s0", "ticket-s0-l01", "report", "experiment"]
    root = receiver.named("experiment")
    assert {span.context.trace_id for span in receiver.spans} == {trace_id(uid)}
    assert root.parent is None
    for span in receiver.spans[:-1]:
        assert span.parent is not None
        assert span.parent.span_id == root.context.span_id
    assert [seconds(span) for span in receiver.spans] == [(5, 15), (20, 30), (35, 45), (5, 45)]
    ticket = told(receiver.named("ticket-s0-l01"))
    expected = {"arm": "ticket", "seed": 0, "level": 1, "sparsity": 0.5, "outcome": "done"}
    expected |= {"gate": "passed", "attempts": 1, "failures": 0, "work_seconds": 10.0}
    expected |= {"metric.accuracy": 0.98, "experiment": "trial", "experiment.uid": uid}
    assert expected.items() <= ticket.items()
    assert told(root)["reason"] == "AllRoundsDone"
    assert told(root)["best.sparsity"] == 0.5
    assert {span.status.status_code for span in receiver.spans} == {StatusCode.OK}


def test_attempts_of_a_round_that_is_tried_again_are_its_children(
    make_desk: MakeDesk, receiver: Receiver
) -> None:
    desk = make_desk(traces=receiver.traces())
    desk.apply()
    asyncio.run(desk.look_and_turn())
    begin(desk, "dense-s0")
    desk.now += 10
    desk.fail("dense-s0", message="password=hunter2")
    asyncio.run(desk.look_and_turn())
    play(desk, "dense-s0", attempt=2)
    assert receiver.names() == ["attempt", "attempt", "dense-s0"]
    first, second, whole = receiver.spans
    assert [told(span)["outcome"] for span in receiver.spans] == ["retried", "done", "done"]
    assert (told(first)["attempt"], told(second)["attempt"]) == (1, 2)
    assert first.parent is not None
    assert first.parent.span_id == whole.context.span_id
    assert first.context.span_id != second.context.span_id
    assert [seconds(span) for span in receiver.spans] == [(5, 15), (20, 30), (5, 30)]
    assert first.status.status_code is StatusCode.ERROR
    assert "hunter2" not in str([span.to_json() for span in receiver.spans])


def test_another_operator_goes_on_with_the_same_trace_and_repeats_nothing(
    make_desk: MakeDesk, receiver: Receiver
) -> None:
    desk = make_desk(traces=receiver.traces())
    uid = desk.apply()["metadata"]["uid"]
    asyncio.run(desk.look_and_turn())
    desk.fail("dense-s0")
    asyncio.run(desk.look_and_turn(after=10))
    later = make_desk(traces=receiver.traces())
    later.now = desk.now
    for name, attempt in (("dense-s0", 2), ("ticket-s0-l01", 1), ("report", 1)):
        asyncio.run(later.look_and_turn())
        play(later, name, attempt)
    later.watch()
    asyncio.run(later.turn())
    names = receiver.names()
    assert names == ["attempt", "attempt", "dense-s0", "ticket-s0-l01", "report", "experiment"]
    assert {span.context.trace_id for span in receiver.spans} == {trace_id(uid)}
    assert len({span.context.span_id for span in receiver.spans}) == len(names)
    # The first attempt began before this operator did: its length is known, its moment is not.
    assert told(receiver.named("dense-s0"))["start_estimated"] is True
    assert "start_estimated" not in told(receiver.named("ticket-s0-l01"))


def test_a_start_that_is_reckoned_is_not_before_the_experiments() -> None:
    change: Any = SimpleNamespace(after=Status(started_at=rfc3339(100.5)))
    assert _reckoned(change, 101, 0.2) == pytest.approx(100.8)
    assert _reckoned(change, 101, 0.500001) == 100.5  # lengths are rounded
    assert _reckoned(change, 100, 0.1) == 100
    assert _reckoned(SimpleNamespace(after=Status()), 100, 1) == 99  # type: ignore[arg-type]


def test_a_round_that_is_stopped_and_an_experiment_that_fails_are_told(
    make_desk: MakeDesk, receiver: Receiver
) -> None:
    desk = make_desk(traces=receiver.traces())
    desk.apply(seeds=[0, 1], limits={"retries": 0})
    asyncio.run(desk.look_and_turn())
    begin(desk, "dense-s1")
    desk.fail("dense-s0", code=2)
    asyncio.run(desk.look_and_turn(after=5))
    assert {name: told(receiver.named(name))["outcome"] for name in ("dense-s0", "dense-s1")} == {
        "dense-s0": "failed",
        "dense-s1": "stopped",
    }
    assert receiver.named("experiment").status.status_code is StatusCode.ERROR
    assert told(receiver.named("experiment"))["reason"] == "RoundFailed"


def test_trouble_with_traces_is_no_trouble_of_the_experiment(
    make_desk: MakeDesk, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def emit(self, uid: str, span: Span) -> None:
            raise RuntimeError("no")

        def close(self) -> None:
            return

    desk = make_desk(traces=Traces(Broken()))
    desk.apply()
    asyncio.run(desk.look_and_turn())
    play(desk, "dense-s0")
    assert desk.round("dense-s0")["state"] == "Done"
    assert "a change of trial could not be traced" in caplog.text


def test_what_is_kept_goes_with_the_experiment(make_desk: MakeDesk, receiver: Receiver) -> None:
    traces = receiver.traces()
    desk = make_desk(traces=traces)
    desk.apply()
    asyncio.run(desk.look_and_turn())
    desk.fail("dense-s0")
    asyncio.run(desk.look_and_turn())
    assert len(traces._begun) == 1
    desk.reconciler.forget(set())
    assert traces._begun == {}


def test_the_uid_is_the_trace_id() -> None:
    uid = str(uuid.uuid4())
    assert f"{trace_id(uid):032x}" == uid.replace("-", "")
    assert 0 < trace_id("uid-1") < 2**128
    ids = {span_id(uid), span_id(uid, "dense-s0"), span_id(uid, "dense-s0", "1")}
    assert len(ids) == 3
    assert all(0 < one < 2**64 for one in ids)


@pytest.mark.parametrize(
    ("endpoint", "environment", "wanted"),
    [
        (None, {}, False),
        ("http://there:4318/v1/traces", {}, True),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://there:4318"}, True),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://there:4318/x"}, True),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_TRACES_EXPORTER": "none"}, False),
        ("http://there", {"OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_traces_are_made_where_somebody_asks_for_them(
    endpoint: str | None, environment: dict[str, str], wanted: bool
) -> None:
    assert is_wanted(endpoint, environment) is wanted


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("http://there:4318", "http://there:4318/v1/traces"),
        ("https://there/", "https://there/v1/traces"),
        ("https://there/otlp/v1/traces", "https://there/otlp/v1/traces"),
    ],
)
def test_an_endpoint_without_a_path_gets_the_usual_one(given: str, taken: str) -> None:
    assert read_settings(["--traces-endpoint", given]).traces_endpoint == taken


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("there:4318", "name a URL like http://otel-collector:4318"),
        ("http://me:secret@there", "credentials belong into OTEL_EXPORTER_OTLP_HEADERS"),
    ],
)
def test_a_bad_endpoint_is_refused_in_a_sentence(
    given: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        read_settings(["--traces-endpoint", given])
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_without_the_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(OSError, match=r"pip install 'ticketsmith\[tracing\]'"):
        open_traces("http://there/v1/traces", {})


def test_an_operator_without_traces_loads_nothing_of_opentelemetry() -> None:
    code = (
        "import sys, ticketsmith_operator.__main__ as m; assert m.open_traces(None, {}) is None;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
