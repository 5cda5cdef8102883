"""Spans to an OTLP/HTTP receiver, by OpenTelemetry's own library, which is imported only where traces are wanted.

A thread of the library's sends them in batches from a bounded queue. While the receiver is away it tries again, and
what no longer fits is dropped; nothing here waits for it.
"""

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ticketsmith import __version__
from ticketsmith_operator.tracing.ids import span_id, trace_id
from ticketsmith_operator.tracing.spans import Span
from ticketsmith_operator.tracing.traces import Traces

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

SERVICE = "ticketsmith-operator"
CLOSE_SECONDS = 5.0
"""How long the operator's end waits for the last spans to be sent."""
_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def open_traces(endpoint: str | None, environment: Mapping[str, str] = os.environ) -> Traces | None:
    """Traces to `endpoint`, else to where OpenTelemetry's variables say; None where nobody asks for any.

    OSError if the library is not installed.
    """
    if not is_wanted(endpoint, environment):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise OSError(
            "traces need OpenTelemetry, which is not installed: pip install 'ticketsmith[tracing]', or leave "
            f"--traces-endpoint and {' and '.join(_VARIABLES)} out"
        ) from error
    return Traces(OtlpExporter(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint))))


def is_wanted(endpoint: str | None, environment: Mapping[str, str]) -> bool:
    """Whether anybody asks for traces, by flag or by OpenTelemetry's variables."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if endpoint is not None:
        return True
    named = any(environment.get(name, "").strip() for name in _VARIABLES)
    return named and environment.get("OTEL_TRACES_EXPORTER", "otlp").strip() == "otlp"


class OtlpExporter:
    """Spans with ids of our own, handed to OpenTelemetry's processor."""

    def __init__(self, processor: "SpanProcessor") -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import IdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        class Told(IdGenerator):
            """The ids of the span that is about to be made; spans are made one at a time."""

            trace = span = 1

            def generate_trace_id(self) -> int:
                return self.trace

            def generate_span_id(self) -> int:
                return self.span

        self._ids = Told()
        named = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or SERVICE}
        resource = Resource.create(named | {"service.version": __version__})
        # Sampled are all or none: a trace that lacks rounds would tell a story that did not happen.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("ticketsmith_operator", __version__)

    def emit(self, uid: str, span: Span) -> None:
        """See Exporter.emit."""
        from opentelemetry.context import Context
        from opentelemetry.trace import (
            NonRecordingSpan,
            SpanContext,
            Status,
            StatusCode,
            TraceFlags,
            set_span_in_context,
        )

        self._ids.trace, self._ids.span = trace_id(uid), span_id(uid, *span.path)
        context = Context()
        if span.path:
            above = SpanContext(
                trace_id=self._ids.trace,
                span_id=span_id(uid, *span.path[:-1]),
                is_remote=True,
                trace_flags=TraceFlags(TraceFlags.SAMPLED),
            )
            context = set_span_in_context(NonRecordingSpan(above), context)
        made = self._tracer.start_span(
            span.name,
            context,
            attributes={**span.attributes, "ticketsmith.experiment.uid": uid},
            start_time=_nanoseconds(span.start),
        )
        made.set_status(Status(StatusCode.ERROR if span.failed else StatusCode.OK))
        made.end(_nanoseconds(span.end))

    def close(self) -> None:
        """See Exporter.close."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def _nanoseconds(seconds: float) -> int:
    """To the microsecond, as statuses write times: beyond that a float holds noise."""
    return round(seconds * 1e6) * 1000
