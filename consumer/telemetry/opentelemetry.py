"""Traces by OpenTelemetry, with its semantic conventions for messaging and HTTP, sent by OTLP/HTTP.

Spans wait in a queue for a thread of OpenTelemetry's own; a collector that is away costs the spans
that don't fit there. Nothing that a job could hold in it is sent: no user, no key, no message.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

import requests
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import (
    SpanKind,
    StatusCode,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import Tracer as OtelTracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from consumer.settings import KafkaSettings
from consumer.telemetry.tracing import Span, Step, Trace, Tracing, Value
from schemas.trace_context import HEADER

CLOSE_SECONDS = 2.0
SERVICE = "maskline"

_KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}
_PROPAGATOR = TraceContextTextMapPropagator()


class _Span(Span):
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:  # type: ignore[override]
        """The context as a header has it."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, set_span_in_context(self._span))
        return carrier.get(HEADER)

    def note(self, **attributes: Value) -> None:
        """Add attributes; `__` in a name is a dot."""
        self._span.set_attributes(_dotted(attributes))

    def fail(self, error_type: str) -> None:
        """Say how the step failed."""
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(StatusCode.ERROR)


class _Trace(_Span, Trace):
    """An open span, and those below it."""

    def __init__(
        self, tracer: OtelTracer, span: OtelSpan, *, original: str | None, send: str
    ) -> None:
        """`original`: the producer's traceparent. `send`: the topic of terminal events."""
        super().__init__(span)
        self._tracer = tracer
        self._original = original
        self._send = send
        self._context = set_span_in_context(span)
        context = span.get_span_context()
        self.ids = {
            "trace_id": format_trace_id(context.trace_id),
            "span_id": format_span_id(context.span_id),
        }

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let steps in the block belong to it."""
        token = attach(self._context)
        try:
            yield
        finally:
            detach(token)

    def step(self, name: str, *, kind: str = "internal", **attributes: Value) -> Step:
        """Time the block as a step; an exception fails it."""
        return self._step(name, kind, attributes)

    @contextmanager
    def _step(self, name: str, kind: str, attributes: Mapping[str, Value]) -> Iterator[Span]:
        span = self._tracer.start_span(
            name,
            kind=_KINDS[kind],
            attributes=_dotted(attributes),
        )
        step = _Span(span)
        token = attach(set_span_in_context(span))
        try:
            yield step
        except BaseException as error:
            step.fail(str(getattr(error, "code", "") or type(error).__name__))
            raise
        finally:
            detach(token)
            span.end()

    def stages(self, milliseconds: Mapping[str, float]) -> None:
        """Show stages that have just ended, one after the other."""
        begin = time.time_ns() - int(sum(milliseconds.values()) * 1e6)
        for name, duration in milliseconds.items():
            end = begin + int(duration * 1e6)
            self._tracer.start_span(name, start_time=begin).end(end)
            begin = end

    def tell(self, event: str, **attributes: Value) -> None:
        """Show that something happened at this moment."""
        self._span.add_event(event, _dotted(attributes))

    def settle(self, *, seconds: float, jobs: int) -> None:
        """End it with its terminal event."""
        now = time.time_ns()
        sent = self._tracer.start_span(
            f"send {self._send}",
            self._context,
            kind=SpanKind.PRODUCER,
            attributes={**_messaging("send", self._send), "messaging.batch.message_count": jobs},
            start_time=now - int(seconds * 1e9),
        )
        sent.end(now)
        self._span.end(now)

    def repeats(self, how: str) -> None:
        """Link it to the original."""
        original = get_current_span(_context(self._original)).get_span_context()
        if original.is_valid:
            self._span.add_link(original, {"mask.repeats": how})

    def end(self) -> None:
        """End it now."""
        self._span.end()

    def abandon(self) -> None:
        """End it without a terminal event."""
        self.tell("abandoned")
        self._span.end()


class OpenTelemetry(Tracing):
    """Makes traces and sends them."""

    def __init__(
        self, exporter: SpanExporter, kafka: KafkaSettings, *, replays: bool = False
    ) -> None:
        """OpenTelemetry's own variables say the sampler, the resource and the queue."""
        self._kafka = kafka
        self._replays = replays
        own = {"service.name": SERVICE, "service.version": version("maskline")}
        # The variables come after ours, and replace them.
        self._provider = TracerProvider(
            resource=Resource.create({k: v for k, v in own.items() if not _named(k)}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("maskline", version("maskline"))

    @classmethod
    def of_environment(cls, kafka: KafkaSettings, *, replays: bool) -> "OpenTelemetry":
        """Send to `OTEL_EXPORTER_OTLP_ENDPOINT`, by no proxy."""
        session = requests.Session()
        session.trust_env = False
        return cls(OTLPSpanExporter(session=session), kafka, replays=replays)

    def attempt(self, topic: str, *, parent: str | None, **facts: Value) -> Trace:
        """Begin the trace of an attempt at a job of the topic."""
        attributes = {
            **_messaging("process", topic),
            "messaging.consumer.group.name": self._kafka.consumer_group,
            **_dotted(facts),
        }
        span = self._tracer.start_span(
            f"process {topic}", _context(parent), kind=SpanKind.CONSUMER, attributes=attributes
        )
        trace = _Trace(self._tracer, span, original=parent, send=self._kafka.status_topic)
        if self._replays:
            trace.repeats("replay")
        return trace

    def submission(self, topic: str, *, parent: str | None) -> Trace:
        """Begin the trace of a job that is submitted."""
        span = self._tracer.start_span(
            f"send {topic}",
            _context(parent),
            kind=SpanKind.PRODUCER,
            attributes=_messaging("send", topic),
        )
        return _Trace(self._tracer, span, original=parent, send="")

    def close(self) -> None:
        """Send what is left, within a moment: a collector that hangs must not hold us up."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def _context(traceparent: str | None) -> Context:
    """Give the context of a header; an empty one where there is none."""
    return _PROPAGATOR.extract({HEADER: traceparent} if traceparent else {}, Context())


def _messaging(operation: str, topic: str) -> dict[str, Value]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
    }


def _dotted(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {name.replace("__", "."): value for name, value in attributes.items()}


def _named(attribute: str) -> bool:
    """Whether OpenTelemetry's variables say it."""
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return attribute in given or (attribute == "service.name" and "OTEL_SERVICE_NAME" in os.environ)
